"""A message whose answer was never heard is shown to a person, who decides."""

import pytest

from flowserver.models import Contact, Message


@pytest.fixture
def unsure(db, workspace, clock):
    contact = Contact(workspace_id=workspace.id, email="marta@people.example", updated_at=clock.now)
    db.session.add(contact)
    db.session.flush()
    message = Message(
        workspace_id=workspace.id,
        key="1:hello:1",
        channel="email",
        connection_id=1,
        contact_id=contact.id,
        address=contact.email,
        state="unknown",
        planned_at=clock.now,
        due_at=clock.now,
        handed_at=clock.now,
    )
    db.session.add(message)
    db.session.commit()
    return contact.id, message.id


@pytest.mark.parametrize(("resend", "state"), [("", "accepted"), ("1", "planned")])
def test_a_person_decides(db, login, bob, unsure, resend, state):
    contact_id, message_id = unsure
    client = login(bob)
    page = client.get(f"/c/caffe-lume/contacts/{contact_id}")
    assert f"/messages/{message_id}/settle" in page.text
    answer = client.post(f"/c/caffe-lume/contacts/{contact_id}/messages/{message_id}/settle", data={"resend": resend})
    assert answer.status_code == 303
    db.session.expire_all()
    assert db.session.get(Message, message_id).state == state
    again = client.post(f"/c/caffe-lume/contacts/{contact_id}/messages/{message_id}/settle", data={"resend": resend})
    assert again.status_code == 409
