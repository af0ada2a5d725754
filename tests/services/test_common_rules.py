"""The rules that all starting points have in common, tried on every one the catalogue finds.

What a starting point admits, and whom its object is about, its own tests say; here every event of its kind is meant.
"""

from __future__ import annotations

import importlib
import random
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowserver.errors import Invalid
from flowserver.extensions import db
from flowserver.models import Decision, Enrollment, Event, Flow, FlowStart, Membership
from flowserver.nodes import catalogue
from flowserver.services.engine import bulk, engine, enrollment, events, starts, ticks, timetable
from flowserver.services.flows import flows, hand_starts, options

from .town import Worker, a_list, live, people, runs, sound, tag, wait

TRIGGERS = catalogue.triggers()
LISTENING = {name: cls for name, cls in TRIGGERS.items() if cls.listens_to and name != "handed_over"}
HANDED = {name: cls for name, cls in TRIGGERS.items() if name not in LISTENING and not cls.one_shot}
UNITS = {"minutes": 525_600, "hours": 8_760, "days": 365}


def sample(name: str) -> dict[str, Any]:
    """Settings that are right."""
    return dict(importlib.import_module(f"tests.nodes.triggers.test_{name}").SAMPLES[0])


@pytest.fixture
def all_meant(monkeypatch):
    """Every event is meant, nothing undoes a start, and what held at the beginning still holds."""
    for cls in TRIGGERS.values():
        monkeypatch.setattr(cls, "admits", lambda self, event: True)
        monkeypatch.setattr(cls, "revokes", lambda self, event, data: False)
        monkeypatch.setattr(cls, "still_holds", lambda self, item: True)


def flow_of(workspace, name, *steps, **common) -> Flow:
    return live(workspace, *steps, name=name, type=name, **{**sample(name), **common})


def happen(cls, flow, contact, key, **more) -> None:
    """What starts this flow happens to a contact: its event, or else somebody starts it; the same ``key`` is the same."""
    if cls.name in LISTENING:
        events.record(contact, cls.listens_to[0], key=f"{flow.id}:{contact}:{key}", **more)
        db.session.commit()
    else:
        hand_starts.begin(flow.id, hand_starts.some([contact]), key=f"{contact}:{key}")


def settle() -> None:
    while engine.batch() + events.match_unmatched():
        pass


def count(flow, contact=None) -> int:
    """How many runs of a flow there are, or were; of one contact, where it is named."""
    query = sa.select(sa.func.count()).select_from(Enrollment).where(Enrollment.flow_id == flow.id)
    return db.session.scalar(query if contact is None else query.where(Enrollment.contact_id == contact))


# --- the name and the wait ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TRIGGERS)
def test_the_start_wait_is_0_to_365_days_in_one_unit(name):
    def said(wait):
        trigger = {"type": name, **sample(name), "wait": wait}
        return options.compiled({"name": "F", "trigger": trigger, "steps": []}).mistakes.get("trigger.wait")

    for unit, most in UNITS.items():
        assert [said({unit: amount}) for amount in (0, 1, most)] == [None] * 3
        assert said({unit: most + 1}) == ["The waiting time can be 365 days at most"]
        assert said({unit: -1}) == ["The waiting time cannot be below 0"]
        for odd in (1.5, "soon", "3", None, True, []):
            assert said({unit: odd}) == ["Enter the waiting time as a whole number"], odd
    for odd in ({"weeks": 1}, {}, {"days": 1, "hours": 1}, 5, "1 day", []):
        assert said(odd) == ["Name exactly one of minutes, hours or days"], odd


@pytest.mark.parametrize("name", TRIGGERS)
def test_who_may_enter_again_and_for_how_long_not_is_said_in_known_words(name):
    def said(**entry):
        trigger = {"type": name, **sample(name), **entry}
        return set(options.compiled({"name": "F", "trigger": trigger, "steps": []}).mistakes)

    assert not said(reentry="once") | said(reentry="after_finish", cooldown={"days": 2})
    assert said(reentry="always") == {"trigger.reentry"}
    assert said(cooldown={"weeks": 1}) == said(cooldown={"days": 366}) == {"trigger.cooldown"}
    assert said(include_existing="yes") == {"trigger.include_existing"}
    assert said(include_existing=True) == (set() if TRIGGERS[name].offers_existing else {"trigger.include_existing"})


