"""CSV import: every good row kept, every bad one named by line and column, whatever happens in between."""

import csv
import io
import random
import tracemalloc

import pytest
import sqlalchemy as sa

from flowserver.errors import Conflict, Invalid, NotFound, TooLarge
from flowserver.models import Consent, Contact, Event, Field, Import, Membership, Tag
from flowserver.services.people import consents, contacts, fields, imports, lists

TARGETS = {0: "email", 1: "first_name", 2: "phone"}


def start(text, encoding="utf-8", name="people.csv"):
    return imports.start(io.BytesIO(text if isinstance(text, bytes) else text.encode(encoding)), name, None)


def run(text, mapping=None, encoding="utf-8", **options):
    """Import a text to the end; the finished row."""
    row = start(text, encoding)
    chosen = mapping or imports.preview(row).guess
    imports.begin(row.id, chosen, {"country": "IT", **options})
    imports.run(row.id)
    return imports.get(row.id)


def refused(row):
    """``[(line, column, problem)]`` of the file to download."""
    text = imports.refused_file(row.id).read_text("utf-8-sig")
    return [
        (int(line), column, problem)
        for line, column, problem, *_ in list(csv.reader(io.StringIO(text, newline="")))[1:]
    ]


def everyone(db):
    return db.session.scalars(sa.select(Contact).order_by(Contact.id)).all()


def counts(row):
    return row.state, row.rows, row.done, row.made, row.changed, row.refused


def test_good_rows_come_in_and_bad_ones_are_named(db, workspace):
    row = run(
        "E-mail;Nome;Cellulare\n"
        "marta@x.example;Marta;333 1234567\n"
        "nobody;Paolo;\n"
        "\n"
        "ugo@x.example;<b>Ugo</b>;12\n"
        ";Ida;333 7654321\n"
        ";Leo;\n"
        "eva@x.example;Eva\n"
        "a@x.example;A;;too much\n"
    )
    assert counts(row) == ("done", 7, 7, 3, 0, 4)
    assert [(c.email, c.first_name, c.phone) for c in everyone(db)] == [
        ("marta@x.example", "Marta", "+393331234567"),
        (None, "Ida", "+393337654321"),
        ("eva@x.example", "Eva", None),
    ]
    found = refused(row)
    assert [(line, column) for line, column, _ in found] == [(3, "E-mail"), (5, "Nome, Cellulare"), (7, ""), (9, "")]
    assert found[0][2] == "Enter an e-mail address like name@example.com"
    assert "Nome:" in found[1][2] and "Cellulare:" in found[1][2]
    assert "4 cells" in found[3][2]
    assert not imports._folder().joinpath(row.path).exists(), "the upload is deleted when it is done"


def test_it_is_silent_unless_told_to_start_flows(db, workspace, queue):
    text = "email,tags\nm@x.example,vip\n"
    news = lists.create("News")
    run(text, {0: "email", 1: "tags"}, list_id=news.id)
    assert not db.session.scalars(sa.select(Event)).all()
    assert [m.list_id for m in db.session.scalars(sa.select(Membership))] == [news.id]
    run(
        "email,tags,n\nm@x.example,vip,\nn@x.example,new,Nora\n",
        {0: "email", 1: "tags", 2: "first_name"},
        list_id=news.id,
        start_flows=True,
    )
    told = [(e.type, e.subject) for e in db.session.scalars(sa.select(Event).order_by(Event.id))]
    assert ("list_joined", str(news.id)) in told and ("tag_added", "new") in told and ("contact_created", "") in told
    assert ("field_changed", "first_name") in told
    assert [kind for kind, _ in told].count("list_joined") == 1 and ("match",) in queue.rings


def test_known_contacts_are_changed_and_blank_cells_clear_nothing(db, workspace):
    contacts.upsert({"email": "m@x.example", "first_name": "Marta", "phone": "3331234567"}, source="test")
    row = run("email,first name,phone\nM@X.example,,\nm@x.example,Martha,\n")
    assert counts(row) == ("done", 2, 2, 0, 2, 0)
    assert [(c.first_name, c.phone) for c in everyone(db)] == [("Martha", "+393331234567")]


