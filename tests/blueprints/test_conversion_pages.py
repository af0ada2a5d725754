"""Pages of conversion rules."""

import pytest

from flowserver.extensions import db
from flowserver.services.flows import flows
from flowserver.services.people import contacts
from flowserver.services.site import conversions, monitors

RULES = "/c/caffe-lume/conversions"


@pytest.fixture
def console(login, bob):
    """Bob of the staff, logged in."""
    return login(bob)


@pytest.fixture
def site(workspace, clock):
    return monitors.create({"name": "Shop", "domains": "shop.example"})


def values(site, **more):
    given = {"name": "First order", "source": "pages", "monitor": site.id, "patterns": "https://shop.example/thanks"}
    return {**given, "each_time": "", "amount": "12,50", **more}


def test_a_rule_is_made_shown_changed_and_deleted(console, site):
    assert "No conversion rules yet" in console.get(RULES).text
    made = console.post(f"{RULES}/new", data=values(site))
    assert made.status_code == 303
    row = conversions.everything()[0].row
    assert (row.amount_cents, row.each_time, row.enabled) == (1250, False, True)
    assert "https://shop.example/thanks" in console.get(made.location).text
    form = console.get(f"{made.location}/edit").text
    assert 'value="12.50"' in form and "https://shop.example/thanks" in form
    changed = console.post(f"{made.location}/edit", data=values(site, name="Orders", each_time="y"))
    assert changed.status_code == 303
    db.session.expire_all()
    assert (row.name, row.each_time, row.enabled) == ("Orders", True, False)
    assert "Orders" in console.get(RULES).text
    assert console.post(f"{made.location}/delete").status_code == 303
    assert console.get(made.location).status_code == 404


def test_mistakes_come_back_with_what_was_typed(console, site):
    for changes, words in (
        ({"name": ""}, "Enter a name for the conversion rule"),
        ({"source": ""}, "Choose what counts as a conversion"),
        ({"monitor": ""}, "Choose the site"),
        ({"patterns": ""}, "Enter the address of a page"),
        ({"patterns": "https://other.example/thanks"}, "is not on the site. Begin with https://shop.example"),
        ({"source": "event"}, "Enter the name the site"),
        ({"amount": "-5"}, "The amount cannot be less than 0"),
    ):
        page = console.post(f"{RULES}/new", data=values(site, **changes))
        assert page.status_code == 422 and words in page.text, changes
    assert 'value="-5"' in page.text and conversions.everything() == []


def test_a_conversion_is_shown_and_undone(console, workspace, db):
    rule = conversions.create({"name": "Order", "source": "manual"})
    marta = contacts.upsert({"email": "marta@people.example", "first_name": "Marta"}, source="api")[0]
    found, _ = conversions.record(rule.id, marta.id, key="A-17", amount=20)
    page = console.get(f"{RULES}/{rule.id}").text
    assert "Marta" in page and "A-17" in page
    assert console.post(f"{RULES}/{rule.id + 1}/undo/{found.id}").status_code == 404
    assert console.post(f"{RULES}/{rule.id}/undo/{found.id}").status_code == 303
    assert "Undone" in console.get(f"{RULES}/{rule.id}").text
    assert console.post(f"{RULES}/{rule.id}/delete").status_code == 409


def test_a_rule_in_use_answers_409(console, workspace):
    rule = conversions.create({"name": "Order", "source": "manual"})
    flows.create({"name": "Thanks", "trigger": {"type": "conversion", "rule": "Order"}, "steps": []})
    page = console.post(f"{RULES}/{rule.id}/delete")
    assert page.status_code == 409 and "Thanks" in page.text


def test_strangers_find_nothing(login, carol, workspace):
    rule = conversions.create({"name": "Order", "source": "manual"})
    assert login(carol).get(f"{RULES}/{rule.id}").status_code == 404