def test_the_defaults_are_those_the_product_promises():
    once = {"list_joined", "field_value", "score", "fixed_date", "sms_activity", "email_activity"}
    after = {"fidelity": None, "coupon": None, "site_visit": {"hours": 24}, "conversion": None}
    assert {TRIGGERS[name].reentry for name in once & set(TRIGGERS)} == {"once"}
    for name, cooldown in after.items():
        assert TRIGGERS[name].reentry == "after_finish"
        found = TRIGGERS[name].cooldown
        assert cooldown == {"hours": 24} if found in ({"hours": 24}, {"days": 1}) else found == cooldown, name


def test_a_flows_name_is_needed_trimmed_short_and_its_own(workspace, clock):
    def said(name):
        with pytest.raises(Invalid) as error:
            flows.create({"name": name, "trigger": {"type": "manual_start"}})
        return error.value.messages["name"]

    for empty in ("", "   ", None, 5):
        assert said(empty) == ["Enter a name for the flow"]
    assert said("x" * 121) == ["Use 120 characters at most for the name"]
    assert flows.create({"name": f"  {'x' * 120} ", "trigger": {"type": "manual_start"}}).name == "x" * 120
    assert said("X" * 120)[0].startswith("There is a flow called")


@pytest.mark.parametrize("name", TRIGGERS)
def test_an_object_that_is_not_there_is_found_by_its_path(workspace, name):
    for given_ in importlib.import_module(f"tests.nodes.triggers.test_{name}").SAMPLES:
        definition = {"name": "F", "trigger": {"type": name, **given_}, "steps": []}
        wanted = {path for _, _, source, path in options.spots(definition) if source != "step"}
        found = set(options.look_up(definition)[1])
        core = {path for path in wanted if path.endswith(".field")}  # the name and the address are always there
        assert found <= wanted and wanted - found <= core, given_


# --- starting ----------------------------------------------------------------------------------------------


def test_what_happened_before_the_flow_went_live_starts_nobody(workspace, clock, all_meant):
    for name, cls in LISTENING.items():
        (one,) = people(workspace, 1)
        flow = flow_of(workspace, name, wait("w"), **({"include_existing": False} if cls.told_later else {}))
        happen(cls, flow, one, "old", at=clock.now - timedelta(seconds=1))
        assert count(flow) == 0, name
        flows.stop(flow.id)


def test_the_start_wait_counts_from_what_happened(workspace, clock, all_meant):
    for length in ({"minutes": 0}, {"minutes": 10}, {"days": 365}):
        (one,) = people(workspace, 1)
        for name, cls in {**LISTENING, **HANDED}.items():
            flow = flow_of(workspace, f"{name}", wait("w"), wait=length)
            happen(cls, flow, one, "k")
            (run,) = runs(Enrollment.flow_id == flow.id)
            assert (run.due_at, run.step) == (clock.now + timedelta(**length), ""), name
            flows.stop(flow.id)
            flow.name = f"{name} {length}"
            db.session.commit()


def test_one_run_at_a_time_and_after_it_as_often_as_the_flow_says(workspace, clock, all_meant):
    ways = {"once": {"reentry": "once"}, "after": {"reentry": "after_finish", "cooldown": None}}
    ways["cooled"] = {"reentry": "after_finish", "cooldown": {"days": 3}}
    wanted = {"once": [1] * 6, "after": [1, 1, 2, 2, 3, 3], "cooled": [1, 1, 1, 1, 1, 2]}
    for way, entry in ways.items():
        everyone = all_of_them(workspace, wait("w", days=2), wait={"minutes": 0}, **entry)
        found: dict[str, list[int]] = {name: [] for name in everyone}
        for n in range(6):  # a day apart, the run takes two
            for name, (cls, flow, one) in everyone.items():
                happen(cls, flow, one, n)
                found[name].append(count(flow, one))
            settle()
            clock.forward(days=1)
            settle()
        assert found == dict.fromkeys(everyone, wanted[way]), way
        away(everyone, way)
    sound()


