"""The address book leaves as CSV that comes back in, and no cell is a formula."""

import csv
import io

import sqlalchemy as sa

from flowserver.models import Contact, Field
from flowserver.services.people import contacts, exports, imports, lists, tags


def read(wanted=None):
    text = "".join(exports.contacts_csv(wanted or contacts.Filter()))
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text.lstrip("\ufeff"), newline="")))


def test_everything_known_stands_in_the_file(db, workspace):
    db.session.add(Field(workspace_id=workspace.id, key="member", label="Member", type="yes_no", choices=[]))
    db.session.commit()
    marta, _ = contacts.upsert(
        {"email": "m@x.example", "phone": "3331234567", "first_name": "Marta", "fields": {"member": "yes"}},
        source="api",
    )
    contacts.upsert({"email": "n@x.example"}, source="api")
    news = lists.create("News")
    lists.join(news.id, [marta.id])
    tags.add([marta.id], ["vip", "fair"])
    first, second = read()
    assert (first["email"], first["phone"], first["lists"], first["tags"], first["member"]) == (
        "m@x.example",
        "+393331234567",
        "News",
        "fair, vip",
        "yes",
    )
    assert second["first_name"] == second["member"] == "" and second["score"] == "0"
    assert [row["email"] for row in read(contacts.Filter(list_id=news.id))] == ["m@x.example"]


def test_formulas_are_made_harmless_and_numbers_stay(db, workspace):
    marta, _ = contacts.upsert(
        {"email": "m@x.example", "first_name": "=1+1", "last_name": "@x", "external_id": "-7"}, source=""
    )
    marta.score = -5
    db.session.commit()
    (row,) = read()
    assert (row["first_name"], row["last_name"], row["external_id"], row["score"]) == ("'=1+1", "'@x", "'-7", "-5")


def test_an_export_can_be_imported_again(db, workspace):
    for number in range(2_345):
        contacts.upsert(
            {"email": f"p{number}@x.example", "first_name": f'"A", {number};\tB', "external_id": f"=id{number}"},
            source="",
            silent=True,
            commit=False,
        )
    db.session.commit()
    text = "".join(exports.contacts_csv(contacts.Filter()))
    assert text.count("\r\n") == 2_346
    before = {c.email: (c.first_name, c.external_id) for c in db.session.scalars(sa.select(Contact))}
    contacts.erase(list(db.session.scalars(sa.select(Contact.id))))
    db.session.commit()
    row = imports.start(io.BytesIO(text.encode()), "x.csv", None)
    imports.begin(row.id, imports.preview(row).guess, {})
    imports.run(row.id)
    assert {c.email: (c.first_name, c.external_id) for c in db.session.scalars(sa.select(Contact))} == before
