"""Bad input and corner cases of the starting points, each by its name, where no file of its own has it already.

The others stand with what they are about: test_campaign_triggers, test_loyalty, test_field_value, test_fixed_date,
test_coupons, test_visits, test_conversions, test_score_rules, test_contact_starts, and beside the starting points
themselves in tests/nodes/triggers.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from flowserver.errors import Broken, Invalid
from flowserver.extensions import db
from flowserver.models import Monitor
from flowserver.services.engine import engine, events
from flowserver.services.flows import checks, flows
from flowserver.services.people import consents, contacts
from flowserver.services.site import monitors

from .town import MAIL, a_list, live, messages, people, runs, tag


def refused(**trigger) -> dict:
    """What is wrong with a flow that starts so, by setting."""
    with pytest.raises(Invalid) as error:
        flows.create({"name": "F", "trigger": {"wait": {"minutes": 0}, **trigger}, "steps": [tag("t")]})
    return {path.removeprefix("trigger."): texts[0] for path, texts in error.value.messages.items()}


def remarks(**trigger) -> list[str]:
    """What deserves a look in a flow that starts so."""
    definition = {"name": "F", "trigger": {"wait": {"minutes": 0}, **trigger}, "steps": [tag("t")]}
    return [one.text for one in checks.findings(flows.create(definition).draft) if one.kind == "check"]


# --- list activity -------------------------------------------------------------------------------------------


def test_list_without_list_id(workspace):
    assert refused(type="list_joined", scope="list") == {"list": "Choose the list"}


def test_any_with_a_list_id(workspace):
    assert set(refused(type="list_joined", scope="any", list=a_list(workspace))) == {"list"}


def test_unknown_list(workspace):
    assert refused(type="list_joined", list="Nobody") == {"list": "There is no list “Nobody” in this client"}
    assert refused(type="list_joined", list=99_999) == {"list": "The list was deleted. Choose another one"}


def test_contact_deleted_during_the_wait_run_cancelled(workspace, clock):
    flow = live(workspace, {"key": "m", **MAIL}, wait={"hours": 1})
    one = people(workspace, 1)[0]
    events.record(one, "contact_created")
    db.session.commit()
    contacts.delete(one)
    clock.forward(hours=2)
    engine.advance()
    assert [run.end_reason for run in runs() if run.flow_id == flow.id] == ["contact_deleted"]
    assert messages() == []


def test_contact_unsubscribed_during_the_wait_run_goes_on_and_sends_are_skipped(workspace, clock):
    live(workspace, {"key": "m", **MAIL}, tag("after"), wait={"hours": 1})
    one = people(workspace, 1)[0]
    events.record(one, "contact_created")
    db.session.commit()
    consents.change(contacts.get(one), "email", "withdrawn", source="by hand", words="asked on the phone")
    db.session.commit()
    clock.forward(hours=2)
    engine.advance()
    assert [run.end_reason for run in runs()] == ["finished"]
    assert [message.state for message in messages()] == ["skipped"]


# --- contact score -------------------------------------------------------------------------------------------


def test_score_not_an_integer(workspace):
    for odd in ("1.5", "many", 1.5, None, [], True):
        assert set(refused(type="score", operator="gte", points=odd)) == {"points"}


def test_score_operator_missing(workspace):
    assert set(refused(type="score", operator="", points=10)) == {"operator"}


def test_score_still_below_with_wait_0_is_warned_about(workspace):
    assert any("every new contact" in text for text in remarks(type="score", operator="lt", points=10))


def test_score_negative_number_is_allowed(workspace):
    assert flows.create({"name": "F", "trigger": {"type": "score", "operator": "gte", "points": -5}, "steps": []})


def test_score_magnitude_over_1_000_000(workspace):
    for far in (1_000_001, -1_000_001):
        assert set(refused(type="score", operator="gte", points=far)) == {"points"}


# --- fixed date ----------------------------------------------------------------------------------------------


def fixed(workspace, **given) -> dict:
    return {"type": "fixed_date", "date": "2026-12-01", "time": "09:00", "list": a_list(workspace), **given}


def test_date_in_the_past_at_activation(workspace, clock):
    trigger = fixed(workspace, date=f"{clock.now - timedelta(days=1):%Y-%m-%d}")
    with pytest.raises(Invalid) as error:
        flows.publish(flows.create({"name": "F", "trigger": trigger, "steps": [tag("t")]}).id)
    assert "trigger.date" in error.value.messages


def test_30_february(workspace):
    assert set(refused(**fixed(workspace, date="2027-02-30"))) == {"date"}


def test_local_time_skipped_by_summer_time(workspace):
    assert set(refused(**fixed(workspace, date="2027-03-28", time="02:30", zone="Europe/Rome"))) == {"time"}


def test_local_time_doubled_means_the_first_one(workspace, clock):
    trigger = fixed(workspace, date="2027-10-31", time="02:30", zone="Europe/Rome")
    flow = flows.create({"name": "F", "trigger": trigger, "steps": [tag("t")]})
    flows.publish(flow.id)
    assert flows.get(flow.id).starts_at.isoformat() == "2027-10-31T00:30:00+00:00"


def test_fixed_date_list_missing(workspace):
    trigger = fixed(workspace)
    del trigger["list"]
    assert set(refused(**trigger)) <= {"list", "segment"} and refused(**trigger)


# --- website visit -------------------------------------------------------------------------------------------


@pytest.fixture
def shop(workspace) -> Monitor:
    return monitors.create({"name": "Shop", "domains": ["shop.example"]})


def test_page_without_url(shop):
    assert set(refused(type="site_visit", monitor=shop.id, scope="page")) == {"url"}


def test_host_outside_the_monitor(shop):
    assert set(refused(type="site_visit", monitor=shop.id, scope="page", url="https://else.example/x")) == {"url"}


def test_monitor_not_verified_or_deleted(shop):
    flow = flows.create({"name": "F", "trigger": {"type": "site_visit", "monitor": shop.id}, "steps": [tag("t")]})
    with pytest.raises(Invalid) as error:
        flows.publish(flow.id)
    assert set(error.value.messages) == {"trigger.monitor"}
    db.session.delete(db.session.get(Monitor, shop.id))
    db.session.commit()
    with pytest.raises(Broken):
        flows.publish(flow.id)