def all_of_them(workspace, *steps, **common) -> dict[str, tuple[Any, Flow, int]]:
    """A live flow for every starting point, and a contact of its own for each."""
    ways_in = {**LISTENING, **HANDED}
    ids = people(workspace, len(ways_in))
    return {
        name: (cls, flow_of(workspace, name, *steps, **common), one)
        for (name, cls), one in zip(ways_in.items(), ids, strict=True)
    }


def away(everyone, word) -> None:
    """Stop these flows and give their names back."""
    for name, (_, flow, _one) in everyone.items():
        flows.stop(flow.id)
        flow.name = f"{name} {word}"
    db.session.commit()


def test_the_same_again_is_harmless_and_ten_entries_a_day_are_enough(workspace, clock, all_meant):
    everyone = all_of_them(workspace, tag("t"), wait={"minutes": 0}, reentry="after_finish", cooldown=None)
    for key in ["same"] * 3 + list(range(12)):
        for cls, flow, one in everyone.values():
            happen(cls, flow, one, key)
        settle()
        if key == "same":
            assert {name: count(flow, one) for name, (_, flow, one) in everyone.items()} == dict.fromkeys(everyone, 1)
        clock.forward(minutes=1)
    most = enrollment.MOST_A_DAY
    assert {name: count(flow, one) for name, (_, flow, one) in everyone.items()} == dict.fromkeys(everyone, most)


def test_a_flow_that_is_paused_stopped_or_closed_starts_nobody(workspace, clock, all_meant):
    (one,) = people(workspace, 1)
    for name in LISTENING:
        flow = flow_of(workspace, name, wait("w"))
        for change in ({"state": "paused"}, {"state": "active", "closed": True}, {"state": "stopped", "closed": False}):
            for key, value in change.items():
                setattr(flow, key, value)
            db.session.commit()
            happen(LISTENING[name], flow, one, str(change))
        assert count(flow) == 0, name


def test_what_a_flow_itself_caused_does_not_start_it(workspace, clock, all_meant):
    (one,) = people(workspace, 1)
    for name, cls in LISTENING.items():
        flow = flow_of(workspace, name, wait("w"), wait={"minutes": 0})
        happen(cls, flow, one, "mine", origin=flow.id)
        happen(cls, flow, one, "chain", data={"chain": [flow.id, 5]}, chain=2)
        happen(cls, flow, one, "long", data={"chain": list(range(900, 911))}, chain=11)
        assert count(flow) == 0, name


def test_one_who_left_while_waiting_to_start_has_not_used_up_once(workspace, clock, all_meant, monkeypatch):
    (one,) = people(workspace, 1)
    for name, cls in LISTENING.items():
        began = clock.now
        flow = flow_of(workspace, name, tag("t"), wait={"days": 1}, reentry="once")
        with monkeypatch.context() as patch:
            patch.setattr(cls, "still_holds", lambda self, item: False)
            happen(cls, flow, one, "a")
            clock.forward(days=1)
            settle()
        happen(cls, flow, one, "b")
        clock.forward(days=1)
        settle()
        ended = [run.end_reason for run in runs(Enrollment.flow_id == flow.id)]
        assert ended == ["no_longer_matches", "finished"], name
        clock.now = began
        flows.stop(flow.id)


def test_a_contact_that_is_deleted_ends_its_runs(workspace, clock, all_meant):
    from flowserver.services.people import contacts

    (one,) = people(workspace, 1)
    for name, cls in {**LISTENING, **HANDED}.items():
        happen(cls, flow_of(workspace, name, wait("w"), wait={"days": 1}), one, "k")
    contacts.delete(one)
    assert {run.end_reason for run in runs()} == {"contact_deleted"} and len(runs()) == len(LISTENING) + len(HANDED)


