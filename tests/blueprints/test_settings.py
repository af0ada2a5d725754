"""A client's settings pages, as people use them."""

import re

import pytest
import sqlalchemy as sa

from flowserver import extensions as ext
from flowserver.models import ApiKey, Connection, Contact, Field, Flow, Suppression
from flowserver.models.people import SuppressionChange
from flowserver.services.accounts import api_keys
from flowserver.services.messages import connections

SECRET = "s3cret-word"  # noqa: S105
HOME = "/c/caffe-lume/settings"
PAGES = ["", "/sending", "/connections", "/fields", "/keys", "/suppressions", "/connections/new/email/smtp"]
GENERAL = {
    "name": "Caffè Lume",
    "time_zone": "Europe/Rome",
    "country": "IT",
    "locale": "it",
    "postal_address": "Via dei Tostatori 3, Trieste",
    "brand_color": "#6b3a1e",
    "notify_email": "",
}
SENDING = {
    "sender_name": "Caffè Lume",
    "sender_email": "ciao@caffelume.example",
    "sms_sender": "CaffeLume",
    "quiet_from": "21:00",
    "quiet_until": "8:00",
    "cap_day": "",
    "cap_week": "5",
}


@pytest.mark.parametrize("path", PAGES)
def test_every_page_opens(login, bob, path):
    answer = login(bob).get(HOME + path)
    assert answer.status_code == 200
    assert 'aria-current="page"' in answer.text


# --- general and sending -------------------------------------------------------------------------------


def test_general_settings_are_saved(login, bob, workspace):
    browser = login(bob)
    assert browser.post(HOME, data={**GENERAL, "name": "Lume", "count_machine_opens": "y"}).status_code == 303
    assert (workspace.name, workspace.locale, workspace.count_machine_opens) == ("Lume", "it", True)
    assert workspace.slug == "caffe-lume"
    assert "The settings are saved." in browser.get(HOME).text


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", " ", "Enter the client’s name"),
        ("name", "kino pod lipą", "already"),
        ("time_zone", "Rome", "Choose a time zone"),
        ("country", "Q1", "Choose a country"),
        ("locale", "de", "Choose one of the options"),
        ("brand_color", "red", "Enter a colour like #0b6478"),
        ("brand_color", "#7b7b7b", "Text cannot be read on this colour"),
        ("postal_address", "<b>x</b>", "without HTML"),
        ("postal_address", "x" * 400, "at most 300 characters"),
        ("notify_email", "boss", "Enter an e-mail address"),
    ],
)
def test_bad_general_settings_are_named_and_typed_values_stay(login, bob, carol, workspace, field, value, words):
    answer = login(bob).post(HOME, data={**GENERAL, "postal_address": "Via Nuova 1", field: value})
    assert answer.status_code == 422
    assert words in answer.text
    assert f'id="{field}-e"' in answer.text
    assert field == "postal_address" or 'value="Via Nuova 1"' in answer.text
    assert workspace.postal_address == ""


def test_a_colour_may_be_written_short(login, bob, workspace):
    login(bob).post(HOME, data={**GENERAL, "brand_color": "#FFF"})
    assert workspace.brand_color == "#ffffff"


def test_sending_settings_are_saved(login, bob, workspace):
    assert login(bob).post(HOME + "/sending", data=SENDING).status_code == 303
    assert (workspace.quiet_until, workspace.cap_day, workspace.cap_week) == ("08:00", None, 5)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("sender_name", "", "Enter the name contacts see"),
        ("sender_name", 'Lume "the" cafè', "without quotes"),
        ("sender_email", "", "Enter an e-mail address"),
        ("sms_sender", "CaffeLumeRoma", "at most 11 characters"),
        ("sms_sender", "Caffè", "letters from A to Z"),
        ("sms_sender", "12", "letters from A to Z"),
        ("quiet_from", "25:00", "Enter a time like 21:00"),
        ("quiet_until", "morning", "Enter a time like 21:00"),
        ("cap_day", "0", "whole number from 1"),
        ("cap_day", "-1", "whole number from 1"),
        ("cap_week", "1.5", "whole number from 1"),
        ("cap_week", "99999999999999", "whole number from 1"),
    ],
)
def test_bad_sending_settings_are_named(login, bob, workspace, field, value, words):
    answer = login(bob).post(HOME + "/sending", data={**SENDING, field: value})
    assert answer.status_code == 422
    assert words in answer.text
    assert f'href="#{field}"' in answer.text
    assert workspace.cap_week is None


