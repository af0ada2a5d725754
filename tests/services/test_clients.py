"""New clients: a name nobody has, an address of their own, everything to send a first message."""

import pytest
import sqlalchemy as sa

from flowserver import extensions as ext
from flowserver.errors import Invalid
from flowserver.models import Connection
from flowserver.services.accounts import accounts, clients


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Caffè Lume", "caffe-lume"),
        ("Kino Pod Lipą & Łąka", "kino-pod-lipa-laka"),
        ("Straße 9", "strasse-9"),
        ("東京", "client"),
        ("--", "client"),
        ("x" * 120, "x" * 50),
    ],
)
def test_the_address_comes_from_the_name(name, slug):
    assert clients.slug_of(name) == slug


def test_a_taken_address_gets_a_number(app, db, workspace, alice):
    slugs = [clients.add(alice, name=name, time_zone="Europe/Rome").slug for name in ("Caffè-Lume", "Caffe Lume!")]
    assert slugs == ["caffe-lume-2", "caffe-lume-3"]


def test_a_new_client_can_send(app, db, workspace, bob):
    made = clients.add(
        bob, name="Nordhaus Optics", time_zone="Europe/Berlin", country="DE", sender_email="hallo@nordhaus.example"
    )
    assert made in accounts.workspaces(bob)
    with ext.workspace(made.id):
        assert sorted(db.session.scalars(sa.select(Connection.channel))) == ["email", "sms"]


def test_every_mistake_is_named(app, workspace, bob):
    with pytest.raises(Invalid) as caught:
        clients.add(bob, name="caffè lume", time_zone="Rome", country="XX", sender_email="x")
    assert set(caught.value.messages) == {"name", "time_zone", "country", "sender_email"}
    assert "called caffè lume already" in str(caught.value)
