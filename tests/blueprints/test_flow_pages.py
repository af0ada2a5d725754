"""The flow pages as a person uses them: wizard, step list, steps, check, states. No JavaScript is needed for any of it."""

from __future__ import annotations

import html
import re

import pytest
import sqlalchemy as sa

from flowserver.models import ContactList, Flow
from flowserver.services.engine import engine
from flowserver.services.flows import flows
from flowserver.services.people import fields, intake
from tests.services.town import join, people

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


def test_the_wizard_asks_for_a_value_as_the_field_needs_it(bobs, workspace, db):
    for label, kind, choices in (("Roast", "choice", ["Light", "Dark"]), ("Visits", "number", [])):
        fields.add(label=label, type=kind, choices=choices)
    page = "/c/caffe-lume/flows/new/field_value"
    data = {
        "name": "Roast",
        "field": "roast",
        "operator": "equals",
        "wait-amount": "0",
        "wait-unit": "days",
        "reentry": "once",
    }
    shown = bobs.post(page, data={**data, "act": "type"})
    assert shown.status_code == 200 and '<option value="Dark">' in shown.text and 'value="Roast"' in shown.text
    refused = bobs.post(page, data={**data, "field": "visits", "value": "many", "include_existing": "y"})
    assert (
        refused.status_code == 422
        and "Write a number, like 12 or 3.5" in refused.text
        and 'value="many"' in refused.text
    )
    assert bobs.post(page, data={**data, "value": "Dark"}).status_code == 303
    flow = db.session.scalars(sa.select(Flow)).one()
    assert flow.draft["trigger"]["value"] == "Dark" and flow.draft["trigger"]["include_existing"] is False
    edited = bobs.get(f"{ROOT}/{flow.id}/start")
    assert '<option value="Dark" selected>' in edited.text


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


OURS = ("flows", "wizard", "flow_life", "flow_message", "flow_report")


def test_a_stranger_finds_nothing_at_any_address(app, login, carol, flow, bobs):
    """Every address of these pages, at the client she may not see, and with its flow's number at her own client."""
    stranger = login(carol)
    key = add(bobs, flow, "send_email")
    draft = flows.get(flow.id).draft
    values = {"flow_id": flow.id, "key": key, "edit_id": 1, "trigger": "list_joined"}
    tried = 0
    for rule in app.url_map.iter_rules():
        if rule.endpoint.split(".")[0] not in OURS:
            continue
        for slug in ("caffe-lume", "kino"):
            path = rule.build({"client": slug, **{name: values[name] for name in rule.arguments - {"client"}}})[1]
            if slug == "kino" and "flow_id" not in rule.arguments:
                continue
            for method in rule.methods & {"GET", "POST"}:
                answer = getattr(stranger, method.lower())(
                    path, **({"data": {"kind": "wait"}} if method == "POST" else {})
                )
                assert answer.status_code == 404, (method, path)
                tried += 1
    assert tried > 70
    db_flow = flows.get(flow.id)
    assert (db_flow.draft, db_flow.state) == (draft, "draft")


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
    from flowserver.services.flows import flow_numbers

    key = add(bobs, flow, "send_email")
    email(bobs, flow, key)
    typed = {"subject": "Hello", "b0-type": "text", "b0-text": "Hi", "block": "0", "class": "marketing", "act": "test"}
    page = f"{ROOT}/{flow.id}/steps/{key}/message"
    answer = follow(bobs, page, **typed, address=bob.email)
    assert "The test is on its way to bob@agency.example" in words(answer)
    message = db.session.query(Message).one()
    assert (message.kind, message.address, message.content["subject"]) == ("test", bob.email, "[Test] Hello")
    assert flow_numbers.step_numbers(flows.get(flow.id)) == {}
    answer = follow(bobs, page, **typed, address="nobody")
    assert "Enter an e-mail address" in words(answer)
    assert db.session.query(Message).count() == 1


