"""Pages say when what is sent or copied reaches nobody outside this machine."""

from dataclasses import replace
from datetime import UTC, datetime

from flask import g

from flowserver.blueprints import console
from flowserver.extensions import db
from flowserver.models import Form, Monitor
from flowserver.services.flows import flows
from flowserver.services.messages import connections

from ..services.town import MAIL, SMS, a_list
from .test_flow_pages import words

TEST_BOX, TEST_PHONE = "E-mails go to the test mailbox", "SMS go to the test phone"
ONLY_HERE = "This works on this computer only"


def check_page(client) -> str:
    steps = [{"key": "mail", **MAIL}, {"key": "sms", **SMS}]
    flow = flows.create({"name": "F", "trigger": {"type": "list_joined"}, "steps": steps})
    return words(client.get(f"/c/caffe-lume/flows/{flow.id}/check"))


def test_before_going_live_it_says_that_messages_end_in_the_test_mailbox(login, bob, workspace):
    page = check_page(login(bob))
    assert TEST_BOX in page and TEST_PHONE in page
    assert TEST_BOX in words(login(bob).get("/c/caffe-lume/settings/connections"))


def test_a_mail_server_of_their_own_ends_the_warning(login, bob, workspace, monkeypatch):
    way = connections.default("email")
    way.settings = {"host": "mail.example"}
    db.session.commit()
    assert TEST_BOX not in check_page(login(bob))


def test_the_mail_server_of_the_installation_does_too(app, login, bob, workspace, monkeypatch):
    monkeypatch.setitem(app.extensions, "config", replace(app.extensions["config"], mail_server="mail.example"))
    assert not connections.stays_here("email") and connections.stays_here("sms")


def test_what_is_copied_into_pages_says_whether_others_can_reach_it(app, login, bob, workspace, monkeypatch):
    form = Form(workspace_id=workspace.id, name="Signup", fields=[], public_id="k", list_id=a_list(workspace))
    site = Monitor(workspace_id=workspace.id, name="Shop", domains=["shop.example"], public_id="m")
    db.session.add_all([form, site])
    db.session.commit()
    pages = (f"/c/caffe-lume/forms/{form.id}/snippet", f"/c/caffe-lume/sites/{site.id}")
    for address, shown in (("http://127.0.0.1:8000", True), ("https://flow.example", False)):
        monkeypatch.setitem(app.extensions, "config", replace(app.extensions["config"], url=address))
        for page in pages:
            assert (ONLY_HERE in words(login(bob).get(page))) is shown, (page, address)


def test_what_ends_at_midnight_ends_with_the_day_before(app, workspace):
    with app.test_request_context("/"):
        g.workspace = workspace
        assert console.until(None) == "–"
        assert console.until(datetime(2026, 12, 31, 23, 0, tzinfo=UTC)) == "the end of 31 Dec 2026"  # in Rome
        assert console.until(datetime(2026, 12, 31, 11, 0, tzinfo=UTC)) == "31 Dec 2026, 12:00"
