"""Conversions: what rules count, once or each time, what flows hear of it, and undoing."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import sqlalchemy as sa

from flowserver.errors import Conflict, Invalid, NotFound
from flowserver.extensions import db
from flowserver.models import Contact, Conversion, Enrollment, Event, PageView, Visit
from flowserver.services.engine import engine, events
from flowserver.services.flows import checks, flows
from flowserver.services.people import contacts, timeline, usage
from flowserver.services.site import conversions, monitors, visits

from .test_at_once import together
from .test_visits import BROWSER, Page, known


@pytest.fixture
def site(workspace, clock):
    row = monitors.create({"name": "Shop", "domains": "shop.example"})
    row.verified_at = clock.now
    db.session.commit()
    return row


@pytest.fixture
def marta(workspace):
    return contacts.upsert({"email": "marta@people.example"}, source="api")[0]


@pytest.fixture
def page(client, site, marta):
    """Marta's browser on the shop."""
    return known(Page(client, site), marta)


def rule(name="First order", source="manual", **more):
    return conversions.create({"name": name, "source": source, **more})


def counted(of=None):
    query = sa.select(Conversion).order_by(Conversion.id)
    return db.session.scalars(query if of is None else query.where(Conversion.rule_id == of.id)).all()


def live(of, *steps, name="Thanks", **trigger):
    definition = {
        "name": name,
        "trigger": {"type": "conversion", "rule": of.id, "wait": {"minutes": 0}, **trigger},
        "steps": list(steps),
    }
    flow = flows.create(definition)
    flows.publish(flow.id)
    return flow


def runs(flow):
    query = sa.select(Enrollment).where(Enrollment.flow_id == flow.id).order_by(Enrollment.id)
    return db.session.scalars(query).all()


# --- from the site -------------------------------------------------------------------------------------------


def test_pages_convert_once_for_each_contact_or_each_time(page, site, marta):
    thanks = ["https://shop.example/thanks", "https://shop.example/done/**"]
    once = rule("Once", "pages", monitor=site.id, patterns=thanks, amount="9.90")
    each = rule("Each", "pages", monitor=site.id, patterns=thanks, each_time=True)
    flow = live(once)
    for url in ("/", "/thanks?order=7", "/done/a/b", "/thanks", "/tea"):
        page.look(url)
    assert len(counted(once)) == 1 and len(counted(each)) == 3
    first = counted(once)[0]
    assert (first.contact_id, first.amount_cents, first.source) == (marta.id, 990, "site")
    assert first.url == "https://shop.example/thanks?order=7"
    (run,) = runs(flow)
    assert run.data == {
        "conversion": first.id,
        "rule": "Once",
        "source": "site",
        "amount": 9.9,
        "url": "https://shop.example/thanks?order=7",
    }


def test_any_page_converts_once_a_visit(page, site, clock):
    each = rule("Visits", "any", monitor=site.id, each_time=True)
    page.look("/a")
    page.look("/b")
    clock.forward(hours=1)
    page.look("/a")
    assert len(counted(each)) == 2


def test_a_custom_event_of_that_site_converts(page, site, client, marta):
    other = monitors.create({"name": "Blog", "domains": "shop.example"})
    each = rule("Orders", "event", monitor=site.id, event="order_placed", each_time=True)
    page.track("order_placed", total=12)
    page.track("order_seen")
    known(Page(client, other), marta).track("order_placed")
    assert len(counted(each)) == 1


def test_strangers_and_other_clients_and_rules_that_are_off_count_nothing(page, site, client, carol):
    from flowserver import extensions as ext
    from flowserver.models import Workspace

    off = rule("Off", "any", monitor=site.id, each_time=True)
    conversions.update(off.id, {**conversions.shown(off), "enabled": False})
    with ext.every_workspace():
        kino = db.session.scalar(sa.select(Workspace).where(Workspace.slug == "kino"))
    with ext.workspace(kino.id):
        theirs = monitors.create({"name": "Kino", "domains": "shop.example"})
        rule("Theirs", "any", monitor=theirs.id)
    page.look("/")
    rule("On", "any", monitor=site.id)
    Page(client, site).look("/")
    with ext.every_workspace():
        assert counted() == []


