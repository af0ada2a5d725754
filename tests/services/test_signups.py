"""A stranger's way from a form to the list: only the owner of the address can finish it."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from flowserver.errors import Invalid, NotFound
from flowserver.models import Consent, Contact, ContactList, Event, Form, Membership, Message, Signup
from flowserver.services.people import contacts, forms, signups

WORDS = "Send me e-mails about coffee. I can stop at any time."


@pytest.fixture
def coffee(db, workspace):
    """A list and a form with first name and phone, double opt-in and consent words."""
    letters = ContactList(workspace_id=workspace.id, name="Newsletter")
    db.session.add(letters)
    db.session.flush()
    return forms.create(
        {
            "name": "Footer",
            "title": "Coffee letters",
            "list_id": letters.id,
            "fields": [{"key": "first_name"}, {"key": "phone"}],
            "email_consent_text": WORDS,
            "sms_consent_text": "Send me SMS too.",
        }
    )


def fill(**more):
    return {"email": "Marta@Example.com", "first_name": " Marta ", "consent_email": "y", **more}


def rows(db, model):
    return db.session.scalars(sa.select(model).order_by(sa.inspect(model).primary_key[0])).all()


def link(db):
    """The token in the newest confirmation."""
    message = rows(db, Message)[-1]
    button = next(block for block in message.content["body"] if block["type"] == "button")
    return button["url"].rsplit("/", 1)[1]


def test_until_it_is_confirmed_only_a_signup_exists(db, coffee):
    answer = signups.receive(coffee, fill())
    assert answer.confirm and signups.unseal(coffee, answer.token) == "marta@example.com"
    assert not rows(db, Contact) and not rows(db, Event)
    (message,) = rows(db, Message)
    assert (message.kind, message.address, message.contact_id) == ("confirmation", "marta@example.com", None)
    assert message.key == f"signup:{rows(db, Signup)[0].id}"


def test_confirming_makes_the_contact_its_membership_consent_and_events(db, coffee, clock):
    signups.receive(coffee, fill(phone="333 1234567", consent_sms="y"))
    clock.forward(hours=3)
    found = signups.confirm(link(db))
    (marta,) = rows(db, Contact)
    assert (marta.email, marta.phone, marta.first_name) == ("marta@example.com", "+393331234567", "Marta")
    assert (marta.email_consent, marta.sms_consent) == ("given", "given")
    assert [(c.channel, c.state, c.source, c.at) for c in rows(db, Consent)] == [
        ("email", "given", "Footer", clock.now),
        ("sms", "given", "Footer", clock.now - timedelta(hours=3)),  # the button confirms the e-mail only
    ]
    assert rows(db, Consent)[0].words == WORDS
    assert [m.contact_id for m in rows(db, Membership)] == [marta.id]
    kinds = [event.type for event in rows(db, Event)]
    assert kinds[0] == "contact_created" and kinds[-2:] == ["list_joined", "form_filled"]
    assert kinds.index("consent_changed") < kinds.index("list_joined")
    assert found.signup.state == "confirmed" and found.signup.contact_id == marta.id


def test_confirming_twice_is_harmless(db, coffee):
    signups.receive(coffee, fill())
    token = link(db)
    signups.confirm(token)
    before = [len(rows(db, model)) for model in (Contact, Consent, Event, Membership)]
    signups.confirm(token)
    assert [len(rows(db, model)) for model in (Contact, Consent, Event, Membership)] == before


def test_looking_at_the_link_confirms_nothing(db, coffee):
    signups.receive(coffee, fill())
    assert signups.peek(link(db)).signup.state == "pending"
    assert not rows(db, Contact)


@pytest.mark.parametrize("token", ["", "x", "1-1", "1-1.forged", "1-1.é"])
def test_a_forged_link_is_refused(db, coffee, token):
    with pytest.raises(NotFound):
        signups.confirm(token)


def test_a_link_dies_after_seven_days(db, coffee, clock):
    signups.receive(coffee, fill())
    token = link(db)
    clock.forward(days=7, seconds=1)
    with pytest.raises(NotFound):
        signups.confirm(token)
    assert signups.expire(clock.now) == 1 and not rows(db, Signup)


def test_confirmed_signups_stay_when_old_ones_expire(db, coffee, clock):
    signups.receive(coffee, fill())
    signups.confirm(link(db))
    clock.forward(days=30)
    assert signups.expire(clock.now) == 0 and len(rows(db, Signup)) == 1


def test_repeated_posts_send_one_confirmation_in_ten_minutes(db, coffee, clock):
    for name in ("Marta", "Martha"):
        signups.receive(coffee, fill(first_name=name))
        clock.forward(minutes=4)
    assert len(rows(db, Message)) == 1 and rows(db, Signup)[0].answers["first_name"] == "Martha"
    clock.forward(minutes=7)
    signups.receive(coffee, fill())
    assert len(rows(db, Message)) == 2


def test_nobody_can_flood_an_address_with_confirmations(db, coffee, clock):
    for _ in range(12):
        signups.receive(coffee, fill())
        clock.forward(minutes=11)
    assert len(rows(db, Message)) == signups.MOST_A_DAY


def test_known_and_unknown_addresses_get_the_same_answer(db, coffee):
    unknown = signups.receive(coffee, fill(email="new@example.com"))
    contacts.upsert({"email": "old@example.com"}, source="test")
    known = signups.receive(coffee, fill(email="old@example.com"))
    assert unknown.confirm == known.confirm and len(rows(db, Message)) == 2


def test_the_trap_gets_an_answer_and_leaves_nothing(db, coffee):
    answer = signups.receive(coffee, fill(website="http://spam.example"))
    assert answer.confirm and signups.unseal(coffee, answer.token) == "Marta@Example.com"
    assert not rows(db, Signup) and not rows(db, Message)


@pytest.mark.parametrize(
    ("answers", "field"),
    [
        ({"email": ""}, "email"),
        ({"email": "marta"}, "email"),
        ({"email": "marta@mailinator.com"}, "email"),
        ({"email": "a" * 1_000_000 + "@example.com"}, "email"),
        ({"first_name": "<script>alert(1)</script>"}, "first_name"),
        ({"first_name": "x" * 1_000_000}, "first_name"),
        ({"phone": "12"}, "phone"),
        ({"phone": "", "consent_sms": "y"}, "phone"),
        ({"consent_email": ""}, "consent_email"),
    ],
)
def test_bad_answers_are_named_and_nothing_is_stored(db, coffee, answers, field):
    with pytest.raises(Invalid) as error:
        signups.receive(coffee, fill(**answers))
    assert list(error.value.messages) == [field]
    assert not rows(db, Signup) and not rows(db, Message)


def test_without_double_opt_in_everything_happens_at_once(db, coffee):
    form = forms.update(coffee.id, {"double_opt_in": False})
    answer = signups.receive(form, fill())
    assert not answer.confirm and not rows(db, Message)
    assert rows(db, Contact)[0].email_consent == "given" and len(rows(db, Membership)) == 1


def test_a_number_of_somebody_else_is_left_out(db, coffee):
    contacts.upsert({"phone": "+393331234567", "first_name": "Paolo"}, source="test")
    signups.receive(coffee, fill(phone="333 1234567", consent_sms="y"))
    signups.confirm(link(db))
    paolo, marta = rows(db, Contact)
    assert (paolo.email, marta.phone, marta.sms_consent) == (None, None, "none")


def test_a_form_without_words_takes_the_button_as_consent(db, coffee):
    form = forms.update(coffee.id, {"email_consent_text": "", "sms_consent_text": ""})
    signups.receive(form, {"email": "marta@example.com"})
    signups.confirm(link(db))
    assert [(c.channel, c.words) for c in rows(db, Consent)] == [("email", "Coffee letters")]


def test_the_mail_speaks_the_language_of_the_form(db, coffee):
    form = forms.update(coffee.id, {"locale": "it"})
    signups.receive(form, fill())
    assert "Coffee letters" in rows(db, Message)[0].content["subject"]


def test_a_stamp_is_good_for_a_day_and_for_its_form_only(db, coffee, clock):
    stamp = signups.stamp(coffee)
    signups.check_stamp(coffee, stamp)
    signups.check_stamp(coffee, None)
    other = Form(id=coffee.id + 1)
    with pytest.raises(Invalid):
        signups.check_stamp(other, stamp)
    clock.forward(days=2)
    with pytest.raises(Invalid):
        signups.check_stamp(coffee, stamp)


def test_sending_again_keeps_the_ten_minutes(db, coffee, clock):
    answer = signups.receive(coffee, fill())
    signups.again(coffee, answer.token)
    signups.again(coffee, "forged")
    assert len(rows(db, Message)) == 1
    clock.now += timedelta(minutes=11)
    signups.again(coffee, answer.token)
    assert len(rows(db, Message)) == 2


def test_confirming_starts_the_welcome_flow_in_the_same_moment(db, coffee, clock):
    from flowserver.models import Enrollment
    from flowserver.services.flows import flows

    flow = flows.create(
        {
            "format": 1,
            "name": "Welcome",
            "trigger": {"type": "list_joined", "list": coffee.list_id, "wait": {"minutes": 10}, "reentry": "once"},
            "steps": [{"key": "hi", "type": "send_email", "subject": "Hi", "body": [{"type": "text", "text": "Hi"}]}],
        }
    )
    flows.publish(flow.id)
    clock.forward(minutes=1)
    signups.receive(coffee, fill())
    assert not rows(db, Enrollment)
    clock.forward(hours=1)
    signups.confirm(link(db))
    (run,) = rows(db, Enrollment)
    assert run.due_at == clock.now + timedelta(minutes=10) and run.contact_id == rows(db, Contact)[0].id
