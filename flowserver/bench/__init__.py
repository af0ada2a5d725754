"""`flowserver bench`: the real product beside its baseline, in the same run. Speeds are ratios, never promises."""


def main(arguments: list[str]) -> int:
    """Run the benchmark with these command-line arguments; the exit code. Heavy parts are imported here."""
    from flowserver.bench.run import run

    return run(arguments)
