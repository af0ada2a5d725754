"""The address book's pages: searching, one contact, changing by hand, deleting, tags, export."""

import csv
import io
import re

import pytest
import sqlalchemy as sa

from flowserver.models import Consent, Contact, ContactList, Field, Tag
from flowserver.services.people import contacts, lists, tags

ROOT = "/c/caffe-lume/contacts"


@pytest.fixture
def console(login, bob):
    """Bob of the staff, logged in."""
    return login(bob)


@pytest.fixture
def marta(workspace):
    """One contact."""
    return contacts.upsert(
        {"email": "marta@x.example", "phone": "3331234567", "first_name": "Marta", "last_name": "Nowak"}, source="api"
    )[0]


def fresh(db, contact_id):
    db.session.expire_all()
    return db.session.get(Contact, contact_id)


def test_an_empty_book_says_how_people_come_in(console):
    page = console.get(ROOT)
    assert page.status_code == 200 and "No contacts yet" in page.text


def test_the_list_narrows_and_keeps_its_state_in_the_address(console, marta):
    contacts.upsert({"email": "paolo@x.example", "first_name": "Paolo"}, source="api")
    both = console.get(ROOT).text
    assert "Marta Nowak" in both and "Paolo" in both and "+39 333 123 4567" in both
    page = console.get(f"{ROOT}?q=nowak&consent=no_email&status=active")
    assert "Marta Nowak" in page.text and "paolo@x.example" not in page.text and 'value="nowak"' in page.text
    assert "q=nowak" in page.text  # the export link keeps the filter
    assert "Nobody matches" in console.get(f"{ROOT}?q=zzz").text


@pytest.mark.parametrize(
    "query",
    [
        "?older=x",
        "?older=-1",
        "?older=99999999999999999999",
        "?list=abc",
        "?consent=maybe",
        "?status=%00",
        "?q=" + "x" * 5000,
        "?tag=%F0%9F%98%80",
        "?q=%27%22%3Cscript%3E",
        "?newer=0",
    ],
)
def test_strange_addresses_do_no_harm(console, marta, query):
    page = console.get(ROOT + query)
    assert page.status_code == 200 and "<script>alert" not in page.text and '"<script>' not in page.text


def test_pages_link_to_each_other(console, workspace):
    for number in range(55):
        contacts.upsert({"email": f"p{number}@x.example"}, source="api", silent=True, commit=False)
    contacts.db.session.commit()
    first = console.get(ROOT).text
    assert "p54@x.example" in first and "p4@x.example" not in first and "Older" in first
    older = first.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    second = console.get(older).text
    assert "p4@x.example" in second and "p54@x.example" not in second
    newer = second.split('rel="prev" href="')[1].split('"')[0].replace("&amp;", "&")
    assert "p54@x.example" in console.get(newer).text


def test_a_contact_is_added_with_lists_tags_and_fields(db, console, workspace):
    db.session.add(
        Field(workspace_id=workspace.id, key="roast", label="Roast", type="choice", choices=["Light", "Dark"])
    )
    news = lists.create("News")
    page = console.post(
        f"{ROOT}/new",
        data={
            "email": "Eva@X.example",
            "phone": "333 7654321",
            "own-roast": "Dark",
            "lists": news.id,
            "tags": "VIP, fair",
        },
    )
    assert page.status_code == 303
    eva = db.session.scalar(sa.select(Contact))
    assert (eva.email, eva.phone, eva.fields, eva.source) == (
        "eva@x.example",
        "+393337654321",
        {"roast": "Dark"},
        "by hand",
    )
    on, has = contacts.lists_and_tags([eva.id])
    assert on[eva.id] == [(news.id, "News")] and has[eva.id] == ["fair", "vip"]
    shown = console.get(page.location).text
    assert "Dark" in shown and "News" in shown and "staff, by hand" in shown


