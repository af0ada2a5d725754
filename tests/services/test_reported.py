"""What other systems report, as flows hear it: who starts, who does not, what undoes a start, and each once."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa

from flowserver import extensions as ext
from flowserver.extensions import db
from flowserver.models import Cart, Contact, Enrollment, Event, Message, Purchase
from flowserver.services.engine import engine, ticks
from flowserver.services.people import reported, sales

from .town import MAIL, client, live, people, runs

ADA = {"email": "ada@example.com"}


@pytest.fixture
def flow(workspace, clock):
    """``flow("purchase", at_least=50)``: a live flow with this starting point."""

    made = []

    def make(type_, *steps, **settings):
        steps = steps or [{"key": "wait", "type": "wait", "for": {"days": 1}}]
        row = live(workspace, *steps, name=f"Flow {len(made)}", type=type_, **settings)
        made.append(row)
        row.trigger_type = type_
        db.session.commit()
        return row

    return make


def tell(type_, contact=None, at=None, id=None, **properties):
    raw = {"type": type_, "contact": contact or ADA, "properties": properties}
    if at is not None:
        raw["occurred_at"] = at
    if id is not None:
        raw["id"] = id
    return reported.take(raw)


def buy(order, amount, contact=None, at=None, **more):
    return tell("purchase", contact, at, order=order, amount=amount, **more)


def inside(flow):
    """How many runs of a flow are live."""
    return len(runs(Enrollment.flow_id == flow.id, Enrollment.due_at.is_not(None)))


# --- starting ----------------------------------------------------------------------------------------------


def test_each_event_starts_the_flows_that_listen_and_brings_its_properties(flow, clock):
    flows = {
        "purchase": flow("purchase", at_least=40, category="Kitchen"),
        "event_registered": flow("event_registered", event="Expo"),
        "event_checked_in": flow("event_checked_in"),
        "document_requested": flow("document", act="requested"),
        "document_downloaded": flow("document", document="Guide"),
        "app_installed": flow("app_installed"),
        "nps_answered": flow("nps_answered", band="promoters"),
        "test_drive_booked": flow("custom_event", event="test_drive_booked", property="model", value="Cinquecento"),
    }
    wrong = [
        ("purchase", {"order": "1", "amount": 39.99, "items": [{"category": "Kitchen"}]}),
        ("purchase", {"order": "2", "amount": 60, "items": [{"category": "Garden"}]}),
        ("event_registered", {"event": "Another"}),
        ("document_downloaded", {"document": "Another"}),
        ("nps_answered", {"score": 8}),
        ("test_drive_booked", {"model": "Panda"}),
        ("test_drive_cancelled", {"model": "Cinquecento"}),
    ]
    for type_, properties in wrong:
        tell(type_, **properties)
    assert runs() == []
    right = {
        "purchase": {"order": "3", "amount": 40, "items": [{"name": "Mug", "category": "kitchen"}]},
        "event_registered": {"event": "Expo"},
        "event_checked_in": {"event": "Anything"},
        "document_requested": {"document": "Anything"},
        "document_downloaded": {"document": "Guide"},
        "app_installed": {},
        "nps_answered": {"score": 9},
        "test_drive_booked": {"model": "cinquecento"},
    }
    for type_, properties in right.items():
        tell(type_, **properties)
        assert inside(flows[type_]) == 1, type_
    brought = runs(Enrollment.flow_id == flows["purchase"].id)[0].data
    assert brought["order"] == "3" and brought["items"][0]["name"] == "Mug"
    assert len(runs()) == len(flows)


def test_a_new_contact_starts_the_flows_of_new_contacts_and_of_the_event(flow, workspace):
    welcome, thanks = (
        live(workspace, {"key": "w", "type": "wait", "for": {"days": 1}}, name="Welcome"),
        flow("purchase"),
    )
    buy("A-1", 5)
    assert inside(welcome) == inside(thanks) == 1


def test_events_before_going_live_and_those_of_long_ago_start_nothing(flow, clock):
    thanks = flow("purchase")
    buy("A-1", 5, at=clock.now - timedelta(seconds=1))
    clock.forward(days=30)
    buy("A-2", 5, at=clock.now - timedelta(days=8))
    assert inside(thanks) == 0 and db.session.scalar(sa.select(sa.func.count(Purchase.id))) == 2
    buy("A-3", 5, at=clock.now - timedelta(days=6))
    assert inside(thanks) == 1


def test_the_same_order_or_id_never_starts_a_second_run(flow, clock):
    thanks, booked = flow("purchase"), flow("custom_event", event="booked")
    for _ in range(3):
        buy("A-1", 5)
        tell("booked", id="e-1")
        db.session.execute(
            sa.update(Enrollment).values(due_at=None, ended_at=clock.now, end_reason="finished", entered_at=clock.now)
        )
        db.session.commit()
    assert len(runs(Enrollment.flow_id == thanks.id)) == len(runs(Enrollment.flow_id == booked.id)) == 1
    buy("A-2", 5)
    assert len(runs(Enrollment.flow_id == thanks.id)) == 2


def test_the_last_activity_only_moves_forward_whatever_order_it_is_told_in(workspace, clock):
    ids = people(workspace, 5)
    told = [
        {
            "type": "app_installed",
            "contact": {"id": id},
            "occurred_at": clock.now - timedelta(hours=n),
            "properties": {},
        }
        for n, id in enumerate([*ids, *ids[::-1]])
    ]
    reported.take_many(told[:6])
    reported.take_many(told[6:])
    seen = db.session.scalars(sa.select(Contact.last_activity_at).order_by(Contact.id)).all()
    assert seen == [clock.now - timedelta(hours=n) for n in range(5)]


def test_another_clients_flows_hear_nothing(flow, workspace):
    thanks = flow("purchase")
    other = client("kino")
    with ext.workspace(other.id):
        buy("A-1", 5)
    assert inside(thanks) == 0


def test_giving_all_of_an_order_back_undoes_a_start_that_waits(flow, clock):
    thanks = flow("purchase", wait={"days": 1})
    buy("A-1", 50)
    tell("refund", order="A-1", amount=20)
    assert inside(thanks) == 1
    tell("refund", order="A-1", amount=30)
    assert inside(thanks) == 1, "two parts of it are not all of it in one"
    buy("A-2", 50, {"email": "bob@example.com"})
    tell("refund", {"email": "bob@example.com"}, order="A-2")
    assert [row.end_reason for row in runs(Enrollment.due_at.is_(None))] == ["start_undone"]


# --- spending ----------------------------------------------------------------------------------------------


def test_the_amount_spent_starts_a_flow_when_it_is_crossed_within_the_days(flow, clock):
    best = flow("spend_threshold", amount=300, days=90, reentry="after_finish")
    buy("1", 200)
    clock.forward(days=91)
    buy("2", 150)
    assert inside(best) == 0, "the first one is too long ago"
    buy("3", 149.99)
    assert inside(best) == 0
    buy("4", 0.01)
    assert inside(best) == 1
    spent = runs()[0].data["spent"]
    assert spent == {"90": {"before": 299.99, "after": 300}}
    db.session.execute(
        sa.update(Enrollment).values(due_at=None, ended_at=clock.now, end_reason="finished", entered_at=clock.now)
    )
    clock.forward(days=1)
    buy("5", 500)
    assert len(runs()) == 1, "who is above it does not cross it"


def test_what_was_given_back_and_other_currencies_do_not_count(flow):
    best = flow("spend_threshold", amount=100, days=30)
    buy("1", 90)
    tell("refund", order="1", amount=80)
    buy("2", 50)
    buy("3", 60, currency="PLN")
    assert inside(best) == 0
    buy("4", 40)
    assert inside(best) == 1


def test_purchases_of_one_request_are_one_comparison(flow, clock):
    best, better = flow("spend_threshold", amount=100, days=30), flow("spend_threshold", amount=250, days=30)
    reported.take_many(
        [{"type": "purchase", "contact": ADA, "properties": {"order": str(n), "amount": 60}} for n in range(4)]
    )
    assert (inside(best), inside(better)) == (1, 0)
    with ext.every_workspace():
        told = db.session.scalars(sa.select(Event).where(Event.type == "spend_changed")).all()
    assert [one.data["spent"]["30"] for one in told] == [{"before": 0, "after": 240}]


def test_without_a_flow_that_asks_nothing_is_told_of_what_is_spent(workspace, clock):
    buy("1", 90)
    assert db.session.scalar(sa.select(sa.func.count(Event.id)).where(Event.type == "spend_changed")) == 0


# --- carts -------------------------------------------------------------------------------------------------


def look(queue, clock):
    """The clock's look, and the job it rings for."""
    with ext.every_workspace():
        ticks._carts(clock.now)
        queue.drain()


