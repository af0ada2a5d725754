"""The flow pages as a person uses them: wizard, step list, steps, check, states. No JavaScript is needed for any of it."""

from __future__ import annotations

import html
import re

import pytest

from flowserver.models import ContactList, Flow
from flowserver.services import flows

ROOT = "/c/caffe-lume/flows"


@pytest.fixture
def newsletter(db, workspace):
    """The list Newsletter."""
    found = ContactList(workspace_id=workspace.id, name="Newsletter")
    db.session.add(found)
    db.session.commit()
    return found


@pytest.fixture
def bobs(login, bob, newsletter):
    """Bob, logged in."""
    return login(bob)


def words(response) -> str:
    """What a page says, without its markup."""
    text = re.sub(r"<(script|style).*?</\1>", "", response.get_data(as_text=True), flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def follow(client, page, **data):
    """Post a form and open the page it leads to."""
    answer = client.post(page, data=data)
    assert answer.status_code == 303, words(answer)
    return client.get(answer.headers["Location"])


def start(client, newsletter, **more):
    """Post the wizard's page of list activity."""
    given = {"name": "Welcome", "scope": "list", "list": newsletter.id, "wait-amount": "10", "wait-unit": "minutes"}
    return client.post(f"{ROOT}/new/list_joined", data={**given, "reentry": "once", **more})


@pytest.fixture
def flow(db, bobs, newsletter):
    """A draft made in the wizard."""
    assert start(bobs, newsletter).status_code == 303
    return db.session.query(Flow).one()


def add(client, flow, kind, after="", lane=""):
    """Add a step through the chooser; returns its key."""
    before = set(keys(flow))
    answer = client.post(f"{ROOT}/{flow.id}/steps", data={"kind": kind, "after": after, "lane": lane})
    assert answer.status_code == 303, words(answer)
    return next(key for key in keys(flow) if key not in before)


def keys(flow):
    from flowserver.domain import definition
    from flowserver.extensions import db

    db.session.expire_all()
    return definition.keys(flows.get(flow.id).draft)


def test_the_wizard_shows_every_starting_point_and_template(bobs):
    page = words(bobs.get(f"{ROOT}/new"))
    assert "What should start the flow?" in page
    assert "List activity" in page


def test_the_wizard_makes_a_draft_and_opens_its_steps(bobs, newsletter, db):
    answer = start(bobs, newsletter)
    flow = db.session.query(Flow).one()
    assert answer.headers["Location"].startswith(f"{ROOT}/{flow.id}/steps")
    assert flow.draft["trigger"] == {
        "type": "list_joined", "scope": "list", "list": newsletter.id, "wait": {"minutes": 10}, "reentry": "once",
    }  # fmt: skip
    page = words(bobs.get(answer.headers["Location"]))
    assert "When a contact joins the list Newsletter" in page
    assert "Wait 10 minutes" in page


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": ""}, "Enter a name for the flow"),
        ({"list": ""}, "Choose the list"),
        ({"list": "999"}, "The list was deleted. Choose another one"),
        ({"wait-amount": "-1"}, "The waiting time cannot be below 0"),
        ({"wait-amount": "366", "wait-unit": "days"}, "The waiting time can be 365 days at most"),
        ({"wait-amount": "ten"}, "Enter the waiting time as a whole number"),
        ({"wait-amount": "1.5"}, "Enter the waiting time as a whole number"),
        ({"wait-unit": "weeks"}, "Name exactly one of minutes, hours or days"),
        ({"scope": "moon"}, "Choose any list or one list"),
        ({"reentry": "always"}, "Choose once or after_finish"),
    ],
)
def test_the_wizard_answers_mistakes_in_words_and_keeps_what_was_typed(bobs, newsletter, given, said, db):
    answer = start(bobs, newsletter, **given)
    assert answer.status_code == 422
    text = answer.get_data(as_text=True)
    assert "<title>Error: " in text and "There is a problem" in words(answer) and said in words(answer)
    if "name" not in given:
        assert 'value="Welcome"' in text
    if "wait-amount" in given:
        assert f'value="{given["wait-amount"]}"' in text
    assert db.session.query(Flow).count() == 0