def test_adding_somebody_known_changes_them(db, console, marta):
    page = console.post(f"{ROOT}/new", data={"email": "marta@x.example", "last_name": "Rossi"}, follow_redirects=True)
    assert "was known already" in page.text and db.session.scalar(sa.select(sa.func.count(Contact.id))) == 1


def test_adding_somebody_known_keeps_what_was_left_empty(db, console, marta):
    contacts.update(marta.id, {"last_name": "Bianchi", "phone": "+393337654321"})
    boxes = {"email": "marta@x.example", "phone": "", "first_name": "Marta", "last_name": "", "own-roast": ""}
    console.post(f"{ROOT}/new", data=boxes)
    db.session.refresh(marta)
    assert (marta.last_name, marta.phone) == ("Bianchi", "+393337654321")


def test_editing_changes_everything_at_once(db, console, marta):
    old, new = lists.create("Old"), lists.create("New")
    lists.join(old.id, [marta.id])
    tags.add([marta.id], ["gone", "stays"])
    form = console.get(f"{ROOT}/{marta.id}/edit").text
    assert 'value="marta@x.example"' in form and 'value="gone, stays"' in form
    data = {
        "email": "marta@x.example",
        "phone": "",
        "first_name": "Martha",
        "last_name": "",
        "lists": new.id,
        "tags": "stays; more",
    }
    assert console.post(f"{ROOT}/{marta.id}/edit", data=data).status_code == 303
    found = fresh(db, marta.id)
    assert (found.first_name, found.last_name, found.phone) == ("Martha", "", None)
    on, has = contacts.lists_and_tags([marta.id])
    assert [name for _, name in on[marta.id]] == ["New"] and has[marta.id] == ["more", "stays"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"email": "marta"}, "Enter an e-mail address like"),
        ({"email": "", "phone": ""}, "Enter an e-mail address or a phone number"),
        ({"email": "paolo@x.example"}, "belongs to another contact"),
        ({"phone": "12"}, "does not exist"),
        ({"first_name": "<script>alert(1)</script>"}, "without signs like"),
        ({"locale": "Italian"}, "as a code like"),
        ({"tags": "x" * 61}, "Use at most 60"),
        ({"lists": "9999"}, "Choose lists that exist"),
        ({"own-bags": "many"}, "Write a number"),
    ],
)
def test_mistakes_come_back_at_their_fields_with_what_was_typed(db, console, marta, workspace, changes, words):
    db.session.add(Field(workspace_id=workspace.id, key="bags", label="Bags", type="number", choices=[]))
    contacts.upsert({"email": "paolo@x.example"}, source="api")
    data = {"email": "marta@x.example", "phone": "3331234567", "last_name": "Typed", **changes}
    page = console.post(f"{ROOT}/{marta.id}/edit", data=data)
    assert page.status_code == 422 and words in page.text and 'value="Typed"' in page.text
    assert "<script>alert" not in page.text and fresh(db, marta.id).last_name == "Nowak"


def test_consent_by_hand_needs_its_proof(db, console, marta):
    page = console.post(f"{ROOT}/{marta.id}/consent", data={"channel": "sms", "state": "given", "words": " "})
    assert (
        page.status_code == 422 and "Write where and how" in page.text and not db.session.scalar(sa.select(Consent.id))
    )
    data = {"channel": "sms", "state": "given", "words": "Signed card, fair 2026"}
    assert console.post(f"{ROOT}/{marta.id}/consent", data=data).status_code == 303
    shown = console.get(f"{ROOT}/{marta.id}").text
    assert "Signed card, fair 2026" in shown and fresh(db, marta.id).sms_consent == "given"
    console.post(f"{ROOT}/{marta.id}/consent", data={"channel": "sms", "state": "withdrawn"})
    assert fresh(db, marta.id).sms_consent == "withdrawn"
    for bad in ({"channel": "fax", "state": "given", "words": "x"}, {"channel": "sms", "state": "?", "words": "x"}):
        assert console.post(f"{ROOT}/{marta.id}/consent", data=bad).status_code == 422