def test_a_cart_left_alone_for_an_hour_starts_the_flow_once(flow, clock, queue):
    cart = flow("cart_abandoned", cooldown={"days": 0})
    tell("cart_updated", cart="c-1", amount=20, url="https://shop.example/c/1", items=[{"name": "Mug"}])
    clock.forward(minutes=59)
    look(queue, clock)
    assert inside(cart) == 0
    clock.forward(minutes=1)
    for _ in range(3):
        look(queue, clock)
    assert inside(cart) == 1
    assert runs()[0].data == {
        "cart": "c-1",
        "amount": 20,
        "currency": "EUR",
        "url": "https://shop.example/c/1",
        "items": [{"name": "Mug"}],
    }
    assert db.session.scalar(sa.select(Cart.state)) == "abandoned"


def test_touching_or_buying_it_begins_a_new_idle_time(flow, clock, queue):
    cart = flow("cart_abandoned", wait={"minutes": 30}, cooldown={"days": 0})
    tell("cart_updated", cart="c-1", amount=20)
    clock.forward(minutes=60)
    look(queue, clock)
    assert inside(cart) == 1
    clock.forward(minutes=5)
    tell("cart_updated", cart="c-1", amount=25)
    assert inside(cart) == 0, "the start is undone"
    clock.forward(minutes=60)
    look(queue, clock)
    assert inside(cart) == 1
    buy("A-1", 25, cart="c-1")
    assert inside(cart) == 0
    assert [row.end_reason for row in runs()] == ["start_undone"] * 2
    clock.forward(minutes=120)
    look(queue, clock)
    assert len(runs()) == 2 and db.session.scalar(sa.select(Cart.state)) == "bought"


