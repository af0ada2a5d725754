"""The pretend phone of `flowserver up`: takes texts over HTTP and reports back over a real webhook."""


def serve(config, listener):
    import signal

    signal.pause()