def test_points_by_hand_stand_in_the_ledger(db, console, marta):
    for points in ("+5", "-12", "−3"):
        console.post(f"{ROOT}/{marta.id}/score", data={"points": points, "reason": f"because {points}"})
    assert fresh(db, marta.id).score == -10
    assert "because −3" in console.get(f"{ROOT}/{marta.id}").text
    for bad in ("", "0", "many", "1.5", "9" * 30):
        assert console.post(f"{ROOT}/{marta.id}/score", data={"points": bad}).status_code == 422


def test_deleting_asks_and_then_erases(db, console, marta):
    assert "cannot be undone" in console.get(f"{ROOT}/{marta.id}/delete").text
    assert console.post(f"{ROOT}/{marta.id}/delete", data={}).status_code == 422 and fresh(db, marta.id)
    number = marta.id
    assert console.post(f"{ROOT}/{number}/delete", data={"sure": "y"}).status_code == 303
    assert fresh(db, number) is None and console.get(f"{ROOT}/{number}").status_code == 404


def test_the_export_is_a_csv_of_what_is_shown(console, marta):
    contacts.upsert({"email": "paolo@x.example", "first_name": "=1+1"}, source="api")
    answer = console.get(f"{ROOT}/export.csv?q=paolo")
    assert answer.mimetype == "text/csv" and "attachment" in answer.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text.lstrip("\ufeff"), newline="")))
    assert [(row["email"], row["first_name"]) for row in rows] == [("paolo@x.example", "'=1+1")]


def test_tags_are_made_renamed_and_deleted(db, console, marta):
    assert console.post(f"{ROOT}/tags", data={"name": " VIP "}).status_code == 303
    assert console.post(f"{ROOT}/tags", data={"name": "vip"}).status_code == 422
    number = db.session.scalar(sa.select(Tag.id))
    assert console.post(f"{ROOT}/tags/{number}", data={"name": "gold"}).status_code == 303
    assert "gold" in console.get(f"{ROOT}/tags").text
    assert console.post(f"{ROOT}/tags/{number}/delete").status_code == 303
    assert not db.session.scalar(sa.select(Tag.id)) and console.get(f"{ROOT}/tags/{number}").status_code == 404


def test_a_tag_in_use_answers_409_and_links_to_the_flow(db, console, workspace):
    from flowserver.models import Flow

    tag = tags.create("vip")
    definition = {
        "format": 1,
        "name": "W",
        "trigger": {"type": "list_joined"},
        "steps": [{"key": "a", "type": "add_tag", "tag": "vip"}],
    }
    flow = Flow(
        workspace_id=workspace.id,
        name="Welcome",
        trigger_type="list_joined",
        draft=definition,
        updated_at=workspace.created_at,
    )
    db.session.add(flow)
    db.session.commit()
    for path, data in ((f"/tags/{tag.id}", {"name": "gold"}), (f"/tags/{tag.id}/delete", {})):
        page = console.post(ROOT + path, data=data)
        assert page.status_code == 409 and "is in use by: Welcome" in page.text and f"/flows/{flow.id}" in page.text


WRITES = [
    "/new",
    "/{id}/edit",
    "/{id}/consent",
    "/{id}/score",
    "/{id}/delete",
    "/{id}/flows/1/leave",
    "/tags",
    "/tags/{tag}",
    "/tags/{tag}/delete",
    "/import",
    "/import/1/start",
    "/import/1/read",
    "/import/1/stop",
]
READS = [
    "",
    "/{id}",
    "/{id}/edit",
    "/{id}/delete",
    "/new",
    "/tags",
    "/tags/{tag}",
    "/export.csv",
    "/import",
    "/import/1",
    "/import/1/refused.csv",
]


def test_a_stranger_finds_nothing(login, carol, marta):
    stranger, tag = login(carol), tags.create("vip")
    for path in READS:
        assert stranger.get(ROOT + path.format(id=marta.id, tag=tag.id)).status_code == 404, path
    for path in WRITES:
        assert stranger.post(ROOT + path.format(id=marta.id, tag=tag.id), data={"sure": "y"}).status_code == 404, path


