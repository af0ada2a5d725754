"""What a row of a CSV file says about a person, and whose values those are. Plain decisions; the service writes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flowserver.domain import csvfile, people
from flowserver.errors import Invalid
from flowserver.text import N_, Text

ADDRESSES = ("email", "phone", "external_id")
OTHERS = {
    "email": N_("This e-mail address belongs to another contact"),
    "phone": N_("This phone number belongs to another contact"),
    "external_id": N_("This external ID belongs to another contact"),
}
NO_ADDRESS = N_("This row has no e-mail address and no phone number")


# --- whose values are these ------------------------------------------------------------------------------


def whose(values: Mapping[str, Any], holders: Mapping[str, Any]) -> Any:
    """The person these checked values belong to: by external id, then e-mail, then phone; ``None`` for a new one.

    ``holders`` maps an address key to the person who has that address now. Raises :class:`Invalid` by field where
    an address belongs to someone else: people are never merged silently.
    """
    order = [holders[key] for key in ("external_id", "email", "phone") if holders.get(key) is not None]
    if not order:
        return None
    found = order[0]
    mistakes: dict[str, list[str]] = {key: [OTHERS[key]] for key in ADDRESSES if holders.get(key) not in (None, found)}
    if holders.get("external_id") is not found:
        mistakes.update(_not_the_same(found, values, by_email=holders.get("email") is found))
    if mistakes:
        raise Invalid(mistakes)
    return found


def _not_the_same(found: Any, values: Mapping[str, Any], by_email: bool) -> dict[str, list[str]]:
    """Somebody found by e-mail or phone is not meant when a stronger id is there and differs."""
    if values.get("external_id") and found.external_id:
        key = "email" if by_email else "phone"
        return {key: [OTHERS[key]]}
    if not by_email and values.get("email") and found.email:
        return {"phone": [OTHERS["phone"]]}
    return {}


# --- reading a row ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """How the columns of a file become values: ``mapping`` is ``{column: target}``, as :func:`csvfile.guess` gives it."""

    heading: Sequence[str]
    mapping: Mapping[int, str]
    specs: Mapping[str, people.Spec]
    customs: people.Customs


@dataclass(slots=True)
class Row:
    """One row read: its values, or what is wrong with it as ``[(column, problem)]``."""

    line: int
    cells: list[str]
    values: dict[str, Any] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)


def read_row(record: csvfile.Record, plan: Plan) -> Row:
    """The values of a record. Empty cells say nothing, they do not clear what is known."""
    row = Row(record.line, record.cells)
    if record.problem is not None:
        row.problems.append(("", record.problem))
    elif any("\ufffd" in cell for cell in record.cells):
        row.problems.append((_column_with_wrong_letters(record, plan), _WRONG_LETTERS))
    elif any(cell.strip() for cell in record.cells[len(plan.heading) :]):
        text = Text("This row has %(n)s cells, the heading %(m)s", n=len(record.cells), m=len(plan.heading))
        row.problems.append(("", text))
    else:
        _read_cells(row, plan)
    return row


_WRONG_LETTERS = N_("There are letters here that do not fit the encoding of the file")


def _column_with_wrong_letters(record: csvfile.Record, plan: Plan) -> str:
    column = next(number for number, cell in enumerate(record.cells) if "\ufffd" in cell)
    return plan.heading[column] if column < len(plan.heading) else ""


def _read_cells(row: Row, plan: Plan) -> None:
    fields: dict[str, Any] = {}
    for column, target in plan.mapping.items():
        cell = csvfile.unguard(row.cells[column]) if column < len(row.cells) else ""
        if not cell.strip():
            continue
        try:
            _read_cell(row, fields, target, cell, plan)
        except Invalid as error:
            row.problems.extend((plan.heading[column], text) for text in error.messages["_"])
    if fields:
        row.values["fields"] = fields
    if not row.problems and not any(row.values.get(key) for key in ADDRESSES):
        row.problems.append(("", NO_ADDRESS))


def _read_cell(row: Row, fields: dict[str, Any], target: str, cell: str, plan: Plan) -> None:
    if target.startswith("field:"):
        spec = plan.specs[target.removeprefix("field:")]
        value = people.value(spec.type, cell, spec.choices, plan.customs)
        if value is not None:
            fields[spec.key] = value
    elif target == "tags":
        row.tags = [people.tag(part) for part in re.split(r"[,;|]", cell) if part.strip()]
    elif target == "full_name":
        first, _, last = people.name(cell).partition(" ")
        row.values["first_name"], row.values["last_name"] = first, last
    else:
        row.values[target] = people.contact_text(target, cell, plan.customs)


# --- many people at once ---------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class Person:
    """A contact while a chunk is decided: as it is in the database (``id``), or new (``None``)."""

    id: int | None
    email: str | None
    phone: str | None
    external_id: str | None
    first_name: str = ""
    last_name: str = ""
    locale: str = ""
    fields: dict[str, Any] = field(default_factory=dict)
    email_consent: str = "none"
    sms_consent: str = "none"
    web_push_consent: str = "none"
    mobile_push_consent: str = "none"
    ads_consent: str = "none"
    changed: dict[str, tuple[Any, Any]] = field(default_factory=dict)  # field → (old, new)
    tags: set[str] = field(default_factory=set)

    def filled(self) -> list[str]:
        """The keys of the fields that hold something, as the event of somebody new names them."""
        core = {key: getattr(self, key) for key in people.TEXTS}
        return sorted(key for key, value in {**core, **self.fields}.items() if value not in (None, ""))


class Register:
    """The people a chunk of rows is about, by address, those known and those the chunk makes."""

    def __init__(self, known: Sequence[Person]):
        self.by: dict[str, dict[str, Person]] = {key: {} for key in ADDRESSES}
        self.people: list[Person] = []
        for person in known:
            self._add(person)

    def _add(self, person: Person) -> None:
        self.people.append(person)
        self._index(person)

    def _index(self, person: Person) -> None:
        for key in ADDRESSES:
            address = getattr(person, key)
            if address:
                self.by[key][address] = person

    def take(self, row: Row, leave_known: bool = False) -> tuple[Person, bool]:
        """Put a row's values where they belong: ``(person, whether this row made it)``.

        ``leave_known`` changes nothing about people who are known. Raises :class:`Invalid` by field.
        """
        holders = {key: self.by[key].get(row.values[key]) for key in ADDRESSES if row.values.get(key)}
        person = whose(row.values, holders)
        made = person is None
        if person is None:
            if not row.values.get("email") and not row.values.get("phone"):
                raise Invalid({"_": [NO_ADDRESS]})
            person = Person(None, None, None, None)
            self.people.append(person)
        if made or not leave_known:
            self._change(person, row.values)
        person.tags.update(row.tags)
        return person, made

    def _change(self, person: Person, values: Mapping[str, Any]) -> None:
        for key, new in values.items():
            if key == "fields":
                continue
            old = getattr(person, key)
            if new != old:
                person.changed[key] = (person.changed.get(key, (old,))[0], new)
                setattr(person, key, new)
        for key, new in values.get("fields", {}).items():
            old = person.fields.get(key)
            if new != old:
                person.changed[key] = (person.changed.get(key, (old,))[0], new)
                person.fields = {**person.fields, key: new}
        self._index(person)
