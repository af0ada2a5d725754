"""What every node promises, whoever wrote it: runs over all that the catalogue finds."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import wtforms
from werkzeug.datastructures import MultiDict

import flowserver
from flowserver.blueprints.flows.forms import by_path
from flowserver.domain.definition import LANES, STEP_KEYS, TRIGGER_KEYS
from flowserver.domain.steps import EVENTS, Fact, Go, Leave, Park, Sent
from flowserver.errors import flat
from flowserver.nodes import base, catalogue
from flowserver.nodes.base import DurationField, NodeForm
from flowserver.services.engine import audience
from flowserver.services.messages import envelopes
from flowserver.services.people import timeline
from flowserver.text import Text

from .kit import NOW, ROME, context, item, names, person

HERE = Path(__file__).parent
KINDS = {"triggers": catalogue.triggers(), "actions": catalogue.actions(), "conditions": catalogue.conditions()}
EVERY = [pytest.param(kind, cls, id=f"{kind}-{name}") for kind, found in KINDS.items() for name, cls in found.items()]
OURS = [one for one in EVERY if one.values[1].__module__.startswith("flowserver.nodes.")]
ACTIONS = [pytest.param(cls, id=name) for name, cls in KINDS["actions"].items()]
GARBAGE = (
    None,
    "",
    "   ",
    "x",
    "x" * 200_000,
    0,
    -1,
    3.5,
    10**30,
    True,
    [],
    [None],
    ["x"],
    {},
    {"x": 1},
    [[{}]],
    "\u0000",
)
ICONS = set(re.findall('id="i-([^"]+)"', (Path(flowserver.__file__).parent / "static" / "icons.svg").read_text()))

every = pytest.mark.parametrize(("kind", "cls"), EVERY)
ours = pytest.mark.parametrize(("kind", "cls"), OURS)


def own_test(kind: str, cls: Any) -> Any:
    """The node's own test module; ``None`` where a node from outside brings none."""
    found = (HERE / kind / f"test_{cls.name}.py").exists()
    return importlib.import_module(f"{__package__}.{kind}.test_{cls.name}") if found else None


def samples(kind: str, cls: Any) -> list[dict[str, Any]]:
    """Settings that are right: what the node's test names, and none at all where none is needed."""
    needed = any(field.required for field in cls.Settings().fields.values()) or cls.checked({})[1]
    return [*getattr(own_test(kind, cls), "SAMPLES", []), *([] if needed else [{}])]


