"""Imports that programs send: a CSV file, or rows that are written into one; from then on like any import."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import IO, Any

import sqlalchemy as sa

from flowserver import extensions
from flowserver.domain import csvfile, people
from flowserver.errors import Invalid
from flowserver.extensions import db
from flowserver.models import Import
from flowserver.services.people import browse, contacts, imports
from flowserver.text import N_, Text

COLUMNS = (*people.TEXTS, "tags")


def submit(stream: IO[bytes], filename: str, options: Mapping[str, Any]) -> Import:
    """Take a file in and begin reading it in the background.

    ``options``: ``columns`` (targets in the order of the file's columns, ``""`` to leave one out; guessed from the
    heading unless given), ``list`` (id or name), and those of :func:`imports.begin`. Raises :class:`Invalid` by
    option, :class:`TooLarge`; then nothing is kept.
    """
    list_id = _list(options.get("list"))
    row = imports.start(stream, filename, None)
    try:
        mapping = _mapping(row, options.get("columns"))
        return imports.begin(row.id, mapping, {**options, "list_id": list_id})
    except Invalid as error:
        db.session.rollback()
        imports.discard(row.id)
        raise Invalid(_by_option(error.messages)) from None


def _list(reference: int | str | None) -> int | None:
    if reference is None:
        return None
    found = browse.list_ids([reference])[0]
    if found is None:
        raise Invalid({"list": [browse.no_list(reference)]})
    return found


def _mapping(row: Import, columns: Sequence[str] | None) -> dict[int, str]:
    if columns is None:
        return imports.preview(row).guess
    if len(columns) > len(row.columns):
        text = Text("The file has %(n)s columns", n=len(row.columns))
        raise Invalid({"columns": [text]})
    return dict(enumerate(columns))


def _by_option(messages: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Mistakes by what programs call it: all columns under one name."""
    found: dict[str, list[Any]] = {}
    for key, texts in messages.items():
        found.setdefault("columns" if key.startswith("column") else key, []).extend(texts)
    return found


def as_file(rows: Sequence[Mapping[str, Any]]) -> tuple[IO[bytes], list[str]]:
    """Rows as :func:`contacts.upsert` takes them, with ``tags``, as a CSV file, and what its columns hold.

    Raises :class:`Invalid` by path for fields that do not exist, and where there is nothing.
    """
    if not rows:
        raise Invalid({"rows": [N_("Send at least one row")]})
    specs = contacts.book().specs
    mistakes = {
        f"rows[{place}].fields.{key}": [Text("There is no field “%(key)s”", key=str(key)[:80])]
        for place, row in enumerate(rows)
        for key in row.get("fields") or {}
        if key not in specs
    }
    if mistakes:
        raise Invalid(dict(list(mistakes.items())[:100]))
    own = [key for key in specs if any(key in (row.get("fields") or {}) for row in rows)]
    heading = [*COLUMNS, *(f"field:{key}" for key in own)]
    body = (
        [*(_cell(row.get(key)) for key in COLUMNS), *(_cell((row.get("fields") or {}).get(key)) for key in own)]
        for row in rows
    )
    return io.BytesIO("".join(csvfile.rows_to_csv([heading, *body])).encode()), heading


def _cell(value: Any) -> str:
    """A value as a cell that says the same in every country: 1.234 is no thousand."""
    if value is None:
        return ""
    if isinstance(value, list):
        return ",".join(str(one) for one in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:f}0" if isinstance(value, float) else str(value)


def listing(after: int, limit: int, updated_since: datetime | None = None) -> browse.Page:
    """The imports of the client, oldest first."""
    query = sa.select(Import.__table__).where(Import.workspace_id == extensions.current_workspace())
    if updated_since is not None:
        query = query.where(Import.updated_at >= updated_since)
    rows = list(db.session.execute(query.where(Import.id > after).order_by(Import.id).limit(limit + 1)))
    return browse.Page(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)