def test_a_contact_of_another_client_is_not_found_in_ones_own(login, carol, marta):
    stranger = login(carol)
    for path in ("/{id}", "/{id}/edit", "/{id}/delete"):
        assert stranger.get("/c/kino/contacts" + path.format(id=marta.id)).status_code == 404
    assert stranger.post(f"/c/kino/contacts/{marta.id}/delete", data={"sure": "y"}).status_code == 404
    assert "marta" not in stranger.get("/c/kino/contacts/export.csv").text


def test_without_log_in_there_is_only_the_door(client, alice, marta):
    for path in READS:
        assert client.get(ROOT + path.format(id=marta.id, tag=1)).status_code in (303, 404)


def test_a_client_user_reads_and_changes_nothing(db, login, workspace, marta):
    from tests.conftest import make_user

    reader = login(make_user("client", "owner@lume.example", workspace))
    page = reader.get(f"{ROOT}/{marta.id}")
    assert page.status_code == 200 and "Edit" not in page.text and "Delete this contact" not in page.text
    assert reader.post(f"{ROOT}/{marta.id}/delete", data={"sure": "y"}).status_code == 403 and fresh(db, marta.id)
    assert db.session.scalar(sa.select(ContactList.id)) is None


def test_the_list_page_asks_the_same_number_of_queries_for_many(db, console, marta):
    def queries():
        seen = []
        listen = lambda *args: seen.append(args[2])  # noqa: E731
        sa.event.listen(db.engine, "before_cursor_execute", listen)
        console.get(ROOT)
        sa.event.remove(db.engine, "before_cursor_execute", listen)
        return len(seen)

    queries()
    few = queries()
    for number in range(40):
        contacts.upsert({"email": f"p{number}@x.example"}, source="api", silent=True, commit=False)
    db.session.commit()
    assert queries() == few


def test_every_form_carries_a_token_and_nothing_is_taken_without_one(app, console, marta):
    pages = [
        ROOT,
        f"{ROOT}/{marta.id}",
        f"{ROOT}/{marta.id}/edit",
        f"{ROOT}/{marta.id}/delete",
        f"{ROOT}/new",
        f"{ROOT}/tags",
        f"{ROOT}/import",
    ]
    app.config["WTF_CSRF_ENABLED"] = True
    for path in [*pages, "/c/caffe-lume/lists/new", "/c/caffe-lume/forms/new"]:
        for form in re.findall(r"<form[^>]*method=\"post\".*?</form>", console.get(path).text, re.S):
            assert 'name="csrf_token"' in form, path
    for path in WRITES:
        assert console.post(ROOT + path.format(id=marta.id, tag=1), data={"sure": "y"}).status_code == 400, path


def test_pages_have_no_inline_script_or_style(console, marta):
    for path in (ROOT, f"{ROOT}/{marta.id}", f"{ROOT}/import", "/c/caffe-lume/forms/new", "/c/caffe-lume/lists"):
        text = console.get(path).text
        assert " style=" not in text and "<style" not in text and "onclick" not in text
        assert "<script>" not in text


def test_a_form_that_was_not_saved_keeps_what_was_typed_at_a_question_it_does_not_ask(console):
    typed = {"name": "", "required-phone": "1", "label-phone": "Your mobile", "ask-first_name": "1"}
    page = console.post("/c/caffe-lume/forms/new", data={**typed, "list_id": "9" * 5000})
    boxes = dict(re.findall(r'id="((?:ask|required)-\w+)"[^>]*?value="1"( checked)?', page.text))
    assert page.status_code == 422 and 'value="Your mobile"' in page.text and "Choose the list people join" in page.text
    assert (boxes["ask-phone"], boxes["required-phone"], boxes["ask-first_name"]) == ("", " checked", " checked")
