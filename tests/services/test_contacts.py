"""One row per person: found by external id, e-mail, phone; never merged silently; changes become events."""

import pytest
import sqlalchemy as sa

from flowserver.errors import Invalid, NotFound
from flowserver.extensions import workspace as within
from flowserver.models import (
    Consent,
    Contact,
    ContactList,
    ContactTag,
    Enrollment,
    Event,
    Field,
    Membership,
    Message,
    ScoreEntry,
    Signup,
    Suppression,
    Workspace,
)
from flowserver.services.people import consents, contacts, lists, scores, tags


@pytest.fixture
def city(db, workspace):
    """Custom fields: city (text), bags (number), birthday (date), roast (choice), member (yes/no)."""
    for key, kind, choices in (
        ("city", "text", []),
        ("bags", "number", []),
        ("birthday", "date", []),
        ("roast", "choice", ["Light", "Dark"]),
        ("member", "yes_no", []),
    ):
        db.session.add(Field(workspace_id=workspace.id, key=key, label=key.title(), type=kind, choices=choices))
    db.session.commit()


def put(**values):
    return contacts.upsert(values, source="test")[0]


def events(db, kind):
    return db.session.scalars(sa.select(Event).where(Event.type == kind).order_by(Event.id)).all()


def test_a_new_contact_is_created_and_told(db, workspace, city):
    marta, new = contacts.upsert(
        {"email": " Marta@Example.COM ", "phone": "333 123 4567", "first_name": "Marta", "fields": {"bags": "1.234"}},
        source="api",
    )
    assert new and (marta.email, marta.phone, marta.source) == ("marta@example.com", "+393331234567", "api")
    assert marta.fields == {"bags": 1234}, "the client is Italian"
    assert len(events(db, "contact_created")) == 1
    told = {event.subject: event.data["new"] for event in events(db, "field_changed")}
    assert told["first_name"] == "Marta" and told["bags"] == marta.fields["bags"]


def test_the_same_person_is_changed_not_doubled(db, workspace):
    marta = put(email="marta@example.com", first_name="Marta")
    again, new = contacts.upsert({"email": "MARTA@example.com", "first_name": "Martha"}, source="api")
    assert not new and again.id == marta.id and again.first_name == "Martha"
    (change,) = [event for event in events(db, "field_changed") if not event.data.get("created")]
    assert (change.subject, change.data["old"], change.data["new"]) == ("first_name", "Marta", "Martha")


def test_saving_the_same_again_is_no_event(db, workspace, city):
    put(email="marta@example.com", fields={"birthday": "4 maggio 2001"})
    before = len(events(db, "field_changed"))
    put(email="marta@example.com", fields={"birthday": "2001-05-04"})
    assert len(events(db, "field_changed")) == before


def test_keys_not_given_stay_and_empty_ones_clear(workspace, city):
    put(email="m@x.example", first_name="Marta", fields={"city": "Trieste", "member": "sì"})
    marta = put(email="m@x.example", fields={"city": ""})
    assert marta.first_name == "Marta" and marta.fields == {"member": True}


def test_people_are_found_by_external_id_then_email_then_phone(workspace):
    one = put(external_id="A1", email="one@x.example")
    two = put(email="two@x.example")
    three = put(phone="+393331234567")
    assert put(external_id="A1", first_name="One").id == one.id
    assert put(email="two@x.example", external_id="B2").id == two.id
    assert put(phone="333 1234567", email="three@x.example").id == three.id
    assert put(external_id="A1", email="new@x.example").email == "new@x.example"


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"external_id": "A1", "email": "two@x.example"}, "email"),
        ({"external_id": "Z9", "email": "one@x.example"}, "email"),
        ({"email": "two@x.example", "phone": "+393331234567"}, "phone"),
        ({"email": "new@x.example", "phone": "+393331234567"}, "phone"),
    ],
)
def test_an_address_of_someone_else_is_reported_never_merged(db, workspace, values, field):
    put(external_id="A1", email="one@x.example", phone="+393331234567")
    put(email="two@x.example")
    with pytest.raises(Invalid) as error:
        contacts.upsert(values, source="test")
    assert field in error.value.messages
    assert db.session.scalar(sa.select(sa.func.count(Contact.id))) == 2


def test_update_refuses_taken_addresses_and_the_last_address(workspace):
    one = put(email="one@x.example")
    put(email="two@x.example")
    with pytest.raises(Invalid) as error:
        contacts.update(one.id, {"email": "two@x.example"})
    assert list(error.value.messages) == ["email"]
    with pytest.raises(Invalid):
        contacts.update(one.id, {"email": ""})
    assert contacts.update(one.id, {"email": "", "phone": "3331234567"}).email is None