# --- from steps ----------------------------------------------------------------------------------------------


def test_a_step_records_a_conversion_that_starts_another_flow_but_not_its_own(site, marta, queue):
    done = rule("Done", amount=5)
    first = live(rule("Begun"), {"key": "done", "type": "record_conversion", "rule": done.id}, name="First")
    second = live(done, name="Second")
    conversions.record(conversions.everything()[0].row.id, marta.id)
    queue.drain()
    engine.advance()
    while events.match_unmatched():
        pass
    (found,) = counted(done)
    assert (found.source, found.amount_cents, found.contact_id) == ("step", 500, marta.id)
    assert len(runs(first)) == 1 and [run.chain for run in runs(second)] == [1]


def test_a_flow_started_by_a_rule_that_it_also_records_is_a_loop(workspace):
    done = rule("Done")
    step = {"key": "again", "type": "record_conversion", "rule": done.id}
    with pytest.raises(Invalid) as error:
        live(done, step)
    assert list(error.value.messages) == ["steps[0]"] and "start its own flow again" in str(error.value)
    live(rule("Other"), step, name="Other")


def test_a_manual_rule_that_nothing_records_deserves_a_look(marta):
    done = rule("Done")
    trigger = {"type": "conversion", "rule": done.id}

    def remarks():
        found = checks.findings({"format": 1, "name": "x", "trigger": trigger, "steps": []})
        return [one.text for one in found if one.place == "trigger"]

    assert len(remarks()) == 1 and "Nothing records Done yet" in remarks()[0]
    flow = flows.create(
        {
            "name": "Recorder",
            "trigger": {"type": "list_joined", "scope": "any"},
            "steps": [{"key": "done", "type": "record_conversion", "rule": "Done"}],
        }
    )
    assert remarks() == []
    flows.delete(flow.id)
    assert len(remarks()) == 1
    conversions.record(done.id, marta.id)
    assert remarks() == []


# --- from programs -------------------------------------------------------------------------------------------


def test_the_same_dedupe_key_twice_is_one_conversion(marta):
    order = rule("Order", each_time=True)
    first, new = conversions.record(order.id, marta.id, key="A-17", amount="20")
    again, repeated = conversions.record(order.id, marta.id, key="A-17", amount="30")
    assert new and not repeated and first.id == again.id and again.amount_cents == 2000
    assert conversions.record(order.id, marta.id, key="A-18")[1]
    assert conversions.record(order.id, marta.id)[1] and conversions.record(order.id, marta.id)[1]
    assert len(counted(order)) == 4


def test_a_key_of_another_contact_is_refused(marta):
    order = rule("Order", each_time=True)
    luca = contacts.upsert({"email": "luca@people.example"}, source="api")[0]
    conversions.record(order.id, marta.id, key="A-17")
    with pytest.raises(Conflict):
        conversions.record(order.id, luca.id, key="A-17")
    assert len(counted(order)) == 1


def test_once_for_each_contact_whatever_the_key(marta):
    order = rule("Order")
    assert conversions.record(order.id, marta.id, key="A-17")[1]
    assert not conversions.record(order.id, marta.id, key="A-18")[1]
    assert len(counted(order)) == 1


def test_a_negative_amount_is_refused(marta):
    order = rule("Order")
    for amount in (-1, "-0.01", "x", 1.234, float("nan"), 10**12):
        with pytest.raises(Invalid) as error:
            conversions.record(order.id, marta.id, amount=amount)
        assert list(error.value.messages) == ["amount"]
    assert counted() == []


def test_an_unknown_or_disabled_rule_records_nothing(site, marta):
    order = rule("Order")
    conversions.update(order.id, {**conversions.shown(order), "enabled": False})
    with pytest.raises(Conflict):
        conversions.record(order.id, marta.id)
    for unknown in (999, rule("Pages", "any", monitor=site.id).id):
        with pytest.raises(Invalid) as error:
            conversions.record(unknown, marta.id)
        assert list(error.value.messages) == ["rule"]
    with pytest.raises(NotFound):
        conversions.record(rule("Good").id, 999)
    assert counted() == []