def test_a_week_cannot_allow_less_than_a_day(login, bob, workspace):
    answer = login(bob).post(HOME + "/sending", data={**SENDING, "cap_day": "6"})
    assert "cannot be below the limit for a day" in answer.text


@pytest.mark.parametrize("sender", ["", "+393331234567", "40404", "Lume 7"])
def test_an_sms_sender_may_be_a_number_a_name_or_nothing(login, bob, workspace, sender):
    login(bob).post(HOME + "/sending", data={**SENDING, "sms_sender": sender})
    assert workspace.sms_sender == sender


# --- connections ---------------------------------------------------------------------------------------


def connection(db, channel="email"):
    return db.session.scalar(sa.select(Connection).where(Connection.channel == channel))


def test_a_secret_is_kept_sealed_and_shown_as_stars(login, bob, db):
    row = connection(db)
    browser = login(bob)
    data = {"name": "Main", "set_host": "smtp.lume.example", "set_port": "587", "set_security": "starttls"}
    data |= {"set_username": "sender", "set_password": SECRET, "untried": "1", "per_minute": "600"}
    assert browser.post(f"{HOME}/connections/{row.id}", data=data).status_code == 303
    db.session.expire_all()
    assert (row.name, row.per_minute, row.settings["host"]) == ("Main", 600, "smtp.lume.example")
    assert SECRET not in str(row.settings)
    page = browser.get(f"{HOME}/connections/{row.id}").text
    assert SECRET not in page and f'value="{connections.MASK}"' in page
    data["set_password"] = connections.MASK
    browser.post(f"{HOME}/connections/{row.id}", data=data)
    db.session.expire_all()
    assert connections.provider(row).settings["password"] == data["set_password"].replace(connections.MASK, SECRET)


def test_settings_are_tried_before_they_are_saved(login, bob, db):
    row = connection(db)
    data = {"name": "Main", "set_host": "127.0.0.1", "set_port": "1", "set_security": "none"}
    answer = login(bob).post(f"{HOME}/connections/{row.id}", data=data)
    assert answer.status_code == 422
    assert "It did not work" in answer.text and "Save without trying" in answer.text
    assert 'value="127.0.0.1"' in answer.text
    db.session.expire_all()
    assert row.settings == {}


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("set_port", "many", "Enter a whole number"),
        ("set_port", "99999", ""),
        ("set_security", "rot13", "Choose none, starttls or ssl"),
        ("per_minute", "-5", "Enter a whole number"),
        ("per_minute", "0", "Enter a number from 1"),
        ("name", "x" * 200, "120 characters at most"),
    ],
)
def test_bad_connection_settings_are_named(login, bob, db, field, value, words):
    row = connection(db)
    data = {"name": "Main", "set_host": "smtp.lume.example", "set_security": "starttls", "untried": "1", field: value}
    answer = login(bob).post(f"{HOME}/connections/{row.id}", data=data)
    assert answer.status_code == 422
    assert words in answer.text and f'id="{field}-e"' in answer.text


def test_a_connection_is_added_made_default_and_removed(login, bob, db, workspace):
    browser, old = login(bob), connection(db)
    data = {"name": "Backup", "set_host": "smtp2.lume.example", "set_security": "starttls", "untried": "1"}
    assert browser.post(HOME + "/connections/new/email/smtp", data=data).status_code == 303
    new = db.session.scalar(sa.select(Connection).where(Connection.name == "Backup"))
    assert not new.is_default and len(new.hook_token) == 32
    browser.post(f"{HOME}/connections/{new.id}/default")
    db.session.expire_all()
    assert new.is_default and not old.is_default
    assert "Choose another one first" in follow(browser, f"{HOME}/connections/{new.id}/remove")
    assert "The connection is deleted" in follow(browser, f"{HOME}/connections/{old.id}/remove")


