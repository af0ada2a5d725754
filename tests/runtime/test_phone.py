"""The pretend phone takes texts over HTTP and reports over a real webhook until it is heard."""

import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from flowserver.services.messages.phone import Handset
from tests.runtime.conftest import wait_for

SECRET = "a-secret-for-the-phone"  # noqa: S105


@pytest.fixture
def hook():
    """A webhook that remembers what it got; ``hook.status`` is what it answers."""

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.got.append((json.loads(body), self.headers["X-Phone-Signature"], body))
            self.send_response(server.status)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    server.got, server.status = [], 204
    server.url = f"http://127.0.0.1:{server.server_port}/hooks/pretend/abc"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def phone(local_part):
    port, program = local_part("phone", FLOWSERVER_PHONE_SECRET=SECRET)

    def post(secret: str = SECRET, **message: object) -> requests.Response:
        return requests.post(
            f"http://127.0.0.1:{port}/messages", json=message, headers={"X-Phone-Secret": secret}, timeout=10
        )

    post.program = program
    return post


def text(hook, **changes):
    return {
        "to": "+447700900123",
        "from": "CaffeLume",
        "text": "Ciao",
        "ref": "7:welcome:1",
        "callback": hook.url,
        **changes,
    }


def test_a_text_is_accepted_and_its_delivery_reported_with_a_signature(phone, hook):
    answer = phone(**text(hook))
    assert answer.status_code == 202
    wait_for(lambda: hook.got, 5)
    report, signature, body = hook.got[0]
    assert (report["id"], report["ref"], report["status"]) == (answer.json()["id"], "7:welcome:1", "delivered")
    assert signature == hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()


def test_numbers_ending_in_99_fail(phone, hook):
    phone(**text(hook, to="+447700900199"))
    wait_for(lambda: hook.got, 5)
    assert hook.got[0][0]["status"] == "failed" and hook.got[0][0]["error"]


def test_a_report_that_is_not_taken_comes_again_after_a_restart(phone, hook, local_part):
    hook.status = 503
    phone(**text(hook))
    wait_for(lambda: hook.got, 5)
    phone.program.stop()
    hook.status = 204
    hook.got.clear()
    local_part("phone", FLOWSERVER_PHONE_SECRET=SECRET)
    wait_for(lambda: hook.got, 10)
    assert hook.got[0][0]["status"] == "delivered"


def test_an_answer_is_passed_on_to_who_wrote(phone, hook, tmp_path):
    phone(**text(hook))
    wait_for(lambda: hook.got, 5)
    hook.got.clear()
    other_process = Handset(tmp_path / "data")
    other_process.answer("+447700900123", "CaffeLume", "STOP", hook.url)
    other_process.close()
    wait_for(lambda: hook.got, 5)
    incoming = hook.got[0][0]
    assert (incoming["type"], incoming["from"], incoming["to"], incoming["text"]) == (
        "incoming", "+447700900123", "CaffeLume", "STOP",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"to": "0770"}, 422),
        ({"text": ""}, 422),
        ({"text": "x" * 5000}, 422),
        ({"ref": 7}, 422),
        ({"callback": "ftp://x"}, 422),
    ],
)
def test_what_it_cannot_send_is_refused(phone, hook, change, status):
    answer = phone(**text(hook, **change))
    assert answer.status_code == status and answer.json()["error"]


def test_a_stranger_cannot_send(phone, hook):
    assert phone("wrong", **text(hook)).status_code == 401
    assert hook.got == []
