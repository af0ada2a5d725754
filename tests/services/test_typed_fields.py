"""Custom fields are typed alike whichever way a value comes in: a form, an import, a program, a person, a flow."""

import io

import pytest

from flowserver.errors import Invalid
from flowserver.extensions import db
from flowserver.models import Contact
from flowserver.services.engine import engine
from flowserver.services.flows import flows
from flowserver.services.people import by_hand, contacts, fields, forms, imports, intake, lists, signups

from . import town

VALUES = [
    ("visits", "1.234,50", 1234.5),
    ("visits", "12", 12),
    ("since", "4/5/2026", "2026-05-04"),
    ("since", "2026-05-04", "2026-05-04"),
    ("member", "sì", True),
    ("member", "no", False),
    ("roast", "dark", "Dark"),
    ("city", "  Roma  Termini ", "Roma Termini"),
]
BAD = [("visits", "many"), ("since", "31/02/2026"), ("member", "perhaps"), ("roast", "burnt"), ("city", "x" * 501)]


@pytest.fixture
def known(workspace):
    """A client in Italy with one field of each type."""
    workspace.country, workspace.locale = "IT", "it"
    db.session.commit()
    for label, type_, choices in (
        ("Visits", "number", ()),
        ("Since", "date", ()),
        ("Member", "yes_no", ()),
        ("Roast", "choice", ("Light", "Dark")),
        ("City", "text", ()),
    ):
        fields.add(label=label, type=type_, choices=choices)


def value_of(contact_id, key):
    db.session.expire_all()
    return db.session.get(Contact, contact_id).fields.get(key)


def by_form(key, raw):
    form = forms.create({
        "name": f"F {key} {raw}"[:60], "list_id": lists.create(f"L {key} {raw}"[:60]).id, "double_opt_in": False,
        "email_consent_text": "Yes", "fields": [{"key": key}],
    })  # fmt: skip
    signups.receive(form, {"email": "form@x.example", key: raw, "consent_email": "y"})
    return contacts.match({"email": "form@x.example"}).id


def by_import(key, raw):
    row = imports.start(io.BytesIO(f'email;value\nimport@x.example;"{raw}"\n'.encode()), "a.csv", None)
    imports.begin(row.id, {0: "email", 1: f"field:{key}"}, {"country": "IT"})
    imports.run(row.id)
    if imports.get(row.id).refused:
        raise Invalid("refused")
    return contacts.match({"email": "import@x.example"}).id


def by_program(key, raw):
    return intake.save({"email": "program@x.example", "fields": {key: raw}})[0]


def in_bulk(key, raw):
    rows = [{"email": "bulk@x.example", "fields": {key: raw}}, *({"email": f"b{n}@x.example"} for n in range(30))]
    first = intake.save_many(rows)[0]
    if first.result == "refused":
        raise Invalid(first.errors)
    return first.id


def in_person(key, raw):
    return by_hand.save(None, {"email": "hand@x.example", "fields": {key: raw}}, [], "")[0].id


def by_a_flow(key, raw):
    list_id = town.a_list(by_a_flow.workspace, f"Set {key} {raw}"[:60])
    step = {"key": "s", "type": "set_field", "field": key, "value": raw}
    trigger = {"type": "list_joined", "list": list_id, "wait": {"minutes": 0}}
    flow = flows.create({"name": f"Set {key} {raw}"[:60], "trigger": trigger, "steps": [step]})
    flows.publish(flow.id)
    contact_id = contacts.upsert({"email": "flow@x.example"}, source="test")[0].id
    lists.join(list_id, [contact_id])
    engine.advance()
    return contact_id


WAYS = (by_form, by_import, by_program, in_bulk, in_person, by_a_flow)


@pytest.mark.parametrize("way", WAYS)
def test_a_value_is_kept_in_the_type_of_its_field(workspace, known, clock, queue, way):
    by_a_flow.workspace = workspace
    for key, raw, kept in VALUES:
        found = value_of(way(key, raw), key)
        assert found == kept and type(found) is type(kept), f"{key} = {raw!r}: {found!r}"


@pytest.mark.parametrize("way", WAYS)
def test_a_value_that_does_not_fit_is_refused(workspace, known, clock, queue, way):
    by_a_flow.workspace = workspace
    for key, raw in BAD:
        with pytest.raises(Invalid):
            way(key, raw)
        db.session.rollback()