def follow(browser, path, **data):
    return browser.post(path, data=data, follow_redirects=True).text


def test_a_connection_is_paused_by_name_and_resumed(login, bob, db, queue):
    row, browser = connection(db), login(bob)
    page = follow(browser, f"{HOME}/connections/{row.id}/pause")
    assert "Paused by Bob" in page
    follow(browser, f"{HOME}/connections/{row.id}/resume")
    db.session.expire_all()
    assert row.paused_at is None and ("deliver", row.id) in queue.rings


def test_trying_a_connection_that_is_nowhere_says_so(login, bob, db):
    assert "It did not work" in follow(login(bob), f"{HOME}/connections/{connection(db).id}/check")


def test_the_provider_for_tests_is_not_offered(login, bob):
    assert login(bob).get(HOME + "/connections/new/email/memory").status_code == 404
    assert login(bob).get(HOME + "/connections/new/fax/smtp").status_code == 404
    assert "/new/email/memory" not in login(bob).get(HOME + "/connections").text


def test_unknown_connections_and_acts_are_not_found(login, bob, db):
    assert login(bob).get(HOME + "/connections/999").status_code == 404
    assert login(bob).post(f"{HOME}/connections/{connection(db).id}/explode").status_code == 404


# --- fields --------------------------------------------------------------------------------------------


def test_a_field_is_added_changed_and_deleted_with_its_values(login, bob, db, workspace):
    browser = login(bob)
    page = follow(
        browser, HOME + "/fields", label="Favourite shop", type="choice", choices="Trieste\n Udine \n\nTrieste"
    )
    assert "{{ contact.favourite_shop }}" in page
    row = db.session.scalar(sa.select(Field))
    assert (row.key, row.choices) == ("favourite_shop", ["Trieste", "Udine"])
    browser.post(f"{HOME}/fields/{row.id}", data={"label": "Shop", "choices": "Trieste\nUdine\nPola"})
    db.session.expire_all()
    assert (row.label, row.key, row.choices) == ("Shop", "favourite_shop", ["Trieste", "Udine", "Pola"])
    db.session.add_all(
        [
            Contact(workspace_id=workspace.id, email="a@x.example", fields={"favourite_shop": "Udine", "n": 1}),
            Contact(workspace_id=workspace.id, email="b@x.example", fields={"n": 2}),
        ]
    )
    db.session.commit()
    assert "deleted" in follow(browser, f"{HOME}/fields/{row.id}/delete")
    db.session.expire_all()
    assert [contact.fields for contact in db.session.scalars(sa.select(Contact).order_by(Contact.id))] == [
        {"n": 1},
        {"n": 2},
    ]


@pytest.mark.parametrize(
    ("data", "field", "words"),
    [
        ({"label": "", "type": "text"}, "label", "Enter a label"),
        ({"label": "City", "type": "text"}, "label", "called City already"),
        ({"label": "x" * 100, "type": "text"}, "label", "at most 60 characters"),
        ({"label": "Shop", "type": "colour"}, "type", "Choose one of the options"),
        ({"label": "Shop", "type": "choice", "choices": "one"}, "choices", "at least two choices"),
        ({"label": "Shop", "type": "choice", "choices": "One\none"}, "choices", "capital letters"),
        (
            {"label": "Shop", "type": "choice", "choices": "\n".join(map(str, range(300)))},
            "choices",
            "at most 200 choices",
        ),
    ],
)
def test_bad_fields_are_named(login, bob, db, workspace, data, field, words):
    db.session.add(Field(workspace_id=workspace.id, key="city", label="City", type="text", choices=[]))
    db.session.commit()
    answer = login(bob).post(HOME + "/fields", data=data)
    assert answer.status_code == 422
    assert words in answer.text and f'id="{field}-e"' in answer.text


