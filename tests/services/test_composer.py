"""Writing a message: how it reads, what to look at, a test to oneself."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from flowserver.errors import Invalid
from flowserver.models import Contact, Message, Workspace
from flowserver.services.flows import composer

MAIL = {
    "subject": "Hi {{ contact.first_name | default: 'you' }}",
    "body": [{"type": "text", "text": "Hello **there**"}],
}


@pytest.fixture
def marta(db, workspace):
    """A contact."""
    found = Contact(workspace_id=workspace.id, email="marta@example.com", first_name="Marta")
    db.session.add(found)
    db.session.commit()
    return found


def test_a_mail_reads_as_each_contact_sees_it(marta):
    assert composer.preview_email(MAIL, str(marta.id))["subject"] == "Hi Marta"
    shown = composer.preview_email(MAIL, composer.NOBODY)
    assert shown["subject"] == "Hi you" and "<strong>there</strong>" in shown["html"]
    assert "Hello" in shown["text"]


def test_nobody_reads_as_somebody_elses_contact(db, marta):
    other = Workspace(slug="kino", name="Kino", time_zone="UTC")
    db.session.add(other)
    db.session.flush()
    stranger = Contact(workspace_id=other.id, email="x@example.com", first_name="Stranger")
    db.session.add(stranger)
    db.session.commit()
    assert composer.preview_email(MAIL, str(stranger.id))["subject"] == "Hi you"
    assert "Stranger" not in [one.name for one in composer.readers()]


def test_blocks_become_html_and_html_becomes_words(workspace):
    html = composer.as_html(MAIL["body"])
    assert "<strong>there</strong>" in html and "<html" not in html
    assert composer.as_blocks("<h1>One</h1><p>Two</p>")[0]["text"].split() == ["One", "Two"]


def test_remarks_say_what_is_in_order(workspace):
    kinds = {str(one.text): one.kind for one in composer.remarks("email", MAIL)}
    assert kinds["Every variable has a fallback"] == "ok"
    found = composer.remarks("email", {**MAIL, "subject": "{{ contact.first_name }}"})
    assert "Every variable has a fallback" not in [str(one.text) for one in found]


def test_remarks_on_an_empty_message_say_what_is_missing_and_praise_nothing(workspace):
    assert [(one.kind, str(one.text)) for one in composer.remarks("email", {"subject": "", "body": []})] == [
        ("fix", "The e-mail has no subject"),
        ("fix", "The e-mail has no text"),
    ]
    assert [str(one.text) for one in composer.remarks("sms", {"text": " "})] == ["The SMS has no text"]
    plain = composer.remarks("email", {"subject": "Hi", "body": [{"type": "text", "text": "Hello"}]})
    assert [str(one.text) for one in plain] == ["The unsubscribe link and the sender's address are added at the end"]
    picture = {"type": "image", "url": "https://x.example/a.png", "alt": "Tea"}
    shown = composer.remarks("email", {"subject": "Hi", "body": [picture]})
    assert "All pictures have a text" in [str(one.text) for one in shown]


@pytest.mark.parametrize(
    ("sends", "content", "address", "field"),
    [
        ("email", MAIL, "nobody", "address"),
        ("email", {**MAIL, "subject": "{{ contact.first_name"}, "me@example.com", "content"),
        ("sms", {"text": "Hi"}, "12", "address"),
        ("sms", {"text": " "}, "+393331234567", "content"),
    ],
)
def test_a_test_that_cannot_be_sent_says_why_and_plans_nothing(workspace, db, bob, sends, content, address, field):
    with pytest.raises(Invalid) as refused:
        composer.send_test(sends, content, address, bob.id)
    assert field in refused.value.messages
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Message)) == 0


def test_a_test_sms_goes_to_a_national_number(workspace, db, bob):
    assert composer.send_test("sms", {"text": "Ciao"}, "333 123 4567", bob.id) == "+393331234567"
    assert db.session.scalars(sa.select(Message)).one().kind == "test"


def test_a_client_without_a_sender_sends_no_test(workspace, db, bob):
    workspace.sender_email = ""
    db.session.commit()
    with pytest.raises(Invalid):
        composer.send_test("email", MAIL, "me@example.com", bob.id)
