"""Bearer keys: shown once, kept as a hash, bound to a client."""

import pytest
import sqlalchemy as sa

from flowserver import extensions as ext
from flowserver.errors import Invalid, NotFound
from flowserver.models import ApiKey, Workspace
from flowserver.services.accounts import api_keys


def test_a_key_opens_its_client(db, workspace):
    row, secret = api_keys.make(workspace.id, "Shop")
    ext.enter_workspace(None)
    assert api_keys.check(secret).workspace_id == workspace.id
    assert row.prefix == secret[:14] and secret.startswith("fsk_")


def test_the_secret_is_nowhere_in_the_database(db, workspace):
    _, secret = api_keys.make(workspace.id, "Shop")
    kept = str(db.session.execute(sa.select(ApiKey.__table__)).one())
    assert secret not in kept and secret[15:] not in kept


@pytest.mark.parametrize(
    "change",
    [lambda s: s[:-1], lambda s: s + "x", lambda s: "fsk_0000000000" + s[14:], lambda s: "", lambda s: "é" * 40],
)
def test_anything_else_opens_nothing(db, workspace, change):
    _, secret = api_keys.make(workspace.id, "Shop")
    assert api_keys.check(change(secret)) is None


def test_a_revoked_key_opens_nothing(db, workspace):
    row, secret = api_keys.make(workspace.id, "Shop")
    api_keys.revoke(row.id)
    assert api_keys.check(secret) is None
    assert api_keys.keys() == []
    with pytest.raises(NotFound):
        api_keys.revoke(row.id)


def test_a_key_of_another_client_cannot_be_revoked(db, workspace):
    other = Workspace(slug="o", name="Other")
    db.session.add(other)
    db.session.commit()
    row, secret = api_keys.make(other.id, "Shop")
    with pytest.raises(NotFound):
        api_keys.revoke(row.id)
    assert api_keys.check(secret)


def test_its_use_is_noted_to_the_minute_even_while_reading(db, workspace, clock):
    _, secret = api_keys.make(workspace.id, "Shop")
    ext.read_only(True)
    assert api_keys.check(secret).last_used_at == clock.now
    first = clock.now
    clock.forward(seconds=59)
    assert api_keys.check(secret).last_used_at == first
    clock.forward(seconds=2)
    assert api_keys.check(secret).last_used_at == clock.now
    assert ext.is_read_only()
    ext.read_only(False)


@pytest.mark.parametrize(
    ("name", "scopes", "field"),
    [("", ["read"], "name"), ("x" * 200, ["read"], "name"), ("Shop", [], "scopes"), ("Shop", ["root"], "scopes")],
)
def test_bad_answers_are_named(db, workspace, name, scopes, field):
    with pytest.raises(Invalid) as caught:
        api_keys.make(workspace.id, name, scopes)
    assert list(caught.value.messages) == [field]