def test_carts_that_were_bought_or_emptied_are_not_abandoned_in_whatever_order_it_was_told(flow, clock, queue):
    cart = flow("cart_abandoned")
    tell("cart_updated", {"email": "a@example.com"}, cart="c-1", items=[])
    buy("A-1", 25, {"email": "b@example.com"})
    tell("cart_updated", {"email": "b@example.com"}, clock.now - timedelta(minutes=1), cart="c-2", amount=25)
    clock.forward(hours=2)
    look(queue, clock)
    assert runs() == [] and inside(cart) == 0


def test_many_carts_of_all_clients_are_told_in_chunks(flow, workspace, clock):
    flow("cart_abandoned")
    other = client("kino")
    for one in (workspace, other):
        with ext.workspace(one.id):
            carts = [
                {"type": "cart_updated", "contact": {"email": f"c{n}@x.example"}, "properties": {"cart": f"c-{n}"}}
                for n in range(7)
            ]
            reported.take_many(carts)
    with ext.every_workspace():
        assert sales.abandon(clock.forward(hours=1), chunk=3) == 14
        assert sales.abandon(clock.now, chunk=3) == 0
    assert len(runs()) == 7


# --- a message ---------------------------------------------------------------------------------------------


def test_the_message_shows_what_the_event_brought(flow, clock, workspace):
    mail = {**MAIL, "key": "thanks", "class": "service", "subject": "Your order {{ event.order }}"}
    flow("purchase", mail)
    buy("A-1042", 49.5)
    with ext.every_workspace():
        engine.advance()
    planned = db.session.scalars(sa.select(Message)).all()
    assert [(row.state, row.address) for row in planned] == [("planned", "ada@example.com")]


# --- at once -----------------------------------------------------------------------------------------------


