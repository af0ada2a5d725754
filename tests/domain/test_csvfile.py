"""CSV from real programs: every encoding and separator, broken quotes, and nothing a spreadsheet would run."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowserver.domain import csvfile, people

TEXTS = {
    "pl": "imię;nazwisko;miasto\nŁukasz;Żółć;Kraków\nMałgorzata;Śliwińska;Gdańsk\n",
    "it": "nome;cognome;città\nNicolò;Dalù;Forlì\nMargherità;Rossi;Cefalù\n",
    "fr": "prénom;nom\nÉlodie;Lefèvre\nFrançois;Noël\n",
    "de": "Vorname;Nachname\nJürgen;Müller\nBjörn;Größ\n",
    "ru": "имя;фамилия;город\nАлексей;Иванов;Москва\nНаталья;Петрова;Новосибирск\n",
}


def read(text, separator=","):
    return [(r.line, r.cells) for r in csvfile.records(iter(io.StringIO(text, newline="")), separator) if not r.problem]


def problems(text, separator=","):
    lines = csvfile.lines_of(io.StringIO(text, newline=""))
    return [(r.line, str(r.problem)) for r in csvfile.records(lines, separator) if r.problem]


@pytest.mark.parametrize(
    ("language", "encoding"),
    [
        *((language, e) for language in TEXTS for e in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be")),
        ("pl", "cp1250"),
        ("pl", "iso8859-2"),
        ("it", "cp1252"),
        ("it", "latin-1"),
        ("fr", "cp1252"),
        ("de", "cp1252"),
        ("ru", "cp1251"),
    ],
)
def test_it_finds_the_encoding(language, encoding):
    text = TEXTS[language]
    found = csvfile.detect_encoding(io.BytesIO(text.encode(encoding)), {"pl": "PL", "it": "IT"}.get(language, ""))
    assert text.encode(encoding).decode(found).lstrip("\ufeff") == text
    assert found in dict(csvfile.ENCODINGS)


def test_utf8_is_checked_to_the_end_of_the_file():
    long = "a,b\n" * 200_000
    assert csvfile.detect_encoding(io.BytesIO(long.encode() + "città".encode("cp1252")), "IT") == "cp1252"
    assert csvfile.detect_encoding(io.BytesIO(("x" * (csvfile.SAMPLE - 1) + "città").encode())) == "utf-8-sig"


@pytest.mark.parametrize(
    ("text", "separator"),
    [
        ("a,b\n1,2\n", ","),
        ("a;b;c\n1,5;2;3\n2,5;3;4\n", ";"),
        ("a\tb\n1\t2\n", "\t"),
        ("a|b\n1|2\n", "|"),
        ('"Rossi, Mario";x@y.it\n"Verdi, Ugo";u@y.it\n', ";"),
        ("email\na@b.example\n", ","),
        ("sep=;\na,b;c\n", ";"),
        ("", ","),
    ],
)
def test_it_finds_the_separator(text, separator):
    assert csvfile.detect_separator(text.splitlines(keepends=True)) == separator


def test_it_reads_quotes_line_breaks_and_blank_lines():
    assert read('a,b\r\n"x, ""y""","z\r\nq"\r\n\r\n,,\r\n1,2') == [
        (1, ["a", "b"]),
        (2, ['x, "y"', "z\r\nq"]),
        (6, ["1", "2"]),
    ]
    assert read("a,b\r1,2\r") == [(1, ["a", "b"]), (2, ["1", "2"])]
    assert read("sep=;\na;b\n", ";") == [(2, ["a", "b"])]
    assert read('5" pipe,x\n1,2\n') == [(1, ['5" pipe', "x"]), (2, ["1", "2"])]


def test_a_quote_that_never_closes_costs_one_row():
    broken = 'a,b\n"never,closed\n' + "1,2\n" * 3
    assert problems(broken) == [(2, "A quote is opened here and never closed")]
    assert read(broken) == [(1, ["a", "b"]), (3, ["1", "2"]), (4, ["1", "2"]), (5, ["1", "2"])]
    long = 'a,b\n"never,closed\n' + "1,2\n" * 5_000
    assert problems(long) == [(2, "A quote is opened here and never closed")] and len(read(long)) == 5_001


