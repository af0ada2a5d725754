"""Contacts over the API."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from flowserver import extensions as ext
from flowserver.models import Consent, Contact, Event, Tag
from flowserver.services.people import fields

from .conftest import each
from .test_door import problem

NEVER_ASKED = dict.fromkeys(("email", "sms", "web_push", "mobile_push", "ads"), "none")


@pytest.fixture
def ada(api):
    """A contact."""
    return api.post("/contacts", {"email": "ada@example.com", "first_name": "Ada", "external_id": "shop-1"}).json


def events(db):
    db.session.rollback()
    return sorted((event.type, event.subject) for event in db.session.scalars(sa.select(Event)))


# --- making and changing ---------------------------------------------------------------------------------


def test_it_makes_a_contact(api, clock):
    answer = api.post("/contacts", {"email": "Ada@Example.com", "first_name": " Ada ", "phone": "333 123 4567"})
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/api/v1/contacts/{answer.json['id']}"
    assert answer.json == {
        "id": answer.json["id"],
        "email": "ada@example.com",
        "phone": "+393331234567",
        "external_id": None,
        "first_name": "Ada",
        "last_name": "",
        "locale": "",
        "fields": {},
        "score": 0,
        "tags": [],
        "lists": [],
        "consent": NEVER_ASKED,
        "status": "active",
        "source": "api",
        "created_at": "2026-05-04T09:00:00Z",
        "updated_at": "2026-05-04T09:00:00Z",
        "last_activity_at": None,
    }
    assert api.get(f"/contacts/{answer.json['id']}").json == answer.json


def test_it_takes_everything_at_once(api, db, newsletter, workspace):
    with ext.workspace(workspace.id):
        fields.add(label="City", type="text")
        fields.add(label="Visits", type="number")
        fields.add(label="Birthday", type="date")
        fields.add(label="Member", type="yes_no")
        fields.add(label="Coffee", type="choice", choices=["Espresso", "Filter"])
    values = {"city": "Roma", "visits": 3, "birthday": "1990-02-28", "member": True, "coffee": "espresso"}
    answer = api.post(
        "/contacts",
        {
            "email": "ada@example.com",
            "fields": values,
            "tags": ["VIP", " customer "],
            "lists": ["newsletter"],
            "consent": {"email": "given", "sms": "withdrawn"},
            "consent_source": "checkout",
            "consent_words": "Yes, send me news",
        },
    )
    assert answer.status_code == 201
    assert answer.json["fields"] == {**values, "coffee": "Espresso"}
    assert answer.json["tags"] == ["customer", "vip"]
    assert answer.json["lists"] == [{"id": newsletter.id, "name": "Newsletter"}]
    assert answer.json["consent"] == {**NEVER_ASKED, "email": "given", "sms": "withdrawn"}
    proof = db.session.scalars(sa.select(Consent).where(Consent.channel == "email")).one()
    assert (proof.source, proof.words) == ("checkout", "Yes, send me news")


def test_a_known_contact_is_changed(api, ada):
    answer = api.post("/contacts", {"email": "ADA@example.com", "last_name": "Rossi"})
    assert answer.status_code == 200 and "Location" not in answer.headers
    assert answer.json["id"] == ada["id"]
    assert (answer.json["first_name"], answer.json["last_name"]) == ("Ada", "Rossi")


def test_the_external_id_comes_first(api, ada):
    answer = api.post("/contacts", {"external_id": "shop-1", "email": "new@example.com"})
    assert answer.status_code == 200 and answer.json["id"] == ada["id"] and answer.json["email"] == "new@example.com"


def test_people_are_never_merged(api, ada):
    bob = api.post("/contacts", {"email": "bob@example.com", "external_id": "shop-2"}).json
    found = problem(api.post("/contacts", {"external_id": "shop-2", "email": "ada@example.com"}), 422, "invalid")
    assert list(found["errors"]) == ["email"]
    found = problem(api.patch(f"/contacts/{bob['id']}", {"email": "ada@example.com"}), 422, "invalid")
    assert list(found["errors"]) == ["email"]


def test_all_mistakes_are_named_at_once_by_path(api, newsletter):
    found = problem(
        api.post(
            "/contacts",
            {
                "email": "not an address",
                "phone": "12",
                "first_name": "<script>",
                "fields": {"colour": "red"},
                "lists": [newsletter.id, "Nothing", 10**15],
                "tags": ["good", "a,b", ""],
            },
        ),
        422,
        "invalid",
    )
    assert set(found["errors"]) == {
        "email",
        "phone",
        "first_name",
        "fields.colour",
        "lists[1]",
        "lists[2]",
        "tags[1]",
        "tags[2]",
    }
    assert api.get("/contacts").json["data"] == []


@each(
    "body",
    [
        {},
        {"email": None},
        {"email": "", "phone": ""},
        {"first_name": "Ada"},
        {"external_id": "shop-9"},
        {"email": 5},
        {"email": ["a@example.com"]},
        {"email": {"a": 1}},
        {"email": "a@example.com", "phone": True},
        {"email": "a" * 400 + "@example.com"},
        {"email": "a@example.com", "first_name": "x" * 121},
        {"email": "a@example.com", "first_name": 3},
        {"email": "a@example.com", "external_id": "x" * 121},
        {"email": "a@example.com", "locale": "nonsense-language"},
        {"email": "a@example.com", "fields": []},
        {"email": "a@example.com", "fields": {"": 1}},
        {"email": "a@example.com", "tags": "vip"},
        {"email": "a@example.com", "tags": [1]},
        {"email": "a@example.com", "tags": ["x"] * 51},
        {"email": "a@example.com", "tags": ["x" * 61]},
        {"email": "a@example.com", "lists": {"id": 1}},
        {"email": "a@example.com", "lists": [None]},
        {"email": "a@example.com", "lists": [True]},
        {"email": "a@example.com", "lists": [0]},
        {"email": "a@example.com", "lists": [2**63]},
        {"email": "a@example.com", "lists": [1.5]},
        {"email": "a@example.com", "consent": {"email": "maybe"}},
        {"email": "a@example.com", "consent": {"fax": "given"}},
        {"email": "a@example.com", "consent": "given"},
        {"email": "a@example.com", "consent_words": "x" * 2001},
        {"email": "a@example.com", "score": 5},
        {"email": "a@example.com", "id": 5},
    ],
)
def test_bad_contacts_are_refused(api, db, body):
    problem(api.post("/contacts", body), 422, "invalid")
    assert db.session.scalar(sa.select(sa.func.count(Contact.id))) == 0
    assert db.session.scalar(sa.select(sa.func.count(Tag.id))) == 0


@pytest.mark.parametrize(
    ("type", "good", "bad"),
    [
        ("text", "Roma", [True, [], {}, "x" * 501, "<b>x</b>"]),
        ("number", 3.5, ["three", True, [1], 10**15, 1e300]),
        ("date", "2026-02-28", ["2026-02-30", 20260228, True, "soon"]),
        ("yes_no", False, ["perhaps", [], {}]),
        ("choice", "Filter", ["Tea", 1, [], True]),
    ],
)
def test_custom_fields_are_typed(api, workspace, type, good, bad):
    with ext.workspace(workspace.id):
        fields.add(label="Thing", type=type, choices=["Espresso", "Filter"])
    for value in bad:
        found = problem(api.post("/contacts", {"email": "a@example.com", "fields": {"thing": value}}), 422, "invalid")
        assert list(found["errors"]) == ["fields.thing"], value
    made = api.post("/contacts", {"email": "a@example.com", "fields": {"thing": good}})
    assert made.json["fields"] == {"thing": good}
    cleared = api.patch(f"/contacts/{made.json['id']}", {"fields": {"thing": None}})
    assert cleared.json["fields"] == {}


def test_it_changes_only_what_is_sent(api, ada, clock):
    clock.forward(hours=1)
    answer = api.patch(f"/contacts/{ada['id']}", {"last_name": "Rossi", "external_id": None})
    assert answer.status_code == 200
    assert answer.json == {**ada, "last_name": "Rossi", "external_id": None, "updated_at": "2026-05-04T10:00:00Z"}
    assert api.patch(f"/contacts/{ada['id']}", {}).json == answer.json


def test_a_contact_keeps_one_address(api, ada):
    problem(api.patch(f"/contacts/{ada['id']}", {"email": None}), 422, "invalid")
    assert api.patch(f"/contacts/{ada['id']}", {"email": None, "phone": "+393331234567"}).status_code == 200


def test_tags_and_lists_have_addresses_of_their_own(api, ada):
    found = problem(api.patch(f"/contacts/{ada['id']}", {"tags": [], "lists": []}), 422, "invalid")
    assert set(found["errors"]) == {"tags", "lists"}


def test_it_deletes_a_contact(api, ada):
    assert api.delete(f"/contacts/{ada['id']}").status_code == 204
    problem(api.get(f"/contacts/{ada['id']}"), 404, "not-found")
    problem(api.delete(f"/contacts/{ada['id']}"), 404, "not-found")
    problem(api.patch(f"/contacts/{ada['id']}", {}), 404, "not-found")


def test_what_is_sent_becomes_events(api, db, newsletter):
    body = {
        "email": "ada@example.com",
        "first_name": "Ada",
        "tags": ["vip"],
        "lists": [newsletter.id],
        "consent": {"email": "given"},
    }
    for _ in range(2):
        api.post("/contacts", body)
    assert events(db) == [
        ("consent_changed", "email"),
        ("contact_created", ""),
        ("field_changed", "email"),
        ("field_changed", "first_name"),
        ("list_joined", str(newsletter.id)),
        ("tag_added", "vip"),
    ]


# --- finding ---------------------------------------------------------------------------------------------


def found(api, query):
    return [row["email"] for row in api.get(f"/contacts?{query}").json["data"]]


def test_filters_narrow_together(api, newsletter, clock):
    api.post("/contacts", {"email": "ada@example.com", "phone": "+393331234567", "external_id": "7", "tags": ["vip"]})
    clock.forward(hours=1)
    api.post("/contacts", {"email": "bob@example.com", "tags": ["vip"], "lists": ["Newsletter"]})
    clock.forward(hours=1)
    api.post("/contacts", {"email": "eve@example.com", "lists": [newsletter.id]})
    assert found(api, "email=ADA@example.com") == ["ada@example.com"]
    assert found(api, "phone=333 123 4567") == ["ada@example.com"]
    assert found(api, "phone=%2B393331234567") == ["ada@example.com"]
    assert found(api, "external_id=7") == ["ada@example.com"]
    assert found(api, "tag=VIP") == ["ada@example.com", "bob@example.com"]
    assert found(api, "tag=nobody") == []
    assert (
        found(api, f"list={newsletter.id}") == found(api, "list=newsletter") == ["bob@example.com", "eve@example.com"]
    )
    assert found(api, f"list={newsletter.id}&tag=vip") == ["bob@example.com"]
    assert found(api, "status=active&limit=1") == ["ada@example.com"]
    assert found(api, "status=bounced") == []
    assert found(api, "updated_since=2026-05-04T10:00:00Z") == ["bob@example.com", "eve@example.com"]
    assert found(api, "updated_since=2026-05-04T12:30:00+02:00") == ["eve@example.com"]
    assert found(api, "updated_since=2026-05-04T12:30:00%2B02:00") == ["eve@example.com"]


@each(
    ("query", "name"),
    [
        ("email=nonsense", "email"),
        ("phone=12", "phone"),
        ("status=happy", "status"),
        ("updated_since=yesterday", "updated_since"),
        ("updated_since=2026-05-04", "updated_since"),
        ("updated_since=2026-05-04T09:00:00", "updated_since"),
        ("updated_since=0001-01-01T00:00:00%2B14:00", "updated_since"),
        ("updated_since=9999-12-31T23:59:59-14:00", "updated_since"),
        (f"tag={'x' * 61}", "tag"),
        ("email=", None),
    ],
)
def test_bad_filters_are_named(api, query, name):
    answer = api.get(f"/contacts?{query}")
    if name is None:
        assert answer.status_code == 200
    else:
        assert list(problem(answer, 422, "invalid")["errors"]) == [name]


def test_a_filter_for_a_list_that_does_not_exist_is_named(api, stranger):
    theirs = stranger.post("/lists", {"name": "Theirs"}).json
    for wanted in ("99999999", "Nothing", theirs["id"], "Theirs", "9" * 40):
        assert list(problem(api.get(f"/contacts?list={wanted}"), 422, "invalid")["errors"]) == ["list"]


# --- tags, lists, consent --------------------------------------------------------------------------------


def test_tags_come_and_go(api, ada, db):
    path = f"/contacts/{ada['id']}/tags"
    assert api.post(path, {"tags": ["VIP", "a/b"]}).json["tags"] == ["a/b", "vip"]
    assert api.post(path, {"tags": ["vip"]}).json["tags"] == ["a/b", "vip"]
    assert [event for event in events(db) if event[0] == "tag_added"] == [("tag_added", "a/b"), ("tag_added", "vip")]
    assert api.delete(f"{path}/VIP").status_code == 204
    assert api.client.delete(f"/api/v1{path}/a/b", headers={"Authorization": f"Bearer {api.key}"}).status_code == 204
    problem(api.delete(f"{path}/vip"), 404, "not-found")
    problem(api.delete(f"{path}/{'x' * 200}"), 404, "not-found")
    assert api.get(f"/contacts/{ada['id']}").json["tags"] == []


def test_a_bulk_body_of_ten_megabytes_is_refused_and_one_of_a_thousand_large_rows_taken(api):
    large = {"contacts": [{"email": f"a{n}@example.com", "first_name": "x" * 10_000} for n in range(1000)]}
    problem(api.post("/contacts/bulk", large), 413, "too-large")
    rows = [{"email": f"a{n}@example.com", "consent_words": "w" * 2000} for n in range(1000)]
    answer = api.post("/contacts/bulk", {"contacts": rows})
    assert answer.status_code == 200 and answer.json["created"] == 1000


@each("body", [{}, {"tags": "vip"}, {"tags": [None]}, {"tags": ["a;b"]}, {"tags": [""]}, {"tags": ["x"] * 51}])
def test_bad_tags_are_refused(api, ada, body):
    problem(api.post(f"/contacts/{ada['id']}/tags", body), 422, "invalid")


def test_lists_are_joined_and_left(api, ada, newsletter, db):
    path = f"/contacts/{ada['id']}/lists"
    for reference in (newsletter.id, "NEWSLETTER"):
        assert api.post(path, {"list": reference}).json["lists"] == [{"id": newsletter.id, "name": "Newsletter"}]
    assert [event for event in events(db) if event[0] == "list_joined"] == [("list_joined", str(newsletter.id))]
    assert api.delete(f"{path}/{newsletter.id}").status_code == 204
    problem(api.delete(f"{path}/{newsletter.id}"), 404, "not-found")
    problem(api.delete(f"{path}/99999999"), 404, "not-found")
    assert api.get(f"/contacts/{ada['id']}").json["lists"] == []


@each("list", [None, "", "Nothing", 99999999, 0, -1, 1.5, True, [1], {"id": 1}, 2**70])
def test_a_list_that_does_not_exist_is_named(api, ada, list):
    assert [*problem(api.post(f"/contacts/{ada['id']}/lists", {"list": list}), 422, "invalid")["errors"]] == ["list"]


def test_consent_is_kept_with_its_proof(api, ada, clock):
    path = f"/contacts/{ada['id']}/consents"
    given = {"channel": "sms", "state": "given", "source": "till", "words": "Yes", "at": "2026-05-01T12:00:00+02:00"}
    assert api.post(path, given).json["consent"] == {**NEVER_ASKED, "sms": "given"}
    assert api.post(path, {"channel": "sms", "state": "withdrawn"}).json["consent"]["sms"] == "withdrawn"
    assert api.post(path, {"channel": "sms", "state": "withdrawn"}).status_code == 200
    kept = api.get(path).json
    assert [{key: one[key] for key in ("state", "at", "source", "words")} for one in kept["data"]] == [
        {"state": "given", "at": "2026-05-01T10:00:00Z", "source": "till", "words": "Yes"},
        {"state": "withdrawn", "at": "2026-05-04T09:00:00Z", "source": "API", "words": ""},
    ]


def test_consent_for_push_messages_and_ads_is_kept_too_without_an_address(api, ada):
    path = f"/contacts/{ada['id']}/consents"
    for channel in ("web_push", "mobile_push", "ads"):
        assert api.post(path, {"channel": channel, "state": "given"}).json["consent"][channel] == "given"
    body = {"contacts": [{"email": ada["email"], "consent": {"ads": "withdrawn"}}]}
    assert api.post("/contacts/bulk", body).json["updated"] == 1
    shown = api.get(f"/contacts/{ada['id']}").json["consent"]
    assert shown == {"email": "none", "sms": "none", "web_push": "given", "mobile_push": "given", "ads": "withdrawn"}


@each(
    "body",
    [
        {},
        {"channel": "sms"},
        {"channel": "fax", "state": "given"},
        {"channel": "sms", "state": "none"},
        {"channel": "sms", "state": "given", "at": "now"},
        {"channel": "sms", "state": "given", "at": 5},
        {"channel": "sms", "state": "given", "source": "x" * 81},
        {"channel": ["sms"], "state": "given"},
    ],
)
def test_bad_consent_is_refused(api, ada, body):
    problem(api.post(f"/contacts/{ada['id']}/consents", body), 422, "invalid")
    assert api.get(f"/contacts/{ada['id']}/consents").json["data"] == []


@each("path", ["tags", "lists", "consents"])
def test_a_contact_that_does_not_exist_has_nothing(api, newsletter, path):
    body = {
        "tags": {"tags": ["x"]},
        "lists": {"list": newsletter.id},
        "consents": {"channel": "sms", "state": "given"},
    }[path]
    problem(api.post(f"/contacts/99999999/{path}", body), 404, "not-found")


# --- many at once ----------------------------------------------------------------------------------------


def test_many_contacts_have_a_result_each(api, db, ada, newsletter):
    answer = api.post(
        "/contacts/bulk",
        {
            "contacts": [
                {"email": "new@example.com", "lists": ["Newsletter"], "tags": ["vip"], "consent": {"email": "given"}},
                {"email": "ada@example.com", "last_name": "Rossi", "lists": ["Newsletter"]},
                {"email": "nonsense", "lists": ["Nothing"]},
                {"email": "new@example.com", "first_name": "Twice"},
                "text",
                {"email": "x@example.com", "colour": "red"},
                {"external_id": "shop-1", "email": "new@example.com"},
                {},
            ]
        },
    )
    assert answer.status_code == 200
    assert [row["result"] for row in answer.json["data"]] == [
        "created", "updated", "refused", "updated", "refused", "refused", "refused", "refused",
    ]  # fmt: skip
    assert [row["index"] for row in answer.json["data"]] == list(range(8))
    assert (answer.json["created"], answer.json["updated"], answer.json["refused"]) == (1, 2, 5)
    assert [sorted(row["errors"]) for row in answer.json["data"]][2:] == [
        ["email", "lists[0]"], [], ["_"], ["colour"], ["email"], ["email"],
    ]  # fmt: skip
    new, changed = (api.get(f"/contacts/{answer.json['data'][place]['id']}").json for place in (0, 1))
    assert (new["first_name"], new["tags"], new["consent"]["email"]) == ("Twice", ["vip"], "given")
    assert (changed["id"], changed["last_name"]) == (ada["id"], "Rossi")
    assert new["lists"] == changed["lists"] == [{"id": newsletter.id, "name": "Newsletter"}]
    assert [event for event in events(db) if event[0] == "list_joined"] == [("list_joined", str(newsletter.id))] * 2


def test_a_thousand_contacts_at_once_join_their_list(api, db, newsletter, queue):
    contacts = [{"email": f"c{n}@example.com", "first_name": f"N{n}", "lists": [newsletter.id]} for n in range(1000)]
    answer = api.post("/contacts/bulk", {"contacts": contacts})
    assert answer.json["created"] == 1000
    assert api.get(f"/lists/{newsletter.id}").json["contacts"] == 1000
    kinds = [kind for kind, _subject in events(db)]
    assert (kinds.count("contact_created"), kinds.count("list_joined")) == (1000, 1000)
    assert len({row["id"] for row in answer.json["data"]}) == 1000


def test_more_than_a_thousand_is_refused(api):
    found = problem(api.post("/contacts/bulk", {"contacts": [{}] * 1001}), 422, "invalid")
    assert found["errors"] == {"contacts": ["Send at most 1000"]}


@each("body", [{}, {"contacts": None}, {"contacts": {}}, {"contacts": "x"}, {"rows": []}])
def test_other_bulk_bodies_are_refused(api, body):
    problem(api.post("/contacts/bulk", body), 422, "invalid")


def test_no_contacts_are_no_mistake(api):
    assert api.post("/contacts/bulk", {"contacts": []}).json == {"data": [], "created": 0, "updated": 0, "refused": 0}


def shape(contact):
    """A contact without what depends on when and how it came."""
    return {key: value for key, value in contact.items() if key not in ("id", "created_at", "updated_at")}


def padded(contacts):
    """So many contacts that they are written set by set."""
    return contacts + [{"email": f"pad{number}@example.com"} for number in range(40)]


def test_one_by_one_and_set_by_set_come_to_the_same(api, stranger, db, workspace, other):
    bodies = [
        {
            "email": "ada@example.com",
            "first_name": "Ada",
            "fields": {"city": "Roma"},
            "tags": ["vip"],
            "lists": ["News"],
        },
        {"email": "bob@example.com", "external_id": "b", "consent": {"email": "given", "sms": "withdrawn"}},
        {"phone": "+48601234567", "lists": ["News", "Offers"], "tags": ["vip", "b"]},
        {"email": "ada@example.com", "first_name": "Ada Maria", "fields": {"city": ""}, "consent": {"email": "given"}},
        {"external_id": "b", "email": "bob@example.com", "consent": {"email": "withdrawn"}, "consent_source": "till"},
        {"external_id": "c", "email": "bob@example.com"},
        {"external_id": "nobody"},
        {"email": "eve@example.com", "external_id": "e", "consent": {"sms": "given"}},
        {"email": "eve@example.com", "phone": "+48601234567"},
    ]
    seen = []
    for client, one, many in ((workspace, api, False), (other, stranger, True)):
        with ext.workspace(client.id):
            fields.add(label="City", type="text")
        for name in ("News", "Offers"):
            one.post("/lists", {"name": name})
        one.post("/contacts", {"email": "eve@example.com", "first_name": "Eve"})
        if many:
            answers = one.post("/contacts/bulk", {"contacts": padded(bodies)}).json["data"][: len(bodies)]
            results = [(row["result"], sorted(row["errors"])) for row in answers]
        else:
            answers = [one.post("/contacts", body) for body in bodies]
            words = {201: "created", 200: "updated", 422: "refused"}
            results = [(words[answer.status_code], sorted(answer.json.get("errors", ()))) for answer in answers]
        contacts = [
            shape(row)
            for row in one.get("/contacts?limit=200").json["data"]
            if not row["email"] or "pad" not in row["email"]
        ]
        for row in contacts:
            row["lists"] = [entry["name"] for entry in row["lists"]]
        with ext.workspace(client.id):
            db.session.rollback()
            numbers = {row.id: row.email or row.phone for row in db.session.scalars(sa.select(Contact))}
            told = sorted(
                (numbers[event.contact_id], event.type, "" if event.type == "list_joined" else event.subject)
                for event in db.session.scalars(sa.select(Event))
                if "pad" not in numbers[event.contact_id]
            )
            proof = sorted(
                (numbers[row.contact_id], row.channel, row.state, row.source)
                for row in db.session.scalars(sa.select(Consent))
            )
        seen.append((results, contacts, told, proof))
    assert seen[0] == seen[1]
    assert [result for result, _errors in seen[0][0]].count("refused") == 3


def test_an_address_that_changes_hands_within_a_request_finds_its_new_holder(api, ada):
    rows = [
        {"external_id": "shop-1", "email": "new@example.com"},
        {"email": "ada@example.com", "first_name": "Another Ada"},
    ]
    answer = api.post("/contacts/bulk", {"contacts": padded(rows)}).json
    assert [row["result"] for row in answer["data"][:2]] == ["updated", "created"]
    assert api.get(f"/contacts/{ada['id']}").json["email"] == "new@example.com"
    assert answer["data"][1]["id"] != ada["id"]


def test_consent_in_bulk_lifts_what_the_person_had_stopped(api, db, workspace):
    from flowserver.models import Suppression

    for address, reason in (("ada@example.com", "unsubscribed"), ("bob@example.com", "hard_bounce")):
        db.session.add(Suppression(workspace_id=workspace.id, channel="email", address=address, reason=reason))
    db.session.commit()
    rows = [{"email": f"{name}@example.com", "consent": {"email": "given"}} for name in ("ada", "bob")]
    api.post("/contacts/bulk", {"contacts": padded(rows)})
    db.session.rollback()
    assert [row.address for row in db.session.scalars(sa.select(Suppression))] == ["bob@example.com"]


def test_flows_start_for_all_of_a_bulk_request(api, db, newsletter, queue):
    definition = {
        "name": "Welcome",
        "trigger": {"type": "list_joined", "list": "Newsletter", "wait": {"minutes": 0}},
        "steps": [
            {"key": "mark", "type": "add_tag", "tag": "welcomed"},
            {"key": "done", "type": "end", "label": "done"},
        ],
    }
    flow = api.post("/flows", definition).json
    assert api.post(f"/flows/{flow['id']}/publish").status_code == 200
    rows = [{"email": f"c{number}@example.com", "lists": ["Newsletter"]} for number in range(60)]
    api.post("/contacts/bulk", {"contacts": rows})
    queue.drain()
    ended = api.get(f"/enrollments?flow={flow['id']}&limit=200").json["data"]
    assert [row["state"] for row in ended] == ["ended"] * 60
    assert len(api.get("/contacts?tag=welcomed&limit=200").json["data"]) == 60