def partly(full: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Settings somebody has not finished: nothing, one thing, all but one."""
    yield {}
    for name in full:
        yield {name: full[name]}
        yield {other: value for other, value in full.items() if other != name}


def spoilt(cls: Any, full: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Settings with one thing, known or not, that is not what it should be."""
    for name in [*(field.data_key or name for name, field in cls.Settings().fields.items()), "no_such_setting"]:
        for garbage in GARBAGE:
            yield {**full, name: garbage}


# --- what it is ------------------------------------------------------------------------------------------


@ours
def test_the_file_is_called_like_the_node_and_has_a_test_with_samples(kind, cls):
    assert cls.__module__ == f"flowserver.nodes.{kind}.{cls.name}"
    assert (HERE / kind / f"test_{cls.name}.py").exists(), f"write tests/nodes/{kind}/test_{cls.name}.py"
    assert getattr(own_test(kind, cls), "SAMPLES", None), "name SAMPLES, settings that are right, in the test file"


@every
def test_it_says_what_it_is(kind, cls):
    assert re.fullmatch("[a-z][a-z0-9_]{0,39}", cls.name)
    assert isinstance(cls.title, Text), "title must be marked for translation: N_(…)"
    assert 1 <= len(cls.title) <= 40
    help_text = inspect.getmodule(cls).__doc__ or cls.__doc__
    assert help_text and help_text.strip().endswith("."), "the docstring is the help people read"
    assert cls.icon in ICONS


@every
def test_it_asks_only_for_facts_the_engine_can_load(kind, cls):
    assert cls.needs <= base.NEEDS
    for full in samples(kind, cls):
        assert {need.partition(":")[0] for need in cls(cls.load(full)).needs} <= base.NEEDS


@pytest.mark.parametrize("cls", ACTIONS)
def test_its_ways_out_are_ones_a_definition_can_hold(cls):
    assert set(cls.ports) in ({"next"}, set(LANES), set())
    assert cls.sends in ("", "email", "sms")


@every
def test_its_settings_do_not_clash_with_what_all_steps_have(kind, cls):
    taken = {"triggers": TRIGGER_KEYS, "actions": STEP_KEYS, "conditions": {"type", "rev", "all", "any", "not"}}[kind]
    assert not taken & {field.data_key or name for name, field in cls.Settings().fields.items()}


# --- settings and form -----------------------------------------------------------------------------------


@every
def test_every_setting_is_asked_for_and_nothing_else(kind, cls):
    settings = {field.data_key or name for name, field in cls.Settings().fields.items()}
    assert cls.Form.elsewhere <= settings
    if cls.Form.to_settings is NodeForm.to_settings:
        assert {field.short_name for field in cls.Form()} == settings - cls.Form.elsewhere
    assert all(field.label.text for field in cls.Form())


@every
def test_checked_settings_are_plain_and_stay_as_they_are(kind, cls):
    for full in samples(kind, cls):
        checked = cls.load(full)
        assert json.loads(json.dumps(checked)) == checked
        assert cls.load(checked) == checked


def posted(form: wtforms.Form) -> MultiDict[str, str]:
    """What a browser sends for a filled-in form."""
    sent: list[tuple[str, str]] = []
    for field in form:
        if isinstance(field, DurationField):
            sent += [(f"{field.name}-amount", field.amount), (f"{field.name}-unit", field.unit)]
        elif isinstance(field, wtforms.BooleanField):
            sent += [(field.name, "y")] if field.data else []
        elif isinstance(field, wtforms.SelectField):
            sent += [] if field.data is None else [(field.name, str(field.data))]
        else:
            sent.append((field.name, str(field._value())))
    return MultiDict(sent)


@every
def test_settings_come_through_the_form_as_they_went_in(kind, cls):
    for full in samples(kind, cls):
        checked = cls.load(full)
        form = cls.Form(posted(cls.Form(data=cls.Form.from_settings(checked))))
        beside = {name: checked[name] for name in cls.Form.elsewhere if name in checked}
        back = cls.load({**form.to_settings(), **beside})
        defaults = {name: value for name, value in back.items() if name not in checked}
        assert {**defaults, **checked} == back, "a setting got lost or changed on its way through the form"


@every
def test_bad_settings_get_an_answer_in_our_words(kind, cls):
    for full in samples(kind, cls):
        for raw in (*spoilt(cls, full), *partly(full)):
            sound, wrong = cls.checked(raw)
            assert isinstance(sound, dict)
            for text in flat(wrong):
                assert isinstance(text, Text), f"{text!r} for {raw} cannot be translated"
                assert not re.search("invalid|required|please|success", text, re.IGNORECASE), text


@every
def test_every_mistake_is_said_at_a_field_of_the_form(kind, cls):
    for full in samples(kind, cls):
        for raw in (*spoilt(cls, full), *partly(full)):
            for path, _ in by_path(cls.checked(raw)[1]):
                asked = cls.Form().field_for(path) is not None
                assert asked or path.split(".")[0] in {*cls.Form.elsewhere, "no_such_setting"}, path


@every
def test_a_newer_revision_is_refused_and_every_older_one_read(kind, cls):
    for revision in (0, -1, cls.revision + 1, "x", None, cls.revision == 1, 1.5, []):
        assert cls.checked({}, revision)[1]
    for revision in range(1, cls.revision):
        for old in own_test(kind, cls).OLD[revision]:
            assert cls.load(old, revision)


@every
def test_an_unfinished_draft_can_be_shown(kind, cls):
    for full in samples(kind, cls):
        for raw in (*partly(full), *(cls.checked(one)[0] for one in spoilt(cls, full))):
            node = cls(raw)
            shown = [node.summary(names), *node.problems([])]
            shown += [node.question(names)] if kind == "conditions" else []
            shown += [node.sentence(names)] if kind == "triggers" else []
            assert all(str(text) for text in shown)
            assert all(
                isinstance(problem.text, Text) and problem.kind in ("fix", "check") for problem in node.problems([])
            )


@every
def test_its_form_can_show_whatever_stands_in_a_draft(kind, cls):
    for full in samples(kind, cls):
        for raw in (*partly(full), *spoilt(cls, full)):
            form = cls.Form(data=cls.Form.from_settings(raw))
            for field in form:
                assert isinstance(field, DurationField) or str(field())


@every
def test_its_form_takes_whatever_is_posted(kind, cls):
    parts = [f"{field.name}{part}" for field in cls.Form() for part in ("", "-amount", "-unit")]
    for value in ("", " ", "-", "--1", "²", "١", "9" * 5000, "1e5", "\u0000", "kind", "for_", "<b>", "a" * 100_000):
        cls.checked(cls.Form(MultiDict(dict.fromkeys(parts, value))).to_settings())


# --- decisions -------------------------------------------------------------------------------------------


def crowd() -> list[Any]:
    """People of all kinds: reachable, not, new, long known, waiting, with mail in every state."""
    sent = [
        Sent("planned", NOW),
        Sent("skipped", NOW),
        Sent("accepted", NOW - timedelta(days=9), accepted_at=NOW - timedelta(days=9)),
        Sent("accepted", NOW, accepted_at=NOW, opened_at=NOW, clicked_at=NOW),
        Sent("delivered", NOW, accepted_at=NOW, delivered_at=NOW),
        Sent("failed", NOW, failed_at=NOW),
        Sent("unknown", NOW),
    ]
    plain = [
        person(1),
        person(2, email=None, phone=None),
        person(3, email_consent="none", sms_consent="withdrawn"),
        person(4, fields={"city": "Rome", "age": 40, "member": True, "since": "2020-02-29"}, score=120),
        person(5, tags={"vip", "lead"}, lists={3, 12}, first_name="Ada", last_name="Lovelace"),
        person(6, owner_id=5, status="bounced"),
        person(7, status="suppressed", paused_until=NOW + timedelta(days=1)),
    ]
    return [
        item(one, messages={"welcome": mail, "text": mail}, events=[Fact("purchase", NOW), Fact("email_opened", NOW)])
        for one, mail in zip(plain, sent, strict=True)
    ]


@pytest.mark.parametrize("cls", ACTIONS)
@pytest.mark.parametrize("waiting", [False, True], ids=["arriving", "waiting"])
def test_it_answers_for_everyone_in_order_and_the_same_each_time(cls, waiting):
    for full in samples("actions", cls):
        node = cls(cls.load(full))

        def answers(people: list[Any], node: Any = node) -> list[tuple[int, Any]]:
            for one in people:
                one.parked_at = NOW - timedelta(days=1) if waiting else None
            ctx = context(quiet_from="21:00", quiet_until="08:00", cap_day=3)
            outcomes = list((node.resume if waiting else node.execute)(people, ctx))
            assert len(outcomes) == len(people)
            assert {row[2] for row in ctx.wishes.events} <= EVENTS
            return [(one.contact.id, outcome) for one, outcome in zip(people, outcomes, strict=True)]

        together = answers(crowd())
        assert sorted(answers(crowd()[::-1]), key=lambda pair: pair[0]) == together
        assert [pair for one in crowd() for pair in answers([one])] == together
        assert list(node.execute([], context())) == []
        for _, outcome in together:
            assert isinstance(outcome, Go | Park | Leave)
            assert not isinstance(outcome, Go) or outcome.port in cls.ports
            assert not isinstance(outcome, Park) or outcome.until > NOW
            assert len(getattr(outcome, "skipped", None) or getattr(outcome, "reason", None) or "") <= 40
            assert not outcome.facts or len(json.dumps(dict(outcome.facts), default=str)) < 500


@pytest.mark.parametrize("cls", ACTIONS)
def test_every_reason_it_gives_has_words(cls):
    assert all(isinstance(words, Text) for words in cls.reasons.values())
    said = {**timeline.REASONS, **cls.reasons}
    for full in samples("actions", cls):
        node = cls(cls.load(full))
        for ctx in (
            context(),
            context(connections={}),
            context(skip_sends=True),
            context(quiet_from="00:00", quiet_until="23:59"),
        ):
            for outcome in node.execute(crowd(), ctx):
                code = getattr(outcome, "skipped", None) or getattr(outcome, "reason", None)
                assert code is None or code in said, f"add {code!r} to `reasons`"
                if isinstance(outcome, Leave):  # a mail planned by the step before must still go
                    assert outcome.reason in envelopes.NORMAL_ENDS, f"add {code!r} to NORMAL_ENDS"


@pytest.mark.parametrize("cls", [pytest.param(cls, id=name) for name, cls in KINDS["conditions"].items()])
def test_it_answers_yes_or_no_and_says_what_decided(cls):
    for full in samples("conditions", cls):
        node = cls(cls.load(full))
        for one in [*crowd(), item(person(9, email=None, phone=None))]:
            assert node.holds(one, context()) in (True, False)
            assert len(json.dumps(dict(node.facts(one)))) < 500


@pytest.mark.parametrize("cls", [pytest.param(cls, id=name) for name, cls in KINDS["triggers"].items()])
def test_it_listens_to_known_words_and_admits_or_not(cls):
    assert (cls.listens_to or cls.timed or cls.by_hand) and set(cls.listens_to) <= EVENTS
    assert cls.reentry in ("once", "after_finish")
    for full in samples("triggers", cls):
        trigger = cls(cls.load(full))
        for word in cls.listens_to:
            for subject in ("", "1", "vip", "x" * 120):
                for data in (None, {}, {"chain": [1]}):
                    assert trigger.admits(Fact(word, NOW, subject, data)) in (True, False)
        assert cls.offers_existing == (trigger.existing() is not None)
        assert trigger.still_holds(item()) in (True, False)


@pytest.mark.parametrize("cls", [pytest.param(cls, id=name) for name, cls in KINDS["triggers"].items()])
def test_its_moments_go_on_in_time_and_say_whom_they_are_for(cls):
    for full in samples("triggers", cls):
        trigger = cls(cls.load(full))
        before, moment = NOW, trigger.next_time(NOW, ROME)
        assert cls.timed or moment is None
        for _ in range(5 if cls.timed else 0):
            if moment is None:
                break
            assert moment > before and moment.utcoffset() == timedelta(0)
            assert trigger.next_time(moment - timedelta(seconds=1), ROME) == moment
            rule = trigger.audience(moment, before, ROME)
            assert json.loads(json.dumps(rule)) == rule and audience.known(next(iter(rule)))
            before, moment = moment, trigger.next_time(moment, ROME)
        assert not cls.one_shot or moment is None


@pytest.mark.parametrize("cls", ACTIONS)
def test_what_it_waits_for_is_what_it_parks_for(cls):
    for full in samples("actions", cls):
        node = cls(cls.load(full))
        for outcome in node.execute(crowd(), context()):
            if isinstance(outcome, Park) and outcome.awaits:
                assert outcome.awaits.partition(":")[0] in node.hears()
                assert len(outcome.awaits) <= 120
