"""A client's own fields of contacts: what they are called, what they hold."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
import structlog

from flowserver.domain import people
from flowserver.errors import Conflict, Invalid, NotFound
from flowserver.extensions import current_workspace, db
from flowserver.models import Contact, Field
from flowserver.services.accounts import accounts, clients
from flowserver.services.operations.checked import checked
from flowserver.services.people import usage
from flowserver.text import N_, Text

log = structlog.get_logger()

TYPES = {
    "text": N_("Text"),
    "number": N_("Number"),
    "date": N_("Date"),
    "yes_no": N_("Yes or no"),
    "choice": N_("One of several choices"),
}
MOST = 100  # fields of one client
CHUNK = 5000
_TAKEN = {
    "id",
    "email",
    "phone",
    "external_id",
    "first_name",
    "last_name",
    "locale",
    "score",
    "status",
    "owner",
    "tags",
    "lists",
}


def listing() -> list[Field]:
    """The fields of the present client, by label."""
    return list(db.session.scalars(sa.select(Field).order_by(sa.func.lower(Field.label), Field.id)))


def get(field_id: int) -> Field:
    """A field of the present client. Raises :class:`NotFound`."""
    row = db.session.scalar(sa.select(Field).where(Field.id == field_id))
    if row is None:
        raise NotFound(str(field_id))
    return row


def add(*, label: str, type: str, choices: Iterable[str] = ()) -> Field:
    """Make a field; its key follows from the label and stays. Raises :class:`Invalid` by field."""
    values = checked(
        label=lambda: _label(label),
        type=lambda: accounts.one_of(type, tuple(TYPES)),
        choices=lambda: _choices(choices) if type == "choice" else [],
    )
    if (db.session.scalar(sa.select(sa.func.count(Field.id))) or 0) >= MOST:
        raise Conflict(Text("A client can have %(most)s fields at most", most=MOST))
    row = Field(workspace_id=current_workspace(), key=_key(values["label"]), **values)
    db.session.add(row)
    db.session.commit()
    log.info("field.added", field=row.id, workspace=row.workspace_id)
    return row


def change(field_id: int, *, label: str, choices: Iterable[str] = ()) -> Field:
    """Change the label and the choices; key and type stay, contacts keep what they have.

    Live flows that ask for a choice that is gone show it.
    """
    row = get(field_id)
    before = usage.flaws("field", row.key)
    values = checked(
        label=lambda: _label(label, but=row.id),
        choices=lambda: _choices(choices) if row.type == "choice" else [],
    )
    row.label, row.choices = values["label"], values["choices"]
    db.session.flush()
    usage.mark("field", row.key, before)
    db.session.commit()
    return row


def remove(field_id: int) -> None:
    """Delete a field and its values. Raises :class:`Conflict` while a flow or a form uses it."""
    row = get(field_id)
    usage.refuse_if_used("field", row.key, row.label)
    key, workspace_id = row.key, row.workspace_id
    db.session.delete(row)
    db.session.commit()
    _forget(key)
    log.info("field.removed", field=field_id, workspace=workspace_id)


def _forget(key: str) -> None:
    """Take the value off all contacts, some thousand at a time, so that nobody waits long for the database."""
    if db.engine.dialect.name == "postgresql":
        without: Any = Contact.fields.op("-")(key)
        has: Any = Contact.fields.op("?")(key)
    else:
        without = sa.func.json_remove(Contact.fields, f'$."{key}"', type_=sa.Text)
        has = sa.func.json_type(Contact.fields, f'$."{key}"', type_=sa.Text).is_not(None)
    last = 0
    while ids := list(
        db.session.scalars(sa.select(Contact.id).where(Contact.id > last, has).order_by(Contact.id).limit(CHUNK))
    ):
        last = ids[-1]
        db.session.execute(
            sa.update(Contact).where(Contact.id.in_(ids)).values(fields=without),
            execution_options={"synchronize_session": False},
        )
        db.session.commit()


# --- single answers ------------------------------------------------------------------------------------


def _label(label: str, but: int | None = None) -> str:
    found = people.name(label, 60)
    if not found:
        raise Invalid(N_("Enter a label, for example “City”"))
    same = sa.select(Field.id).where(sa.func.lower(Field.label) == found.lower())
    taken = db.session.scalar(same)
    if taken is not None and taken != but:
        raise Invalid(Text("There is a field called %(label)s already", label=found))
    return found


def _choices(choices: Iterable[str]) -> list[str]:
    found = list(dict.fromkeys(choice for raw in choices if (choice := people.line(raw, 120))))
    if len({choice.casefold() for choice in found}) < len(found):
        raise Invalid(N_("Two choices differ only in capital letters. Keep one of them"))
    if len(found) < 2:
        raise Invalid(N_("Write at least two choices, one on each line"))
    if len(found) > people.MOST_CHOICES:
        raise Invalid(Text("Write at most %(most)s choices", most=people.MOST_CHOICES))
    return found


def _key(label: str) -> str:
    """``City of birth`` → ``city_of_birth``, with a number where that is taken."""
    root = re.sub("^([0-9])", r"f_\1", clients.slug_of(label).replace("-", "_"))[:36]
    taken = _TAKEN | set(db.session.scalars(sa.select(Field.key)))
    if root not in taken:
        return root
    return next(f"{root}_{number}" for number in range(2, MOST + len(_TAKEN) + 3) if f"{root}_{number}" not in taken)