def test_every_mistake_is_named_at_once(workspace, city):
    with pytest.raises(Invalid) as error:
        put(email="x", phone="1", first_name="<b>", fields={"bags": "many", "roast": "Medium", "shoe": 43})
    assert set(error.value.messages) == {"email", "phone", "first_name", "fields"}
    assert set(error.value.messages["fields"]) == {"bags", "roast", "shoe"}


def test_a_contact_needs_an_address(workspace):
    with pytest.raises(Invalid):
        put(first_name="Nobody")


def test_silent_changes_raise_no_events(db, workspace):
    marta, _ = contacts.upsert({"email": "m@x.example", "first_name": "M"}, source="import", silent=True)
    contacts.update(marta.id, {"first_name": "N"}, silent=True)
    assert not db.session.scalar(sa.select(sa.func.count(Event.id)))


def test_the_same_address_may_live_in_two_clients(db, workspace):
    other = Workspace(slug="o", name="Other")
    db.session.add(other)
    db.session.commit()
    mine = put(email="m@x.example")
    with within(other.id):
        theirs = put(email="m@x.example")
        assert theirs.id != mine.id
        with pytest.raises(NotFound):
            contacts.get(mine.id)
        with pytest.raises(NotFound):
            contacts.update(mine.id, {"first_name": "X"})


def test_an_address_that_bounced_is_forgiven_when_it_changes(db, workspace):
    marta = put(email="m@x.example")
    marta.status = "bounced"
    db.session.commit()
    assert contacts.update(marta.id, {"first_name": "M"}).status == "bounced"
    assert contacts.update(marta.id, {"email": "n@x.example"}).status == "active"


# --- searching -----------------------------------------------------------------------------------------


@pytest.fixture
def crowd(db, workspace):
    """Twelve contacts, Élodie among them, the even ones on a list."""
    people = [put(email=f"p{n:02}@x.example", first_name=f"Person {n}") for n in range(11)]
    people.append(put(email="elodie@x.example", first_name="Élodie", last_name="50%", phone="+393331234567"))
    lists.create("Even")
    lists.join(db.session.scalar(sa.select(ContactList.id)), [one.id for one in people[::2]])
    return people


def test_pages_go_there_and_back_without_gaps(crowd):
    whole = [one.id for one in reversed(crowd)]
    first = contacts.search(contacts.Filter(), limit=5)
    second = contacts.search(contacts.Filter(), limit=5, older=first.older)
    third = contacts.search(contacts.Filter(), limit=5, older=second.older)
    assert [one.id for page in (first, second, third) for one in page.items] == whole
    assert first.newer is None and third.older is None
    back = contacts.search(contacts.Filter(), limit=5, newer=third.newer)
    assert [one.id for one in back.items] == [one.id for one in second.items]
    start = contacts.search(contacts.Filter(), limit=5, newer=back.newer)
    assert [one.id for one in start.items] == whole[:5] and start.newer is None


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"q": "person 3"}, 1),
        ({"q": "ÉLODIE"}, 1),
        ({"q": "élodie"}, 1),
        ({"q": "50%"}, 1),
        ({"q": "%"}, 1),
        ({"q": "333 123"}, 1),
        ({"q": "x.example"}, 12),
        ({"q": "nobody"}, 0),
        ({"tag": "vip"}, 1),
        ({"consent": "email"}, 1),
        ({"consent": "no_email"}, 11),
        ({"consent": "no_sms"}, 12),
        ({"status": "bounced"}, 0),
    ],
)
def test_filters_narrow(db, crowd, wanted, found):
    tags.add([crowd[0].id], ["VIP"])
    consents.change(crowd[1], "email", "given", source="test")
    db.session.commit()
    assert contacts.count(contacts.Filter(**wanted)) == found
    assert len(contacts.search(contacts.Filter(**wanted)).items) == found


def test_a_list_narrows(db, crowd):
    only = contacts.Filter(list_id=db.session.scalar(sa.select(ContactList.id)))
    assert contacts.count(only) == 6
    first = contacts.after(only, 0, 4)
    assert [one.id for one in [*first, *contacts.after(only, first[-1].id, 4)]] == [one.id for one in crowd[::2]]


# --- consent, score, tags --------------------------------------------------------------------------------


def test_consent_keeps_its_proof_and_tells_changes_only(db, workspace, clock):
    marta = put(email="m@x.example")
    consents.change(marta, "email", "given", source="form Footer", words="I agree")
    clock.forward(days=1)
    consents.change(marta, "email", "given", source="form Header", words="I agree again")
    consents.change(marta, "email", "withdrawn", source="preference page")
    db.session.commit()
    assert [(c.state, c.source) for c in consents.history(marta.id)] == [
        ("withdrawn", "preference page"),
        ("given", "form Header"),
        ("given", "form Footer"),
    ]
    assert [event.data["new"] for event in events(db, "consent_changed")] == ["given", "withdrawn"]
    assert contacts.get(marta.id).email_consent == "withdrawn"


