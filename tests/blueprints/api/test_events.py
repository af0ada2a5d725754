"""Events over the API: whose they are, once each, checked by type; what refuses to be taken is said by path."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import sqlalchemy as sa

from flowserver.models import Cart, Contact, Event, Purchase

from .conftest import each

ADA = {"email": "ada@example.com"}


def report(api, type_="test_drive_booked", contact=None, **more):
    return api.post("/events", {"type": type_, "contact": contact or ADA, **more})


def count(db, model, *where):
    return db.session.scalar(sa.select(sa.func.count()).select_from(model).where(*where))


def test_an_event_of_an_unknown_address_makes_a_contact_without_consent(api, db, clock):
    answer = report(api, contact={"email": "Ada@Example.com", "phone": "333 123 4567", "external_id": "s-1"})
    assert answer.status_code == 200 and answer.json["accepted"] == 1
    one = db.session.scalar(sa.select(Contact))
    assert answer.json["data"] == [
        {"index": 0, "result": "accepted", "contact_id": one.id, "new_contact": True, "errors": {}}
    ]
    assert (one.email, one.phone, one.external_id) == ("ada@example.com", "+393331234567", "s-1")
    assert (one.email_consent, one.sms_consent, one.source) == ("none", "none", "api")
    assert next(row.type for row in db.session.scalars(sa.select(Event).order_by(Event.id))) == "contact_created"
    again = report(api).json["data"][0]
    assert (again["contact_id"], again["new_contact"]) == (one.id, False)


def test_the_contact_is_found_by_id_external_id_email_and_phone(api, db):
    made = api.post("/contacts", {**ADA, "phone": "+393331234567", "external_id": "s-1"}).json["id"]
    for who in (
        {"id": made},
        {"external_id": "s-1"},
        {"email": "ADA@example.com"},
        {"phone": "333 123 4567"},
        {"external_id": "s-1", "email": "another@example.com"},  # the stronger id says who it is
        {"id": made, "email": "another@example.com"},
    ):
        assert report(api, contact=who).json["data"][0]["contact_id"] == made, who
    assert count(db, Contact) == 1
    assert db.session.scalar(sa.select(Contact)).email == "ada@example.com"


def test_an_address_the_contact_lacked_is_filled_in_and_told(api, db):
    made = api.post("/contacts", ADA).json["id"]
    report(api, contact={**ADA, "external_id": "s-1", "phone": "+393331234567"})
    assert report(api, contact={"external_id": "s-1"}).json["data"][0]["contact_id"] == made
    told = db.session.scalars(sa.select(Event.subject).where(Event.type == "field_changed", Event.contact_id == made))
    assert {"external_id", "phone"} <= set(told)


def test_an_address_of_somebody_else_is_refused_and_nobody_is_merged(api, db):
    api.post("/contacts", {**ADA, "external_id": "s-1"})
    bob = api.post("/contacts", {"email": "bob@example.com", "phone": "+393331234567", "external_id": "s-2"}).json
    for who, path in (
        ({"external_id": "s-1", "email": "bob@example.com"}, "contact.email"),
        ({"external_id": "s-1", "phone": "+393331234567"}, "contact.phone"),
        ({"email": "ada@example.com", "phone": "+393331234567"}, "contact.phone"),
        ({"email": "ada@example.com", "external_id": "s-2"}, "contact.email"),
        ({"id": bob["id"], "email": "ada@example.com"}, "contact.email"),
        ({"email": "ada@example.com", "external_id": "s-9"}, "contact.email"),
    ):
        answer = report(api, contact=who)
        assert answer.status_code == 422 and list(answer.json["errors"]) == [path], (who, answer.json)
    assert count(db, Event, Event.type == "test_drive_booked") == 0 and count(db, Contact) == 2


def test_who_cannot_be_found_or_made_is_refused(api, db):
    for who, path in (
        ({"id": 999_999}, "contact.id"),
        ({"external_id": "nobody"}, "contact.external_id"),
        ({}, "contact"),
        ({"email": ""}, "contact"),
        ({"email": "not an address"}, "contact.email"),
        ({"phone": "12"}, "contact.phone"),
        ({"id": "7"}, "contact.id"),
        ({"id": 0}, "contact.id"),
        ({"name": "Ada"}, "contact.name"),
        (["ada@example.com"], "contact"),
    ):
        answer = api.post("/events", {"type": "x", "contact": who})
        assert answer.status_code == 422 and list(answer.json["errors"]) == [path], (who, answer.json)
    assert count(db, Contact) == count(db, Event) == 0


def test_a_contact_of_another_client_is_nobody_here(api, stranger, db):
    theirs = stranger.post("/contacts", {**ADA, "external_id": "s-1"}).json["id"]
    assert list(report(api, contact={"id": theirs}).json["errors"]) == ["contact.id"]
    bulk = api.post("/events", {"events": [{"type": "x", "contact": {"id": theirs}}]}).json
    assert bulk["refused"] == 1
    mine = report(api, contact={**ADA, "external_id": "s-1"}).json["data"][0]
    assert mine["new_contact"] and mine["contact_id"] != theirs
    assert stranger.get("/events?type=x").json["data"] == []


def test_the_same_id_again_is_accepted_once_and_said_so(api, stranger, db):
    assert report(api, id="e-1").json["accepted"] == 1
    for _ in range(2):
        assert report(api, id="e-1").json["repeated"] == 1
    assert report(api, id="e-1", contact={"email": "eve@example.com"}).json["repeated"] == 1
    assert count(db, Event, Event.type == "test_drive_booked") == 1
    assert count(db, Contact) == 1, "a repetition brings nobody into the address book"
    assert report(stranger, id="e-1").json["accepted"] == 1, "another client has ids of its own"
    assert report(api, id="e-2").json["accepted"] == report(api).json["accepted"] == report(api).json["accepted"] == 1


def test_a_repetition_does_not_bring_back_an_erased_contact(api, db):
    made = report(api, id="e-1").json["data"][0]["contact_id"]
    api.delete(f"/contacts/{made}")
    assert report(api, id="e-1").json["repeated"] == 1
    assert count(db, Contact) == 0


@each(
    ("moment", "words"),
    [
        ("2026-05-04T09:06:00Z", "Write a moment that has passed"),
        ("2126-05-04T09:00:00Z", "Write a moment that has passed"),
        ("2016-05-01T09:00:00Z", "Write a moment of the last ten years"),
        ("2026-05-04T09:00:00", "Write a moment with its zone, like 2026-05-04T09:00:00Z"),
        ("yesterday", "Write a moment with its zone, like 2026-05-04T09:00:00Z"),
        (1777885200, "Write a moment with its zone, like 2026-05-04T09:00:00Z"),
        ("9999-99-99T00:00:00Z", "Write a moment with its zone, like 2026-05-04T09:00:00Z"),
    ],
)
def test_a_moment_to_come_long_past_or_without_a_zone_is_answered_in_words(api, clock, moment, words):
    answer = report(api, occurred_at=moment)
    assert answer.status_code == 422 and answer.json["errors"] == {"occurred_at": [words]}


def test_a_moment_is_kept_and_a_clock_slightly_ahead_is_forgiven(api, clock, db):
    for given, kept in (
        ("2026-05-01T11:00:00+02:00", clock.now - timedelta(days=3)),
        ("2026-05-04T09:04:00Z", clock.now),
        (None, clock.now),
    ):
        report(api, **({"occurred_at": given} if given else {}))
        assert db.session.scalar(sa.select(Event.at).order_by(Event.id.desc()).limit(1)) == kept


@each(
    ("word", "said"),
    [
        ("Test drive", "Write a word of small letters"),
        ("9lives", "Write a word of small letters"),
        ("a:b", "Write a word of small letters"),
        ("x" * 61, "Use at most 60 characters"),
        ("", "Fill this in"),
        (5, "Write text"),
        ("contact_created", "We raise “contact_created” ourselves"),
        ("email_clicked", "We raise “email_clicked” ourselves"),
        ("cart_abandoned", "We raise “cart_abandoned” ourselves"),
        ("spend_changed", "We raise “spend_changed” ourselves"),
        ("custom_event", "We raise “custom_event” ourselves"),
    ],
)
def test_words_that_are_none_or_ours_are_refused(api, word, said):
    answer = report(api, word)
    assert answer.status_code == 422
    assert answer.json["errors"]["type"][0].startswith(said)


def nested(levels):
    return {"a": nested(levels - 1)} if levels else "x"


@each(
    ("properties", "path"),
    [
        ({"x": "y" * 17_000}, "properties"),
        ({str(n): n for n in range(5000)}, "properties"),
        (nested(7), "properties"),
        (nested(70), "_"),
        ({"chain": [1, 2]}, "properties.chain"),
        ({"chain": 5}, "properties.chain"),
        ([1], "properties"),
        ("x", "properties"),
        ({"x": "a\0b"}, "properties.x"),
    ],
)
def test_properties_are_bounded_and_leave_our_names_alone(api, properties, path):
    answer = report(api, properties=properties)
    assert answer.status_code == 422 and list(answer.json["errors"]) == [path], answer.json


def test_sound_properties_are_kept_as_they_were_sent(api, db):
    sent = {"n": 1, "f": 0.5, "yes": True, "none": None, "text": "żółw 💥", "deep": nested(5), "list": [1, [2]], "": ""}
    report(api, properties=sent)
    assert db.session.scalar(sa.select(Event.data).where(Event.type == "test_drive_booked")) == sent
    report(api, "note", properties={"big": 2**70})
    assert db.session.scalar(sa.select(Event.data).where(Event.type == "note"))["big"] == float(2**70)


@each(
    ("raw", "status"),
    [
        (b'{"type": "x", "contact": {"id": 1}, "properties": {"n": NaN}}', 400),
        (b'{"type": "x", "contact": {"id": 1}, "properties": {"n": 1e999}}', 400),
        (b'{"type": "x", "contact"', 400),
        (b"\xff\xfe", 400),
        (b"[]", 422),
        (b"[" * 100_000, 400),
        (b"", 422),
        (b"{}", 422),
        (b"null", 422),
    ],
)
def test_bodies_that_are_no_event_are_answered_in_words(api, raw, status):
    assert api.post("/events", data=raw, content_type="application/json").status_code == status


def test_what_is_missing_or_unknown_is_said_by_path(api):
    assert sorted(api.post("/events", {}).json["errors"]) == ["contact", "type"]
    assert list(api.post("/events", {"type": "x"}).json["errors"]) == ["contact"]
    assert list(report(api, colour="red").json["errors"]) == ["colour"]
    assert list(report(api, id="x" * 101).json["errors"]) == ["id"]
    assert list(report(api, id=5).json["errors"]) == ["id"]
    both = api.post("/events", {"type": "x", "contact": ADA, "events": []})
    assert sorted(both.json["errors"]) == ["contact", "type"]


# --- many ------------------------------------------------------------------------------------------------


def test_many_are_taken_or_refused_each_on_its_own(api, db, clock):
    sent = [
        {"type": "x", "contact": ADA, "id": "1"},
        {"type": "Y!", "contact": ADA},
        {"type": "x", "contact": ADA, "id": "1"},
        {"type": "x", "contact": {"email": "bob@example.com"}},
        {"type": "x", "contact": {"id": 12345}},
        {"type": "x"},
        "not an event",
        {"type": "x", "contact": ADA, "occurred_at": "2027-01-01T00:00:00Z", "colour": "red"},
        {"type": "purchase", "contact": ADA, "properties": {"order": "A-1", "amount": -1}},
        {"type": "purchase", "contact": ADA, "properties": {"order": "A-1", "amount": 5}},
        {"type": "purchase", "contact": ADA, "properties": {"order": "A-1", "amount": 7}},
    ]
    answer = api.post("/events", {"events": sent}).json
    assert [row["result"] for row in answer["data"]] == [
        *("accepted", "refused", "repeated", "accepted", "refused", "refused"),
        *("refused", "refused", "refused", "accepted", "repeated"),
    ]
    assert (answer["accepted"], answer["repeated"], answer["refused"]) == (3, 2, 6)
    assert [list(row["errors"]) for row in answer["data"] if row["errors"]] == [
        ["type"], ["contact.id"], ["contact"], ["_"], ["colour"], ["properties.amount"],
    ]  # fmt: skip
    again = api.post("/events", {"events": [row for row in sent if isinstance(row, dict) and "id" in row]}).json
    assert again["repeated"] == 2
    assert count(db, Event, Event.type == "x") == 2 and count(db, Purchase) == 1


def test_a_thousand_are_taken_and_one_more_is_too_many(api, db):
    sent = [{"type": "x", "contact": {"email": f"c{n % 100}@example.com"}, "id": str(n)} for n in range(1000)]
    assert api.post("/events", {"events": sent}).json["accepted"] == 1000
    assert count(db, Contact) == 100 and count(db, Event, Event.type == "x") == 1000
    assert api.post("/events", {"events": sent}).json["repeated"] == 1000
    assert api.post("/events", {"events": [*sent, sent[0]]}).status_code == 422
    assert api.post("/events", {"events": []}).json == {"data": [], "accepted": 0, "repeated": 0, "refused": 0}
    assert api.post("/events", {"events": {"0": sent[0]}}).status_code == 422


def test_an_idempotency_key_gets_the_same_answer_again(api, db):
    body = {"type": "x", "contact": ADA}
    first, second = (api.post("/events", body, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert first.json == second.json and second.headers["Idempotent-Replayed"] == "true"
    assert count(db, Event, Event.type == "x") == 1


# --- purchases and carts -----------------------------------------------------------------------------------


def buy(api, order="A-1", amount=50, contact=None, occurred_at=None, **more):
    when = {"occurred_at": occurred_at} if occurred_at else {}
    return report(api, "purchase", contact, properties={"order": order, "amount": amount, **more}, **when)


def test_a_purchase_is_kept_once_for_each_order(api, db, clock):
    items = [{"sku": "m", "name": "Mug", "category": "Kitchen", "price": 16.5, "quantity": 3, "colour": "red"}]
    assert buy(api, items=items, currency="eur", shop="Rome").json["accepted"] == 1
    assert buy(api, amount=70).json["repeated"] == 1
    one = api.get("/purchases?order=A-1").json["data"][0]
    assert (one["amount"], one["refunded"], one["currency"], one["items"]) == (50, 0, "EUR", items)
    assert one["contact_id"] == db.session.scalar(sa.select(Contact.id))
    assert api.get(f"/purchases/{one['id']}").json == one
    event = api.get("/events?type=purchase").json["data"]
    assert [row["properties"] for row in event] == [
        {"order": "A-1", "amount": 50, "items": items, "currency": "EUR", "shop": "Rome"}
    ]
    assert db.session.scalar(sa.select(Contact.last_activity_at)) == clock.now


def test_a_purchase_without_a_currency_is_in_that_of_the_clients_country(api):
    buy(api)
    assert api.get("/purchases").json["data"][0]["currency"] == "EUR"


@each(
    ("properties", "path"),
    [
        ({"amount": 5}, "properties.order"),
        ({"order": " ", "amount": 5}, "properties.order"),
        ({"order": ["A"], "amount": 5}, "properties.order"),
        ({"order": True, "amount": 5}, "properties.order"),
        ({"order": "x" * 101, "amount": 5}, "properties.order"),
        ({"order": "A"}, "properties.amount"),
        ({"order": "A", "amount": "5"}, "properties.amount"),
        ({"order": "A", "amount": -0.01}, "properties.amount"),
        ({"order": "A", "amount": 1_000_000_001}, "properties.amount"),
        ({"order": "A", "amount": 1e300}, "properties.amount"),
        ({"order": "A", "amount": True}, "properties.amount"),
        ({"order": "A", "amount": 5, "currency": "euros"}, "properties.currency"),
        ({"order": "A", "amount": 5, "currency": 5}, "properties.currency"),
        ({"order": "A", "amount": 5, "items": {}}, "properties.items"),
        ({"order": "A", "amount": 5, "items": [{}] * 101}, "properties.items"),
        ({"order": "A", "amount": 5, "items": [{}, 5]}, "properties.items[1]"),
        ({"order": "A", "amount": 5, "items": [{"price": "5"}]}, "properties.items[0].price"),
        ({"order": "A", "amount": 5, "items": [{"quantity": -1}]}, "properties.items[0].quantity"),
        ({"order": "A", "amount": 5, "items": [{"name": {}}]}, "properties.items[0].name"),
        ({"order": "A", "amount": 5, "url": "javascript:alert(1)"}, "properties.url"),
        ({"order": "A", "amount": 5, "url": "https://"}, "properties.url"),
        ({"order": "A", "amount": 5, "url": "http://[x"}, "properties.url"),
    ],
)
def test_a_purchase_that_makes_no_sense_is_refused_by_path(api, properties, path):
    answer = report(api, "purchase", properties=properties)
    assert answer.status_code == 422 and list(answer.json["errors"]) == [path], answer.json


def test_a_free_order_counts_and_an_order_may_be_a_number(api):
    assert buy(api, order=17, amount=0).json["accepted"] == 1
    assert api.get("/purchases?order=17").json["data"][0]["amount"] == 0


def test_money_given_back_is_taken_off_its_order(api, db):
    buy(api, amount=49.9)
    refund = {"order": "A-1", "amount": 9.9}
    assert report(api, "refund", properties=refund, id="r-1").json["accepted"] == 1
    assert report(api, "refund", properties=refund, id="r-1").json["repeated"] == 1
    assert api.get("/purchases").json["data"][0]["refunded"] == 9.9
    for properties, path in (
        ({"order": "A-1", "amount": 40.01}, "properties.amount"),
        ({"order": "A-1", "amount": 0}, "properties.amount"),
        ({"order": "A-1", "amount": -5}, "properties.amount"),
        ({"order": "A-2"}, "properties.order"),
        ({}, "properties.order"),
    ):
        assert list(report(api, "refund", properties=properties).json["errors"]) == [path]
    assert report(api, "refund", properties={"order": "A-1"}).json["accepted"] == 1
    assert api.get("/purchases").json["data"][0]["refunded"] == 49.9
    assert list(report(api, "refund", properties={"order": "A-1"}).json["errors"]) == ["properties.order"]


def test_refunds_of_one_request_are_counted_together_with_its_purchases(api, db):
    refund = {"type": "refund", "contact": ADA, "properties": {"order": "A-1", "amount": 30}}
    sent = [{"type": "purchase", "contact": ADA, "properties": {"order": "A-1", "amount": 50}}, refund, refund]
    assert [row["result"] for row in api.post("/events", {"events": sent}).json["data"]] == [
        *("accepted", "accepted", "refused")
    ]
    assert db.session.scalar(sa.select(Purchase.refunded)) == 30


def put(api, cart="c-1", at=None, contact=None, **more):
    when = {"occurred_at": at.isoformat()} if at else {}
    return report(api, "cart_updated", contact, properties={"cart": cart, **more}, **when)


def test_a_cart_is_kept_as_it_was_last_whatever_comes_late(api, db, clock):
    put(api, items=[{"name": "Mug", "price": 10, "quantity": 2}], url="https://shop.example/c/1")
    cart = api.get("/carts?cart=c-1").json["data"][0]
    assert (cart["state"], cart["amount"], cart["currency"], cart["url"]) == (
        *("open", 20, "EUR", "https://shop.example/c/1"),
    )
    put(api, at=clock.now - timedelta(minutes=5), amount=99)
    assert api.get("/carts").json["data"] == [cart]
    clock.forward(minutes=1)
    put(api, amount=30, contact={"email": "bob@example.com"})
    later = api.get(f"/carts/{cart['id']}").json
    assert (later["amount"], later["items"]) == (30, []) and later["contact_id"] != cart["contact_id"]
    clock.forward(minutes=1)
    put(api, items=[])
    assert api.get("/carts?state=emptied").json["data"][0]["cart"] == "c-1"


def test_a_purchase_clears_the_carts_it_came_from_in_whatever_order_they_are_told(api, clock):
    put(api, "c-1", amount=5)
    put(api, "c-2", amount=5)
    clock.forward(minutes=1)
    buy(api, cart="c-1")
    assert {row["cart"]: row["state"] for row in api.get("/carts").json["data"]} == {"c-1": "bought", "c-2": "open"}
    buy(api, order="A-2")
    put(api, "c-3", at=clock.now - timedelta(minutes=1), amount=5)  # told after the purchase, happened before
    assert {row["state"] for row in api.get("/carts").json["data"]} == {"bought"}
    clock.forward(minutes=1)
    put(api, "c-3", amount=5)
    assert api.get("/carts?state=open").json["data"][0]["cart"] == "c-3"


@each(
    ("type_", "properties", "path"),
    [
        ("cart_updated", {}, "properties.cart"),
        ("cart_updated", {"cart": "c", "url": "ftp://x.example"}, "properties.url"),
        ("cart_updated", {"cart": "c", "items": [{"price": 1e9, "quantity": 2}]}, "properties.items"),
        ("event_registered", {}, "properties.event"),
        ("event_registered", {"event": "Expo", "starts_at": "2026-06-01T10:00:00"}, "properties.starts_at"),
        ("event_registered", {"event": "Expo", "starts_at": 5}, "properties.starts_at"),
        (
            "event_checked_in",
            {"event": "Expo", "starts_at": "2026-06-01T10:00:00Z", "ends_at": "2026-06-01T09:00:00Z"},
            "properties.ends_at",
        ),
        ("document_requested", {"document": ""}, "properties.document"),
        ("document_downloaded", {"document": "x" * 121}, "properties.document"),
        ("app_installed", {"app": []}, "properties.app"),
        ("nps_answered", {}, "properties.score"),
        ("nps_answered", {"score": 11}, "properties.score"),
        ("nps_answered", {"score": -1}, "properties.score"),
        ("nps_answered", {"score": 9.5}, "properties.score"),
        ("nps_answered", {"score": True}, "properties.score"),
        ("nps_answered", {"score": 9, "comment": "x" * 2001}, "properties.comment"),
    ],
)
def test_other_types_say_what_is_wrong_by_path(api, type_, properties, path):
    answer = report(api, type_, properties=properties)
    assert answer.status_code == 422 and list(answer.json["errors"]) == [path], answer.json


def test_other_types_are_kept_with_what_they_are_about(api):
    for type_, properties, subject in (
        ("event_registered", {"event": "Expo", "starts_at": "2026-06-01T10:00:00+02:00"}, "Expo"),
        ("event_checked_in", {"event": "Expo"}, "Expo"),
        ("document_requested", {"document": "Guide"}, "Guide"),
        ("document_downloaded", {"document": "Guide", "url": "https://a.example/g.pdf"}, "Guide"),
        ("app_installed", {}, ""),
        ("nps_answered", {"score": 0, "comment": "Too far away"}, "0"),
    ):
        assert report(api, type_, properties=properties).json["accepted"] == 1
        assert api.get(f"/events?type={type_}").json["data"][0]["subject"] == subject
    registered = api.get("/events?type=event_registered").json["data"][0]
    assert registered["properties"]["starts_at"] == "2026-06-01T08:00:00Z"


# --- listing -----------------------------------------------------------------------------------------------


def test_events_are_listed_by_contact_type_and_time_page_by_page(api, clock):
    mine = report(api, "a", id="e-1").json["data"][0]["contact_id"]
    report(api, "b", contact={"email": "bob@example.com"})
    clock.forward(hours=1)
    report(api, "a", contact={"email": "bob@example.com"})
    assert [row["type"] for row in api.get(f"/events?contact={mine}").json["data"]] == [
        *("contact_created", "field_changed", "a"),
    ]
    assert [row["event_id"] for row in api.get("/events?type=a").json["data"]] == ["e-1", None]
    assert len(api.get("/events?type=a&since=2026-05-04T10:00:00Z").json["data"]) == 1
    first = api.get("/events?limit=2").json
    rest = api.get(f"/events?cursor={first['next']}").json
    assert len(first["data"]) == 2 and rest["next"] is None and len(rest["data"]) == 5
    assert api.get("/events?type=nothing").json == {"data": [], "next": None}


def test_an_erased_contact_leaves_totals_without_a_name(api, db):
    made = buy(api, items=[{"name": "Mug"}], cart="c-1").json["data"][0]["contact_id"]
    put(api, "c-9")
    api.delete(f"/contacts/{made}")
    assert db.session.execute(sa.select(Purchase.contact_id, Purchase.amount, Purchase.items)).one() == (None, 50, [])
    assert count(db, Cart) == 0
    assert json.loads(json.dumps(api.get("/purchases").json["data"][0]["contact_id"])) is None


@pytest.mark.parametrize("scope", ["read", "write"])
def test_a_key_needs_the_scope(app, workspace, db, scope):
    from flowserver.services.accounts import api_keys

    from .conftest import Api

    api = Api(app, api_keys.make(workspace.id, "x", [scope])[1])
    assert report(api).status_code == (403 if scope == "read" else 200)
    assert api.get("/events").status_code == (403 if scope == "write" else 200)


# --- the short way -----------------------------------------------------------------------------------------


def test_what_is_read_by_hand_is_what_the_schema_reads():
    from flowserver.blueprints.api.schemas import events as schemas

    schema, tried = schemas.EventIn(), 0
    sound = {
        "type": "x",
        "contact": {"id": 1, "email": "a@x.example", "phone": "1", "external_id": "s"},
        "occurred_at": "2026-05-04T09:00:00+02:00",
        "id": "e",
        "properties": {"a": [1]},
    }
    odd = [None, True, 0, -1, 2**63, 1.5, "", " ", "x" * 61, "x" * 101, "x" * 321, [], {}, "2026-05-04T09:00:00"]
    odd += ["2026-05-04", "2026-05-04T09:00:00Z", "1969-01-01T00:00:00Z", "2201-01-01T00:00:00Z", "2026-W19-1T09:00+01"]
    cases = [sound, {}, {"type": "x"}, None, [], "x", {**sound, "colour": 1}, {**sound, "contact": {"name": "x"}}]
    cases += [{**sound, name: value} for name in sound for value in odd]
    cases += [{key: value for key, value in sound.items() if key != name} for name in sound]
    cases += [{**sound, "contact": {name: value}} for name in sound["contact"] for value in odd]
    for case in cases:
        found = schemas.usual(case)
        if found is not None:
            assert found == schema.load(case), case
            tried += 1
    assert tried > 40 and schemas.usual(sound) == schema.load(sound)


def test_a_key_that_was_revoked_or_narrowed_a_moment_ago_reports_nothing(api, db, workspace, other):
    from flowserver.models import ApiKey
    from flowserver.services.accounts import api_keys

    for _ in range(2):
        assert report(api).json["accepted"] == 1
    key = db.session.scalar(sa.select(ApiKey))
    key.scopes = ["read"]
    db.session.commit()
    assert report(api).status_code == 403
    key.scopes = ["events:write"]
    db.session.commit()
    for _ in range(2):
        assert report(api).json["accepted"] == 1
    api_keys.revoke(key.id)
    assert report(api).status_code == 401
    assert count(db, Event, Event.type == "test_drive_booked") == 4


def test_the_use_of_a_key_is_noted_once_a_minute(api, db, clock):
    from flowserver.models import ApiKey

    used = []
    for _ in range(4):
        report(api)
        used.append(db.session.scalar(sa.select(ApiKey.last_used_at)) - clock.now)
        clock.forward(seconds=40)
    assert [moment.total_seconds() for moment in used] == [0, -40, 0, -40]


def test_a_single_event_of_a_known_key_is_answered_like_the_first(api, stranger, db):
    api.post("/contacts", ADA)
    answers = [report(api, type_="note", id=str(n), properties={"n": n}).json for n in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert report(api, id="1").json["repeated"] == 1
    refused = report(api, contact={"id": 10**9})
    assert refused.status_code == 422 and list(refused.json["errors"]) == ["contact.id"]
    assert report(api, contact={"phone": "333 123 4567"}).json["accepted"] == 1
    for _ in range(2):
        assert report(stranger, id="1").json["data"][0]["new_contact"] == (_ == 0)


def test_a_wrong_contact_does_not_hide_a_wrong_type(api, workspace):
    for contact in ({"email": 5}, {}, {"email": "nobody"}, "ada", {"id": "x"}):
        for word in ("Order Paid", "tag_added"):
            wrong = {"type": word, "contact": contact}
            found = api.post("/events", wrong).json["errors"]
            many = api.post("/events", {"events": [wrong]}).json["data"][0]["errors"]
            for errors in (found, many):
                assert "type" in errors and any(path.startswith("contact") for path in errors), (wrong, errors)
