"""Who enters a flow: triggers, re-entry, chains, those who already match, the start wait."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
import sqlalchemy as sa

from flowserver import extensions
from flowserver.extensions import db
from flowserver.models import Contact, Enrollment, Event, Membership
from flowserver.services.engine import engine, enrollment, events, leaving, ticks
from flowserver.services.people import contacts, lists

from .town import MAIL, a_list, join, ledger, live, messages, people, runs, tag, wait

DAY = timedelta(days=1)


def finish() -> None:
    while engine.batch():
        pass


# --- starting --------------------------------------------------------------------------------------------


def test_the_start_wait_counts_from_the_moment_of_the_event(workspace, clock):
    list_id, ids = a_list(workspace), people(workspace, 2)
    live(workspace, tag("t"), list=list_id, wait={"hours": 2})
    happened = clock.now
    clock.forward(minutes=30)
    join(list_id, ids[:1], at=happened)
    join(list_id, ids[1:])
    assert [(run.due_at, run.triggered_at, run.entered_at) for run in runs()] == [
        (happened + timedelta(hours=2), happened, None),
        (clock.now + timedelta(hours=2), clock.now, None),
    ]
    clock.forward(minutes=90)
    assert engine.batch() == 1


def test_events_before_the_flow_was_live_start_nothing(workspace, clock):
    list_id, ids = a_list(workspace), people(workspace, 1)
    before = clock.now
    clock.forward(hours=1)
    live(workspace, tag("t"), list=list_id)
    join(list_id, ids, at=before)
    assert runs() == []


def test_a_draft_and_a_closed_door_let_nobody_in(workspace, clock):
    list_id, ids = a_list(workspace), people(workspace, 1)
    draft = live(workspace, tag("t"), name="Draft", list=list_id)
    draft.state = "draft"
    closed = live(workspace, tag("t"), name="Closed", list=list_id)
    closed.closed = True
    db.session.commit()
    join(list_id, ids)
    assert runs() == []


def test_any_list_means_new_contacts(workspace, clock):
    list_id, ids = a_list(workspace), people(workspace, 1)
    live(workspace, tag("t"))
    join(list_id, ids)
    assert runs() == []
    events.record(ids[0], "contact_created")
    db.session.commit()
    assert len(runs()) == 1


def test_only_the_list_that_was_named(workspace, clock):
    first, second = a_list(workspace, "First"), a_list(workspace, "Second")
    ids = people(workspace, 1)
    live(workspace, tag("t"), list=second)
    join(first, ids)
    assert runs() == []


def test_what_the_event_brought_travels_with_the_run(workspace, clock):
    list_id, ids = a_list(workspace), people(workspace, 1)
    live(workspace, tag("t"), list=list_id)
    join(list_id, ids, data={"answer": "yes"})
    assert runs()[0].data == {"answer": "yes"}


def test_a_contact_deleted_during_the_start_wait_ends_its_run(workspace, clock, queue):
    list_id, ids = a_list(workspace), people(workspace, 1)
    live(workspace, tag("t"), list=list_id, wait={"days": 1})
    join(list_id, ids)
    db.session.execute(sa.delete(Contact).where(Contact.id == ids[0]))
    db.session.commit()
    clock.forward(days=1)
    finish()
    ticks.tick(clock.now.replace(minute=0, second=0))
    assert [run.end_reason for run in runs()] == ["contact_deleted"]


def test_one_who_unsubscribes_during_the_start_wait_goes_on_without_mail(workspace, clock):
    list_id, ids = a_list(workspace), people(workspace, 1)
    live(workspace, {"key": "mail", **MAIL}, tag("t"), list=list_id, wait={"days": 1})
    join(list_id, ids)
    db.session.get(Contact, ids[0]).email_consent = "withdrawn"
    db.session.commit()
    clock.forward(days=1)
    finish()
    assert [(row.state, row.reason) for row in messages()] == [("skipped", "unsubscribed")]
    assert runs()[0].end_reason == "finished"


def test_at_the_end_of_the_start_wait_the_trigger_is_asked_again(workspace, clock, monkeypatch):
    from flowserver.nodes.triggers.list_joined import ListJoined

    list_id, ids = a_list(workspace), people(workspace, 2)
    live(workspace, tag("t"), list=list_id, wait={"days": 1})
    join(list_id, ids)
    monkeypatch.setattr(ListJoined, "still_holds", lambda self, item: item.contact.id != ids[0])
    clock.forward(days=1)
    finish()
    assert [(run.end_reason, run.entered_at is not None) for run in runs()] == [
        ("no_longer_matches", False),
        ("finished", True),
    ]


def test_one_whose_start_was_cancelled_has_not_used_up_its_once(workspace, clock, monkeypatch):
    from flowserver.nodes.triggers.list_joined import ListJoined

    list_id, ids = a_list(workspace), people(workspace, 1)
    live(workspace, tag("t"), list=list_id, wait={"days": 1})
    join(list_id, ids)
    monkeypatch.setattr(ListJoined, "still_holds", lambda self, item: False)
    clock.forward(days=1)
    finish()
    monkeypatch.undo()
    monkeypatch.setattr("flowserver.clock.now", lambda: clock.now)
    join(list_id, ids)
    clock.forward(days=1)
    finish()
    assert [run.end_reason for run in runs()] == ["no_longer_matches", "finished"]
    join(list_id, ids)
    assert len(runs()) == 2  # now it has


# --- again? ----------------------------------------------------------------------------------------------


def test_a_run_at_a_time(workspace, clock):
    list_id, ids = a_list(workspace), people(workspace, 1)
    live(workspace, wait("w"), list=list_id, reentry="after_finish")
    for _ in range(3):
        join(list_id, ids)
        finish()
    assert len(runs()) == 1
    clock.forward(days=1)
    finish()
    join(list_id, ids)
    assert len(runs()) == 2


def test_the_cooldown_counts_from_the_end_of_the_last_run(workspace, clock):
    list_id, ids = a_list(workspace), people(workspace, 1)
    live(workspace, wait("w", hours=5), list=list_id, reentry="after_finish", cooldown={"days": 2})
    join(list_id, ids)
    finish()
    clock.forward(hours=5)
    finish()
    clock.forward(hours=47)
    join(list_id, ids)
    assert len(runs()) == 1
    clock.forward(hours=1)
    join(list_id, ids)
    assert len(runs()) == 2


def test_ten_entries_a_day_are_enough(workspace, clock):
    list_id, ids = a_list(workspace), people(workspace, 1)
    live(workspace, tag("t"), list=list_id, reentry="after_finish")
    for _ in range(15):
        clock.forward(minutes=1)
        join(list_id, ids)
        finish()
    assert len(runs()) == 10
    clock.forward(days=1)
    join(list_id, ids)
    assert len(runs()) == 11


def test_the_same_event_never_starts_a_second_run(workspace, clock):
    list_id, ids = a_list(workspace), people(workspace, 1)
    live(workspace, tag("t"), list=list_id, reentry="after_finish")
    for _ in range(3):
        join(list_id, ids, key="till-receipt-7")
        finish()
    assert len(runs()) == 1
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Event)) == 2  # this one, and the tag


def test_several_events_of_one_contact_in_one_go(workspace, clock):
    list_id, ids = a_list(workspace), people(workspace, 2)
    live(workspace, tag("t"), list=list_id, reentry="after_finish")
    new = [
        events.NewEvent(workspace.id, one, "list_joined", subject=str(list_id), key=key)
        for one, key in ((ids[1], "a"), (ids[0], "b"), (ids[1], "c"), (ids[0], "b"))
    ]
    assert [event.key for event in events.record_many(new)] == ["a", "b", "c"]
    db.session.commit()
    assert sorted(run.contact_id for run in runs()) == ids


# --- chains ----------------------------------------------------------------------------------------------


def moves(workspace, *lists: int, name: str, reentry: str = "after_finish"):
    """A flow that starts with the first list and puts its people on the second."""
    return live(
        workspace,
        *({"key": f"l{n}", "type": "leave_list", "list": one} for n, one in enumerate(lists[1:])),
        {"key": "move", "type": "join_list", "list": lists[1]},
        name=name,
        list=lists[0],
        reentry=reentry,
    )


def settle() -> None:
    for _ in range(100):
        if not engine.batch() + events.match_unmatched():
            return
    raise AssertionError("the chain never ends")


def test_a_flow_starts_others_but_not_itself_through_them(workspace, clock):
    a, b = a_list(workspace, "A"), a_list(workspace, "B")
    one, two = moves(workspace, a, b, name="One"), moves(workspace, b, a, name="Two")
    join(a, people(workspace, 1))
    settle()
    assert [run.flow_id for run in runs()] == [one.id, two.id]
    assert [run.chain for run in runs()] == [0, 1]
    assert runs()[1].data == {"chain": [one.id]}


def test_a_flow_does_not_start_itself(workspace, clock):
    a = a_list(workspace, "A")
    moves(workspace, a, a, name="Self")
    join(a, people(workspace, 1))
    settle()
    assert len(runs()) == 1


def test_a_chain_ends_after_ten(workspace, clock):
    lists = [a_list(workspace, f"L{n}") for n in range(14)]
    for n, (first, second) in enumerate(itertools.pairwise(lists)):
        moves(workspace, first, second, name=f"Flow {n}")
    join(lists[0], people(workspace, 1))
    settle()
    assert [run.chain for run in runs()] == list(range(enrollment.LONGEST_CHAIN + 1))


def test_a_new_cause_begins_a_new_chain(workspace, clock):
    a, b = a_list(workspace, "A"), a_list(workspace, "B")
    moves(workspace, a, b, name="One")
    moves(workspace, b, a, name="Two")
    ids = people(workspace, 1)
    join(a, ids)
    settle()
    db.session.execute(sa.delete(Membership))
    join(b, ids)
    settle()
    assert [run.chain for run in runs()] == [0, 1, 0, 1]


# --- those who already match -----------------------------------------------------------------------------


def everybody(workspace, flow, chunk: int = 4) -> int:
    flow.existing_after = 0
    db.session.commit()
    return enrollment.enroll_existing(flow.id, chunk)


@pytest.mark.parametrize("scope", ["any", "list"])
def test_they_enter_in_chunks_and_each_once(workspace, clock, scope):
    ids = people(workspace, 11)
    list_id = a_list(workspace, members=ids[:9])
    flow = live(
        workspace,
        tag("t"),
        include_existing=True,
        wait={"minutes": 10},
        **({"list": list_id} if scope == "list" else {}),
    )
    wanted = ids if scope == "any" else ids[:9]
    assert enrollment.count_existing(engine.compiled(flow.version_id), workspace.id).contacts == len(wanted)
    assert everybody(workspace, flow) == len(wanted)
    assert sorted(run.contact_id for run in runs()) == wanted
    assert {run.due_at for run in runs()} == {clock.now + timedelta(minutes=10)}
    assert everybody(workspace, flow) == 0
    clock.forward(days=1)
    finish()
    assert everybody(workspace, flow) == 0


def test_it_goes_on_where_it_stopped(workspace, clock, monkeypatch):
    people(workspace, 10)
    flow = live(workspace, tag("t"), include_existing=True)
    flow.existing_after = 0
    db.session.commit()
    original, calls = enrollment._enroll_chunk, []

    def dying(*args):
        calls.append(args[0].existing_after)
        if len(calls) == 3:
            raise ZeroDivisionError
        return original(*args)

    monkeypatch.setattr(enrollment, "_enroll_chunk", dying)
    with pytest.raises(ZeroDivisionError):
        enrollment.enroll_existing(flow.id, 3)
    db.session.rollback()
    assert len(runs()) == 6
    assert enrollment.enroll_existing(flow.id, 3) == 4
    assert sorted({run.contact_id for run in runs()}) == sorted(run.contact_id for run in runs())


def test_those_who_came_by_an_event_meanwhile_are_left_out(workspace, clock):
    ids = people(workspace, 5)
    list_id = a_list(workspace, members=ids)
    flow = live(workspace, tag("t"), list=list_id, include_existing=True)
    join(list_id, ids[1:2])
    finish()
    join(list_id, ids[3:4])
    assert everybody(workspace, flow) == 3
    assert sorted(run.contact_id for run in runs()) == ids


@pytest.mark.parametrize(
    ("change", "enter"),
    [
        ({"state": "paused", "pause_mode": "hold"}, 0),
        ({"state": "paused", "pause_mode": "hold", "pause_reason": "a step failed"}, 3),
        ({"state": "stopped"}, 0),
        ({"closed": True}, 0),
    ],
)
def test_while_nobody_may_enter_they_wait_too(workspace, clock, queue, change, enter):
    people(workspace, 3)
    flow = live(workspace, tag("t"), include_existing=True)
    for name, value in change.items():
        setattr(flow, name, value)
    assert everybody(workspace, flow) == enter
    assert all(run.held for run in runs())
    queue.rings.clear()
    ticks.tick(clock.now)
    assert ("enroll", flow.id) not in queue.rings
    if not enter:
        flow.state, flow.closed = "active", False
        db.session.commit()
        ticks.tick(clock.now)
        assert ("enroll", flow.id) in queue.rings


def test_two_jobs_at_once_do_no_harm(workspace, clock, queue):
    people(workspace, 9)
    flow = live(workspace, tag("t"), include_existing=True)
    flow.existing_after = 0
    db.session.commit()
    queue.rings = [("enroll", flow.id)] * 3
    queue.drain()
    assert len(runs()) == 9


# --- events ----------------------------------------------------------------------------------------------


def test_an_event_of_a_contact_who_is_gone_is_left_out(workspace, clock):
    ids = people(workspace, 1)
    live(workspace, tag("t"))
    new = [events.NewEvent(workspace.id, one, "contact_created") for one in (ids[0], 10**9)]
    assert [event.contact_id for event in events.record_many(new)] == ids
    db.session.commit()
    assert [run.contact_id for run in runs()] == ids


def test_unmatched_events_of_a_contact_who_is_gone_are_done_with(workspace, clock, queue):
    ids = people(workspace, 2)
    live(workspace, tag("t"))
    for one in ids:
        db.session.add(
            Event(
                workspace_id=workspace.id,
                contact_id=one,
                type="contact_created",
                key=f"k{one}",
                at=clock.now,
                matched=False,
            )
        )
    db.session.execute(sa.delete(Contact).where(Contact.id == ids[0]))
    db.session.commit()
    assert events.match_unmatched() == 2
    assert [run.contact_id for run in runs()] == ids[1:]
    assert events.match_unmatched() == 0


def test_a_wait_hears_its_own_event_and_no_other(workspace, clock):
    list_id, ids = a_list(workspace), people(workspace, 2)
    buy = {"type": "wait_for_event", "event": "purchase", "at_most": {"days": 5}}
    live(workspace, {"key": "w", **buy, "then": [tag("yes")], "else": []}, list=list_id)
    join(list_id, ids)
    finish()
    clock.forward(hours=1)
    events.record(ids[0], "refund")
    events.record(ids[1], "purchase")
    db.session.commit()
    assert [run.due_at <= clock.now for run in runs()] == [False, True]


def test_each_of_two_waits_of_one_contact_hears_what_happened_since_it_began(workspace, clock):
    """The later wait must not hide the event from the earlier one."""
    list_id, ids = a_list(workspace), people(workspace, 1)
    buy = {"type": "wait_for_event", "event": "purchase", "at_most": {"days": 5}}
    live(workspace, {"key": "w", **buy, "then": [tag("yes")], "else": []}, name="First", list=list_id)
    live(workspace, wait("d"), {"key": "w", **buy, "then": [tag("yes")], "else": []}, name="Second", list=list_id)
    join(list_id, ids)
    finish()
    clock.forward(hours=12)
    events.record(ids[0], "purchase")
    db.session.commit()
    clock.forward(hours=12)  # the second begins to wait in the same batch in which the first is woken
    finish()
    clock.forward(days=5)
    finish()
    answers = [(row[4], row[3]) for row in ledger() if row[1] == "w" and row[4] in ("then", "else")]
    assert sorted(answer for answer, _ in answers) == ["else", "then"]


def test_a_wait_for_a_change_of_score_hears_a_flow_that_changes_it(workspace, clock):
    list_id, ids = a_list(workspace), people(workspace, 1)
    waiting = {"key": "w", "type": "wait_for_event", "event": "score_changed", "at_most": {"days": 5}}
    live(workspace, {**waiting, "then": [tag("yes")], "else": []}, name="Waits", list=list_id)
    live(workspace, wait("d"), {"key": "s", "type": "change_score", "points": 5}, name="Scores", list=list_id)
    join(list_id, ids)
    finish()
    clock.forward(days=1)
    settle()
    assert "yes" in [row[1] for row in ledger()]


def test_a_flow_without_anybody_who_listens_writes_no_event_for_a_changed_score(workspace, clock):
    list_id, ids = a_list(workspace), people(workspace, 1)
    live(workspace, {"key": "s", "type": "change_score", "points": 5}, list=list_id)
    join(list_id, ids)
    finish()
    assert set(db.session.scalars(sa.select(Event.type))) == {"list_joined"}


def test_recording_belongs_to_the_caller(workspace, clock):
    ids = people(workspace, 1)
    live(workspace, tag("t"))
    events.record(ids[0], "contact_created")
    db.session.rollback()
    assert runs() == []
    with extensions.workspace(workspace.id):
        assert db.session.scalar(sa.select(sa.func.count()).select_from(Event)) == 0


def test_cancelling_ends_live_runs_only(workspace, clock):
    list_id, ids = a_list(workspace), people(workspace, 2)
    live(workspace, wait("w"), name="Waits", list=list_id)
    live(workspace, tag("t"), name="Done", list=list_id)
    join(list_id, ids)
    finish()
    assert leaving.cancel(ids[:1], "contact_deleted") == 1
    db.session.commit()
    assert sorted(str(run.end_reason) for run in runs(Enrollment.contact_id == ids[0])) == [
        "contact_deleted",
        "finished",
    ]
    assert sorted(str(run.end_reason) for run in runs(Enrollment.contact_id == ids[1])) == ["None", "finished"]


def test_those_who_match_are_counted_up_to_a_number_and_for_some_seconds(workspace):
    found = a_list(workspace, members=people(workspace, 25))
    flow = live(workspace, wait("w"), list=found, include_existing=True)
    compiled = engine.compiled(flow.version_id)
    assert enrollment.count_existing(compiled, workspace.id, most=25) == (25, True)
    assert enrollment.count_existing(compiled, workspace.id, most=24) == (24, False)
    assert enrollment.count_existing(compiled, workspace.id, most=5) == (5, False)
    assert enrollment.count_existing(compiled, workspace.id, seconds=0) == (25, False)


def test_an_upsert_of_somebody_known_starts_nothing(workspace, clock):
    (one,) = people(workspace, 1)
    flow = live(workspace, wait("w"))
    email = db.session.scalar(sa.select(Contact.email).where(Contact.id == one))
    contacts.upsert({"email": email, "first_name": "Again"}, source="api")
    assert runs(Enrollment.flow_id == flow.id) == []


def test_adding_a_member_again_is_nothing_and_leaving_and_joining_again_is_a_new_event(workspace, clock):
    list_id, (one,) = a_list(workspace), people(workspace, 1)
    live(workspace, tag("t"), list=list_id, reentry="after_finish")
    for _ in range(2):
        lists.join(list_id, [one])
        engine.advance()
        clock.forward(minutes=1)
    assert len(runs()) == 1
    lists.leave(list_id, [one])
    lists.join(list_id, [one])
    engine.advance()
    assert [run.end_reason for run in runs()] == ["finished", "finished"]