@pytest.mark.parametrize(
    ("label", "key"), [("E-mail", "e_mail"), ("Email", "email_2"), ("2nd name", "f_2nd_name"), ("都市", "client")]
)
def test_a_key_is_fit_for_variables_and_never_hides_a_fixed_one(login, bob, db, label, key):
    login(bob).post(HOME + "/fields", data={"label": label, "type": "text"})
    assert db.session.scalar(sa.select(Field.key)) == key


def test_a_field_in_use_stays(login, bob, db, workspace, clock):
    db.session.add(Field(workspace_id=workspace.id, key="city", label="City", type="text", choices=[]))
    step = {"key": "s", "type": "set_field", "field": "city", "value": "Roma"}
    db.session.add(
        Flow(
            workspace_id=workspace.id,
            name="Welcome",
            trigger_type="list_joined",
            draft={"format": 1, "name": "Welcome", "trigger": {"type": "list_joined"}, "steps": [step]},
            updated_at=clock.now,
        )
    )
    db.session.commit()
    page = follow(login(bob), f"{HOME}/fields/{db.session.scalar(sa.select(Field.id))}/delete")
    assert "“City” is in use by: Welcome" in page
    assert db.session.scalar(sa.select(sa.func.count(Field.id))) == 1


# --- keys ----------------------------------------------------------------------------------------------


def test_a_key_is_shown_once(login, bob, db, workspace):
    browser = login(bob)
    page = browser.post(HOME + "/keys", data={"name": "Online shop", "scopes": ["read"]}).text
    secret = page.split('id="secret" value="')[1].split('"')[0]
    assert api_keys.check(secret).workspace_id == workspace.id
    again = browser.get(HOME + "/keys").text
    assert secret not in again and secret[:14] in again and "Online shop" in again


def test_a_key_may_open_some_parts_only(login, bob, db):
    browser = login(bob)
    answer = browser.post(
        HOME + "/keys", data={"name": "Till", "parts": ["coupons:read", "coupons:write", "flows:read"]}
    )
    assert answer.status_code == 200
    page = browser.get(HOME + "/keys").text
    assert "Coupons: reads and writes" in page and "Flows and who is in them: reads" in page
    db.session.rollback()
    assert db.session.scalar(sa.select(ApiKey.scopes)) == ["flows:read", "coupons:read", "coupons:write"]
    refused = browser.post(HOME + "/keys", data={"name": "", "parts": ["coupons:read"]})
    assert refused.status_code == 422
    assert 'value="coupons:read" aria-label="Read: Coupons" checked' in refused.text
    assert browser.post(HOME + "/keys", data={"name": "x", "parts": ["nothing:read"]}).status_code == 422


def test_a_revoked_key_is_gone(login, bob, db, workspace):
    row, secret = api_keys.make(workspace.id, "Shop")
    assert "opens nothing any more" in follow(login(bob), f"{HOME}/keys/{row.id}/revoke")
    assert api_keys.check(secret) is None


def test_a_key_needs_a_name_and_a_scope(login, bob, db):
    answer = login(bob).post(HOME + "/keys", data={"name": ""})
    assert answer.status_code == 422
    assert "Enter a name" in answer.text and "Choose what the key may do" in answer.text
    assert db.session.scalar(sa.select(sa.func.count(ApiKey.id))) == 0


# --- suppression list ----------------------------------------------------------------------------------


