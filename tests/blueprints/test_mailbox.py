"""The mailbox and the phone, as an agency admin sees them."""

from __future__ import annotations

import dataclasses
import json
from email.message import EmailMessage

import pytest

from flowserver.services.messages.mailbox import Mailbox
from flowserver.services.messages.phone import Handset
from tests.conftest import Browser

BRAND = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def app(app, tmp_path):
    """The application while `flowserver up` runs: with a local mail server and the pretend phone."""
    from flowserver import create_app

    data = app.extensions["config"].data
    data.mkdir(exist_ok=True)
    (data / "ports.json").write_text(json.dumps({"mail": 40001, "phone": 40002}))
    config = dataclasses.replace(app.extensions["config"], mailbox_port=40001, phone_url="http://127.0.0.1:40002")
    local = create_app(config)
    local.test_client_class = Browser
    with local.app_context():
        yield local


@pytest.fixture
def box(app):
    box = Mailbox(app.extensions["config"].data)
    yield box
    box.close()


@pytest.fixture
def handset(app):
    handset = Handset(app.extensions["config"].data)
    yield handset
    handset.close()


def letter(subject: str = "Welcome, Zoë", html: str = "<html><head></head><body><p>Ciao</p></body></html>") -> bytes:
    message = EmailMessage()
    message["From"] = "Caffè Lume <ciao@caffelume.example>"
    message["To"] = "marta@people.example"
    message["Subject"] = subject
    message["List-Unsubscribe"] = "<mailto:stop@x.example>, <http://localhost/u/token>"
    message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content("Ciao Marta, see https://caffelume.example/menu")
    message.add_alternative(html, subtype="html")
    return message.as_bytes()


def keep(box, **changes) -> int:
    return box.keep("ciao@caffelume.example", ["marta@people.example"], letter(**changes))


def test_an_empty_mailbox_says_so(app, alice, login):
    page = login(alice).get("/dev/mailbox/").text
    assert "No mail yet" in page


def test_mails_are_listed_newest_first_and_found_by_recipient(box, alice, login):
    keep(box, subject="First")
    keep(box, subject="Second")
    box.keep("x@y.example", ["zoe_100%@people.example"], letter(subject="Third"))
    browser = login(alice)
    page = browser.get("/dev/mailbox/").text
    assert page.index("Third") < page.index("Second") < page.index("First")
    found = browser.get("/dev/mailbox/?q=zoe_100%25").text
    assert "Third" in found and "Second" not in found
    assert "No mail fits" in browser.get("/dev/mailbox/?q=nobody").text


def test_older_mails_are_on_the_next_page(box, alice, login):
    for number in range(55):
        keep(box, subject=f"Letter {number:02d}")
    browser = login(alice)
    first = browser.get("/dev/mailbox/").text
    assert "Letter 54" in first and "Letter 04" not in first
    second = browser.get("/dev/mailbox/?before=6").text
    assert "Letter 04" in second and "Letter 05" not in second


def test_one_mail_is_shown_with_its_parts(box, alice, login):
    number = keep(box)
    browser = login(alice)
    page = browser.get(f"/dev/mailbox/{number}").text
    assert "Welcome, Zoë" in page and "Caffè Lume &lt;ciao@caffelume.example&gt;" in page
    assert f'src="/dev/mailbox/{number}/html"' in page and 'sandbox="allow-popups ' in page
    assert 'action="http://localhost/u/token"' in page
    plain = browser.get(f"/dev/mailbox/{number}?view=text").text
    assert '<a href="https://caffelume.example/menu"' in plain
    assert "List-Unsubscribe-Post" in browser.get(f"/dev/mailbox/{number}?view=headers").text
    assert "MIME-Version: 1.0" in browser.get(f"/dev/mailbox/{number}?view=source").text
    assert browser.get("/dev/mailbox/999").status_code == 404


