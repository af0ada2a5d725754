"""The walk: everybody through all steps up to the next wait or the end, in memory."""

from datetime import timedelta

import pytest

from flowserver.domain import definition as definitions
from flowserver.domain import planner
from flowserver.domain.planner import Place, Runaway
from flowserver.domain.steps import Fact, Go, Park
from flowserver.nodes import base, catalogue
from tests.nodes.kit import NOW, context, item, person

DAY = timedelta(days=1)


def tag(key):
    return {"key": key, "type": "add_tag", "tag": key}


def wait(key, **length):
    return {"key": key, "type": "wait", "for": length or {"days": 1}}


def phone(key, then, other):
    return {"key": key, "type": "if_else", "if": {"type": "has_phone"}, "then": then, "else": other}


def compiled(*steps, actions=None):
    raw = {"name": "x", "trigger": {"type": "list_joined", "list": 3}, "steps": list(steps)}
    return definitions.compile(raw, catalogue.triggers(), {**catalogue.actions(), **(actions or {})})


def entering(*people):
    return [item(one, step="") for one in people or [person()]]


def ledger(ctx):
    """``(enrollment, step, outcome, reason)`` of what was written down."""
    return [(row[1], row[2], row[5], row[6]) for row in ctx.wishes.decisions]


def walk(flow, items, now=NOW, **given):
    ctx = context(now, **given)
    return planner.walk(flow, items, ctx), ctx


def test_a_contact_walks_to_its_wait_and_every_step_is_written_down():
    (place,), ctx = walk(compiled(tag("a"), wait("w", days=3), tag("b")), entering())
    assert place == Place(10, "w", 1, parked_at=NOW, due_at=NOW + 3 * DAY, entered=True)
    assert ledger(ctx) == [(10, "", "entered", None), (10, "a", "next", None), (10, "w", "waits", None)]


def test_after_the_wait_it_goes_on_to_the_end():
    flow = compiled(tag("a"), wait("w"), tag("b"))
    (place,), ctx = walk(flow, [item(step="w", parked_at=NOW - DAY)])
    assert place == Place(10, "b", 1, end_reason="finished")
    assert ledger(ctx) == [(10, "w", "next", None), (10, "b", "next", None)]


def test_a_flow_without_steps_ends_at_once():
    (place,), ctx = walk(compiled(), entering())
    assert place == Place(10, "", 1, entered=True, end_reason="finished")
    assert ledger(ctx) == [(10, "", "entered", None)]


def test_both_lanes_meet_and_the_step_after_them_runs_once_for_each():
    flow = compiled(phone("q", [tag("yes")], [tag("no")]), tag("after"))
    places, ctx = walk(flow, entering(person(1), person(2, phone=None)))
    assert {place.end_reason for place in places} == {"finished"}
    by_run = {run: [step for one, step, _, _ in ledger(ctx) if one == run] for run in (10, 20)}
    assert by_run == {10: ["", "q", "yes", "after"], 20: ["", "q", "no", "after"]}


def test_people_who_arrive_and_people_who_waited_meet_at_one_step():
    flow = compiled(phone("q", [wait("w")], []), tag("after"))
    places, _ = walk(flow, [*entering(person(1, phone=None)), item(person(2), step="w", parked_at=NOW - DAY)])
    assert [(place.enrollment_id, place.end_reason) for place in places] == [(10, "finished"), (20, "finished")]


def test_an_end_step_leaves_with_its_label():
    flow = compiled(phone("q", [{"key": "e", "type": "end", "label": "won", "outcome": "positive"}], []), tag("after"))
    (place,), ctx = walk(flow, entering())
    assert place == Place(10, "e", 1, entered=True, end_reason="end_step", label="won", outcome="positive")
    assert ledger(ctx)[-1] == (10, "e", "left", "end_step")


def test_a_step_that_is_gone_ends_the_run():
    (place,), ctx = walk(compiled(tag("a")), [item(step="gone", parked_at=NOW)])
    assert place == Place(10, "gone", 1, end_reason="step_removed")
    assert ledger(ctx) == [(10, "gone", "left", "step_removed")]


def test_a_start_that_no_longer_holds_ends_before_the_first_step():
    flow = compiled(tag("a"))
    flow.trigger.still_holds = lambda item: item.contact.id != 1
    places, ctx = walk(flow, entering(person(1), person(2)))
    assert places[0] == Place(10, "", 1, end_reason="no_longer_matches")
    assert places[0].entered is False  # it does not use up "once"
    assert places[1].end_reason == "finished"
    assert ledger(ctx)[0] == (10, "", "left", "no_longer_matches")


