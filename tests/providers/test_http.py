"""The one door for outgoing calls."""

import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from flowserver.errors import ProviderAuthFailed, ProviderError, ProviderUnavailable
from flowserver.providers import http
from flowserver.providers.http import Blocked, Door, Unanswered
from tests.sinks import free_port


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append(self.path)
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path[4:])
            self.end_headers()
        elif self.path == "/large":
            self.answer(200, b"x" * (http.LARGEST + 10))
        elif self.path == "/drip":
            self.send_response(200)
            self.end_headers()
            for _ in range(50):
                self.wfile.write(b"x" * 20000)
                time.sleep(0.05)
        elif self.path == "/silent":
            time.sleep(2)
        elif self.path == "/hangup":
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            self.answer(int(self.path[1:]), json.dumps({"ok": True}).encode())

    do_POST = do_GET

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    one = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    one.seen = []
    one.handle_error = lambda *args: None
    one.url = f"http://127.0.0.1:{one.server_port}"
    thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield one
    one.shutdown()
    one.server_close()


OPEN = Door(("127.0.0.1",))


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost/",
        "http://127.1/",
        "http://2130706433/",
        "http://0.0.0.0/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://[2002:7f00:1::]/",
        "http://10.1.2.3/",
        "http://172.16.0.1/",
        "http://192.168.1.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://100.64.0.1/",
        "http://[fe80::1]/",
        "http://[fd00::1]/",
        "http://224.0.0.1/",
        "file:///etc/passwd",
        "ftp://example.com/",
    ],
)
def test_private_addresses_are_refused(url):
    with pytest.raises(Blocked):
        Door().get(url, timeout=1)


def test_the_operator_may_list_some(server):
    assert Door(("127.0.0.1",)).get(f"{server.url}/200").json() == {"ok": True}
    assert Door(("127.0.0.0/8",)).get(f"{server.url}/200").status == 200
    assert Door(("localhost",)).get(f"http://localhost:{server.server_port}/200").status == 200
    with pytest.raises(Blocked):
        Door(("localhost", "nonsense/x")).get(f"{server.url}/200")


def test_a_name_that_changes_its_answer_gains_nothing(server, monkeypatch):
    answers = [["93.184.216.34"], ["127.0.0.1"]]
    asked, dialled = [], []

    def resolve(host, port, **_):
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in answers[min(len(asked), 2) - 1]]

    def dial(address, **_):
        dialled.append(address)
        raise OSError("not today")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(http.socket, "create_connection", dial)
    with pytest.raises(ProviderUnavailable):
        Door().get("http://rebind.example/", timeout=1)
    assert dialled == [("93.184.216.34", 80)]
    with pytest.raises(Blocked):
        Door().get("http://rebind.example/", timeout=1)
    assert len(dialled) == 1


def test_one_private_address_among_public_ones_is_enough_to_refuse(monkeypatch):
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, 80)) for a in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: found)
    with pytest.raises(Blocked):
        Door().get("http://both.example/", timeout=1)


def test_redirects_go_through_the_same_door(server):
    with pytest.raises(ProviderError):
        OPEN.get(f"{server.url}/to/{server.url}/200")
    assert OPEN.get(f"{server.url}/to/{server.url}/200", redirects=True).status == 200
    with pytest.raises(Blocked):
        OPEN.get(f"{server.url}/to/http://169.254.169.254/", redirects=True)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, ProviderError),
        (401, ProviderAuthFailed),
        (403, ProviderAuthFailed),
        (404, ProviderError),
        (429, ProviderUnavailable),
        (500, ProviderUnavailable),
        (503, ProviderUnavailable),
    ],
)
def test_statuses_become_errors(server, status, error):
    with pytest.raises(error) as caught:
        OPEN.post(f"{server.url}/{status}", json={})
    assert caught.value.code == str(status)
    assert type(caught.value) is error
    assert OPEN.post(f"{server.url}/{status}", json={}, accept=[status]).status == status


def test_a_large_answer_is_cut_off(server):
    with pytest.raises(ProviderError, match="megabyte"):
        OPEN.get(f"{server.url}/large")


@pytest.mark.parametrize("path", ["/drip", "/silent", "/hangup"])
def test_an_answer_that_does_not_come_is_said_so(server, path):
    began = time.monotonic()
    with pytest.raises(Unanswered):
        OPEN.get(f"{server.url}{path}", timeout=0.4)
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    "url", [f"http://127.0.0.1:{free_port()}/", "http://nosuch.invalid/"], ids=["nobody listens", "no such host"]
)
def test_what_surely_did_not_arrive_is_told_apart(url):
    with pytest.raises(ProviderUnavailable) as caught:
        OPEN.get(url, timeout=2)
    assert not isinstance(caught.value, Unanswered)


def test_proxies_of_the_environment_are_not_used(server, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert OPEN.get(f"{server.url}/200").status == 200