def test_the_html_part_may_run_nothing(box, alice, login):
    evil = '<html><head><title>x</title></head><body><script>alert(1)</script><img src="cid:logo"></body></html>'
    message = EmailMessage()
    message["Subject"] = "Evil"
    message.set_content("x")
    message.add_alternative(evil, subtype="html")
    message.get_payload()[1].add_related(BRAND, "image", "png", cid="<logo>")
    number = box.keep("a@b.example", ["c@d.example"], message.as_bytes())
    answer = login(alice).get(f"/dev/mailbox/{number}/html")
    rules = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in rules and "script-src" not in rules
    assert "sandbox allow-popups allow-popups-to-escape-sandbox" in rules and "allow-scripts" not in rules
    assert "form-action 'none'" in rules and "frame-ancestors 'self'" in rules
    assert "img-src 'self' http://localhost data:" in rules
    assert '<base target="_blank">' in answer.text
    assert 'src="data:image/png;base64,' in answer.text


def test_a_mail_in_an_unknown_alphabet_is_still_shown(box, alice, login):
    raw = b"Subject: =?klingon?Q?qapla?=\r\nFrom: broken <<x\r\nContent-Type: text/html; charset=klingon\r\n\r\n<p>\xff\xfe</p>"
    number = box.keep("", ["c@d.example"], raw)
    browser = login(alice)
    assert browser.get("/dev/mailbox/").status_code == 200
    for view in ("html", "headers", "source"):
        assert browser.get(f"/dev/mailbox/{number}?view={view}").status_code == 200
    assert browser.get(f"/dev/mailbox/{number}/html").status_code == 200


@pytest.mark.parametrize(
    "path", ["/dev/mailbox/", "/dev/mailbox/1", "/dev/mailbox/1/html", "/dev/phone/", "/dev/phone/+447700900123"]
)
def test_only_agency_admins_read_other_peoples_mail(app, box, bob, login, path):
    keep(box)
    assert login(bob).get(path).status_code == 403
    stranger = app.test_client().get(path)
    assert stranger.status_code == 303 and "/login" in stranger.headers["Location"]


def test_a_phone_shows_its_conversation(handset, alice, login):
    handset.take("+447700900123", "CaffeLume", "Ciao, see http://localhost/c/x", "1:a:1", "http://localhost/hooks/x")
    handset.take("+447700900199", "CaffeLume", "Hello", "2:a:1", "http://localhost/hooks/x")
    handset.set_status(2, "failed")
    browser = login(alice)
    listing = browser.get("/dev/phone/").text
    assert listing.index("+447700900199") < listing.index("+447700900123")
    assert "+447700900123" not in browser.get("/dev/phone/?q=199").text
    page = browser.get("/dev/phone/+447700900123").text
    assert "On its way" in page and '<a href="http://localhost/c/x"' in page
    assert "Not delivered" in browser.get("/dev/phone/+447700900199").text
    assert browser.get("/dev/phone/+1555").status_code == 404


def test_a_typed_answer_waits_to_be_passed_on(handset, alice, login):
    handset.take("+447700900123", "CaffeLume", "Ciao", "1:a:1", "http://localhost/hooks/x")
    browser = login(alice)
    answer = browser.post("/dev/phone/+447700900123", data={"line": "CaffeLume", "text": " STOP "})
    assert answer.status_code == 303
    (waiting,) = [sms for sms in handset.to_report() if sms.incoming]
    assert (waiting.body, waiting.line, waiting.callback) == ("STOP", "CaffeLume", "http://localhost/hooks/x")
    assert "You to CaffeLume" in browser.get("/dev/phone/+447700900123").text


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"line": "CaffeLume", "text": "  "}, "Enter a text, such as STOP"),
        ({"line": "CaffeLume", "text": "x" * 1601}, "A text has 1,600 characters at most"),
        ({"line": "Somebody", "text": "hi"}, "Choose a sender that has written to this phone"),
    ],
)
def test_an_answer_that_cannot_be_sent_is_explained(handset, alice, login, typed, words):
    handset.take("+447700900123", "CaffeLume", "Ciao", "1:a:1", "http://localhost/hooks/x")
    answer = login(alice).post("/dev/phone/+447700900123", data=typed)
    assert answer.status_code == 422 and words in answer.text
    assert typed["text"].strip() in answer.text


def test_with_a_real_mail_server_there_is_no_mailbox(app, alice, login):
    from flowserver import create_app

    real = dataclasses.replace(
        app.extensions["config"], mail_server="mail.example", phone_url="https://sms.example", mailbox_port=40001
    )
    paths = {rule.rule for rule in create_app(real).url_map.iter_rules()}
    assert not any(path.startswith("/dev/") for path in paths)