def test_what_the_trigger_needs_is_there_when_it_is_asked_again():
    flow, loaded = compiled(tag("a")), []
    flow.trigger.needs = frozenset({"lists"})
    flow.trigger.still_holds = lambda item: "lists" in loaded[0]
    ctx = context()
    ctx.need = loaded.append
    assert planner.walk(flow, entering(), ctx)[0].end_reason == "finished"
    planner.walk(flow, [item(step="a")], ctx)
    assert loaded == [frozenset({"lists"}), frozenset({"tags"}), frozenset({"tags"})]


def test_a_held_send_parks_at_its_step_and_nothing_overtakes_it():
    flow = compiled({"key": "sms", "type": "send_sms", "text": "Hi"}, tag("after"))
    night = NOW.replace(hour=22)
    quiet = {"quiet_from": "21:00", "quiet_until": "08:00"}
    (place,), ctx = walk(flow, entering(), night, **quiet)
    assert (place.step, place.parked_at, place.due_kind) == ("sms", night, "absolute")
    assert ledger(ctx)[-1] == (10, "sms", "held", "quiet_hours")
    (later,), ctx = walk(flow, [item(step="sms", parked_at=night)], place.due_at, **quiet)
    assert later.end_reason == "finished"
    assert [row[1] for row in ctx.wishes.messages] == ["10:sms:1"]


def test_at_release_everything_is_asked_again():
    flow = compiled({"key": "sms", "type": "send_sms", "text": "Hi"}, tag("after"))
    (place,), ctx = walk(flow, [item(person(sms_consent="withdrawn"), step="sms", parked_at=NOW - DAY)])
    assert place.end_reason == "finished"
    assert ledger(ctx)[0] == (10, "sms", "skipped", "unsubscribed")


def test_a_wait_that_goes_on_is_no_new_decision():
    flow = compiled({"key": "w", "type": "wait_for_event", "event": "purchase", "at_most": {"days": 2}})
    waiting = item(step="w", parked_at=NOW - DAY, events=[Fact("purchase", NOW - 2 * DAY)])
    (place,), ctx = walk(flow, [waiting])
    assert (place.parked_at, place.due_at, place.awaits) == (NOW - DAY, NOW + DAY, "purchase")
    assert ledger(ctx) == []


def test_a_skipped_step_says_why():
    (_place,), ctx = walk(compiled(tag("vip")), entering(person(tags={"vip"})))
    assert ledger(ctx)[-1] == (10, "vip", "skipped", "had_it")


class Odd(base.Action):
    """A step that answers what the test says."""

    name = "odd"
    answer = staticmethod(lambda item, ctx: Go())

    def execute(self, batch, ctx):
        return [self.answer(item, ctx) for item in batch]


def odd(monkeypatch, answer):
    monkeypatch.setattr(Odd, "answer", staticmethod(answer))
    return compiled({"key": "odd", "type": "odd"}, tag("after"), actions={"odd": Odd})


def test_a_step_that_comes_round_again_is_a_runaway(monkeypatch):
    flow = odd(monkeypatch, lambda item, ctx: Go())
    flow.steps["after"].ports["next"] = "odd"
    with pytest.raises(Runaway):
        walk(flow, entering())


@pytest.mark.parametrize("late", [timedelta(0), timedelta(seconds=1), 400 * DAY])
def test_a_wait_for_a_moment_that_has_passed_is_a_runaway(monkeypatch, late):
    with pytest.raises(Runaway):
        walk(odd(monkeypatch, lambda item, ctx: Park(ctx.now - late)), entering())


def test_a_way_out_that_is_none_is_a_mistake(monkeypatch):
    with pytest.raises(KeyError):
        walk(odd(monkeypatch, lambda item, ctx: Go("sideways")), entering())


def test_one_outcome_each_or_none_at_all(monkeypatch):
    flow = odd(monkeypatch, lambda item, ctx: Go())
    monkeypatch.setattr(Odd, "execute", lambda self, batch, ctx: [Go()])
    with pytest.raises(ValueError):
        walk(flow, entering(person(1), person(2)))


def test_the_same_walk_twice_writes_the_same_ledger():
    flow = compiled(
        tag("a"),
        phone("q", [{"key": "m", "type": "send_email", "subject": "Hi"}], [tag("no")]),
        {"key": "s", "type": "change_score", "points": 5},
        wait("w"),
    )

    def run(order):
        people = [person(n, phone=None if n % 3 else "+3933312312") for n in range(1, 40)]
        places, ctx = walk(flow, entering(*people)[::order], cap_day=1)
        return (
            sorted(places, key=lambda place: place.enrollment_id),
            sorted(ctx.wishes.decisions),
            sorted(ctx.wishes.messages),
            sorted(ctx.wishes.score),
        )

    assert run(1) == run(1) == run(-1)