def test_the_sentence_can_be_updated_without_javascript(bobs, newsletter, db):
    answer = start(bobs, newsletter, **{"preview": "1", "wait-amount": "3", "wait-unit": "days"})
    assert answer.status_code == 200
    assert "When a contact joins the list Newsletter , wait 3 days , then start" in words(answer)
    assert db.session.query(Flow).count() == 0


def test_a_stranger_finds_nothing(login, carol, flow, bobs):
    stranger = login(carol)
    key = add(bobs, flow, "wait")
    for path in ("", "/new", "/new/list_joined", f"/{flow.id}", f"/{flow.id}/steps", f"/{flow.id}/steps/{key}",
                 f"/{flow.id}/check", f"/{flow.id}/settings", f"/{flow.id}/history", f"/{flow.id}/start"):  # fmt: skip
        assert stranger.get(ROOT + path).status_code == 404, path
    for path in ("/new/list_joined", f"/{flow.id}/steps", f"/{flow.id}/steps/{key}/delete", f"/{flow.id}/check",
                 f"/{flow.id}/stop", f"/{flow.id}/delete"):  # fmt: skip
        assert stranger.post(ROOT + path, data={"kind": "wait"}).status_code == 404, path
        assert stranger.post(
            f"/c/kino{path.replace('/new', '/flows/new', 1) if 'new' in path else '/flows' + path}",
            data={"kind": "wait"},
        ).status_code in (404, 422), path
    assert keys(flow) == [key]


def test_steps_are_added_in_the_gap_that_was_chosen(bobs, flow):
    first = add(bobs, flow, "add_tag")
    branch = add(bobs, flow, "if_else", after=first)
    yes = add(bobs, flow, "wait", after=branch, lane="then")
    no = add(bobs, flow, "end", after=branch, lane="else")
    zero = add(bobs, flow, "change_score")
    assert keys(flow) == [zero, first, branch, yes, no]
    page = words(bobs.get(f"{ROOT}/{flow.id}/steps"))
    assert "1 · Score" in page and "3 · If / else" in page and "Contacts leave the flow here" in page


def test_a_step_form_comes_from_its_node(bobs, flow):
    key = add(bobs, flow, "wait")
    page = bobs.get(f"{ROOT}/{flow.id}/steps/{key}")
    assert "Until a day of the week" in words(page)
    answer = bobs.post(f"{ROOT}/{flow.id}/steps/{key}", data={"kind": "for", "for-amount": "-2", "for-unit": "days"})
    assert answer.status_code == 422 and "The waiting time cannot be below 0" in words(answer)
    assert 'value="-2"' in answer.get_data(as_text=True)
    answer = bobs.post(f"{ROOT}/{flow.id}/steps/{key}", data={"kind": "weekday", "weekday": "friday", "time": "09:00"})
    assert answer.status_code == 303
    assert flows.get(flow.id).draft["steps"][0]["until"] == {"weekday": "friday", "time": "09:00"}
    assert "Wait until Friday, 09:00" in words(bobs.get(f"{ROOT}/{flow.id}/steps"))


def email(client, flow, key, **given):
    """Save the e-mail composer with one text block."""
    data = {"subject": "Hello", "mode": "blocks", "block": "0", "b0-type": "text", "b0-text": "Hi **there**",
            "class": "marketing", "on_failure": "go_on", "act": "done"}  # fmt: skip
    return client.post(f"{ROOT}/{flow.id}/steps/{key}/message", data={**data, **given})


def test_an_email_is_written_in_blocks_without_javascript(bobs, flow):
    key = add(bobs, flow, "send_email")
    page = f"{ROOT}/{flow.id}/steps/{key}/message"
    assert "The e-mail has no subject" in words(bobs.get(f"{ROOT}/{flow.id}/steps"))
    assert email(bobs, flow, key, act="add-button").headers["Location"].endswith("#block-1")
    data = {"block": ["0", "1"], "b1-type": "button", "b1-label": "Go", "b1-url": "https://example.com", "act": "up-1"}
    assert email(bobs, flow, key, **data).status_code == 303
    step = flows.get(flow.id).draft["steps"][0]
    assert [block["type"] for block in step["body"]] == ["button", "text"]
    shown = bobs.get(f"{page}/preview?as=nobody")
    assert "<strong>there</strong>" in shown.get_data(as_text=True)
    assert "sandbox" in shown.headers["Content-Security-Policy"]
    assert "script" not in shown.headers["Content-Security-Policy"]
    assert "Reads as “Hello”" in words(bobs.get(page))
    assert email(bobs, flow, key).headers["Location"].endswith("#step-1")
    assert "1 · E-mail Hello" in words(bobs.get(f"{ROOT}/{flow.id}/steps"))