def test_the_check_names_what_to_fix_with_links_and_going_live_works(bobs, flow, workspace, db):
    key = add(bobs, flow, "send_email")
    page = bobs.get(f"{ROOT}/{flow.id}/check")
    assert "The e-mail has no subject" in words(page) and "2 things to fix first" in words(page)
    assert f"{ROOT}/{flow.id}/steps/{key}/open" in page.get_data(as_text=True)
    assert bobs.post(f"{ROOT}/{flow.id}/check").status_code == 422
    assert flows.get(flow.id).state == "draft"
    email(bobs, flow, key)
    page = follow(bobs, f"{ROOT}/{flow.id}/check")
    assert "Live with version 1." in words(page)
    assert flows.get(flow.id).state == "active"
    for path in ("", f"/{flow.id}/report", f"/{flow.id}/report?d=all", f"/{flow.id}/report/who?step={key}&what=opened",
                 f"/{flow.id}/history", f"/{flow.id}/settings", f"/{flow.id}/steps", f"/{flow.id}/check"):  # fmt: skip
        assert bobs.get(ROOT + path).status_code == 200, path
    csv = bobs.get(f"{ROOT}/{flow.id}/report/export.csv?d=7")
    assert csv.mimetype == "text/csv" and "Hello" in csv.get_data(as_text=True)


def test_a_client_without_a_sender_is_named_with_a_link(bobs, flow, workspace, db):
    email(bobs, flow, add(bobs, flow, "send_email"))
    workspace.sender_email = ""
    db.session.commit()
    page = bobs.get(f"{ROOT}/{flow.id}/check")
    assert "The client has no sender address for e-mail" in words(page)
    assert "/c/caffe-lume/settings/sending#sender_email" in page.get_data(as_text=True)


def test_a_branch_with_nothing_on_any_path_blocks_going_live(bobs, flow):
    key = add(bobs, flow, "if_else")
    bobs.post(f"{ROOT}/{flow.id}/steps/{key}", data={"row": "0", "c0-type": "has_phone", "c0-was": "has_phone"})
    assert "No path of this step has anything on it" in words(bobs.get(f"{ROOT}/{flow.id}/check"))
    add(bobs, flow, "add_tag", after=key, lane="else")
    assert "No path of this step has anything on it" not in words(bobs.get(f"{ROOT}/{flow.id}/check"))


def test_an_if_else_asks_several_things_without_javascript(bobs, flow):
    key = add(bobs, flow, "if_else")
    page = f"{ROOT}/{flow.id}/steps/{key}"
    assert "Choose a question" in words(bobs.get(page))
    answer = bobs.post(page, data={"row": "0", "c0-type": "has_tag", "c0-was": ""})
    assert answer.status_code == 200 and 'name="c0-tag"' in answer.get_data(as_text=True)
    answer = bobs.post(page, data={"row": "0", "c0-type": "has_tag", "c0-was": "has_tag", "c0-tag": ""})
    assert answer.status_code == 422 and "Enter a tag" in words(answer)
    one = {"c0-type": "has_tag", "c0-was": "has_tag", "c0-tag": "VIP", "c0-turned": "y"}
    answer = bobs.post(page, data={"row": "0", **one, "act": "add"})
    assert answer.get_data(as_text=True).count('name="row"') == 2 and 'value="VIP"' in answer.get_data(as_text=True)
    two = {"c1-type": "score_compares", "c1-was": "score_compares", "c1-operator": "more", "c1-points": "5"}
    answer = bobs.post(page, data={"row": ["0", "1"], **one, **two, "how": "any"})
    assert answer.status_code == 303
    assert flows.get(flow.id).draft["steps"][0]["if"] == {
        "any": [
            {"not": {"type": "has_tag", "tag": "VIP"}},
            {"type": "score_compares", "operator": "more", "points": "5"},
        ]
    }
    answer = bobs.get(page)
    assert 'value="VIP"' in answer.get_data(as_text=True) and "one of these is so" in words(answer)
    answer = bobs.post(page, data={"row": ["0", "1"], **one, **two, "how": "any", "act": "remove-0"})
    assert answer.get_data(as_text=True).count('name="row"') == 1


def test_steps_move_copy_delete_and_come_back(bobs, flow):
    a, b = add(bobs, flow, "add_tag"), None
    b = add(bobs, flow, "change_score", after=a)
    base = f"{ROOT}/{flow.id}/steps"
    answer = bobs.post(f"{base}/{b}/move", data={"do": "up"})
    assert answer.headers["Location"] == f"{base}#step-1-up"
    assert keys(flow) == [b, a]
    assert "This is the first step already" in words(follow(bobs, f"{base}/{b}/move", do="up"))
    assert bobs.post(f"{base}/{b}/move", data={"to": "1"}).status_code == 303
    assert keys(flow) == [a, b]
    bobs.post(f"{base}/{a}/copy")
    assert len(keys(flow)) == 3
    branch = add(bobs, flow, "if_else")
    assert "“Yes” of step 1, first" in words(bobs.get(f"{base}/{a}/place"))
    bobs.post(f"{base}/{a}/place", data={"place": f"{branch}/else"})
    assert [step["key"] for step in flows.get(flow.id).draft["steps"][0]["else"]] == [a]
    before = keys(flow)
    page = follow(bobs, f"{base}/{branch}/delete")
    assert "Deleted “If / else”" in words(page) and a not in keys(flow)
    text = page.get_data(as_text=True)
    undo = re.search(r"action=\"([^\"]+/undo)\"", text).group(1)
    follow(bobs, undo)
    assert keys(flow) == before
    assert "Undid" in words(bobs.get(f"{ROOT}/{flow.id}/history"))


