"""Uploading a file: words for everything that can be wrong, never in memory, never in somebody else's client."""

import io

import pytest
import sqlalchemy as sa

from flowserver.models import Contact, Import, Membership
from flowserver.services.people import imports

ROOT = "/c/caffe-lume/contacts/import"


@pytest.fixture
def console(login, bob):
    """Bob of the staff, logged in."""
    return login(bob)


def send(console, content, name="people.csv"):
    content = content.encode() if isinstance(content, str) else content
    return console.post(ROOT, data={"file": (io.BytesIO(content), name)})


def test_a_file_comes_in_from_upload_to_contacts(db, console, queue):
    page = send(console, "E-mail;Nome\nm@x.example;Marta\nbad;x\n")
    assert page.status_code == 303
    columns = console.get(page.location).text
    assert (
        "m@x.example" in columns and '<option value="email" selected>' in columns and "Start flows for these" in columns
    )
    start = console.post(
        page.location + "/start", data={"column-0": "email", "column-1": "first_name", "new_list": "Fair"}
    )
    assert start.status_code == 303
    running = console.get(page.location).text
    assert "0 of 2 rows read" in running and "Refresh" in running and "http-equiv" not in running
    queue.drain()
    done = console.get(page.location).text
    assert "2 of 2 rows read" in done and "Download the refused rows" in done
    refused = console.get(page.location + "/refused.csv")
    assert "attachment" in refused.headers["Content-Disposition"]
    assert "3,E-mail,Enter an e-mail address like name@example.com,bad,x" in refused.text
    assert db.session.scalar(sa.select(Contact.first_name)) == "Marta" and db.session.scalar(
        sa.select(Membership.list_id)
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "The file is empty"),
        (",".join(f"c{n}" for n in range(300)).encode() + b"\n1\n", "The file has 300 columns"),
        (b"PK\x03\x04xlsx", "This is a spreadsheet"),
        (b"email\n", "a heading but no rows"),
    ],
)
def test_bad_files_are_refused_in_words(db, console, content, words):
    page = send(console, content)
    assert page.status_code == 422 and words in page.text and not db.session.scalar(sa.select(Import.id))


def test_no_file_is_named(console):
    assert "Choose a CSV file" in console.post(ROOT, data={}).text


def test_a_file_over_the_limit_is_refused_in_words_before_it_is_read(db, app, console, monkeypatch):
    app.config["MAX_CONTENT_LENGTH"] = 1000
    page = send(console, "email\n" + "m@x.example\n" * 1000)
    assert page.status_code == 413 and "The file is larger than 100 MB. Split it" in page.text
    assert not db.session.scalar(sa.select(Import.id))


def test_a_file_over_the_limit_by_a_hair_is_refused_while_copying(db, console, monkeypatch):
    monkeypatch.setattr(imports, "most_bytes", lambda: 1024 * 1024)
    page = send(console, "email\n" + "m@x.example\n" * 100_000)
    assert page.status_code == 413 and "larger than 1 MB" in page.text and not list(imports._folder().glob("*.csv"))


def test_the_upload_is_spooled_to_the_data_folder(app, console, monkeypatch):
    import tempfile

    seen = []
    real = tempfile.TemporaryFile
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda *a, **k: (seen.append(k.get("dir")), real(*a, **k))[1])
    send(console, "email\nm@x.example\n")
    assert seen == [app.extensions["config"].data / "imports"]


def test_mistakes_in_the_columns_come_back_with_what_was_chosen(console):
    page = send(console, "a,b\n1,2\n")
    again = console.post(
        page.location + "/start",
        data={"column-0": "first_name", "column-1": "first_name", "email_consent": "y", "new_list": "Fair"},
    )
    assert again.status_code == 422
    for words in ("Another column holds this already", "Say which column holds", "Write where and how", 'value="Fair"'):
        assert words in again.text
    assert again.text.count('<option value="first_name" selected>') == 2


def test_the_encoding_can_be_corrected(console):
    page = send(console, "email;nome\nm@x.example;Łódź\n".encode("cp1250"))
    wrong = console.post(page.location + "/read", data={"encoding": "cp1252", "separator": "comma"})
    assert wrong.status_code == 303 and "£ód" in console.get(page.location).text
    console.post(page.location + "/read", data={"encoding": "cp1250", "separator": "semicolon"})
    assert "Łódź" in console.get(page.location).text
    assert console.post(page.location + "/read", data={"encoding": "rot13", "separator": "x"}).status_code == 422


def test_an_upload_can_be_thrown_away_and_an_import_stopped(db, console):
    page = send(console, "email\nm@x.example\n")
    assert console.post(page.location + "/stop").status_code == 303
    assert "Stopped" in console.get(page.location).text and not list(imports._folder().glob("*.csv"))
    assert console.post(page.location + "/start", data={"column-0": "email"}).status_code == 409


def test_other_clients_cannot_reach_it(console, login, carol):
    page = send(console, "email\nm@x.example\n")
    number = page.location.rsplit("/", 1)[1]
    stranger = login(carol)
    for path in (f"/import/{number}", f"/import/{number}/refused.csv"):
        assert stranger.get("/c/kino/contacts" + path).status_code == 404
    for act in ("start", "stop", "read"):
        assert stranger.post(f"/c/kino/contacts/import/{number}/{act}", data={"column-0": "email"}).status_code == 404
