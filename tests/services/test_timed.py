"""Starting points that come again: birthdays and other dates of the contact, and silence."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from flowserver.errors import Invalid
from flowserver.extensions import db
from flowserver.models import Alert, Contact, Enrollment, Event, Field, Flow
from flowserver.services.engine import events, starts, ticks, timetable
from flowserver.services.flows import flows
from flowserver.services.people import fields, usage

from .town import client, people, runs, tag, wait

NINE = datetime(2026, 5, 5, 7, 0, tzinfo=UTC)  # 09:00 in Rome on the day after the tests begin


@pytest.fixture
def birthday(workspace):
    """A date field, and people who have one."""
    db.session.add(Field(workspace_id=workspace.id, key="birthday", label="Birthday", type="date", choices=[]))
    db.session.add(Field(workspace_id=workspace.id, key="city", label="City", type="text", choices=[]))
    db.session.commit()

    def born(*dates, at=workspace):
        return [people(at, 1, fields={"birthday": date} if date else {})[0] for date in dates]

    return born


def flow(kind, *steps, name="Flow", existing=None, **trigger) -> Flow:
    made = flows.create({"name": name, "trigger": {"type": kind, **trigger}, "steps": list(steps or [tag("t")])})
    flows.publish(made.id, include_existing=existing)
    return flows.get(made.id)


def go(clock, queue, moment):
    """The clock looks at a moment, and everything it rings for is done."""
    clock.now = moment
    queue.rings.clear()
    ticks.tick(clock.now)
    queue.drain()


def entered() -> list[int]:
    return [run.contact_id for run in runs()]


def seen(ids, moment) -> None:
    """When these contacts were last active."""
    c = Contact.__table__.c
    db.session.execute(sa.update(Contact.__table__).where(c.id.in_(ids)).values(last_activity_at=moment))
    db.session.commit()


# --- dates of the contact ----------------------------------------------------------------------------------


def test_a_birthday_starts_its_contact_on_the_day_each_year(workspace, clock, queue, birthday):
    today, _other, _none = birthday("1980-05-05", "1980-05-06", None)
    row = flow("date_field", field="birthday")
    assert row.starts_at == NINE
    go(clock, queue, NINE - timedelta(seconds=1))
    assert entered() == []
    go(clock, queue, NINE)
    assert entered() == [today] and flows.get(row.id).starts_at == NINE + timedelta(days=1)
    go(clock, queue, NINE + timedelta(hours=5))
    assert entered() == [today]
    for year in (2027, 2028):
        clock.now = datetime(year, 5, 5, 6, 59, tzinfo=UTC)
        timetable.schedule(flows.get(row.id), clock.now)
        db.session.commit()
        go(clock, queue, datetime(year, 5, 5, 7, 0, tzinfo=UTC))
    assert entered() == [today] * 3


def test_29_february_is_the_28th_where_there_is_none(workspace, clock, queue, birthday):
    leap, plain = birthday("2004-02-29", "2004-02-28")
    flow("date_field", field="birthday")
    for year, day, wanted in ((2027, 28, [leap, plain]), (2028, 28, [plain]), (2028, 29, [leap])):
        clock.now = datetime(year, 2, day, 7, 59, tzinfo=UTC)
        (row,) = db.session.scalars(sa.select(Flow))
        timetable.schedule(row, clock.now)
        db.session.commit()
        before = len(runs())
        go(clock, queue, datetime(year, 2, day, 8, 0, tzinfo=UTC))
        assert entered()[before:] == wanted


def test_days_before_and_days_after_and_once(workspace, clock, queue, birthday):
    soon, past, year_ago = birthday("2026-05-08", "2026-05-02", "2025-05-08")
    flow("date_field", field="birthday", when="before", days=3, every="once", name="Before")
    flow("date_field", field="birthday", when="after", days=3, every="once", name="After")
    flow("date_field", field="birthday", when="before", days=3, name="Yearly")
    go(clock, queue, NINE)
    found = {(run.flow_id, run.contact_id) for run in runs()}
    one, two, three = sorted({run.flow_id for run in runs()})
    assert found == {(one, soon), (two, past), (three, soon), (three, year_ago)}


def test_a_date_that_is_still_to_come_has_no_anniversary_yet(workspace, clock, queue, birthday):
    birthday("2030-05-05")
    flow("date_field", field="birthday")
    go(clock, queue, NINE)
    assert entered() == []


def test_a_date_changed_later_counts_as_it_stands_on_the_day(workspace, clock, queue, birthday):
    moved_away, moved_here = birthday("1980-05-05", "1980-07-01")
    flow("date_field", field="birthday")
    for one, value in ((moved_away, "1980-07-01"), (moved_here, "1980-05-05")):
        db.session.get(Contact, one).fields = {"birthday": value}
    db.session.commit()
    go(clock, queue, NINE)
    assert entered() == [moved_here]


def test_a_server_that_was_down_makes_the_last_day_good_and_says_what_was_missed(workspace, clock, queue, birthday):
    birthday("1980-05-05", "1980-05-06", "1980-05-07", "1980-05-08")
    flow("date_field", field="birthday")
    go(clock, queue, NINE + timedelta(days=3, hours=1))  # the 8th, 10:00
    go(clock, queue, NINE + timedelta(days=3, hours=1, minutes=1))
    assert [run.triggered_at for run in runs()] == [NINE + timedelta(days=3)]
    assert list(db.session.scalars(sa.select(Alert.kind))) == ["flow_missed"]
    (row,) = db.session.scalars(sa.select(Flow))
    assert row.broken == "" and row.starts_at == NINE + timedelta(days=4)


def test_what_came_during_a_pause_is_passed_over(workspace, clock, queue, birthday):
    birthday("1980-05-05", "1980-05-06")
    row = flow("date_field", field="birthday")
    flows.pause(row.id)
    go(clock, queue, NINE + timedelta(hours=1))
    flows.resume(row.id)
    go(clock, queue, NINE + timedelta(hours=2))
    assert entered() == []
    go(clock, queue, NINE + timedelta(days=1))
    assert len(entered()) == 1


def test_the_clients_new_time_zone_counts_from_the_next_day_on(workspace, clock, queue, birthday):
    birthday("1980-05-05", "1980-05-05")
    flow("date_field", field="birthday")
    workspace.time_zone = "America/New_York"
    db.session.commit()
    go(clock, queue, NINE)
    assert entered() == []
    go(clock, queue, NINE + timedelta(hours=6))
    assert len(entered()) == 2


def test_a_field_that_is_none_or_no_date_is_refused_and_one_in_use_is_not_deleted(workspace, clock, birthday):
    for name, words in (
        ("city", "There is no date field “city” in this client"),
        ("nothing", "There is no date field “nothing” in this client"),
    ):
        with pytest.raises(Invalid) as error:
            flow("date_field", field=name)
        assert error.value.messages == {"trigger.field": [words]}
    flow("date_field", field="Birthday")  # by its label, as people write it
    with pytest.raises(usage.InUse):
        fields.remove(db.session.scalar(sa.select(Field.id).where(Field.key == "birthday")))


def test_another_clients_birthdays_are_theirs(workspace, clock, queue, birthday):
    other = client("other")
    birthday("1980-05-05", at=other)
    flow("date_field", field="birthday")
    go(clock, queue, NINE)
    assert entered() == []


# --- silence -----------------------------------------------------------------------------------------------


def test_those_who_cross_the_line_enter_at_the_next_look_once(workspace, clock, queue):
    crosses, active, long_gone = people(workspace, 3, created_at=clock.now - timedelta(days=400))
    seen([crosses], NINE - timedelta(days=30, minutes=5))
    seen([active], NINE - timedelta(days=29, hours=23))
    seen([long_gone], NINE - timedelta(days=100))
    flow("inactivity", wait("w", days=300), days=30)
    go(clock, queue, NINE)
    assert entered() == [crosses]
    go(clock, queue, NINE + timedelta(days=1))
    assert entered() == [crosses, active]
    go(clock, queue, NINE + timedelta(days=2))
    assert len(entered()) == 2


def test_one_nobody_has_ever_seen_counts_from_coming_into_the_address_book(workspace, clock, queue):
    (old,) = people(workspace, 1, created_at=NINE - timedelta(days=30, hours=1))
    people(workspace, 1, created_at=NINE)
    flow("inactivity", days=30)
    go(clock, queue, NINE)
    assert entered() == [old]


def test_those_who_are_silent_already_enter_when_it_is_ticked(workspace, clock, queue):
    silent = people(workspace, 2, created_at=clock.now - timedelta(days=400))
    people(workspace, 1, created_at=clock.now - timedelta(days=3))
    row = flows.create({"name": "F", "trigger": {"type": "inactivity", "days": 30}, "steps": [wait("w")]})
    assert flows.would_start(row).contacts == 2
    flows.publish(row.id, include_existing=True)
    queue.drain()
    assert entered() == silent


def test_a_look_that_was_missed_is_made_good_by_the_next_one(workspace, clock, queue):
    (crosses,) = people(workspace, 1, created_at=clock.now - timedelta(days=400))
    seen([crosses], NINE - timedelta(days=30, minutes=5))
    flow("inactivity", wait("w"), days=30)
    go(clock, queue, NINE + timedelta(days=5, hours=1))
    assert entered() == [crosses] and list(db.session.scalars(sa.select(Alert.kind))) == []


def test_going_live_anew_between_two_looks_loses_nobody(workspace, clock, queue, birthday):
    (crosses,) = people(workspace, 1, created_at=clock.now - timedelta(days=400))
    seen([crosses], NINE - timedelta(days=30, minutes=5))
    [born] = birthday("1990-05-05")
    silent, feast = (
        flow("inactivity", wait("w"), days=30),
        flow("date_field", wait("w"), name="Feast", field="birthday"),
    )
    clock.now = NINE + timedelta(seconds=3)  # their moment has come, the clock has not looked yet
    for row in (silent, feast):
        flows.save_draft(row.id, {**row.draft, "steps": [wait("w"), tag("t")]}, row.draft_number)
        flows.publish(row.id)
    go(clock, queue, NINE + timedelta(seconds=10))
    assert entered() == [crosses, born]


def test_another_time_of_the_daily_look_loses_nobody_who_crossed_the_line_meanwhile(workspace, clock, queue):
    (crosses,) = people(workspace, 1, created_at=clock.now - timedelta(days=400))
    seen([crosses], NINE - timedelta(days=30, minutes=-30))  # silent for 30 days at 09:30
    row = flow("inactivity", wait("w"), days=30)
    go(clock, queue, NINE)
    assert entered() == []
    clock.now = NINE + timedelta(hours=1)
    trigger = {**row.draft["trigger"], "time": "08:00"}
    flows.save_draft(row.id, {**flows.get(row.id).draft, "trigger": trigger}, flows.get(row.id).draft_number)
    flows.publish(row.id)
    go(clock, queue, NINE + timedelta(hours=23))
    assert entered() == [crosses]


def test_a_sign_of_life_while_waiting_to_start_undoes_it(workspace, clock, queue):
    ids = people(workspace, 2, created_at=NINE - timedelta(days=30, hours=1))
    flow("inactivity", days=30, wait={"days": 2})
    go(clock, queue, NINE)
    events.record(ids[0], "purchase")
    db.session.commit()
    go(clock, queue, NINE + timedelta(days=2))
    assert {run.contact_id: run.end_reason for run in runs()} == {ids[0]: "start_undone", ids[1]: "finished"}


@pytest.mark.parametrize("type", ["purchase", "page_visited", "form_filled", "event_checked_in"])
def test_what_a_contact_does_is_activity_and_old_news_does_not_turn_it_back(workspace, clock, type):
    (one,) = people(workspace, 1)
    for at in (clock.now, clock.now - timedelta(days=5), clock.now + timedelta(days=5)):
        events.record(one, type, at=at)
        db.session.commit()
    assert db.session.scalar(sa.select(Contact.last_activity_at)) == clock.now


def test_other_events_are_no_activity(workspace, clock):
    (one,) = people(workspace, 1)
    for type in ("tag_added", "unsubscribed", "field_changed"):
        events.record(one, type)
    db.session.commit()
    assert db.session.scalar(sa.select(Contact.last_activity_at)) is None
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Event)) == 3


def test_a_large_address_book_is_looked_through_in_windows(workspace, clock, queue, monkeypatch):
    from flowserver.services.engine import audience

    monkeypatch.setattr(audience, "WINDOW", 4)
    monkeypatch.setattr(starts, "CHUNK", 2)
    ids = people(workspace, 11, created_at=NINE - timedelta(days=30, hours=1))
    seen(ids[3:9], NINE)
    flow("inactivity", wait("w"), days=30)
    go(clock, queue, NINE)
    assert sorted(entered()) == ids[:3] + ids[9:]
    assert db.session.scalar(sa.select(sa.func.count(sa.distinct(Enrollment.event_key)))) == 1
