"""What becomes of the people inside when a flow is paused, goes on, or is stopped."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from flowserver import clock as time_now
from flowserver.errors import Conflict
from flowserver.extensions import db
from flowserver.models import Enrollment, Flow, Message
from flowserver.services.engine import engine, events, flow_state, ticks
from flowserver.services.flows import flows

from .town import MAIL, a_list, join, live, messages, people, runs, sound, tag, wait

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@pytest.fixture
def inside(workspace, clock):
    """``inside(n, *steps)``: a live flow with n people who stand at their first wait."""

    def make(count: int, *steps, **trigger) -> Flow:
        list_id = a_list(workspace)
        flow = live(workspace, *steps, list=list_id, **trigger)
        join(list_id, people(workspace, count))
        engine.batch()
        return flow

    return make


def due() -> list:
    return [run.due_at for run in runs()]


def test_freeze_moves_waits_by_the_time_they_stood_still(inside, clock):
    flow = inside(2, wait("w", days=3), tag("t"))
    start = clock.now
    clock.forward(days=1)
    flows.pause(flow.id, "freeze")
    clock.forward(days=5)
    assert engine.batch() == 0
    flows.resume(flow.id)
    assert due() == [start + 8 * DAY] * 2  # three days of waiting, five of standing still
    clock.forward(days=2)
    assert engine.batch() == 2


def test_freeze_leaves_dates_where_they_are_and_what_has_passed_goes_on_at_once(inside, clock):
    flow = inside(1, {"key": "w", "type": "wait", "until": {"date": "2026-05-06", "time": "09:00"}}, tag("t"))
    flows.pause(flow.id, "freeze")
    clock.forward(days=1)
    flows.resume(flow.id)
    assert due()[0].isoformat() == "2026-05-06T07:00:00+00:00"
    flows.pause(flow.id, "freeze")
    clock.forward(days=5)
    flows.resume(flow.id)
    assert due() == [clock.now]


def test_hold_lets_the_clock_run_and_spreads_what_fell_due(inside, clock, monkeypatch):
    flow = inside(5, wait("w", days=3), tag("t"))
    monkeypatch.setattr(flow_state, "_spread", lambda now, place: now + timedelta(seconds=place // 2 * 10))
    flows.pause(flow.id, "hold")
    clock.forward(days=4)
    assert engine.batch() == 0
    flows.resume(flow.id)
    assert sorted(moment - clock.now for moment in due()) == [timedelta(seconds=s) for s in (0, 0, 10, 10, 20)]


def test_a_thousand_overdue_people_go_on_each_ten_seconds_for_an_hour_at_most(clock):
    seconds = [(flow_state._spread(clock.now, place) - clock.now).seconds for place in (0, 999, 1000, 5000, 10**7)]
    assert seconds == [0, 0, 10, 50, 3600]


def test_hold_and_back_before_anything_fell_due_changes_nothing(inside, clock):
    flow = inside(2, wait("w", days=3))
    before = due()
    flows.pause(flow.id, "hold")
    clock.forward(days=1)
    flows.resume(flow.id)
    assert due() == before and not any(run.held for run in runs())


def test_skip_lets_people_walk_on_without_messages(inside, clock):
    flow = inside(1, wait("w"), {"key": "mail", **MAIL}, tag("t"))
    flows.pause(flow.id, "skip")
    clock.forward(days=1)
    engine.batch()
    assert runs()[0].end_reason == "finished"
    assert [(row.state, row.reason) for row in messages()] == [("skipped", "paused")]


def test_nobody_enters_while_a_person_has_paused_the_flow(inside, workspace, clock):
    flow = inside(1, wait("w"))
    flows.pause(flow.id, "hold")
    join(flow.draft["trigger"]["list"], people(workspace, 1))
    assert len(runs()) == 1


def test_one_who_slipped_in_is_held_when_it_falls_due(inside, clock):
    """Between the pause and the holding of everybody a clock may find somebody due."""
    flow = inside(2, wait("w"), {"key": "mail", **MAIL})
    clock.forward(days=1)
    db.session.execute(
        sa.update(Flow).where(Flow.id == flow.id).values(state="paused", pause_mode="freeze", paused_at=clock.now)
    )
    db.session.commit()
    engine.batch()
    assert [run.held for run in runs()] == [True, True] and not messages()
    clock.forward(days=1)
    flows.resume(flow.id)
    engine.batch()
    assert len(messages()) == 2


def test_an_event_during_a_freeze_counts_at_once_when_it_is_over(inside, workspace, clock):
    bought = {"type": "wait_for_event", "event": "purchase", "at_most": {"days": 10}}
    flow = inside(1, {"key": "w", **bought, "then": [tag("yes")], "else": []})
    flows.pause(flow.id, "freeze")
    clock.forward(days=2)
    events.record(runs()[0].contact_id, "purchase")
    db.session.commit()
    assert engine.batch() == 0
    clock.forward(days=2)
    flows.resume(flow.id)
    assert due() == [clock.now]
    engine.batch()
    assert runs()[0].step == "yes"


def test_stop_ends_everybody_for_good(inside, workspace, clock):
    flow = inside(3, wait("w"), {"key": "mail", **MAIL})
    other = live(workspace, wait("w"), name="Other", list=flow.draft["trigger"]["list"])
    join(other.draft["trigger"]["list"], people(workspace, 1))
    engine.batch()
    flows.stop(flow.id)
    assert [(run.end_reason, run.ended_at) for run in runs(Enrollment.flow_id == flow.id)] == [
        ("flow_stopped", clock.now)
    ] * 4
    assert runs(Enrollment.flow_id == other.id)[0].due_at is not None
    with pytest.raises(Conflict):
        flows.resume(flow.id)
    sound()


def test_stop_keeps_the_end_of_those_who_had_ended(inside, clock):
    flow = inside(1, tag("t"))
    ended = runs()[0].ended_at
    clock.forward(days=1)
    flows.stop(flow.id)
    assert (runs()[0].end_reason, runs()[0].ended_at) == ("finished", ended)


def test_whoever_enters_a_stopped_flow_in_the_last_moment_is_ended_when_due(inside, workspace, clock):
    flow = inside(1, wait("w"))
    flows.stop(flow.id)
    db.session.execute(
        sa.insert(Enrollment.__table__).values(
            workspace_id=workspace.id, flow_id=flow.id, version_id=flow.version_id, contact_id=people(workspace, 1)[0],
            event_key="late", chain=0, step="", visit=1, due_at=clock.now, due_kind="relative", held=False,
            triggered_at=clock.now,
        )
    )  # fmt: skip
    db.session.commit()
    engine.batch()
    assert {run.end_reason for run in runs()} == {"flow_stopped"}


# --- in chunks, with crashes in between ------------------------------------------------------------------


class Crash(Exception):
    """The process is gone."""


def crash_after(monkeypatch, chunks: int):
    """Let so many chunks through, then die."""
    monkeypatch.setattr(flow_state, "CHUNK", 3)
    original, left = flow_state._chunks, [chunks]

    def dying(*args):
        for ids in original(*args):
            if not left[0]:
                raise Crash
            left[0] -= 1
            yield ids

    monkeypatch.setattr(flow_state, "_chunks", dying)
    return lambda: monkeypatch.setattr(flow_state, "_chunks", original)


def rings(queue, job: str) -> list:
    queue.rings.clear()
    for second in range(60):
        ticks.tick(time_now.now().replace(minute=0, second=second))
    return [ring for ring in queue.rings if ring[0] == job]


def test_a_crash_in_the_middle_of_a_resume_strands_nobody(inside, clock, queue, monkeypatch):
    flow = inside(10, wait("w", days=3), tag("t"))
    start = clock.now
    flows.pause(flow.id, "freeze")
    clock.forward(days=5)
    revive = crash_after(monkeypatch, 2)
    with pytest.raises(Crash):
        flows.resume(flow.id)
    db.session.rollback()
    assert [run.held for run in runs()].count(True) == 4
    revive()
    clock.forward(hours=1)
    assert rings(queue, "settle") == [("settle", flow.id)]
    queue.drain()
    assert not any(run.held for run in runs())
    # those who were let go late stood still an hour longer
    assert sorted(due()) == [start + 8 * DAY] * 6 + [start + 8 * DAY + HOUR] * 4
    assert rings(queue, "settle") == []
    flows.pause(flow.id, "hold")  # and it can be paused again


def test_until_all_are_let_go_it_cannot_be_paused_again(inside, clock, monkeypatch):
    flow = inside(10, wait("w", days=3))
    flows.pause(flow.id, "freeze")
    clock.forward(days=1)
    revive = crash_after(monkeypatch, 1)
    with pytest.raises(Crash):
        flows.resume(flow.id)
    db.session.rollback()
    with pytest.raises(Conflict, match="still being let go"):
        flows.pause(flow.id, "freeze")
    db.session.rollback()
    revive()
    flow_state.settle(flow.id)
    flows.pause(flow.id, "freeze")


def test_a_crash_in_the_middle_of_a_pause_moves_nobody(inside, clock, monkeypatch):
    flow = inside(10, wait("w"), {"key": "mail", **MAIL})
    crash_after(monkeypatch, 1)
    with pytest.raises(Crash):
        flows.pause(flow.id, "freeze")
    db.session.rollback()
    clock.forward(days=1)
    while engine.batch():
        pass
    assert all(run.held and run.step == "w" for run in runs()) and not messages()


def test_a_crash_in_the_middle_of_a_stop_leaves_nobody_inside(inside, clock, queue, monkeypatch):
    flow = inside(10, wait("w"))
    flows.pause(flow.id, "hold")
    revive = crash_after(monkeypatch, 1)
    with pytest.raises(Crash):
        flows.stop(flow.id)
    db.session.rollback()
    revive()
    assert ("settle", flow.id) in rings(queue, "settle")
    queue.rings = [("settle", flow.id)]
    queue.drain()
    assert {run.end_reason for run in runs()} == {"flow_stopped"}


@pytest.mark.parametrize("what", ["pause", "resume", "stop"])
def test_a_page_does_a_part_and_a_job_the_rest(inside, clock, queue, monkeypatch, what):
    flow = inside(10, wait("w"))
    if what == "resume":
        flows.pause(flow.id, "freeze")
    monkeypatch.setattr(flow_state, "CHUNK", 3)
    times = iter(range(0, 10**6, 10))  # each look at the clock finds ten seconds gone
    monkeypatch.setattr(flow_state.time, "monotonic", lambda: next(times))
    queue.rings.clear()
    {"pause": flows.pause, "resume": flows.resume, "stop": flows.stop}[what](flow.id)
    done = {"pause": lambda r: r.held, "resume": lambda r: not r.held, "stop": lambda r: r.end_reason}[what]
    assert sum(bool(done(run)) for run in runs()) == 3
    assert ("settle", flow.id) in queue.rings
    queue.rings = [("settle", flow.id)]
    queue.drain()
    assert all(done(run) for run in runs())


def test_a_pause_during_a_release_stops_it(inside, clock, monkeypatch):
    flow = inside(9, wait("w"))
    flows.pause(flow.id, "hold")
    monkeypatch.setattr(flow_state, "CHUNK", 3)
    original, calls = flow_state._spread, []

    def paused_by_the_engine(now, place):
        if len(calls) == 3:
            db.session.execute(sa.update(Flow).where(Flow.id == flow.id).values(state="paused", pause_mode="hold"))
        calls.append(place)
        return original(now, place)

    clock.forward(days=2)
    monkeypatch.setattr(flow_state, "_spread", paused_by_the_engine)
    flows.resume(flow.id)
    assert [run.held for run in runs()].count(True) == 3


def test_the_engine_says_once_why_it_paused(inside, clock, queue):
    flow = inside(2, wait("w"))
    for _ in range(3):
        flow_state.pause_by_engine(flow.id, "template")
    from flowserver.models import Alert

    (alert,) = db.session.scalars(sa.select(Alert))
    assert (alert.kind, alert.subject, alert.params) == ("flow_paused", f"flow:{flow.id}", {"flow": "Flow"})
    flows.resume(flow.id)
    assert db.session.scalars(sa.select(Alert.resolved_at)).one() is not None
    assert db.session.get(Flow, flow.id).paused_at is None


def test_a_stopped_flow_stays_stopped_whatever_the_engine_finds(inside, clock):
    flow = inside(1, wait("w"))
    flows.stop(flow.id)
    flow_state.pause_by_engine(flow.id, "failing")
    assert db.session.get(Flow, flow.id).state == "stopped"


def test_a_mail_that_was_planned_before_a_pause_is_not_the_engines_to_take_back(inside, clock):
    flow = inside(1, {"key": "mail", **MAIL}, wait("w"))
    flows.pause(flow.id, "freeze")
    assert [row.state for row in messages(Message.flow_id == flow.id)] == ["planned"]


def test_whoever_is_ended_has_the_reason_in_the_history_and_nobody_else(inside, workspace, clock):
    flow = inside(2, wait("w"))
    short = live(workspace, tag("t"), name="Short", list=flow.draft["trigger"]["list"])
    join(short.draft["trigger"]["list"], people(workspace, 1))
    engine.batch()
    flows.stop(flow.id)
    flow_state.note_ends([run.id for run in runs()], "flow_stopped")  # a second job that was behind
    db.session.commit()
    from .town import ledger

    assert [row[4:6] for row in ledger() if row[5] == "flow_stopped"] == [("left", "flow_stopped")] * 3