def test_known_contacts_can_be_left_as_they_are(db, workspace):
    contacts.upsert({"email": "m@x.example", "first_name": "Marta"}, source="test")
    run("email,first name\nm@x.example,X\nn@x.example,Nora\n", leave_known=True, new_list="News")
    assert [c.first_name for c in everyone(db)] == ["Marta", "Nora"]
    assert len(db.session.scalars(sa.select(Membership)).all()) == 2


def test_the_same_person_twice_in_a_file_is_one_contact(db, workspace):
    row = run("email,first name,phone\nm@x.example,A,\nM@x.example,B,333 1234567\n,C,+393331234567\n")
    assert counts(row) == ("done", 3, 3, 1, 2, 0)
    assert [(c.email, c.first_name, c.phone) for c in everyone(db)] == [("m@x.example", "C", "+393331234567")]


def test_somebody_elses_address_is_a_bad_row(db, workspace):
    contacts.upsert({"email": "a@x.example", "phone": "3331234567"}, source="test")
    contacts.upsert({"email": "b@x.example"}, source="test")
    row = run("email,phone\nb@x.example,333 1234567\nc@x.example,333 1234567\nd@x.example,333 7654321\n")
    assert counts(row) == ("done", 3, 3, 1, 0, 2)
    assert [(line, column) for line, column, _ in refused(row)] == [(2, "phone"), (3, "phone")]
    assert "belongs to another contact" in refused(row)[0][2]


def test_custom_fields_are_typed(db, workspace):
    for key, kind in (("born", "date"), ("bags", "number"), ("member", "yes_no")):
        db.session.add(Field(workspace_id=workspace.id, key=key, label=key.title(), type=kind, choices=[]))
    db.session.commit()
    row = run("email;Born;Bags;Member\nm@x.example;4/5/1990;1.234,5;sì\nn@x.example;1990-13-01;x;maybe\n")
    assert everyone(db)[0].fields == {"born": "1990-05-04", "bags": 1234.5, "member": True}
    assert [(line, column) for line, column, _ in refused(row)] == [(3, "Born, Bags, Member")]


def test_consent_comes_with_words_and_never_undoes_a_withdrawal(db, workspace):
    gone, _ = contacts.upsert({"email": "gone@x.example"}, source="test")
    consents.change(gone, "email", "withdrawn", source="preference page")
    db.session.commit()
    row = start("email,phone\ngone@x.example,\nnew@x.example,\n,333 1234567\n")
    with pytest.raises(Invalid) as error:
        imports.begin(row.id, {0: "email"}, {"email_consent": True})
    assert list(error.value.messages) == ["consent_words"]
    options = {"country": "IT", "email_consent": True, "sms_consent": True, "consent_words": "Fair 2026, stand 4"}
    imports.begin(row.id, {0: "email", 1: "phone"}, options)
    imports.run(row.id)
    assert [(c.email_consent, c.sms_consent) for c in everyone(db)] == [
        ("withdrawn", "none"),
        ("given", "none"),
        ("none", "given"),
    ]
    proofs = db.session.scalars(sa.select(Consent).where(Consent.words != "")).all()
    assert {(p.channel, p.source, p.words) for p in proofs} == {
        ("email", "import people.csv", "Fair 2026, stand 4"),
        ("sms", "import people.csv", "Fair 2026, stand 4"),
    }


def test_a_file_without_heading_loses_no_row(db, workspace):
    row = run("m@x.example;Marta\nn@x.example;Nora\n", {0: "email", 1: "first_name"})
    assert counts(row)[:4] == ("done", 2, 2, 2) and row.columns == ["Column 1", "Column 2"]


def test_names_split_and_exports_come_back(db, workspace):
    run("email,name,customer id\nm@x.example,Marta Maria Nowak,'=1\n")
    (marta,) = everyone(db)
    assert (marta.first_name, marta.last_name, marta.external_id) == ("Marta", "Maria Nowak", "=1")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\n\n , ,\n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"email,name\n", "no rows"),
        (",".join(f"c{n}" for n in range(300)).encode() + b"\n1\n", "300 columns"),
        (b"PK\x03\x04" + b"\x00" * 100, "spreadsheet"),
        (b"%PDF-1.7 \x00\x01\x02\x03", "not a text file"),
        (bytes(range(32)) * 50, "not a text file"),
    ],
)
def test_files_that_make_no_sense_are_refused_in_words(db, workspace, content, words):
    with pytest.raises(Invalid) as error:
        start(content)
    assert words in str(error.value) and list(error.value.messages) == ["file"]
    assert not db.session.scalars(sa.select(Import)).all() and not list(imports._folder().glob("*.csv"))


