"""The web server's connections: whoever sends an answer is left alone, and nothing stays unsent."""

import socket
import threading
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