def test_a_line_without_end_is_skipped_in_pieces():
    text = "a,b\n" + "x" * 1_000_000 + "\n1,2\n"
    assert problems(text) == [(2, "This line is too long")]
    assert read(text)[-1] == (3, ["1", "2"])


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)


@given(st.lists(st.lists(cells, min_size=2, max_size=4), min_size=1, max_size=8), st.sampled_from(csvfile.SEPARATORS))
@settings(max_examples=150, deadline=None)
def test_what_python_writes_comes_back(rows, separator):
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=separator, quoting=csv.QUOTE_ALL).writerows(rows)
    if csvfile._said(out.getvalue().split("\n")[0]):
        return
    assert [cells for _, cells in read(out.getvalue(), separator)] == [
        row for row in rows if any(c.strip() for c in row)
    ]


@given(st.text(st.sampled_from('ab",;\n\r\t '), max_size=300), st.sampled_from(csvfile.SEPARATORS))
@settings(max_examples=300, deadline=None)
def test_no_file_breaks_it_and_lines_go_up(text, separator):
    found = list(csvfile.records(iter(io.StringIO(text, newline="")), separator))
    lines = [record.line for record in found]
    assert lines == sorted(set(lines))


SPECS = {"city": people.Spec("city", "Città", "text")}


@pytest.mark.parametrize(
    ("heading", "found"),
    [
        (["E-mail", "First name", "Surname", "Mobile"], {0: "email", 1: "first_name", 2: "last_name", 3: "phone"}),
        (
            ["Nome", "Cognome", "Indirizzo e-mail", "Cellulare"],
            {0: "first_name", 1: "last_name", 2: "email", 3: "phone"},
        ),
        (
            ["imię", "nazwisko", "adres email", "numer telefonu"],
            {0: "first_name", 1: "last_name", 2: "email", 3: "phone"},
        ),
        (["Vorname", "Nachname", "E-Mail", "Handy"], {0: "first_name", 1: "last_name", 2: "email", 3: "phone"}),
        (["Prénom", "Nom", "Courriel", "Portable"], {0: "first_name", 1: "last_name", 2: "email", 3: "phone"}),
        (
            ["Nombre", "Apellidos", "Correo electrónico", "Móvil"],
            {0: "first_name", 1: "last_name", 2: "email", 3: "phone"},
        ),
        (["citta", "Città", "CITY"], {1: "field:city"}),
        (["email", "Email 2"], {0: "email"}),
    ],
)
def test_it_guesses_columns_by_their_heading(heading, found):
    assert csvfile.guess(heading, [], SPECS) == found


def test_it_guesses_the_email_column_by_its_cells():
    assert csvfile.guess(["A", "B"], [["x", "a@x.example"], ["y", ""], ["z", "b@x.example"]], {}) == {1: "email"}
    assert not csvfile.has_heading(["Marta", "m@x.example"]) and csvfile.has_heading(["name", "email"])


@pytest.mark.parametrize("cell", ["=1+1", "@SUM(A1)", "-2", "\tx", "\rx", "+cmd|x", "=HYPERLINK(1)"])
def test_formulas_get_an_apostrophe_and_lose_it_again(cell):
    assert csvfile.guard(cell) == "'" + cell and csvfile.unguard("'" + cell) == cell


@pytest.mark.parametrize("cell", ["+393331234567", "Marta", "", "it's", "'quoted'", -5, None])
def test_other_cells_stay(cell):
    assert csvfile.guard(cell) == cell


@given(st.lists(st.lists(cells, min_size=1, max_size=3), max_size=4))
@settings(max_examples=80, deadline=None)
def test_no_text_cell_leaves_as_a_formula(rows):
    for row in csv.reader(io.StringIO("".join(csvfile.rows_to_csv(rows)), newline="")):
        assert all(not cell.startswith(("=", "@", "-", "\t", "\r")) for cell in row)