def test_agreeing_again_lifts_the_own_wish_but_no_bounce(db, workspace):
    marta = put(email="m@x.example")
    for reason, address in (("unsubscribed", "m@x.example"), ("hard_bounce", "n@x.example")):
        db.session.add(Suppression(workspace_id=workspace.id, channel="email", address=address, reason=reason))
    consents.change(marta, "email", "given", source="form")
    db.session.commit()
    assert db.session.scalars(sa.select(Suppression.reason)).all() == ["hard_bounce"]


def test_the_score_is_the_sum_of_its_ledger(db, workspace):
    marta = put(email="m@x.example")
    assert scores.change(marta.id, 10, "opened") == 10
    assert scores.change(marta.id, -25, "returned") == -15
    db.session.commit()
    assert contacts.get(marta.id).score == sum(entry.points for entry in scores.ledger(marta.id)) == -15
    assert [(e.data["old"], e.data["new"]) for e in events(db, "score_changed")] == [(0, 10), (10, -15)]


@pytest.mark.parametrize("points", [0, 1.5, "3", True, 2_000_000])
def test_a_score_changes_by_whole_points(workspace, points):
    with pytest.raises(Invalid):
        scores.change(put(email="m@x.example").id, points)


def test_tags_are_made_on_the_fly_and_put_on_once(db, workspace):
    marta = put(email="m@x.example")
    assert tags.add([marta.id], ["VIP", " vip ", "Fair 2026"]) == 2
    assert tags.add([marta.id], ["vip"]) == 0
    assert [event.subject for event in events(db, "tag_added")] == ["fair 2026", "vip"]
    assert tags.remove([marta.id], "VIP") == 1 and tags.remove([marta.id], "vip") == 0


# --- erasing ---------------------------------------------------------------------------------------------


def test_erasing_ends_flows_and_leaves_nothing_personal(db, workspace, clock):
    marta, paolo = put(email="m@x.example", first_name="Marta"), put(email="p@x.example")
    number = marta.id
    lists.create("Newsletter")
    lists.join(db.session.scalar(sa.select(ContactList.id)), [marta.id, paolo.id])
    tags.add([marta.id], ["vip"])
    scores.change(marta.id, 5)
    consents.change(marta, "email", "given", source="form", words="words")
    now = clock.now
    for contact in (marta, paolo):
        db.session.add(
            Enrollment(
                workspace_id=workspace.id,
                flow_id=1,
                version_id=1,
                contact_id=contact.id,
                event_key=f"e{contact.id}",
                due_at=now,
                triggered_at=now,
                data={"answers": {"email": contact.email}},
            )
        )
        for state in ("planned", "accepted"):
            db.session.add(
                Message(
                    workspace_id=workspace.id,
                    key=f"{contact.id}:{state}",
                    channel="email",
                    connection_id=1,
                    contact_id=contact.id,
                    address=contact.email,
                    content={"subject": "Hello Marta"},
                    state=state,
                    planned_at=now,
                    due_at=now,
                )
            )
        db.session.add(
            Signup(
                workspace_id=workspace.id, form_id=_form(db, workspace), email=contact.email, answers={}, consents={}
            )
        )
    db.session.commit()
    contacts.delete(number)
    assert not contacts.count(contacts.Filter(q="m@x.example"))
    run = db.session.scalar(sa.select(Enrollment).where(Enrollment.contact_id == number))
    assert (run.due_at, run.end_reason, run.data) == (None, "contact_deleted", None)
    mine = db.session.scalars(sa.select(Message).where(Message.contact_id == number).order_by(Message.id)).all()
    assert [(m.state, m.reason, m.address, m.content) for m in mine] == [
        ("skipped", "deleted", "", None),
        ("accepted", None, "", None),
    ]
    assert not any(event.data for event in db.session.scalars(sa.select(Event).where(Event.contact_id == number)))
    for model in (Membership, ContactTag, Consent, ScoreEntry):
        assert number not in db.session.scalars(sa.select(model.contact_id)).all()
    assert db.session.scalars(sa.select(Signup.email)).all() == ["p@x.example"]
    assert db.session.scalar(sa.select(Enrollment.due_at).where(Enrollment.contact_id == paolo.id)) is not None
    assert (
        db.session.scalars(sa.select(Message.address).where(Message.contact_id == paolo.id)).all()
        == ["p@x.example"] * 2
    )
    assert put(email="m@x.example").id != number, "a new contact must not inherit the history of an erased one"


def _form(db, workspace):
    from flowserver.models import Form

    found = db.session.scalar(sa.select(Form.id))
    if found:
        return found
    form = Form(
        workspace_id=workspace.id,
        public_id="f",
        name="F",
        list_id=db.session.scalar(sa.select(ContactList.id)),
        fields=[],
    )
    db.session.add(form)
    db.session.flush()
    return form.id
