"""The web server's connections: whoever sends an answer is left alone, and nothing stays unsent."""

import socket
import subprocess
import sys
import threading
import urllib.request
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from waitress.adjustments import Adjustments

from flowserver.runtime import web


@pytest.fixture
def channel():
    ours, theirs = socket.socketpair()
    server = SimpleNamespace(active_channels={})
    found = web._channel()(server, ours, ("127.0.0.1", 1), Adjustments(), map={})
    yield found
    found.close()
    theirs.close()


@contextmanager
def a_thread_is_sending(channel):
    held, done = threading.Event(), threading.Event()

    def send():
        with channel.outbuf_lock:
            held.set()
            done.wait(10)

    thread = threading.Thread(target=send)
    thread.start()
    held.wait(10)
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_the_loop_leaves_an_answer_alone_while_its_thread_sends_it(channel):
    channel.total_outbufs_len = 500
    with a_thread_is_sending(channel):
        assert not channel.writable()
    assert channel.writable()


def test_the_loop_helps_a_thread_that_waits_for_room(channel):
    channel.total_outbufs_len = channel.adj.outbuf_high_watermark + 1
    with a_thread_is_sending(channel):
        assert channel.writable()


def test_the_loop_closes_a_connection_whoever_is_sending(channel):
    channel.will_close = True
    with a_thread_is_sending(channel):
        assert channel.writable()


def test_a_connection_with_nothing_to_send_is_not_asked_for(channel):
    assert not channel.writable()


MANY_FILES = """
import os, resource, socket
from flask import Flask
from flowserver.runtime import web
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard) if hard > 0 else 4096, hard))
listener = socket.create_server(("127.0.0.1", 0))
kept = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
app = Flask("x", static_folder=None)
app.config["MAX_CONTENT_LENGTH"] = 1024
app.add_url_rule("/", view_func=lambda: "here")
print(listener.getsockname()[1], flush=True)
web.serve(app, listener)
"""


def test_it_answers_with_more_files_open_than_select_takes():
    child = subprocess.Popen([sys.executable, "-c", MANY_FILES], stdout=subprocess.PIPE)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{int(child.stdout.readline())}/", timeout=20) as answer:
            assert answer.read() == b"here"
        assert child.poll() is None
    finally:
        child.terminate()
        child.communicate(timeout=20)