def test_a_step_that_is_gone_answers_in_words(bobs, flow):
    for method, path in (("get", "/steps/nothing"), ("post", "/steps/nothing/move"), ("post", "/steps/nothing/delete"),
                         ("post", "/steps/nothing/copy"), ("get", "/steps/nothing/message"), ("get", "/steps/nothing/place"),
                         ("post", "/history/99/undo")):  # fmt: skip
        answer = getattr(bobs, method)(
            f"{ROOT}/{flow.id}{path}", **({"data": {"do": "up"}} if method == "post" else {})
        )
        assert answer.status_code == 404, path
    assert bobs.post(f"{ROOT}/{flow.id}/steps", data={"kind": "wait", "after": "nothing"}).status_code == 404
    assert bobs.post(f"{ROOT}/{flow.id}/steps", data={"kind": "rocket"}).status_code == 422


def test_two_people_at_one_step_do_not_lose_a_text(bobs, login, alice, flow):
    key = add(bobs, flow, "add_tag")
    page = f"{ROOT}/{flow.id}/steps/{key}"
    seen = re.search(r'name="seen" value="(\w+)"', bobs.get(page).get_data(as_text=True)).group(1)
    assert login(alice).post(page, data={"tag": "hers", "seen": seen}).status_code == 303
    answer = bobs.post(page, data={"tag": "mine", "seen": seen})
    assert answer.status_code == 409
    assert "Somebody else changed this step meanwhile" in words(answer) and 'value="mine"' in answer.get_data(
        as_text=True
    )
    seen = re.search(r'name="seen" value="(\w+)"', answer.get_data(as_text=True)).group(1)
    assert bobs.post(page, data={"tag": "mine", "seen": seen}).status_code == 303


def test_resuming_offers_to_let_in_who_would_have_started(bobs, flow):
    email(bobs, flow, add(bobs, flow, "send_email"))
    base = f"{ROOT}/{flow.id}"
    follow(bobs, f"{base}/check")
    follow(bobs, f"{base}/pause", mode="freeze")
    assert "would have started" not in words(bobs.get(f"{base}/settings"))
    for name in ("ada", "bea"):
        intake.save({"email": f"{name}@x.example", "lists": ["Newsletter"]}, source="test")
    assert "would have started meanwhile: 2 contacts" in words(bobs.get(f"{base}/settings"))
    follow(bobs, f"{base}/resume", let_in="1")
    assert flows.get(flow.id).missed_until == 0  # the clock does it


def test_states_change_by_buttons_and_refuse_what_does_not_fit(bobs, flow):
    email(bobs, flow, add(bobs, flow, "send_email"))
    base = f"{ROOT}/{flow.id}"
    assert bobs.post(f"{base}/pause", data={"mode": "freeze"}).status_code == 409
    follow(bobs, f"{base}/check")
    assert bobs.post(f"{base}/pause", data={"mode": "sleep"}).status_code == 422
    assert "is paused" in words(follow(bobs, f"{base}/pause", mode="hold"))
    assert "is live again" in words(follow(bobs, f"{base}/resume"))
    assert "Nobody enters any more" in words(follow(bobs, f"{base}/door", closed="1"))
    assert "Contacts enter again" in words(follow(bobs, f"{base}/door", closed="0"))
    assert "Tick the box" in words(follow(bobs, f"{base}/stop"))
    assert "is stopped" in words(follow(bobs, f"{base}/stop", sure="1"))
    assert bobs.post(f"{base}/steps", data={"kind": "wait"}).status_code == 409
    assert "is in the archive" in words(follow(bobs, f"{base}/archive", archived="1"))
    assert "Welcome" not in words(bobs.get(ROOT)) and "Welcome" in words(bobs.get(f"{ROOT}?status=archived"))
    assert "a draft of its own" in words(follow(bobs, f"{base}/duplicate"))
    copy = flow.id + 1
    assert "Tick the box" in words(follow(bobs, f"{ROOT}/{copy}/delete"))
    assert "is deleted" in words(follow(bobs, f"{ROOT}/{copy}/delete", sure="1"))