def test_an_address_is_put_on_the_list_and_taken_off_with_a_reason(login, bob, db, workspace):
    db.session.add(Contact(workspace_id=workspace.id, email="eva@x.example", status="bounced"))
    db.session.commit()
    browser = login(bob)
    page = follow(browser, HOME + "/suppressions", channel="email", address="Eva@X.example", reason="Asked by phone")
    assert "eva@x.example" in page and "Asked by phone" in page
    row = db.session.scalar(sa.select(Suppression))
    assert browser.post(f"{HOME}/suppressions/{row.id}/remove", data={"reason": ""}).status_code == 422
    page = follow(browser, f"{HOME}/suppressions/{row.id}/remove", reason="Was a mistake")
    assert "Bob took off eva@x.example" in page and "Was a mistake" in page
    assert db.session.scalar(sa.select(sa.func.count(Suppression.id))) == 0
    assert [change.what for change in db.session.scalars(sa.select(SuppressionChange))] == ["added", "removed"]
    assert db.session.scalar(sa.select(Contact.status)) == "active"


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"channel": "email", "address": "eva", "reason": "x"}, "address"),
        ({"channel": "sms", "address": "12", "reason": "x"}, "address"),
        ({"channel": "fax", "address": "eva@x.example", "reason": "x"}, "channel"),
        ({"channel": "email", "address": "eva@x.example", "reason": " "}, "reason"),
        ({"channel": "email", "address": "old@x.example", "reason": "x"}, "address"),
    ],
)
def test_bad_suppressions_are_named(login, bob, db, workspace, data, field):
    db.session.add(Suppression(workspace_id=workspace.id, channel="email", address="old@x.example", reason="by_hand"))
    db.session.commit()
    answer = login(bob).post(HOME + "/suppressions", data=data)
    assert answer.status_code == 422 and f'id="{field}-e"' in answer.text


def test_a_national_number_is_read_in_the_clients_country(login, bob, db):
    login(bob).post(HOME + "/suppressions", data={"channel": "sms", "address": "333 123 4567", "reason": "x"})
    assert db.session.scalar(sa.select(Suppression.address)) == "+393331234567"


def test_the_list_is_searched_and_paged(login, bob, db, workspace):
    db.session.add_all(
        Suppression(workspace_id=workspace.id, channel="email", address=f"p{n:03}@x.example", reason="hard_bounce")
        for n in range(60)
    )
    db.session.commit()
    browser = login(bob)
    first = browser.get(HOME + "/suppressions").text
    assert first.count("@x.example</strong>") == 50
    after = first.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    assert browser.get(after).text.count("@x.example</strong>") == 10
    assert browser.get(HOME + "/suppressions?q=P007").text.count("@x.example</strong>") == 1
    assert "Nothing fits this search" in browser.get(HOME + "/suppressions?q=%25").text
    assert "Nothing fits this search" in browser.get(HOME + "/suppressions?channel=sms").text


# --- who may -------------------------------------------------------------------------------------------


def test_a_client_looks_but_changes_nothing(login, db, workspace):
    from tests.conftest import make_user

    browser = login(make_user("client", "cleo@lume.example", workspace))
    for path in PAGES:
        page = browser.get(HOME + path)
        assert page.status_code == 200
        assert "change nothing" in page.text
    for path in ("", "/sending", "/fields", "/keys", "/suppressions"):
        assert browser.post(HOME + path, data=GENERAL).status_code == 403


def test_rows_of_another_client_are_not_found(login, bob, carol, db):
    from flowserver.models import Workspace

    other = db.session.scalar(sa.select(Workspace).where(Workspace.slug == "kino"))
    rows = [
        Field(workspace_id=other.id, key="k", label="K", type="text", choices=[]),
        Suppression(workspace_id=other.id, channel="email", address="a@x.example", reason="by_hand"),
        Connection(workspace_id=other.id, channel="email", provider="smtp", name="x", settings={}, hook_token="t"),  # noqa: S106
    ]
    db.session.add_all(rows)
    db.session.commit()
    field, suppression, line = (row.id for row in rows)
    browser = login(bob)
    for path in (f"/fields/{field}", f"/suppressions/{suppression}/remove", f"/connections/{line}"):
        assert browser.get(HOME + path).status_code == 404
        assert browser.post(HOME + path, data={"reason": "x", "label": "x"}).status_code == 404
    assert browser.post(f"{HOME}/fields/{field}/delete").status_code == 404
    with ext.every_workspace():
        assert db.session.get(Field, field).label == "K"


def test_a_ticked_box_is_shown_ticked(login, bob, workspace, db):
    workspace.count_machine_opens = True
    db.session.commit()
    assert re.search(r'<input[^>]*checked[^>]*id="count_machine_opens"', login(bob).get(HOME).text)
