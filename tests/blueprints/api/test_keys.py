"""What a key opens: parts of one client, or as a key of the agency the client it names."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from flowserver import extensions as ext
from flowserver.blueprints.api import resources
from flowserver.domain import scopes
from flowserver.errors import Invalid, NotFound
from flowserver.models import AgencyKey, AgencyKeyUse, Contact
from flowserver.services.accounts import agency_keys, api_keys

from .conftest import Api

LUME, KINO = {"Flowserver-Client": "caffe-lume"}, {"Flowserver-Client": "kino"}


@pytest.fixture
def agency(app, workspace, other, alice):
    """The API with a key of the agency, which has the clients Caffè Lume and Kino."""
    LUME["Flowserver-Client"] = workspace.slug
    return Api(app, agency_keys.make("back office", by=alice)[1])


def scoped(app, workspace, *wanted):
    return Api(app, api_keys.make(workspace.id, "scoped", wanted)[1])


# --- parts -----------------------------------------------------------------------------------------------


def test_a_key_for_a_part_opens_that_part_only(app, workspace):
    api = scoped(app, workspace, "contacts:read")
    assert api.get("/contacts").status_code == api.get("/tags").status_code == 200
    answer = api.get("/flows")
    assert answer.status_code == 403 and 'scope="flows:read"' in answer.headers["WWW-Authenticate"]
    assert api.post("/tags", {"name": "x"}).status_code == 403
    assert api.get("/workspace").status_code == 403  # who one is belongs to no part


def test_reading_a_part_and_writing_it_are_two_scopes(app, workspace):
    api = scoped(app, workspace, "contacts:write", "flows:read")
    assert api.post("/tags", {"name": "x"}).status_code == 201
    assert api.get("/tags").status_code == 403
    assert api.get("/flows").status_code == 200


def test_the_plain_verbs_hold_for_every_part(app, workspace):
    row, secret = api_keys.make(workspace.id, "reader", ["contacts:read", "read", "contacts:write", "read"])
    assert row.scopes == ["read", "contacts:write"]
    api = Api(app, secret)
    assert api.get("/flows").status_code == 200 and api.post("/tags", {"name": "x"}).status_code == 201
    assert api.post("/lists", {"name": "x"}).status_code == 201
    assert api.post("/flows", {}).status_code == 403


@pytest.mark.parametrize("wanted", [[], ["admin"], ["read", "contacts"], ["contacts:delete"], ["nothing:read"]])
def test_scopes_that_do_not_exist_are_refused(workspace, db, wanted):
    with pytest.raises(Invalid) as caught:
        api_keys.make(workspace.id, "x", wanted)
    assert list(caught.value.messages) == ["scopes"]


def test_every_resource_belongs_to_a_part_there_is():
    assert {resource.part for resource in resources()} <= {*scopes.PARTS, ""}


# --- keys of the agency ----------------------------------------------------------------------------------


def test_a_key_of_the_agency_acts_for_the_client_it_names(agency, workspace, other):
    assert agency.post("/contacts", {"email": "ada@example.com"}, headers=LUME).status_code == 201
    assert len(agency.get("/contacts", headers=LUME).json["data"]) == 1
    assert agency.get("/contacts", headers=KINO).json["data"] == []
    assert agency.get("/workspace", headers=KINO).json["name"] == "Kino"
    assert agency.get("/workspace", headers={"Flowserver-Client": " KINO "}).json["name"] == "Kino"
    with ext.every_workspace():
        assert ext.db.session.scalars(sa.select(Contact.workspace_id)).all() == [workspace.id]


def test_without_a_client_it_opens_only_the_list_of_clients(agency, workspace, other):
    answer = agency.get("/contacts")
    assert answer.status_code == 403 and "Flowserver-Client" in answer.json["detail"]
    assert agency.post("/contacts", {"email": "ada@example.com"}).status_code == 403
    assert [one["slug"] for one in agency.get("/clients").json["data"]] == [workspace.slug, "kino"]
    page = agency.get("/clients?limit=1").json
    assert [one["slug"] for one in agency.get(f"/clients?cursor={page['next']}").json["data"]] == ["kino"]


def test_it_is_refused_for_a_client_that_was_put_away_or_never_was(agency, other, db, clock):
    assert agency.get("/contacts", headers=KINO).status_code == 200
    other.archived_at = clock.now
    db.session.commit()
    assert agency.get("/contacts", headers=KINO).status_code == 403
    assert agency.get("/contacts", headers={"Flowserver-Client": "nobody"}).status_code == 403
    assert "kino" not in agency.get("/clients").get_data(as_text=True)


def test_nothing_leaks_from_one_client_to_the_other(agency):
    made = agency.post("/contacts", {"email": "ada@example.com"}, headers=LUME).json
    assert agency.get(f"/contacts/{made['id']}", headers=KINO).status_code == 404
    assert agency.patch(f"/contacts/{made['id']}", {"first_name": "Eve"}, headers=KINO).status_code == 404
    once = {"Idempotency-Key": "k1"}
    first = agency.post("/tags", {"name": "vip"}, headers={**LUME, **once})
    second = agency.post("/tags", {"name": "vip"}, headers={**KINO, **once})
    assert first.status_code == second.status_code == 201 and first.json["id"] != second.json["id"]
    assert "Idempotent-Replayed" not in second.headers


def test_the_key_of_a_client_cannot_name_another(api, workspace, other):
    assert api.get("/contacts", headers={"Flowserver-Client": workspace.slug}).status_code == 200
    refused = [api.get("/contacts", headers={"Flowserver-Client": name}) for name in ("kino", "nobody")]
    assert [one.status_code for one in refused] == [403, 403]
    assert refused[0].json == refused[1].json
    assert [one["slug"] for one in api.get("/clients").json["data"]] == [workspace.slug]


def test_what_it_did_is_kept(agency, workspace, db, clock, alice):
    agency.post("/contacts", {"email": "ada@example.com"}, headers=LUME)
    agency.post("/contacts", {"email": "not an address"}, headers=LUME)
    for _ in range(3):
        agency.get("/contacts", headers=KINO)
    agency.get("/clients")
    db.session.rollback()
    assert [(one.client, one.method, one.path) for one in agency_keys.uses()] == [
        ("Kino", "GET", "/api/v1/contacts"),
        (workspace.name, "POST", "/api/v1/contacts"),
        (workspace.name, "POST", "/api/v1/contacts"),
    ]
    key = agency_keys.keys()[0]
    assert key.last_used_at == clock.now and key.made_by == alice.id and agency_keys.maker(key.id).id == alice.id
    clock.forward(days=366)
    agency_keys.expire(clock.now)
    assert agency_keys.uses() == []


def test_a_key_of_the_agency_has_scopes_too_and_can_be_revoked(app, agency, workspace, other):
    row, secret = agency_keys.make("reader", ["contacts:read"])
    reader = Api(app, secret)
    assert reader.get("/contacts", headers=KINO).status_code == 200
    assert reader.post("/contacts", {"email": "ada@example.com"}, headers=KINO).status_code == 403
    agency_keys.revoke(row.id)
    assert reader.get("/contacts", headers=KINO).status_code == 401
    with pytest.raises(NotFound):
        agency_keys.revoke(row.id)
    assert Api(app, secret[:-1] + "!").get("/contacts", headers=KINO).status_code == 401


def test_its_secret_is_nowhere_in_the_database(db, workspace, alice):
    _, secret = agency_keys.make("back office", by=alice)
    kept = str(db.session.execute(sa.select(AgencyKey.__table__)).one())
    assert secret.startswith("fsa_") and secret not in kept and secret[15:] not in kept


def test_uses_belong_to_the_client_they_were_for(agency, workspace, other, db):
    agency.post("/tags", {"name": "x"}, headers=KINO)
    with ext.workspace(workspace.id):
        assert db.session.scalars(sa.select(AgencyKeyUse.path)).all() == []
