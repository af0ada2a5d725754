"""Ways through a flow: what comes before, how long it takes, what comes next."""

from __future__ import annotations

from datetime import timedelta

from flowserver.domain import definition, flow_graph
from flowserver.nodes import catalogue

DAY = timedelta(days=1)


def compiled(*steps, wait=None):
    trigger = {"type": "list_joined", "scope": "any", "wait": wait or {"minutes": 10}}
    return definition.compile(
        {"name": "F", "trigger": trigger, "steps": list(steps)}, catalogue.triggers(), catalogue.actions(), lenient=True
    )


def mail(key):
    return {"key": key, "type": "send_email", "subject": "S", "body": [{"type": "text", "text": "T"}]}


def wait(key, **span):
    return {"key": key, "type": "wait", "for": span}


def branch(key, then=(), else_=()):
    return {"key": key, "type": "if_else", "if": {"type": "has_phone"}, "then": list(then), "else": list(else_)}


FLOW = compiled(
    mail("a"),
    wait("w", days=2),
    branch("b", [mail("c"), wait("w2", days=3)], [mail("d")]),
    wait("w3", days=1),
    mail("e"),
)


def test_before_names_the_steps_on_some_path():
    assert [step.key for step in flow_graph.before(FLOW, "e")] == ["a", "w", "b", "c", "w2", "d", "w3"]
    assert [step.key for step in flow_graph.before(FLOW, "d")] == ["a", "w", "b"]
    assert flow_graph.before(FLOW, "a") == []


def test_arrivals_tell_the_earliest_and_the_latest_day():
    at = flow_graph.arrivals(FLOW)
    assert at["c"].least == at["c"].most == timedelta(days=2, minutes=10)
    assert (at["e"].least, at["e"].most) == (timedelta(days=3, minutes=10), timedelta(days=6, minutes=10))


def test_a_wait_until_is_known_within_its_day_and_a_date_not_at_all():
    flow = compiled(
        {"key": "u", "type": "wait", "until": {"weekday": "friday", "time": "09:00"}},
        mail("a"),
        {"key": "v", "type": "wait", "until": {"date": "2027-01-01"}},
        mail("b"),
    )
    at = flow_graph.arrivals(flow)
    assert (at["a"].least, at["a"].most, at["a"].known) == (timedelta(minutes=10), timedelta(days=7, minutes=10), True)
    assert not at["b"].known


def test_the_next_number_skips_waits():
    assert flow_graph.next_number(FLOW, "w3") == 5
    assert flow_graph.next_number(FLOW, None) is None


def test_the_longest_way_counts_days_and_messages():
    time, messages = flow_graph.longest(FLOW)
    assert (time, messages) == (timedelta(days=6, minutes=10), 3)
    assert flow_graph.longest(compiled()) == (timedelta(minutes=10), 0)


def test_the_shortest_time_between_two_steps():
    assert flow_graph.shortest(FLOW, "a", "b") == 2 * DAY
    assert flow_graph.shortest(FLOW, "a", "e") == 3 * DAY
    assert flow_graph.shortest(FLOW, "c", "d") is None


def test_what_stands_behind_an_end_is_not_reached():
    flow = compiled(mail("a"), {"key": "x", "type": "end"}, mail("b"))
    assert flow_graph.reached(flow) == {"a", "x"}


def test_messages_can_show_what_the_start_and_the_steps_before_them_bring():
    steps = [mail("first"), {"key": "give", "type": "assign_coupon", "campaign": 1}, mail("second")]
    trigger = {"type": "coupon", "campaign": 1, "event": "used"}
    flow = definition.compile(
        {"name": "F", "trigger": trigger, "steps": steps}, catalogue.triggers(), catalogue.actions(), lenient=True
    )
    assert list(flow_graph.brought(flow, "first")) == ["code", "value", "place", "amount"]
    assert list(flow_graph.brought(flow, "second"))[4:] == ["coupon", "coupon_value", "coupon_until"]
    assert flow_graph.brought(flow, "nowhere")["code"] == "Coupon code"