class Endless(io.RawIOBase):
    """A file of 200 MB that is nowhere."""

    left = 200 * 1024 * 1024

    def read(self, size=-1):
        block = b"marta@x.example,Marta\n" * (min(size, self.left) // 22 + 1)
        self.left -= len(block)
        return block[:size] if self.left > 0 else b""


def test_two_hundred_megabytes_are_refused_with_flat_memory(db, workspace):
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge) as error:
            imports.start(Endless(), "big.csv", None)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "larger than 100 MB" in str(error.value) and peak < 20 * 1024 * 1024
    assert not list(imports._folder().glob("*.csv"))


def test_more_than_a_million_rows_are_refused(workspace, monkeypatch):
    monkeypatch.setattr(imports.csvfile, "MOST_ROWS", 10)
    with pytest.raises(TooLarge) as error:
        start("email\n" + "a@x.example\n" * 11)
    assert "more than 10 rows" in str(error.value)


def test_the_wrong_encoding_is_seen_row_by_row_and_can_be_changed(db, workspace):
    content = "email;nome\nm@x.example;Nicolò\nn@x.example;Anna\n".encode("cp1252")
    row = start(content)
    assert row.encoding == "cp1252"
    imports.reread(row.id, "utf-8-sig", ";")
    imports.begin(row.id, {0: "email", 1: "first_name"}, {})
    imports.run(row.id)
    row = imports.get(row.id)
    assert (row.made, row.refused) == (1, 1) and "encoding" in refused(row)[0][2]
    with pytest.raises(Conflict):
        imports.reread(row.id, "cp1252", ";")


@pytest.mark.parametrize(
    ("mapping", "options", "field"),
    [
        ({1: "first_name"}, {}, "column-0"),
        ({0: "email", 1: "email"}, {}, "column-1"),
        ({0: "email", 1: "field:nothing"}, {}, "column-1"),
        ({0: "email"}, {"list_id": 999}, "list_id"),
        ({0: "email"}, {"list_id": "x"}, "list_id"),
        ({0: "email"}, {"new_list": "News"}, "new_list"),
        ({0: "email"}, {"country": "XX"}, "country"),
    ],
)
def test_columns_and_options_are_checked(workspace, mapping, options, field):
    lists.create("News")
    row = start("email,name\nm@x.example,Marta\n")
    with pytest.raises(Invalid) as error:
        imports.begin(row.id, mapping, options)
    assert list(error.value.messages) == [field]
    assert imports.get(row.id).state == "uploaded"


def test_an_import_runs_once(workspace, queue):
    row = start("email\nm@x.example\n")
    imports.begin(row.id, {0: "email"}, {})
    assert ("import_contacts", row.id) in queue.rings
    with pytest.raises(Conflict):
        imports.begin(row.id, {0: "email"}, {})
    queue.drain()
    imports.run(row.id)
    assert counts(imports.get(row.id)) == ("done", 1, 1, 1, 0, 0)


def big(n=10_000, seed=7):
    """10,000 rows in mixed ways of writing, every 50th bad; ``(text, phones, bad lines)``."""
    chance = random.Random(seed)
    rows, phones, bad = ["E-mail;Imię;Telefon;Miasto"], {}, []
    for number in range(n):
        digits = f"6{chance.choice('0123')}{number:07}"
        written = chance.choice(
            [
                digits,
                f"{digits[:3]} {digits[3:6]} {digits[6:]}",
                f"+48 {digits}",
                f"0048{digits}",
                f"{digits[:3]}-{digits[3:6]}-{digits[6:]}",
            ]
        )
        email = f"p{number}@x.example"
        if number % 50 == 49:
            written = "12"
            bad.append(number + 2)
        else:
            phones[email] = "+48" + digits
        city = chance.choice(["Łódź", '"Kraków; Stare Miasto"', "Gdańsk", '"Zielona ""Góra"""'])
        rows.append(f"{email};{chance.choice(['Łukasz', 'Zbigniew', 'Małgorzata', ''])};{written};{city}")
    return "\r\n".join(rows), phones, bad


