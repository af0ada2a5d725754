"""CSV files on their way into the address book: taken in as a stream, read in the background, resumable."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any

import flask_babel
import sqlalchemy as sa
import structlog
from flask import current_app
from sqlalchemy.exc import IntegrityError

from flowserver import clock, extensions, jobqueue
from flowserver.domain import csvfile, importing, people
from flowserver.domain.importing import Person, Row
from flowserver.errors import Conflict, FlowserverError, Invalid, NotFound, TooLarge, flat
from flowserver.extensions import db
from flowserver.models import Consent, Contact, Import, Membership, User
from flowserver.models.people import ContactTag
from flowserver.services.engine import bulk
from flowserver.services.people import contacts, crowd, fields, lists, tags
from flowserver.text import N_, Text

log = structlog.get_logger()

CHUNK = 400  # rows in one short transaction
ALIVE = timedelta(seconds=15)  # a job that wrote nothing for so long is dead
TURN = timedelta(seconds=60)  # then other work of the queue gets its turn
KEPT = timedelta(days=30)  # files of finished imports
ATTEMPTS = 12  # at a chunk whose addresses others are saving at the same moment
SHOWN = 5  # rows of the preview
HELD = (
    "id",
    "email",
    "phone",
    "external_id",
    "first_name",
    "last_name",
    "locale",
    "fields",
    "email_consent",
    "sms_consent",
)
_C = Contact.__table__.c


@dataclass(frozen=True)
class Preview:
    """What the page that asks for the columns shows."""

    heading: list[str]
    rows: list[list[str]]
    guess: dict[int, str]


# --- taking a file in ------------------------------------------------------------------------------------


def start(stream: IO[bytes], filename: str, user_id: int | None) -> Import:
    """Keep an uploaded file and look into it: encoding, separator, columns, number of rows.

    The stream is copied in blocks. Raises :class:`TooLarge` or :class:`Invalid` in words; then nothing is kept.
    """
    tidy(clock.now())
    path = _folder() / f"{uuid.uuid4().hex}.csv"
    row = Import(
        workspace_id=extensions.current_workspace(),
        user_id=user_id,
        filename=people.clean(filename)[-200:] or "contacts.csv",
        path=path.name,
        state="uploaded",
        created_at=clock.now(),
        options={"country": contacts.book().customs.country},
        mapping={},
        columns=[],
    )
    try:
        size = _copy(stream, path)
        if not size:
            raise Invalid({"file": [N_("The file is empty")]})
        with path.open("rb") as file:
            _refuse_other_formats(file.read(4096))
            file.seek(0)
            row.encoding = csvfile.detect_encoding(file, row.options["country"])
        row.separator = csvfile.detect_separator(_first_lines(path, row.encoding))
        _inspect(row)
    except Exception:
        path.unlink(missing_ok=True)
        raise
    db.session.add(row)
    db.session.commit()
    return row


def _folder() -> Path:
    folder: Path = current_app.extensions["config"].data / "imports"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def most_bytes() -> int:
    """The largest file we take."""
    return int(current_app.extensions["config"].max_upload)


def too_large() -> TooLarge:
    """The refusal of a file over the limit, in words."""
    megabytes = max(1, most_bytes() // (1024 * 1024))
    return TooLarge(Text("The file is larger than %(most)s MB. Split it and import the parts", most=megabytes))


def _copy(stream: IO[bytes], path: Path) -> int:
    size, most = 0, most_bytes()
    with path.open("xb") as target:
        while block := stream.read(1024 * 1024):
            size += len(block)
            if size > most:
                raise too_large()
            target.write(block)
    return size


def _refuse_other_formats(head: bytes) -> None:
    if head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise Invalid({"file": [N_("This is a spreadsheet. Save it as CSV and upload that file")]})
    controls = sum(byte < 9 or 13 < byte < 32 for byte in head if byte)
    if controls > len(head) // 20 or head.startswith((b"%PDF", b"\x89PNG", b"\xff\xd8\xff")):
        raise Invalid({"file": [N_("This is not a text file. Save the contacts as CSV")]})


def _first_lines(path: Path, encoding: str) -> list[str]:
    with _text(path, encoding) as text:
        return list(itertools.islice(csvfile.lines_of(text), 100))


def _text(path: Path, encoding: str) -> Any:
    return path.open(encoding=encoding, errors="replace", newline="")


def _records(row: Import) -> Iterator[csvfile.Record]:
    with _text(_folder() / row.path, row.encoding) as text:
        yield from csvfile.records(csvfile.lines_of(text), row.separator)


def _inspect(row: Import) -> None:
    """Count rows and columns, take the heading, and refuse what is too much."""
    records = _records(row)
    first = next((record for record in records if not record.problem), None)
    if first is None:
        raise Invalid({"file": [N_("The file is empty")]})
    width = len(first.cells)
    if width > csvfile.MOST_COLUMNS:
        text = Text("The file has %(n)s columns. Keep at most %(most)s", n=width, most=csvfile.MOST_COLUMNS)
        raise Invalid({"file": [text]})
    counted = sum(1 for _ in records)
    header = csvfile.has_heading(first.cells)
    if counted > csvfile.MOST_ROWS:
        most = f"{csvfile.MOST_ROWS:,}"
        raise TooLarge(Text("The file has more than %(most)s rows. Split it and import the parts", most=most))
    if header and not counted:
        raise Invalid({"file": [N_("The file has a heading but no rows")]})
    row.rows = counted + (not header)
    row.columns = _heading(first.cells, header)
    row.options = {**row.options, "header": header}


def _heading(cells: Sequence[str], header: bool) -> list[str]:
    """Names for the columns; those without one are numbered."""
    return [
        (people.clean(cell)[:80] if header else "") or str(Text("Column %(n)s", n=number))
        for number, cell in enumerate(cells, 1)
    ]


# --- choosing the columns --------------------------------------------------------------------------------


def get(import_id: int) -> Import:
    """The import with this id in the current workspace. Raises :class:`NotFound`."""
    found = db.session.scalar(sa.select(Import).where(Import.id == import_id))
    if found is None:
        raise NotFound(N_("There is no such import"))
    return found


def recent(limit: int = 20) -> list[Import]:
    """The newest imports of the client."""
    return list(db.session.scalars(sa.select(Import).order_by(Import.id.desc()).limit(limit)))


def preview(row: Import) -> Preview:
    """The heading, the first rows and a guess for the columns."""
    shown = [record.cells for record in itertools.islice(_body(row), SHOWN)]
    rows = [[*cells, *[""] * (len(row.columns) - len(cells))][: len(row.columns)] for cells in shown]
    heading = row.columns if row.options.get("header", True) else [""] * len(row.columns)
    return Preview(row.columns, rows, csvfile.guess(heading, rows, contacts.book().specs))


def _body(row: Import) -> Iterator[csvfile.Record]:
    records = _records(row)
    if row.options.get("header", True):
        for record in records:
            if not record.problem:
                break
    return records


def reread(import_id: int, encoding: str, separator: str) -> Import:
    """Look into the file again with another encoding or separator. Raises :class:`Invalid` in words."""
    row = _uploaded(import_id)
    if encoding not in dict(csvfile.ENCODINGS) or separator not in csvfile.SEPARATORS:
        raise Invalid({"encoding": [N_("Choose from the list")]})
    row.encoding, row.separator = encoding, separator
    _inspect(row)
    db.session.commit()
    return row


def _uploaded(import_id: int) -> Import:
    row = get(import_id)
    if row.state != "uploaded":
        raise Conflict(N_("This import has already been started"))
    return row


def begin(import_id: int, mapping: Mapping[int, str], options: Mapping[str, Any]) -> Import:
    """Start reading a file in the background.

    ``mapping``: ``{column: target}``, targets as in :func:`csvfile.guess`, ``""`` to leave out; where the option new_fields
    allows it, ``new:<type>`` for a new field with the column's name. Other ``options``:
    list_id or new_list (a name), country, email_consent and sms_consent (ticked), consent_words (where and how people
    agreed), start_flows, leave_known. Raises :class:`Invalid` by field, :class:`Conflict` when it runs already.
    """
    row = _uploaded(import_id)
    chosen, mistakes = _checked_mapping(row, mapping, bool(options.get("new_fields")))
    values = {
        "country": str(options.get("country") or "").upper(),
        "start_flows": bool(options.get("start_flows")),
        "leave_known": bool(options.get("leave_known")),
        "email_consent": bool(options.get("email_consent")),
        "sms_consent": bool(options.get("sms_consent")),
        "consent_words": people.clean(options.get("consent_words"))[:2000],
    }
    if values["country"] and values["country"] not in people.countries():
        mistakes["country"] = [N_("Choose a country from the list")]
    if (values["email_consent"] or values["sms_consent"]) and not values["consent_words"]:
        mistakes["consent_words"] = [N_("Write where and how these people agreed")]
    new_list = people.clean(options.get("new_list"))
    if options.get("list_id") and not new_list:
        try:
            values["list_id"] = lists.get(int(options["list_id"])).id
        except (NotFound, ValueError):
            mistakes["list_id"] = [N_("Choose a list from the list")]
    if mistakes:
        raise Invalid(mistakes)
    if new_list:
        values["list_id"] = _new_list(new_list)
    chosen = _with_new_fields(row, chosen)
    row.mapping = {str(column): target for column, target in chosen.items()}
    row.options = {**row.options, **values}
    row.state = "running"
    jobqueue.wake_after_commit(db.session, "import_contacts", row.id)
    db.session.commit()
    return row


def _checked_mapping(
    row: Import, mapping: Mapping[int, str], new_fields: bool
) -> tuple[dict[int, str], dict[str, Any]]:
    known = {*csvfile.TARGETS, *(NEW_FIELDS if new_fields else ()), *(f"field:{key}" for key in contacts.book().specs)}
    chosen = {column: target for column, target in mapping.items() if target and 0 <= column < len(row.columns)}
    mistakes: dict[str, Any] = {}
    for column, target in chosen.items():
        if target not in known:
            mistakes[f"column-{column}"] = [N_("Choose from the list")]
        elif target not in NEW_FIELDS and list(chosen.values()).index(target) != list(chosen).index(column):
            mistakes[f"column-{column}"] = [N_("Another column holds this already")]
    if not {"email", "phone", "external_id"} & set(chosen.values()):
        mistakes["column-0"] = [N_("Say which column holds the e-mail address or the phone number")]
    return chosen, mistakes


NEW_FIELDS = {f"new:{type}": type for type in fields.TYPES if type != "choice"}  # choices must be known beforehand


def _with_new_fields(row: Import, chosen: Mapping[int, str]) -> dict[int, str]:
    """Make the fields that columns ask for. Raises :class:`Invalid` by column."""
    made = dict(chosen)
    for column, target in chosen.items():
        if target in NEW_FIELDS:
            try:
                made[column] = f"field:{fields.add(label=row.columns[column], type=NEW_FIELDS[target]).key}"
            except (Invalid, Conflict) as error:
                texts = error.messages if isinstance(error, Invalid) else [error.args[0]]
                raise Invalid({f"column-{column}": flat(texts)}) from None
    return made


def _new_list(name: str) -> int:
    try:
        return lists.create(name).id
    except Invalid as error:
        raise Invalid({"new_list": error.messages["name"]}) from None


# --- reading it in ---------------------------------------------------------------------------------------


def run(import_id: int) -> None:
    """Read a running import to its end, chunk by chunk; begin where the last one stopped. Jobs call this.

    A second job for the same import goes home while the first is alive; if both ran, the counter in the row lets
    only one of them write each chunk.
    """
    with extensions.every_workspace():
        row = db.session.get(Import, import_id)
        alive = row is not None and row.seen_at is not None and row.seen_at > clock.now() - ALIVE
        workspace_id = row.workspace_id if row is not None and row.state == "running" and not alive else None
        db.session.rollback()
    if workspace_id is None:
        return
    with extensions.workspace(workspace_id):
        try:
            if not _Run(get(import_id)).go_on(clock.now() + TURN):
                jobqueue.wake("import_contacts", import_id)
        except _Overtaken:
            db.session.rollback()
        except (FlowserverError, OSError) as error:
            db.session.rollback()
            log.warning("import.failed", import_id=import_id, why=type(error).__name__)
            _end(import_id, "failed", _why(error))


class _Overtaken(Exception):
    """Another job reads this import, or somebody stopped it."""


class _Taken(Exception):
    """Somebody saved an address while we were about to."""


def _why(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return N_("The file is gone")
    return str(error)[:300] if isinstance(error, FlowserverError) else N_("The file could not be read")


def _end(import_id: int, state: str, reason: str = "") -> None:
    row = get(import_id)
    row.state, row.reason, row.finished_at = state, reason, clock.now()
    db.session.commit()
    (_folder() / row.path).unlink(missing_ok=True)


def stop(import_id: int) -> Import:
    """Stop an import; what came in stays. One that is over stays as it is."""
    row = get(import_id)
    if row.state in ("uploaded", "running"):
        _end(import_id, "stopped")
    return row


def discard(import_id: int) -> None:
    """Forget an upload that was never begun, and its file."""
    row = _uploaded(import_id)
    (_folder() / row.path).unlink(missing_ok=True)
    db.session.delete(row)
    db.session.commit()


class _Run:
    """One job's passage through a file. Everything it needs is read before the first row, so that reading a chunk
    happens outside of any transaction."""

    def __init__(self, row: Import):
        self.id, self.done, self.options = row.id, row.done, dict(row.options)
        self.row = Import(path=row.path, encoding=row.encoding, separator=row.separator, options=self.options)
        self.workspace_id = row.workspace_id
        self.filename, self.language = row.filename, _language(row.user_id)
        book = contacts.book(self.options.get("country", ""))
        mapping = {int(column): target for column, target in row.mapping.items()}
        known = {column: target for column, target in mapping.items() if _still_there(target, book)}
        self.plan = importing.Plan(list(row.columns), known, book.specs, book.customs)
        self.bad = _BadRows(_bad_path(row), int(self.options.get("bad_bytes", 0)), self.plan.heading)
        db.session.rollback()

    def go_on(self, until: datetime) -> bool:
        """Read chunks to the end of the file, or until this turn is over; whether the file is done."""
        records = itertools.islice(_body(self.row), self.done, None)
        with flask_babel.force_locale(self.language):
            while chunk := list(itertools.islice(records, CHUNK)):
                self._chunk([importing.read_row(record, self.plan) for record in chunk])
                if clock.now() > until:
                    self._pass_on()
                    return False
        _end(self.id, "done")
        return True

    def _pass_on(self) -> None:
        """Let the next job begin at once."""
        db.session.execute(sa.update(Import).where(Import.id == self.id).values(seen_at=None))
        db.session.commit()

    def _chunk(self, rows: Sequence[Row]) -> None:
        good = [row for row in rows if not row.problems]
        for attempt in range(ATTEMPTS):
            try:
                counts = self._write(good)
                break
            except (IntegrityError, _Taken):  # somebody saved one of these addresses meanwhile: look again
                db.session.rollback()
                for row in good:
                    row.problems.clear()
                if attempt == ATTEMPTS - 1:
                    raise
        bad = [row for row in rows if row.problems]
        self.bad.add(bad)
        self._count(len(rows), len(bad), *counts)
        db.session.commit()
        self.done += len(rows)

    def _write(self, rows: Sequence[Row]) -> tuple[int, int]:
        """Write one chunk of good rows; ``(contacts made, rows about contacts there already)``."""
        self._hold()
        if self.options.get("list_id"):
            lists.get(self.options["list_id"])
        register = importing.Register(_known(rows))
        made = 0
        touched: dict[int, Person] = {}
        for row in rows:
            try:
                person, new = register.take(row, bool(self.options.get("leave_known")))
            except Invalid as error:
                row.problems.extend(
                    (_column_of(key, self.plan), text) for key, texts in error.messages.items() for text in texts
                )
                continue
            touched[id(person)] = person
            made += new
        _Writer(self, list(touched.values())).write()
        good = sum(1 for row in rows if not row.problems)
        return made, good - made

    def _hold(self) -> None:
        """Take the row, and go home if it is not ours any more."""
        query = sa.select(Import.__table__.c.done, Import.__table__.c.state).where(Import.__table__.c.id == self.id)
        found = db.session.connection().execute(query.with_for_update()).one_or_none()
        if found is None or found.state != "running" or found.done != self.done:
            raise _Overtaken

    def _count(self, total: int, bad: int, made: int, changed: int) -> None:
        table = Import.__table__
        options = {**self.options, "bad_bytes": self.bad.size}
        db.session.connection().execute(
            sa.update(table)
            .where(table.c.id == self.id)
            .values(
                done=table.c.done + total,
                refused=table.c.refused + bad,
                made=table.c.made + made,
                changed=table.c.changed + changed,
                options=options,
                seen_at=clock.now(),
            )
        )


def _still_there(target: str, book: contacts.Book) -> bool:
    """A field deleted since the columns were chosen is left out."""
    return not target.startswith("field:") or target.removeprefix("field:") in book.specs


def _column_of(key: str, plan: importing.Plan) -> str:
    return next((plan.heading[column] for column, target in plan.mapping.items() if target == key), "")


def _known(rows: Sequence[Row]) -> list[Person]:
    """The contacts any of these rows may mean, locked in the order of their ids."""
    wanted = {key: sorted({row.values[key] for row in rows if row.values.get(key)}) for key in importing.ADDRESSES}
    meant = [_C[key].in_(values) for key, values in wanted.items() if values]
    if not meant:
        return []
    ids: set[int] = set()
    for condition in meant:  # one index each; an OR over three indexes is slow on SQLite
        query = sa.select(_C.id).where(_C.workspace_id == extensions.current_workspace(), condition)
        ids.update(db.session.connection().scalars(query))
    query = sa.select(*(_C[name] for name in HELD)).where(_C.id.in_(sorted(ids))).order_by(_C.id).with_for_update()
    return [Person(**row._mapping) for row in db.session.connection().execute(query)]


class _Writer:
    """Writes the people of one chunk: contacts, membership, tags, consent, and events where flows shall start."""

    def __init__(self, run: _Run, persons: Sequence[Person]):
        self.run, self.people, self.now = run, persons, clock.now()
        self.workspace_id = run.workspace_id
        self.tell = bool(run.options.get("start_flows"))
        self.facts: list[dict[str, Any]] = []

    def write(self) -> None:
        new = [person for person in self.people if person.id is None]
        known = [person for person in self.people if person.id is not None]
        self._consents()
        self._insert(new)
        self._update([person for person in known if person.changed])
        self._keep_proof()
        self._tags()
        self._join()
        if self.tell:
            crowd.write_events(self.facts)

    def _insert(self, new: Sequence[Person]) -> None:
        rows = [{**self._values(person), "created_at": self.now, "status": "active", "score": 0} for person in new]
        source = f"import:{self.run.id}"
        found = crowd.insert_new(Contact, [{**row, "source": source} for row in rows], ("id", "email", "phone"))
        if len(found) < len(new):
            raise _Taken
        ids = {email or phone: number for number, email, phone in found}
        for person in new:
            person.id = ids[person.email or person.phone]
            self._tell(person, "contact_created", data={"source": source, "filled": person.filled()})
            self._tell_fields(person, created=True)

    def _values(self, person: Person) -> dict[str, Any]:
        values = {name: getattr(person, name) for name in HELD if name != "id"}
        return {"workspace_id": self.workspace_id, **values, "updated_at": self.now}

    def _update(self, changed: Sequence[Person]) -> None:
        columns = (*HELD[1:], "updated_at")
        rows = [(person.id, *(getattr(person, name) for name in HELD[1:]), self.now) for person in changed]
        bulk.update(db.session.connection(), "contact", columns, rows)
        for person in changed:
            self._tell_fields(person)

    def _consents(self) -> None:
        """Who agreed according to the file; a withdrawal we know of is never undone by a file."""
        self.agreed: list[tuple[Person, str]] = []
        for channel in ("email", "sms"):
            if not self.run.options.get(f"{channel}_consent"):
                continue
            for person in self.people:
                address = person.email if channel == "email" else person.phone
                if address and getattr(person, f"{channel}_consent") == "none":
                    setattr(person, f"{channel}_consent", "given")
                    person.changed[f"{channel}_consent"] = ("none", "given")
                    self.agreed.append((person, channel))

    def _keep_proof(self) -> None:
        columns = ("workspace_id", "contact_id", "channel", "state", "at", "source", "words", "created_at")
        source, words = f"import {self.run.filename}"[:80], self.run.options.get("consent_words", "")
        rows = [
            (self.workspace_id, person.id, channel, "given", self.now, source, words, self.now)
            for person, channel in self.agreed
        ]
        bulk.insert(db.session.connection(), Consent.__tablename__, columns, rows)
        for person, channel in self.agreed:
            data = {"channel": channel, "old": "none", "new": "given", "source": source}
            self._tell(person, "consent_changed", channel, data)

    def _tags(self) -> None:
        names = sorted({name for person in self.people for name in person.tags})
        if not names:
            return
        ids = tags.ids(names)
        rows = [
            {"tag_id": ids[name], "contact_id": person.id, "workspace_id": self.workspace_id, "added_at": self.now}
            for person in self.people
            for name in sorted(person.tags)
        ]
        by_id = {person.id: person for person in self.people}
        words = {number: name for name, number in ids.items()}
        for tag_id, contact_id in crowd.insert_new(ContactTag, rows, ("tag_id", "contact_id")):
            self._tell(by_id[contact_id], "tag_added", words[tag_id])

    def _join(self) -> None:
        list_id = self.run.options.get("list_id")
        if not list_id:
            return
        rows = [
            {"list_id": list_id, "contact_id": person.id, "workspace_id": self.workspace_id, "joined_at": self.now}
            for person in self.people
        ]
        by_id = {person.id: person for person in self.people}
        for (contact_id,) in crowd.insert_new(Membership, rows, ("contact_id",)):
            self._tell(by_id[contact_id], "list_joined", str(list_id))

    def _tell_fields(self, person: Person, created: bool = False) -> None:
        for key, (old, new) in person.changed.items():
            if not key.endswith("_consent") and new not in (None, ""):
                data = {"old": old, "new": new, **({"created": True} if created else {})}
                self._tell(person, "field_changed", key, data)

    def _tell(self, person: Person, kind: str, subject: str = "", data: Mapping[str, Any] | None = None) -> None:
        if self.tell:
            common = {"at": self.now, "chain": 0, "origin": None}
            self.facts.append({"contact_id": person.id, "type": kind, "subject": subject, "data": data, **common})


# --- rows that were refused --------------------------------------------------------------------------------


def _bad_path(row: Import) -> Path:
    return _folder() / f"{Path(row.path).stem}.refused.csv"


class _BadRows:
    """The file of refused rows. It is cut back to what was committed before each chunk is added, while the import's
    row is locked: a killed job leaves nothing behind, and two jobs never write at once."""

    def __init__(self, path: Path, size: int, heading: Sequence[str]):
        self.path, self.size = path, size
        self.heading = heading

    def add(self, rows: Sequence[Row]) -> None:
        """Write rows to the file before their chunk is committed."""
        if not rows:
            return
        lines = [[row.line, *_in_words(row.problems), *row.cells] for row in rows]
        if not self.size:
            words = [_said(word) for word in (N_("Line"), N_("Column"), N_("Problem"))]
            lines.insert(0, [*words, *self.heading])
        text = ("" if self.size else "\ufeff") + "".join(csvfile.rows_to_csv(lines))
        with self.path.open("r+b" if self.path.exists() else "w+b") as file:
            file.truncate(self.size)
            file.seek(self.size)
            file.write(text.encode("utf-8", "replace"))
            self.size = file.tell()


def _in_words(problems: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """Column and reason; with several mistakes each reason names its column."""
    if len(problems) == 1:
        column, text = problems[0]
        return column, _said(text)
    columns = dict.fromkeys(column for column, _ in problems if column)
    reasons = (f"{column}: {_said(text)}" if column else _said(text) for column, text in problems)
    return ", ".join(columns), ". ".join(reasons)


def _said(text: str) -> str:
    """A reason in the language of the person who uploaded the file."""
    if not isinstance(text, Text):
        return text
    found = flask_babel.gettext(text.msgid)
    return found % text.params if text.params else found


def _language(user_id: int | None) -> str:
    found: str | None = db.session.scalar(sa.select(User.locale).where(User.id == user_id))
    return found or "en"


def refused_file(import_id: int) -> Path:
    """The CSV of the rows that were refused. Raises :class:`NotFound` when there are none or it was tidied away."""
    row = get(import_id)
    path = _bad_path(row)
    if not row.refused or not path.exists():
        raise NotFound(N_("There are no refused rows to download"))
    return path


def tidy(now: datetime) -> None:
    """Delete files nobody needs any more: those of imports over for 30 days, and uploads forgotten as long."""
    limit = (now - KEPT).timestamp()
    for path in _folder().glob("*.csv"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < limit:
                path.unlink()
