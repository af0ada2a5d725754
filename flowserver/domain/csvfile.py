"""CSV as it comes out of real programs: any encoding, any separator, quotes that never close, formulas.

Reading is lazy and bounded: whatever the file holds, no more than one record is in memory.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, TextIO

from flowserver.domain import people
from flowserver.errors import Invalid
from flowserver.text import N_, Text

SEPARATORS = (",", ";", "\t", "|")
ENCODINGS = (  # (Python's name, what a person knows it by)
    ("utf-8-sig", "UTF-8"),
    ("utf-16", "UTF-16"),
    ("utf-16-le", "UTF-16 LE"),
    ("utf-16-be", "UTF-16 BE"),
    ("cp1252", "Windows 1252"),
    ("cp1250", "Windows 1250"),
    ("iso8859-15", "ISO 8859-15"),
    ("iso8859-2", "ISO 8859-2"),
    ("mac-roman", "Mac Roman"),
    ("cp1251", "Windows 1251"),
    ("cp1253", "Windows 1253"),
)
MOST_COLUMNS = 100
MOST_ROWS = 1_000_000
LONGEST_RECORD = 128 * 1024  # characters
MOST_LINES = 1_000  # physical lines in one record
SAMPLE = 256 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class Record:
    """One row of the file. ``line`` counts from 1, where the row begins. ``problem`` says why it cannot be read."""

    line: int
    cells: list[str]
    problem: Text | None = None


# --- encoding ------------------------------------------------------------------------------------------

_CENTRAL = frozenset(["PL", "CZ", "SK", "HU", "RO", "SI", "HR", "BA", "RS", "AL", "ME"])
_ODD = "[¹²³¿¯£¥¦¼½¾¶±¬¤§ªº¸·˛ˇ˘¨°×÷¡¢©®«»]"
_OUT_OF_PLACE = re.compile(rf"(?<=[^\W\d_]){_ODD}|{_ODD}(?=[^\W\d_])|(?<=[a-zà-öø-ÿęółćń])[ĽŁĄŻŻ]|[\x80-\x9f\ufffd]")
_OTHER_SCRIPTS = {"cp1251": "cp1251", "cp1253": "cp1253", "koi8_r": "koi8-r", "mac_cyrillic": "mac-cyrillic"}


def detect_encoding(file: BinaryIO, country: str = "") -> str:
    """The encoding of a file: its byte order mark, valid UTF-8, or the best guess among old code pages.

    A guess between Western and Central European letters that the text cannot settle follows ``country``.
    """
    sample = file.read(SAMPLE)
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if sample.startswith(mark):
            return encoding
    zeros = sample[:2000].count(0)
    if zeros > len(sample[:2000]) // 50:  # other encodings have none
        return "utf-16-le" if sample[1:2000:2].count(0) > zeros // 2 else "utf-16-be"
    if _is_utf8(sample, file):
        return "utf-8-sig"
    return _code_page(sample, country)


def _is_utf8(sample: bytes, file: BinaryIO) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        block = sample
        while block:
            decoder.decode(block)
            block = file.read(1024 * 1024)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _code_page(sample: bytes, country: str) -> str:
    """Letters decide: a sign inside a word (``³``, ``¿``) means the wrong page."""
    from charset_normalizer import from_bytes

    guess = from_bytes(sample[: 64 * 1024]).best()
    if guess and guess.encoding in _OTHER_SCRIPTS and guess.language in ("Russian", "Ukrainian", "Bulgarian", "Greek"):
        return _OTHER_SCRIPTS[guess.encoding]
    order = ["cp1252", "cp1250", "iso8859-2"]
    if country.upper() in _CENTRAL:
        order = ["cp1250", "iso8859-2", "cp1252"]
    return min(order, key=lambda page: (len(_OUT_OF_PLACE.findall(sample.decode(page, "replace"))), order.index(page)))


# --- separator and records -----------------------------------------------------------------------------


def detect_separator(lines: Sequence[str]) -> str:
    """The separator of these first physical lines: the one that cuts most records into the same number of cells."""
    if lines and (said := _said(lines[0])):
        return said

    def score(separator: str) -> tuple[int, int]:
        widths = [len(record.cells) for record in records(iter(lines), separator) if record.cells][:50]
        width, times = Counter(widths).most_common(1)[0] if widths else (0, 0)
        return (times, width) if width > 1 else (0, 0)

    return max(SEPARATORS, key=lambda separator: (score(separator), -SEPARATORS.index(separator)))


def _said(line: str) -> str:
    """Excel writes ``sep=;`` above the heading."""
    found = re.fullmatch(r"\ufeff?\"?sep=(.)\"?", line.strip(), re.IGNORECASE) or re.fullmatch(r"sep=(\t)\r?\n?", line)
    return found.group(1) if found and found.group(1) in SEPARATORS else ""


def lines_of(text: TextIO) -> Iterator[str]:
    """Physical lines with their ends; one that is too long comes in pieces, the last of which ends it."""
    while piece := text.readline(LONGEST_RECORD):
        yield piece


class _Unclosed(Exception):
    """A quote was opened and the end is nowhere near."""


class _Feed:
    """Gives lines to the CSV reader and remembers those of the record at hand, so that it can start over after one."""

    def __init__(self, lines: Iterator[str]):
        self.lines = lines
        self.waiting: list[str] = []
        self.taken: list[str] = []
        self.line = 0  # physical lines finished before this record
        self.over = False

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        if len(self.taken) >= MOST_LINES or sum(map(len, self.taken)) >= LONGEST_RECORD:
            raise _Unclosed
        line: str | None = self.waiting.pop() if self.waiting else next(self.lines, None)
        if line is None:
            self.over = True
            raise StopIteration
        self.taken.append(line)
        if len(line) >= LONGEST_RECORD:
            raise _Unclosed
        return line

    def begin(self) -> int:
        """Forget the last record; the number of the line the next one begins at."""
        self.line += len(self.taken)
        self.taken = []
        return self.line + 1

    def give_back(self) -> None:
        """Keep the first line only; the others are read again."""
        self.waiting.extend(reversed(self.taken[1:]))
        del self.taken[1:]


def records(lines: Iterator[str], separator: str) -> Iterator[Record]:
    """The rows of a file, blank ones left out. What cannot be read is a record with a problem, and reading goes on."""
    csv.field_size_limit(LONGEST_RECORD)
    feed = _Feed(lines)
    reader = csv.reader(feed, delimiter=separator)
    while True:
        start = feed.begin()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (_Unclosed, csv.Error):
            yield from _too_much(feed, start)
            reader = csv.reader(feed, delimiter=separator)
            continue
        if feed.over and len(feed.taken) > 1 and _stays_open(feed.taken):
            yield from _too_much(feed, start)
            feed.over = False
            reader = csv.reader(feed, delimiter=separator)
            continue
        if start == 1 and _said(feed.taken[0]):
            continue
        if any(cell.strip() for cell in cells):
            yield Record(start, cells)


def _stays_open(taken: Sequence[str]) -> bool:
    """The file ended inside quotes: an odd number of them."""
    return sum(line.count('"') for line in taken) % 2 == 1


def _too_much(feed: _Feed, start: int) -> Iterator[Record]:
    """The row at ``start`` has no end: report its first line and read the others as rows of their own."""
    first = feed.taken[0]
    if len(first) >= LONGEST_RECORD:
        feed.give_back()
        if not first.endswith(("\n", "\r")):
            _skip_rest_of_line(feed)
        yield Record(start, [first[:200]], N_("This line is too long"))
        return
    feed.give_back()
    yield Record(start, [first.rstrip("\r\n")[:1000]], N_("A quote is opened here and never closed"))


def _skip_rest_of_line(feed: _Feed) -> None:
    for piece in iter(lambda: feed.waiting.pop() if feed.waiting else next(feed.lines, None), None):
        if piece.endswith(("\n", "\r")):
            return


# --- headings --------------------------------------------------------------------------------------------

TARGETS = {  # what a column may be, and how its heading is called in English, Italian, Polish, German, French and Spanish
    "email": "e-mail email mail e-mail-address email-address indirizzo-e-mail indirizzo-email posta-elettronica"
    " adres-e-mail adres-email e-mail-adresse email-adresse courriel adresse-e-mail adresse-email correo"
    " correo-electrónico correo-electronico",
    "phone": "phone mobile cell cellphone phone-number mobile-number mobile-phone telephone tel telefono cellulare"
    " numero-di-telefono numero-cellulare telefon komorka komórka telefon-komorkowy telefon-komórkowy numer-telefonu"
    " nr-telefonu handy handynummer mobil mobilnummer mobiltelefon telefonnummer rufnummer téléphone telephone-portable"
    " téléphone-portable portable móvil movil teléfono telefono-movil teléfono-móvil",
    "first_name": "first-name firstname given-name name-first nome imie imię vorname prénom prenom nombre",
    "last_name": "last-name lastname surname family-name cognome nazwisko nachname familienname zuname"
    " nom nom-de-famille apellido apellidos",
    "full_name": "name full-name fullname contact nome-e-cognome nome-completo nominativo nazwa imie-i-nazwisko"
    " imię-i-nazwisko",
    "external_id": "id external-id customer-id customer-number client-id codice-cliente id-cliente numer-klienta"
    " id-klienta kundennummer kunden-nr kundennr numéro-client numero-client número-de-cliente",
    "locale": "language locale lingua jezyk język sprache langue idioma",
    "tags": "tags tag labels etichette tagi etykiety schlagworte étiquettes etiquetas",
}
_GUESSES = {_word: target for target, words in TARGETS.items() for _word in words.split()}


def slug(text: str) -> str:
    """A heading as it is compared: lower case, one hyphen between words."""
    return re.sub(r"[\W_]+", "-", people.clean(text).casefold()).strip("-")


def guess(heading: Sequence[str], samples: Sequence[Sequence[str]], specs: Mapping[str, people.Spec]) -> dict[int, str]:
    """``{column: target}``; a target is one of :data:`TARGETS` or ``field:<key>``. Each target is used once."""
    found: dict[int, str] = {}
    own = {name: f"field:{key}" for key, spec in specs.items() for name in (slug(key), slug(spec.label))}
    for column, title in enumerate(heading):
        target = own.get(slug(title)) or _GUESSES.get(slug(title)) or ""
        if target and target not in found.values():
            found[column] = target
    if "email" not in found.values():
        free = [column for column in range(len(heading)) if column not in found]
        likely = next((one for one in free if _all_emails([row[one] for row in samples if one < len(row)])), None)
        if likely is not None:
            found[likely] = "email"
    return found


def _all_emails(cells: Sequence[str]) -> bool:
    filled = [cell for cell in cells if cell.strip()]
    return bool(filled) and all(_is_email(cell) for cell in filled)


def _is_email(cell: str) -> bool:
    try:
        people.email(cell)
    except Invalid:
        return False
    return True


def has_heading(first: Sequence[str]) -> bool:
    """Whether the first row names the columns: no e-mail address stands in it."""
    return not any(_is_email(cell) for cell in first)


# --- writing ---------------------------------------------------------------------------------------------


def guard(cell: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: text that begins like one gets an apostrophe."""
    if not isinstance(cell, str) or not cell:
        return cell
    risky = cell[0] in "=@-\t\r" or (cell[0] == "+" and not re.fullmatch(r"\+\d{5,15}", cell))
    return f"'{cell}" if risky else cell


def unguard(cell: str) -> str:
    """A cell without the apostrophe :func:`guard` put before it."""
    return cell[1:] if len(cell) > 1 and cell[0] == "'" and cell[1] in "=@-\t\r+" else cell


class _Last:
    """A file that keeps what was written last: the CSV writer's way to give a line back."""

    def write(self, text: str) -> str:
        return text


def rows_to_csv(rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Lines of CSV (RFC 4180), every text cell guarded."""
    writer = csv.writer(_Last())
    for row in rows:
        yield str(writer.writerow([guard(cell) for cell in row]))