@pytest.mark.parametrize(
    ("encoding", "separator"),
    [("utf-8", ";"), ("utf-8-sig", ","), ("utf-16", "\t"), ("cp1250", ";"), ("iso8859-2", "|")],
)
def test_ten_thousand_rows_in_any_encoding_and_separator(db, workspace, encoding, separator):
    workspace.country = "PL"
    db.session.add(Field(workspace_id=workspace.id, key="miasto", label="Miasto", type="text", choices=[]))
    db.session.commit()
    size = 10_000 if (encoding, separator) == ("cp1250", ";") else 1_000
    text, phones, bad = big(size)
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=separator).writerows(csv.reader(io.StringIO(text, newline=""), delimiter=";"))
    row = run(out.getvalue(), encoding=encoding, country="PL", new_list="Import")
    assert counts(row) == ("done", size, size, size - len(bad), 0, len(bad))
    assert [line for line, _, _ in refused(row)] == bad and {column for _, column, _ in refused(row)} == {"Telefon"}
    assert {c.email: c.phone for c in everyone(db)} == phones
    assert {c.fields["miasto"] for c in everyone(db)} == {"Łódź", "Kraków; Stare Miasto", "Gdańsk", 'Zielona "Góra"'}
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Membership)) == size - len(bad)


class Killed(BaseException):
    """What a kill looks like from inside."""


@pytest.mark.parametrize("where", ["add", "_count"])
def test_a_killed_import_goes_on_where_it_stopped(db, workspace, clock, monkeypatch, where):
    text, phones, bad = big(2_000)
    row = start(text)
    workspace.country = "PL"
    imports.begin(row.id, imports.preview(row).guess, {"country": "PL"})
    owner = imports._BadRows if where == "add" else imports._Run
    real, calls = getattr(owner, where), []

    def dies(self, *args):
        calls.append(1)
        real(self, *args)
        if len(calls) == 3:
            raise Killed

    monkeypatch.setattr(owner, where, dies)
    with pytest.raises(Killed):
        imports.run(row.id)
    db.session.rollback()
    monkeypatch.setattr(owner, where, real)
    half = imports.get(row.id)
    assert half.state == "running" and half.done == 2 * imports.CHUNK
    imports.run(row.id)
    assert imports.get(row.id).done == half.done, "a job that may be alive is left alone"
    clock.forward(seconds=20)
    imports.run(row.id)
    db.session.expire_all()
    row = imports.get(row.id)
    assert counts(row) == ("done", 2_000, 2_000, 2_000 - len(bad), 0, len(bad))
    assert [line for line, _, _ in refused(row)] == bad and {c.email: c.phone for c in everyone(db)} == phones


def test_a_long_import_takes_turns(db, workspace, clock, queue, monkeypatch):
    text, _, bad = big(2_000)
    row = start(text)
    imports.begin(row.id, imports.preview(row).guess, {"country": "PL"})
    real = imports._Run._chunk

    def slow(self, rows):
        real(self, rows)
        clock.forward(seconds=45)

    monkeypatch.setattr(imports._Run, "_chunk", slow)
    queue.rings.clear()
    imports.run(row.id)
    assert imports.get(row.id).done == 2 * imports.CHUNK and ("import_contacts", row.id) in queue.rings
    queue.drain()
    assert counts(imports.get(row.id))[0] == "done" and imports.get(row.id).refused == len(bad)


def test_it_can_be_stopped_and_keeps_what_came_in(db, workspace, monkeypatch):
    text, _, _ = big(2_000)
    row = start(text)
    imports.begin(row.id, imports.preview(row).guess, {"country": "PL"})
    real, calls = imports._Run._chunk, []

    def stops(self, rows):
        real(self, rows)
        calls.append(1)
        if len(calls) == 2:
            imports.stop(row.id)

    monkeypatch.setattr(imports._Run, "_chunk", stops)
    imports.run(row.id)
    row = imports.get(row.id)
    assert row.state == "stopped" and row.done == 2 * imports.CHUNK == row.made + row.refused