# --- any order, any repetition, all at once ----------------------------------------------------------------


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    told=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.booleans()), max_size=14),
    order=st.randoms(use_true_random=False),
)
def test_any_order_and_repetition_of_the_same_events_gives_the_same_enrollments(
    workspace, clock, all_meant, told, order
):
    """``told``: who, which event, and whether it is matched at once or by the job. Told again in another order."""
    known = list(db.session.scalars(sa.select(Flow).where(Flow.state == "active")))
    made = known or [
        live(workspace, wait("w"), name="Once", list=1),
        live(workspace, wait("w"), name="Waits", list=1, wait={"days": 1}, reentry="after_finish"),
        live(workspace, tag("t"), name="Tag", type="tag_added", tag="vip"),
    ]
    ids = people(workspace, 4)

    def tell(facts):
        for who, which, at_once in facts:
            type, subject = ("list_joined", "1") if which % 2 else ("tag_added", "vip")
            new = events.NewEvent(workspace.id, ids[who], type, subject, key=f"{ids[who]}:{which}")
            if at_once:
                events.record_many([new])
            else:
                row = (*(getattr(new, name) for name in events.COLUMNS[:-1]), False)
                row = tuple(clock.now if value is None and name == "at" else value
                            for name, value in zip(events.COLUMNS, row, strict=True))  # fmt: skip
                bulk.insert_new(db.session.connection(), "event", events.COLUMNS, [row])
            db.session.commit()
        while events.match_unmatched():
            pass
        found = db.session.execute(sa.select(Enrollment.flow_id, Enrollment.contact_id))
        return sorted(tuple(row) for row in found)

    def forget():
        for table in (Enrollment, Event, Decision):
            db.session.execute(sa.delete(table))
        db.session.commit()

    first = tell(told)
    forget()
    again = told + order.sample(told, len(told) // 2)
    order.shuffle(again)
    assert tell(again) == first
    assert tell(told) == first  # and once more on top
    wanted = {
        (flow.id, ids[who]) for who, which, _ in told for flow in made if (flow.name != "Tag") == (which % 2 == 1)
    }
    assert set(first) == wanted
    forget()


def test_eight_workers_and_two_clocks_at_once_start_nobody_twice(app, workspace, clock, queue):
    """Events, those who already match, a date that has come and a list started by hand, all in the same moment."""
    ids = people(workspace, 30, created_at=clock.now)
    list_id = a_list(workspace, members=ids)
    db.session.execute(sa.update(Membership).values(joined_at=clock.now))
    db.session.commit()
    by_event = live(workspace, wait("w"), name="Event", list=list_id)
    existing = live(workspace, wait("w"), name="Existing", include_existing=True, list=list_id)
    existing.existing_after = 0
    dated = flows.create(
        {
            "name": "Date",
            "trigger": {"type": "fixed_date", "date": "2026-05-04", "time": "11:01", "list": list_id},
            "steps": [wait("w")],
        }
    )
    flows.publish(dated.id)
    by_hand = live(workspace, wait("w"), name="Hand", type="manual_start")
    hand_starts.begin(by_hand.id, hand_starts.group(list=list_id), key="k")
    clock.forward(minutes=1)
    numbers = [by_event.id, existing.id, dated.id, by_hand.id]
    db.session.commit()  # on SQLite the test would hold the lock all wait for

    def persist(act):
        """As the bell does: an act that the database refused for the moment is rung for again."""
        for _ in range(50):
            try:
                return act()
            except Exception as error:
                db.session.rollback()
                if not bulk.is_outage(error):
                    raise
        raise AssertionError("it never came through")

    def work(seed):
        dice = random.Random(seed)
        acts = [lambda one=one: tell(one) for one in ids]
        acts += [lambda: enrollment.enroll_existing(numbers[1], 7), lambda: timetable.fire(numbers[2])] * 2
        acts += [lambda: [starts.work(one, chunk=7) for one in starts.undone()]] * 3
        acts += [lambda: engine.batch(), lambda: events.match_unmatched()] * 3
        dice.shuffle(acts)
        for act in acts:
            persist(act)

    def tell(one):
        events.record(one, "list_joined", subject=str(list_id), key=f"joined:{one}")
        db.session.commit()

    def tick():
        for _ in range(6):
            ticks.tick(clock.now)

    for worker in [
        *(Worker(app, lambda seed=seed: work(seed)) for seed in range(8)),
        *(Worker(app, tick) for _ in "12"),
    ]:
        worker.result(120)
    ticks.tick(clock.now)
    queue.drain(5000)
    sound()
    for number in numbers:
        assert sorted(run.contact_id for run in runs(Enrollment.flow_id == number)) == ids, number
    assert {row.entered for row in db.session.scalars(sa.select(FlowStart))} == {len(ids)}
    entered = db.session.scalar(sa.select(sa.func.count()).select_from(Decision).where(Decision.outcome == "entered"))
    assert entered == 4 * len(ids)
