"""The address book as CSV: read page by page and sent on at once, so that memory stays flat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import current_app

from flowserver import extensions
from flowserver.domain import consent, csvfile
from flowserver.extensions import db
from flowserver.models import Contact
from flowserver.services.people import contacts

COLUMNS = (  # heading and attribute; the headings are those an import recognises
    ("email", "email"),
    ("phone", "phone"),
    ("external_id", "external_id"),
    ("first_name", "first_name"),
    ("last_name", "last_name"),
    ("language", "locale"),
    *((name, name) for name in consent.COLUMNS),
    ("status", "status"),
    ("score", "score"),
)


CHUNK = 1000


def contacts_csv(wanted: contacts.Filter) -> Iterator[str]:
    """Lines of CSV, UTF-8 with a byte order mark: all contacts that match, with lists, tags and custom fields.

    Text that a spreadsheet would take for a formula begins with an apostrophe. The answer is read after the request
    that asked for it, so each chunk opens its own context and session, and no transaction waits for a slow download.
    """
    app, workspace_id = current_app._get_current_object(), extensions.current_workspace()  # type: ignore[attr-defined]
    keys = sorted(contacts.book().specs)
    db.session.rollback()  # on SQLite the sessions of the chunks must not wait for this one

    def lines() -> Iterator[str]:
        heading = [title for title, _ in COLUMNS] + ["lists", "tags", "created", "source", *keys]
        yield "\ufeff" + "".join(csvfile.rows_to_csv([heading]))
        last: int | None = 0
        while last is not None:
            with app.app_context(), extensions.workspace(workspace_id or 0):
                text, last = _chunk(wanted, keys, last)
            yield text

    return lines()


def _chunk(wanted: contacts.Filter, keys: list[str], last: int) -> tuple[str, int | None]:
    """Some lines, and the id to go on from; ``None`` at the end."""
    page = contacts.after(wanted, last, CHUNK)
    lists, tags = contacts.lists_and_tags([contact.id for contact in page])
    rows = [_row(contact, keys, [name for _, name in lists[contact.id]], tags[contact.id]) for contact in page]
    return "".join(csvfile.rows_to_csv(rows)), page[-1].id if len(page) == CHUNK else None


def _row(contact: Contact, keys: list[str], lists: list[str], tags: list[str]) -> list[Any]:
    own = [getattr(contact, attribute) for _, attribute in COLUMNS]
    joined = [", ".join(lists), ", ".join(tags), contact.created_at.isoformat(timespec="seconds"), contact.source]
    return [*own, *joined, *(_cell(contact.fields.get(key)) for key in keys)]


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else value