def test_a_rule_that_is_off_or_deleted_blocks_going_live(workspace):
    order = rule("Order")
    conversions.update(order.id, {**conversions.shown(order), "enabled": False})
    with pytest.raises(Invalid) as error:
        live(order)
    assert error.value.messages == {"trigger.rule": ["The conversion rule Order is switched off"]}


def test_a_rule_that_is_switched_off_shows_on_the_flows_it_starts_until_it_is_on_again(marta):
    first = rule()
    flow = live(first)
    conversions.update(first.id, {**conversions.shown(first), "enabled": False})
    db.session.refresh(flow)
    assert flow.broken == "The conversion rule First order is switched off"
    conversions.update(first.id, {**conversions.shown(conversions.get(first.id)), "enabled": True})
    db.session.refresh(flow)
    assert flow.broken == ""


def test_a_conversion_of_tomorrow_is_refused(marta, clock):
    with pytest.raises(Invalid):
        conversions.record(rule().id, marta.id, at=clock.now + timedelta(days=1))


# --- undoing -------------------------------------------------------------------------------------------------


def test_undone_inside_the_start_wait_it_starts_nothing(marta, clock):
    order = rule("Order", each_time=True)
    flow = live(order, wait={"hours": 1})
    found, _ = conversions.record(order.id, marta.id, key="A-17")
    assert conversions.undo(found.id).undone_at == clock.now
    assert conversions.undo(found.id).undone_at == clock.now  # twice is once
    assert [run.end_reason for run in runs(flow)] == ["start_undone"]
    kinds = db.session.scalars(sa.select(Event.type).where(Event.type.like("conver%")).order_by(Event.id)).all()
    assert kinds == ["converted", "conversion_undone"]
    assert not conversions.record(order.id, marta.id, key="A-17")[1]  # the order stays used
    assert conversions.everything()[0].count == 0


def test_undone_after_the_start_the_run_goes_on(marta, clock, queue):
    order = rule("Order")
    flow = live(order, {"key": "pause", "type": "wait", "for": {"days": 1}})
    found, _ = conversions.record(order.id, marta.id)
    engine.advance()
    conversions.undo(found.id)
    assert [run.due_at is not None for run in runs(flow)] == [True]
    assert conversions.record(order.id, marta.id)[1]  # counts once again


# --- rules ---------------------------------------------------------------------------------------------------


def test_bad_rules_are_refused_at_their_field(site):
    rule("Taken")
    good = {"name": "Good", "source": "pages", "monitor": site.id, "patterns": "https://shop.example/thanks"}
    for changes, where in (
        ({"name": ""}, "name"),
        ({"name": "TAKEN"}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"source": "x"}, "source"),
        ({"source": None}, "source"),
        ({"monitor": None}, "monitor"),
        ({"monitor": 999}, "monitor"),
        ({"monitor": "x"}, "monitor"),
        ({"patterns": ""}, "patterns"),
        ({"patterns": ["/thanks"]}, "patterns"),
        ({"patterns": "https://other.example/thanks"}, "patterns"),
        ({"patterns": [f"https://shop.example/{n}" for n in range(51)]}, "patterns"),
        ({"source": "event", "event": ""}, "event"),
        ({"source": "event", "event": "email_opened"}, "event"),
        ({"source": "event", "event": "<b>"}, "event"),
        ({"amount": "-1"}, "amount"),
    ):
        with pytest.raises(Invalid) as error:
            conversions.create({**good, **changes})
        assert list(error.value.messages) == [where], changes
    assert conversions.create(good).patterns == ["https://shop.example/thanks"]


def test_a_rule_in_use_or_with_conversions_is_kept(site, marta):
    order = rule("Order")
    flow = flows.create({"name": "Thanks", "trigger": {"type": "conversion", "rule": "Order"}, "steps": []})
    with pytest.raises(usage.InUse):
        conversions.delete(order.id)
    flows.delete(flow.id)
    conversions.record(order.id, marta.id)
    with pytest.raises(Conflict):
        conversions.delete(order.id)
    pages = rule("Pages", "any", monitor=site.id)
    with pytest.raises(usage.InUse):
        monitors.delete(site.id)
    conversions.delete(pages.id)
    monitors.delete(site.id)


