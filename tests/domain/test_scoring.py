"""What a score rule counts: words there are, once in its slot."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from flowserver.domain import scoring
from flowserver.domain.steps import EVENTS
from flowserver.services.flows.options import SOURCES

LATE = datetime(2026, 5, 4, 22, 30, tzinfo=UTC)  # half past midnight in Rome
ROME = ZoneInfo("Europe/Rome")


def test_every_act_is_an_event_and_is_narrowed_to_something_there_is():
    assert set(scoring.ACTS) <= EVENTS
    assert {act.source for act in scoring.ACTS.values()} <= {"", "text", *SOURCES}
    assert not {"score_changed", "field_changed"} & set(scoring.ACTS), "a score must not bring a score"


def test_a_slot_is_the_event_the_clients_day_or_all_time():
    assert scoring.slot("every", "order:1", LATE, ROME) == "order:1"
    assert scoring.slot("every", "k" * 200, LATE, ROME) == "k" * 120
    assert scoring.slot("daily", "order:1", LATE, ROME) == "day:2026-05-05"
    assert scoring.slot("daily", "order:1", LATE, ZoneInfo("UTC")) == "day:2026-05-04"
    assert scoring.slot("once", "order:1", LATE, ROME) == "once"