def together(app, workspace, *acts):
    """Run functions at the same moment, each in a thread with a session of its own; what they gave back."""
    workspace_id = workspace.id
    ext.db.session.commit()
    start, found, errors = threading.Barrier(len(acts)), [], []

    def run(act):
        with app.app_context(), ext.workspace(workspace_id):
            ext.read_only(False)
            start.wait()
            try:
                found.append(act())
            except Exception as error:
                errors.append(error)
            finally:
                db.session.remove()

    threads = [threading.Thread(target=run, args=(act,), daemon=True) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    ext.db.session.expire_all()
    assert errors == []
    return found


def test_eight_threads_with_the_same_ids_take_each_event_once(app, flow, workspace, clock):
    thanks, booked = flow("purchase"), flow("custom_event", event="booked")
    rows = [
        {"type": "booked", "contact": {"email": f"c{n % 5}@x.example", "external_id": f"s-{n % 5}"}, "id": f"e-{n}"}
        for n in range(20)
    ]
    rows += [
        {
            "type": "purchase",
            "contact": {"phone": f"+3933312345{n:02d}"},
            "properties": {"order": f"A-{n}", "amount": 5},
        }
        for n in range(10)
    ]
    given = [rows if n % 2 else rows[::-1] for n in range(8)]
    found = together(app, workspace, *[lambda rows=rows: reported.take_many(rows) for rows in given])
    results = [one.result for outcomes in found for one in outcomes]
    assert results.count("accepted") == 30 and results.count("repeated") == 7 * 30
    assert db.session.scalar(sa.select(sa.func.count(Contact.id))) == 15
    assert db.session.scalar(sa.select(sa.func.count(Purchase.id))) == 10
    assert db.session.scalar(sa.select(sa.func.count(Event.id)).where(Event.type == "contact_created")) == 15
    assert (inside(thanks), inside(booked)) == (10, 5)


def test_eight_threads_with_one_event_take_it_once(app, flow, workspace, clock):
    thanks = flow("purchase")
    found = together(app, workspace, *[lambda: buy("A-1", 5)] * 8)
    assert sorted(one.result for one in found) == ["accepted", *["repeated"] * 7]
    assert len({one.contact_id for one in found}) == 1 and inside(thanks) == 1


def test_any_order_and_repetition_of_the_same_events_gives_the_same_enrollments(flow, workspace, clock):
    thanks = flow("purchase", reentry="once")
    ids = people(workspace, 3)
    events = [
        {
            "type": "purchase",
            "contact": {"id": ids[n % 3]},
            "occurred_at": clock.now + timedelta(minutes=n),
            "properties": {"order": f"A-{n}", "amount": 5},
        }
        for n in range(6)
    ]
    clock.forward(hours=1)
    reported.take_many([*events[::-1], *events[:3], *events])
    found = {(row.contact_id, row.data["order"]) for row in runs(Enrollment.flow_id == thanks.id)}
    assert found == {(ids[0], "A-0"), (ids[1], "A-1"), (ids[2], "A-2")}


# --- asking ------------------------------------------------------------------------------------------------


def test_flows_ask_what_was_bought_and_whether_goods_are_left(flow, workspace, clock):
    asked = {"all": [{"type": "bought"}, {"not": {"type": "has_open_cart"}}]}
    row = flow(
        "custom_event",
        {"key": "pause", "type": "wait", "for": {"days": 1}},
        {
            "key": "q", "type": "if_else", "if": asked,
            "then": [{"key": "yes", "type": "end", "label": "yes"}], "else": [{"key": "no", "type": "end", "label": "no"}],
        },
        event="asked",
    )  # fmt: skip
    who = {name: {"email": f"{name}@example.com"} for name in ("before", "after", "back", "cart", "nobody")}
    buy("1", 5, who["before"])
    clock.forward(minutes=1)
    for contact in who.values():
        tell("asked", contact)
    with ext.every_workspace():
        engine.advance()
    clock.forward(hours=1)
    for number, name in ((2, "after"), (3, "back"), (4, "cart")):
        buy(str(number), 5, who[name])
    tell("refund", who["back"], order="3")
    clock.forward(hours=1)
    tell("cart_updated", who["cart"], cart="c-1", amount=5)
    clock.forward(days=1)
    with ext.every_workspace():
        engine.advance()
    names = {row.id: row.email for row in db.session.execute(sa.select(Contact.id, Contact.email))}
    found = {names[run.contact_id].partition("@")[0]: run.label for run in runs(Enrollment.flow_id == row.id)}
    assert found == {"before": "no", "after": "yes", "back": "no", "cart": "no", "nobody": "no"}


def test_single_events_at_the_same_moment_are_written_together_each_once(app, flow, workspace, clock):
    from flowserver.services.accounts import api_keys
    from flowserver.services.people import together as counter

    thanks = flow("purchase")
    key, secret = api_keys.make(workspace.id, "shop")
    counter.remember(secret, key.id)
    door = counter.door(secret)
    sent = [
        {
            "type": "purchase",
            "contact": {"email": f"c{n % 10}@x.example"},
            "properties": {"order": f"A-{n % 10}", "amount": 5},
        }
        for n in range(40)
    ]

    def some(start):
        return [counter.take(door, raw) or reported.take(raw) for raw in sent[start::8]]

    found = together(app, workspace, *[lambda start=start: some(start) for start in range(8)])
    results = [one.result for outcomes in found for one in outcomes]
    assert (results.count("accepted"), results.count("repeated")) == (10, 30)
    assert inside(thanks) == 10 and db.session.scalar(sa.select(sa.func.count(Contact.id))) == 10
