"""The address book as CSV: read page by page and sent on at once, so that memory stays flat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flowserver.domain import csvfile
from flowserver.extensions import db
from flowserver.models import Contact
from flowserver.services import contacts

COLUMNS = (  # heading and attribute; the headings are those an import recognises
    ("email", "email"),
    ("phone", "phone"),
    ("external_id", "external_id"),
    ("first_name", "first_name"),
    ("last_name", "last_name"),
    ("language", "locale"),
    ("email_consent", "email_consent"),
    ("sms_consent", "sms_consent"),
    ("status", "status"),
    ("score", "score"),
)


def contacts_csv(wanted: contacts.Filter) -> Iterator[str]:
    """Lines of CSV, UTF-8 with a byte order mark: all contacts that match, with lists, tags and custom fields.

    Text that a spreadsheet would take for a formula begins with an apostrophe.
    """
    keys = sorted(contacts.book().specs)
    heading = [title for title, _ in COLUMNS] + ["lists", "tags", "created", "source", *keys]
    yield "\ufeff" + "".join(csvfile.rows_to_csv([heading]))
    for page in contacts.ids_in_chunks(wanted):
        lists, tags = contacts.lists_and_tags([contact.id for contact in page])
        rows = [_row(contact, keys, [name for _, name in lists[contact.id]], tags[contact.id]) for contact in page]
        db.session.rollback()  # between pages no transaction waits for a slow download
        yield "".join(csvfile.rows_to_csv(rows))


def _row(contact: Contact, keys: list[str], lists: list[str], tags: list[str]) -> list[Any]:
    own = [getattr(contact, attribute) for _, attribute in COLUMNS]
    joined = [", ".join(lists), ", ".join(tags), contact.created_at.isoformat(timespec="seconds"), contact.source]
    return [*own, *joined, *(_cell(contact.fields.get(key)) for key in keys)]


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else value