def test_an_email_can_be_own_html_and_back(bobs, flow):
    key = add(bobs, flow, "send_email")
    email(bobs, flow, key, act="use-html")
    assert "<strong>there</strong>" in flows.get(flow.id).draft["steps"][0]["body"]
    email(bobs, flow, key, mode="html", html="<p>Own <b>words</b></p>", act="use-blocks")
    assert flows.get(flow.id).draft["steps"][0]["body"] == [{"type": "text", "text": "Own words"}]


def test_bad_mail_settings_are_named_and_kept(bobs, flow):
    key = add(bobs, flow, "send_email")
    answer = email(bobs, flow, key, subject="x" * 301, from_email="nobody")
    assert answer.status_code == 422
    assert "There is a problem" in words(answer)
    assert "x" * 301 in answer.get_data(as_text=True) and 'value="nobody"' in answer.get_data(as_text=True)


def test_what_is_wrong_with_a_text_is_shown_beside_it(bobs, flow):
    key = add(bobs, flow, "send_email")
    email(bobs, flow, key, subject="Hi {{ contact.first_name }}", **{"b0-text": "{{ contact.shoe_size }} {{ broken"})
    page = words(bobs.get(f"{ROOT}/{flow.id}/steps/{key}/message"))
    assert "Fix:" in page
    email(bobs, flow, key, subject="Hi {{ contact.first_name }}", **{"b0-text": "{{ contact.shoe_size }}"})
    page = words(bobs.get(f"{ROOT}/{flow.id}/steps/{key}/message"))
    assert "There is no field “shoe_size”" in page
    assert "Nothing is written for contacts without a first name" in page


def test_an_sms_is_counted_and_made_plain_without_javascript(bobs, flow):
    key = add(bobs, flow, "send_sms")
    page = f"{ROOT}/{flow.id}/steps/{key}/message"
    answer = bobs.post(page, data={"text": "Żółć – " + "x" * 80, "act": "count"})
    assert answer.status_code == 200 and "Unicode" in words(answer)
    assert flows.get(flow.id).draft["steps"][0].get("text") is None
    answer = bobs.post(page, data={"text": "Ciao – Lume", "act": "plain"})
    assert "Ciao - Lume" in answer.get_data(as_text=True) and "GSM" in words(answer)
    answer = bobs.post(page, data={"text": "x" * 1531, "class": "marketing", "on_failure": "go_on"})
    assert answer.status_code == 422
    answer = bobs.post(page, data={"text": "Ciao", "sender": "Far too long a name", "class": "marketing"})
    assert answer.status_code == 422 and "Far too long a name" in answer.get_data(as_text=True)
    answer = bobs.post(page, data={"text": "Ciao", "class": "marketing", "on_failure": "go_on", "act": "done"})
    assert answer.status_code == 303


def test_a_test_goes_to_me_and_is_counted_nowhere(bobs, bob, flow, db):
    from flowserver.models import Message
    from flowserver.services import reports

    key = add(bobs, flow, "send_email")
    email(bobs, flow, key)
    answer = follow(bobs, f"{ROOT}/{flow.id}/steps/{key}/message/test", address=bob.email)
    assert "The test is on its way to bob@agency.example" in words(answer)
    message = db.session.query(Message).one()
    assert (message.kind, message.address, message.content["subject"]) == ("test", bob.email, "[Test] Hello")
    assert reports.step_numbers(flows.get(flow.id)) == {}
    answer = follow(bobs, f"{ROOT}/{flow.id}/steps/{key}/message/test", address="nobody")
    assert "Enter an e-mail address" in words(answer)
    assert db.session.query(Message).count() == 1
