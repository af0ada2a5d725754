"""The same reports in any order, any number of times, cut into any requests: the same people are in the same flows."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowserver.extensions import db
from flowserver.models import Enrollment, Event, Purchase
from flowserver.services.engine import engine
from flowserver.services.flows import flows
from flowserver.services.people import reported

from .town import people, wait

STARTS = {
    "Bought": {"type": "purchase"},
    "Spent": {"type": "spend_threshold", "amount": 100, "days": 30},
    "Booked": {"type": "event_registered"},
    "Came": {"type": "custom_event", "event": "came_by"},
    "Happy": {"type": "nps_answered", "band": "promoters"},
    "App": {"type": "app_installed"},
}
REPORTS = [  # whose, what, its id, properties
    (0, "purchase", "A", {"order": "A", "amount": 60}),
    (0, "purchase", "B", {"order": "B", "amount": 50}),
    (1, "purchase", "C", {"order": "C", "amount": 99}),
    (1, "event_registered", "r", {"event": "fair"}),
    (2, "came_by", "c1", {"door": 1}),
    (2, "came_by", "c2", {"door": 2}),
    (0, "nps_answered", "n", {"score": 9}),
    (2, "nps_answered", "m", {"score": 3}),
    (1, "app_installed", "p", {}),
    (0, "refund", "x", {"order": "A", "amount": 5}),
]
EXPECTED = {("Bought", 0), ("Bought", 1), ("Spent", 0), ("Booked", 1), ("Came", 2), ("Happy", 0), ("App", 1)}
ORDERS = st.lists(st.integers(0, len(REPORTS) - 1), max_size=12).flatmap(
    lambda again: st.permutations([*range(len(REPORTS)), *again])
)


@pytest.fixture
def live(workspace, clock):
    made = {}
    for name, trigger in STARTS.items():
        row = flows.create({"name": name, "trigger": {"wait": {"minutes": 0}, **trigger}, "steps": [wait("w", days=9)]})
        flows.publish(row.id)
        made[row.id] = name
    clock.forward(hours=1)
    return made


def test_any_order_and_repetition_puts_the_same_people_into_the_same_flows(workspace, clock, live):
    rounds = iter(range(10_000))

    @settings(max_examples=20, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(order=ORDERS, size=st.integers(1, 7))
    def run(order, size):
        mark, ids = next(rounds), people(workspace, 3)
        told = [_report(number, mark, ids, clock) for number in order]
        for start in range(0, len(told), size):
            reported.take_many(told[start : start + size])
            engine.advance()
        # a refund that came before its purchase was refused then, and is told again by whoever sent it
        reported.take_many([_report(number, mark, ids, clock) for number in range(len(REPORTS))])
        found = db.session.execute(
            sa.select(Enrollment.flow_id, Enrollment.contact_id).where(Enrollment.contact_id.in_(ids))
        ).all()
        assert sorted((live[flow_id], ids.index(contact)) for flow_id, contact in found) == sorted(EXPECTED)
        left = sa.select(sa.func.sum(Purchase.amount - Purchase.refunded)).where(Purchase.contact_id.in_(ids))
        assert float(db.session.scalar(left)) == 60 + 50 + 99 - 5
        told_once = sa.select(Event.key).where(Event.contact_id.in_(ids), Event.type == "came_by")
        assert len(db.session.scalars(told_once).all()) == 2

    run()


def _report(number, mark, ids, clock):
    whose, type, id, properties = REPORTS[number]
    own = {**properties, **({"order": f"{properties['order']}-{mark}"} if "order" in properties else {})}
    at = clock.now - timedelta(minutes=len(REPORTS) - number)
    return {"type": type, "contact": {"id": ids[whose]}, "id": f"{id}-{mark}", "occurred_at": at, "properties": own}