def test_renaming_answers_mistakes_in_words(bobs, flow, newsletter):
    base = f"{ROOT}/{flow.id}/settings"
    assert "Enter a name for the flow" in words(bobs.post(base, data={"name": " "}))
    start(bobs, newsletter, name="Other")
    answer = bobs.post(base, data={"name": "other"})
    assert answer.status_code == 422 and "There is a flow called “other” already" in words(answer)
    assert "Renamed." in words(follow(bobs, base, name="Better"))
    assert flows.get(flow.id).name == flows.get(flow.id).draft["name"] == "Better"


def test_a_client_user_reads_and_changes_nothing(login, flow, bobs, workspace):
    from tests.conftest import make_user

    reader = login(make_user("client", "reader@lume.example", workspace))
    key = add(bobs, flow, "send_email")
    for path in (
        "",
        f"/{flow.id}/steps",
        f"/{flow.id}/steps/{key}/message",
        f"/{flow.id}/settings",
        f"/{flow.id}/history",
    ):
        page = reader.get(ROOT + path)
        assert page.status_code == 200
        assert "Delete" not in words(page) and "New flow" not in words(page).replace("New flow:", ""), path
    assert reader.post(f"{ROOT}/{flow.id}/steps/{key}/delete").status_code == 403
    assert keys(flow) == [key]


def test_no_page_needs_inline_script_or_style(bobs, flow):
    key = add(bobs, flow, "send_email")
    branch = add(bobs, flow, "if_else")
    for path in ("", "/new", "/new/list_joined", f"/{flow.id}/steps", f"/{flow.id}/steps/{branch}", f"/{flow.id}/start",
                 f"/{flow.id}/steps/{key}/message", f"/{flow.id}/check", f"/{flow.id}/settings", f"/{flow.id}/history",
                 f"/{flow.id}/report", f"/{flow.id}/steps/{key}/place"):  # fmt: skip
        text = bobs.get(ROOT + path).get_data(as_text=True)
        assert not re.search(r"\sstyle=|<style|\son\w+=\"|<script(?![^>]*src=)", text), path
        assert len(re.findall(r"<h1", text)) == 1, path
        ids = re.findall(r'\sid="([^"]+)"', text)
        assert len(ids) == len(set(ids)), (path, {one for one in ids if ids.count(one) > 1})


# --- goal and exit ---------------------------------------------------------------------------------------


def test_a_goal_is_chosen_answered_shown_and_taken_away(bobs, flow, newsletter, db):
    root = f"{ROOT}/{flow.id}"
    assert "No goal" in words(bobs.get(f"{root}/settings"))
    assert f"{root}/goal?type=list_joined" in html.unescape(bobs.get(f"{root}/goal").text)
    assert "Only within this time" in words(bobs.get(f"{root}/goal?type=list_joined"))
    given = {
        "type": "list_joined",
        "scope": "list",
        "list": newsletter.id,
        "within-amount": "30",
        "within-unit": "days",
    }
    page = follow(bobs, f"{root}/goal", **given, label="joined", outcome="positive")
    assert "When a contact joins the list Newsletter within 30 days, the contact leaves the flow" in words(page)
    assert "within 30 days" in words(bobs.get(f"{root}/check"))
    assert 'value="30"' in bobs.get(f"{root}/goal").text
    db.session.refresh(flow)
    assert flow.draft["goal"]["label"] == "joined"
    assert "No goal" in words(follow(bobs, f"{root}/goal/remove"))


def test_a_goal_with_gaps_is_answered_in_words_and_keeps_what_was_typed(bobs, flow):
    given = {"type": "list_joined", "scope": "list", "list": "", "within-amount": "999", "within-unit": "days"}
    answer = bobs.post(f"{ROOT}/{flow.id}/goal", data={**given, "label": "kept", "outcome": "positive"})
    assert answer.status_code == 422
    assert "Choose the list" in words(answer) and 'value="999"' in answer.text and 'value="kept"' in answer.text
    assert bobs.get(f"{ROOT}/{flow.id}/goal?type=nothing").status_code == 404


