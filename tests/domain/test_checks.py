"""What keeps a flow from going live, and what deserves a look."""

from __future__ import annotations

import pytest

from flowserver.domain import checks, content_checks, definition
from flowserver.nodes import catalogue

CLIENT = checks.Client(sender_email="ciao@lume.example", sms_sender="Lume")


def mail(key, **more):
    return {"key": key, "type": "send_email", "subject": "Hello", "body": [{"type": "text", "text": "Hi"}], **more}


def ask(key, of, **lanes):
    return {
        "key": key,
        "type": "if_else",
        "if": {"type": "email_opened", "of": of},
        **({"then": [mail(key + "-y")]} | lanes),
    }


def found(*steps, client=CLIENT, trigger=None, unknown=()):
    trigger = trigger or {"type": "list_joined", "scope": "any"}
    compiled = definition.compile(
        {"name": "F", "trigger": trigger, "steps": list(steps)}, catalogue.triggers(), catalogue.actions(), lenient=True
    )
    return [(one.kind, str(one.text), one.place, one.step) for one in checks.findings(compiled, client, dict(unknown))]


def says(findings, kind, piece, step=""):
    return any(one[0] == kind and piece in one[1] and (not step or one[3] == step) for one in findings)


def test_a_sound_flow_has_nothing_to_say():
    assert found(mail("a")) == []


def test_texts_and_subjects_must_be_there():
    all_ = found(mail("a", subject=" ", body=[]), {"key": "s", "type": "send_sms", "text": ""})
    assert (
        says(all_, "fix", "no subject", "a") and says(all_, "fix", "no text", "a") and says(all_, "fix", "no text", "s")
    )


def test_somebody_must_send():
    all_ = found(mail("a"), client=checks.Client())
    assert ("fix", "The client has no sender address for e-mail", "client", "") in all_
    assert found(mail("a", from_email="me@lume.example"), client=checks.Client()) == []
    assert says(
        found({"key": "s", "type": "send_sms", "text": "Hi"}, client=checks.Client()), "check", "no sender name"
    )


def test_a_branch_with_nothing_on_any_path():
    assert says(found(mail("a"), ask("b", "a", then=[])), "fix", "No path of this step has anything on it", "b")
    assert not says(found(mail("a"), ask("b", "a")), "fix", "No path")


def test_a_message_it_asks_about_must_come_before():
    assert says(found(ask("b", "a"), mail("a")), "fix", "does not come before", "b")
    wait = {
        "key": "w",
        "type": "wait_for_event",
        "event": "email_opened",
        "of": "x",
        "at_most": {"days": 1},
        "then": [mail("m")],
    }
    assert says(found(wait), "fix", "does not come before", "w")


@pytest.mark.parametrize(("span", "soon"), [({"hours": 23}, True), ({"days": 1}, False)])
def test_opened_asked_too_soon(span, soon):
    all_ = found(mail("a"), {"key": "w", "type": "wait", "for": span}, ask("b", "a"))
    assert says(all_, "check", "less than a day", "b") == soon


@pytest.mark.parametrize("span", [{"days": -1}, {"days": 366}, {"hours": 8761}, {"minutes": 525601}])
def test_waits_below_zero_and_over_a_year(span):
    assert says(found({"key": "w", "type": "wait", "for": span}), "fix", "waiting time", "w")
    trigger = {"type": "list_joined", "scope": "any", "wait": span}
    assert any(one[2] == "trigger" and "waiting time" in one[1] for one in found(mail("a"), trigger=trigger))


def test_a_list_that_is_gone_is_named_where_it_is_used():
    steps = [{"key": "l", "type": "join_list", "list": 99}]
    all_ = found(*steps, unknown={"steps[0].list": ["The list was deleted. Choose another one"]})
    assert ("fix", "The list was deleted. Choose another one", "step", "l") in all_


def test_steps_nobody_reaches_and_lanes_too_deep_and_no_steps():
    assert says(found({"key": "e", "type": "end"}, mail("a")), "check", "Nobody comes to this step", "a")
    deep = mail("m")
    for n in range(5):
        deep = {"key": f"b{n}", "type": "if_else", "if": {"type": "has_phone"}, "then": [deep]}
    assert says(found(deep), "check", "more than 4 levels deep", "m")
    assert says(found(), "check", "no steps yet")


def test_an_sms_over_one_segment_and_a_character_that_makes_it_dear():
    assert says(found({"key": "s", "type": "send_sms", "text": "x" * 161}), "check", "2 segments", "s")
    assert says(found({"key": "s", "type": "send_sms", "text": "Hi – you"}), "check", "“–”", "s")


# --- texts -----------------------------------------------------------------------------------------------


def remarks(**content):
    body = {"subject": "S", "body": [{"type": "text", "text": "T"}], **content}
    return [(one.kind, str(one.text)) for one in content_checks.email(body, frozenset({"city"}))]


def test_a_variable_without_a_fallback_is_named():
    assert ("check", "Nothing is written for contacts without a first name") in remarks(
        subject="Hi {{ contact.first_name }}"
    )
    assert (
        remarks(subject="Hi {{ contact.first_name | default: 'you' }}, {{ contact.email }}, {{ workspace.name }}") == []
    )
    assert ("check", "Nothing is written for contacts without a value for “city”") in remarks(
        subject="{{ contact.city }}"
    )
    assert remarks(subject="{% if contact.city %}{{ contact.city }}{% endif %}") == []


def test_an_unknown_field_is_named():
    assert ("check", "There is no field “shoe”: the place stays empty") in remarks(
        subject="{{ contact.shoe | default: '-' }}"
    )


def test_broken_templates_must_be_fixed():
    assert remarks(subject="{{ contact.first_name")[0][0] == "fix"
    assert remarks(body=[{"type": "text", "text": "{% if contact.city %}x"}])[0][0] == "fix"
    assert remarks(body=[{"type": "balloon"}])[0][0] == "fix"


@pytest.mark.parametrize("url", ["", "#", "javascript:alert(1)", "not an address"])
def test_links_must_lead_somewhere(url):
    assert any(kind == "fix" for kind, _ in remarks(body=[{"type": "button", "label": "Go", "url": url}]))


def test_good_links_pass():
    for url in ("https://a.example", "a.example/x", "mailto:a@b.example", "{{ preferences_url }}"):
        assert remarks(body=[{"type": "button", "label": "Go", "url": url}]) == [], url


def test_pictures_need_words():
    assert any("picture" in text for _, text in remarks(body=[{"type": "image", "url": "https://a.example/b.png"}]))
    assert any("picture" in text for _, text in remarks(body='<p>Hi</p><img src="https://a.example/b.png">'))
    assert remarks(body='<p>Hi</p><img alt="" src="https://a.example/b.png">') == []