def test_a_list_deleted_meanwhile_ends_the_import_in_words(db, workspace):
    news = lists.create("News")
    row = start("email\nm@x.example\n")
    imports.begin(row.id, {0: "email"}, {"list_id": news.id})
    lists.delete(news.id, "keep")
    imports.run(row.id)
    row = imports.get(row.id)
    assert (row.state, row.reason) == ("failed", "There is no such list") and not everyone(db)


def test_a_file_that_is_gone_ends_the_import_in_words(workspace):
    row = start("email\nm@x.example\n")
    imports.begin(row.id, {0: "email"}, {})
    imports._folder().joinpath(row.path).unlink()
    imports.run(row.id)
    assert imports.get(row.id).reason == "The file is gone"


def test_an_address_saved_meanwhile_is_looked_at_again(db, workspace, monkeypatch):
    row = start("email,first name\nm@x.example,Marta\n")
    imports.begin(row.id, {0: "email", 1: "first_name"}, {})
    real, calls = imports._Writer._insert, []

    def late(self, new):
        if not calls:
            calls.append(1)
            raise imports._Taken
        real(self, new)

    monkeypatch.setattr(imports._Writer, "_insert", late)
    imports.run(row.id)
    assert counts(imports.get(row.id)) == ("done", 1, 1, 1, 0, 0)


def test_other_clients_cannot_see_it(db, workspace):
    from flowserver.extensions import workspace as within
    from flowserver.models import Workspace

    row = start("email\nm@x.example\n")
    other = Workspace(slug="o", name="Other")
    db.session.add(other)
    db.session.commit()
    with within(other.id), pytest.raises(NotFound):
        imports.get(row.id)


def test_columns_can_make_the_fields_they_need(db, workspace):
    row = start("email,City,Born\nm@x.example,Roma,4/5/1990\n")
    chosen = {0: "email", 1: "new:text", 2: "new:date"}
    with pytest.raises(Invalid):  # programs name fields that are there
        imports.begin(row.id, chosen, {})
    imports.begin(row.id, chosen, {"country": "IT", "new_fields": True})
    imports.run(row.id)
    assert [(one.key, one.label, one.type) for one in fields.listing()] == [
        ("born", "Born", "date"),
        ("city", "City", "text"),
    ]
    assert db.session.scalar(sa.select(Contact.fields)) == {"city": "Roma", "born": "1990-05-04"}
    again = start("email,City\nn@x.example,Milano\n")
    with pytest.raises(Invalid) as error:
        imports.begin(again.id, {0: "email", 1: "new:text"}, {"new_fields": True})
    assert list(error.value.messages) == ["column-1"]


def test_tags_are_split_and_made(db, workspace):
    run('email,tags\nm@x.example,"VIP, fair 2026"\nn@x.example,vip\n')
    assert sorted(db.session.scalars(sa.select(Tag.name))) == ["fair 2026", "vip"]


def test_memory_stays_flat_while_reading(db, workspace):
    text = "email,name\n" + "\n".join(f"p{n}@x.example,{'x' * 100}" for n in range(8_000))
    row = start(text)
    del text
    imports.begin(row.id, {0: "email"}, {})
    imports.run(row.id)  # caches are filled now
    tracemalloc.start()
    try:
        again = start("email,name\n" + "\n".join(f"q{n}@x.example,{'x' * 100}" for n in range(8_000)))
        imports.begin(again.id, {0: "email"}, {})
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        imports.run(again.id)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert imports.get(again.id).made == 8_000 and peak < 6 * 1024 * 1024


def test_old_files_are_tidied_away(workspace, clock):
    import os

    row = run("email\nnobody\n")
    path = imports.refused_file(row.id)
    old = (clock.now - imports.KEPT).timestamp() - 1
    os.utime(path, (old, old))
    imports.tidy(clock.now)
    with pytest.raises(NotFound):
        imports.refused_file(row.id)