def test_sending_hours_are_saved_shown_and_answered_in_words(bobs, flow, db):
    root = f"{ROOT}/{flow.id}"
    page = follow(bobs, f"{root}/hours", opens="09:00", closes="18:00", days=["monday", "friday"])
    assert 'value="09:00"' in page.text
    db.session.refresh(flow)
    assert flow.draft["sending_hours"] == {"days": ["monday", "friday"], "from": "09:00", "until": "18:00"}
    answer = bobs.post(f"{root}/hours", data={"opens": "nine", "closes": "08:00", "days": ["monday"]})
    assert answer.status_code == 422 and "Write the time as 09:00" in words(answer) and 'value="nine"' in answer.text
    answer = bobs.post(f"{root}/hours", data={"opens": "09:00", "closes": "08:00"})
    assert answer.status_code == 422
    assert "The end must be after the beginning" in words(answer) and "Choose one day or more" in words(answer)
    follow(bobs, f"{root}/hours", opens="", closes="")
    db.session.refresh(flow)
    assert "sending_hours" not in flow.draft


def test_numbers_that_are_none_are_answered_not_broken_over(bobs, flow):
    for odd in ("²", "9" * 20, "-1", "x"):
        assert bobs.get(f"{ROOT}/{odd}/steps").status_code == 404
        assert bobs.get(f"{ROOT}/{flow.id}/history?before={odd}").status_code == 200
        assert bobs.get(f"{ROOT}/{flow.id}/steps?done={odd}").status_code == 200
    key = add(bobs, flow, "send_email")
    assert bobs.post(f"{ROOT}/{flow.id}/steps/{key}/message", data={"act": "remove-²"}).status_code < 500


def test_a_fixed_date_says_how_many_it_is_for_and_nothing_of_entering_again(bobs, newsletter):
    for name in ("ada", "bea"):
        intake.save({"email": f"{name}@x.example", "lists": ["Newsletter"]}, source="test")
    trigger = {"type": "fixed_date", "date": "2031-12-01", "time": "09:00", "list": newsletter.id}
    steps = [{"key": "t", "type": "add_tag", "tag": "there"}]
    made = flows.create({"name": "Boxes", "trigger": trigger, "steps": steps})
    page = words(bobs.get(f"{ROOT}/{made.id}/check"))
    assert "2 contacts, as things stand now" in page and "Enters again" not in page
    assert "Enters again" not in words(bobs.get(f"{ROOT}/{made.id}/steps"))


# --- those inside when the next version goes live -----------------------------------------------------------


@pytest.fixture
def inside(bobs, flow, workspace, newsletter):
    """A live flow in which two contacts wait, and a draft that differs."""
    definition = {**flow.draft, "steps": [{"key": "w", "type": "wait", "for": {"days": 3}}, TAG]}
    definition["trigger"] = {**definition["trigger"], "wait": {"minutes": 0}}
    flows.save_draft(flow.id, definition, flow.draft_number)
    flows.publish(flow.id)
    join(newsletter.id, people(workspace, 2))
    engine.advance()
    flows.save_draft(flow.id, {**definition, "steps": [TAG]}, flow.draft_number)
    return flow


TAG = {"key": "t", "type": "add_tag", "tag": "welcomed"}


def test_going_live_again_asks_about_those_inside_and_tells_what_they_would_see(bobs, inside):
    page = words(bobs.get(f"{ROOT}/{inside.id}/check"))
    assert "What about the 2 contacts inside version 1?" in page
    assert "All of them have a place there." in page and "Go on with step 1: " in page


def test_they_are_moved_and_going_back_is_one_button(bobs, inside, db):
    answer = words(follow(bobs, f"{ROOT}/{inside.id}/check", people="move"))
    assert "Live with version 2." in answer
    history = words(bobs.get(f"{ROOT}/{inside.id}/history"))
    assert "Go back to version 1" in history
    back = words(follow(bobs, f"{ROOT}/{inside.id}/undo"))
    assert "Version 1 is live again. 2 contacts stand where they stood." in back and "Undone" in back


def test_a_choice_for_one_step_stays_chosen_when_something_is_wrong(bobs, inside):
    answer = bobs.post(f"{ROOT}/{inside.id}/check", data={"people": "leave", "people_at-w": "jump"})
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422 and "Choose finish, move or leave" in words(answer)
    assert re.search(r'value="leave"[^>]* checked', page)