def test_of_a_contact_that_is_deleted_only_the_number_stays(marta):
    order = rule("Order", each_time=True)
    conversions.record(order.id, marta.id, key="A-17", amount=5)
    contacts.delete(marta.id)
    assert db.session.scalar(sa.select(Contact.id)) is None
    (left,) = counted()
    assert (left.contact_id, left.dedupe_key, left.url, left.amount_cents) == (None, "", "", 500)
    assert conversions.recent(order.id) == [(left, "")] and conversions.entry(order.id).count == 1
    assert conversions.undo(left.id).undone_at


def test_the_history_of_a_contact_tells_of_pages_and_conversions(page, site, marta):
    rule("Thanks page", "pages", monitor=site.id, patterns=["https://shop.example/thanks"])
    page.look("/thanks?order=7")
    conversions.undo(counted()[0].id)
    told = [(entry.title, entry.text) for entry in timeline.of(marta.id).entries]
    assert told[:3] == [
        ("A conversion was undone", ""),
        ("Converted: Thanks page", "https://shop.example/thanks?order=7"),
        ("Visited /thanks", "https://shop.example/thanks?order=7"),
    ]


# --- at the same moment ----------------------------------------------------------------------------------------


def test_pages_reported_in_the_same_moment_are_one_visit_one_conversion_and_one_run(app, site, marta, client):
    once = rule("Once", "pages", monitor=site.id, patterns=["https://shop.example/**"])
    flow = live(once)
    visited = flows.create({"name": "Any page", "trigger": {"type": "site_visit", "monitor": site.id}, "steps": []})
    flows.publish(visited.id)
    page = known(Page(client, site), marta)
    sender = visits.Sender("https://shop.example", BROWSER)
    row = visits.welcome(site.public_id, sender.origin)

    def view(n):
        message = {"t": "view", "v": page.visitor, "p": f"{n % 6:032x}", "u": f"https://shop.example/{n % 6}"}
        return lambda: visits.receive(row, json.dumps(message).encode(), sender)

    assert not together(app, site.workspace_id, *[view(n) for n in range(8)])  # two of them come twice
    (visit,) = db.session.scalars(sa.select(Visit)).all()
    firsts = db.session.scalars(sa.select(PageView.first)).all()
    assert visit.views == len(firsts) == 6 and sum(firsts) == 1
    assert len(counted(once)) == len(runs(flow)) == len(runs(visited)) == 1


def test_an_order_recorded_by_eight_programs_at_once_is_one_conversion(app, marta, workspace):
    order = rule("Order", each_time=True)
    flow = live(order)
    rule_id, contact_id = order.id, marta.id
    errors = together(app, workspace.id, *[lambda: conversions.record(rule_id, contact_id, key="A-17", amount=5)] * 8)
    assert not errors and len(counted(order)) == len(runs(flow)) == 1


# --- asked by flows ---------------------------------------------------------------------------------------------


def test_a_flow_asks_what_a_contact_saw_and_whether_it_converted(page, site, marta, clock):
    order = rule("Order")
    asks = {
        "saw": {"type": "visited_page", "monitor": site.id, "url": "https://shop.example/coffee", "days": 3},
        "did": {"type": "conversion_done", "rule": order.id},
    }
    steps = [
        {"key": key, "type": "if_else", "if": asked, "then": [{"key": f"tag_{key}", "type": "add_tag", "tag": key}]}
        for key, asked in asks.items()
    ]
    begun = rule("Begun", each_time=True)
    live(begun, *steps)

    def tags():
        clock.forward(hours=1)
        conversions.record(begun.id, marta.id, key=str(clock.now))
        engine.advance()
        return set(contacts.lists_and_tags([marta.id])[1][marta.id])

    assert tags() == set()
    page.look("/coffee")
    clock.forward(days=2)
    assert tags() == {"saw"}
    found, _ = conversions.record(order.id, marta.id)
    conversions.undo(found.id)
    assert tags() == {"saw"}
    conversions.record(order.id, marta.id)
    assert tags() == {"saw", "did"}
