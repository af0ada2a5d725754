"""Signup forms: made in the console, shown to strangers."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa

from flowserver import clock, extensions
from flowserver.domain import people
from flowserver.errors import Invalid, NotFound
from flowserver.extensions import db
from flowserver.models import ContactList, Field, Form, Signup, Workspace
from flowserver.services.people import lists
from flowserver.text import N_, Text, whole

LOCALES = ("", "en", "it", "pl")
CORE = {
    "first_name": N_("First name"),
    "last_name": N_("Last name"),
    "phone": N_("Mobile number"),
}
_TEXTS = {  # key → most characters
    "title": 200,
    "intro": 600,
    "button": 60,
    "email_consent_text": 2000,
    "sms_consent_text": 2000,
    "thanks_title": 200,
    "thanks_text": 600,
}


@dataclass(frozen=True)
class Question:
    """One input of a form, beside the e-mail address that is always there."""

    key: str
    label: str
    type: str  # text, tel, number, date, yes_no, choice
    required: bool
    choices: tuple[str, ...] = ()


# --- reading -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """A form as the page of all forms shows it."""

    row: Form
    list_name: str
    confirmed: int  # signups so far
    waiting: int  # for the button in the e-mail


def overview() -> list[Entry]:
    """All forms of the client by name."""

    def count(state: str) -> Any:
        return sa.func.coalesce(sa.func.sum(sa.case((Signup.state == state, 1), else_=0)), 0)

    query = (
        sa.select(Form, ContactList.name, count("confirmed"), count("pending"))
        .join(ContactList, ContactList.id == Form.list_id)
        .outerjoin(Signup, Signup.form_id == Form.id)
        .group_by(Form.id, ContactList.name)
        .order_by(sa.func.lower(Form.name))
    )
    return [
        Entry(form, name, int(confirmed), int(waiting)) for form, name, confirmed, waiting in db.session.execute(query)
    ]


def get(form_id: int) -> Form:
    """The form with this id in the current workspace. Raises :class:`NotFound`."""
    found = db.session.scalar(sa.select(Form).where(Form.id == form_id))
    if found is None:
        raise NotFound(N_("There is no such form"))
    return found


def enter(public_id: str) -> tuple[Form, Workspace]:
    """The form strangers see at ``/f/<public_id>`` and its client, whose rows the request sees from now on.

    Raises :class:`NotFound` also when the client was put away.
    """
    with extensions.every_workspace():
        form = db.session.scalar(sa.select(Form).where(Form.public_id == public_id))
    workspace = db.session.get(Workspace, form.workspace_id) if form else None
    if form is None or workspace is None or workspace.archived_at:
        raise NotFound(N_("This form does not exist any more"))
    extensions.enter_workspace(workspace.id)
    return form, workspace


def questions(form: Form) -> list[Question]:
    """What the form asks besides the e-mail address, in order. Fields deleted meanwhile are left out."""
    keys = [asked["key"] for asked in form.fields]
    known = {field.key: field for field in db.session.scalars(sa.select(Field).where(Field.key.in_(keys)))}
    found = []
    for asked in form.fields:
        key, label, required = asked["key"], asked.get("label", ""), bool(asked.get("required"))
        if key in CORE:
            found.append(Question(key, label or CORE[key], "tel" if key == "phone" else "text", required))
        elif key in known:
            field = known[key]
            found.append(Question(key, label or field.label, field.type, required, tuple(field.choices)))
    return found


def available() -> list[Question]:
    """Every field a form of the current client could ask for."""
    core = [Question(key, label, "tel" if key == "phone" else "text", False) for key, label in CORE.items()]
    fields = db.session.scalars(sa.select(Field).order_by(Field.label))
    return core + [Question(field.key, field.label, field.type, False, tuple(field.choices)) for field in fields]


# --- writing -------------------------------------------------------------------------------------------


def create(values: Mapping[str, Any]) -> Form:
    """Make a form. Raises :class:`Invalid` by field."""
    checked = _checked(values, None)
    form = Form(
        workspace_id=extensions.current_workspace(),
        public_id=secrets.token_urlsafe(9).replace("-", "a").replace("_", "b"),
        created_at=clock.now(),
        **checked,
    )
    db.session.add(form)
    db.session.commit()
    return form


def update(form_id: int, values: Mapping[str, Any]) -> Form:
    """Change a form; people who signed up already are not touched. Raises :class:`NotFound`, :class:`Invalid`."""
    form = get(form_id)
    for key, value in _checked({**_values(form), **values}, form.id).items():
        setattr(form, key, value)
    db.session.commit()
    return form


def delete(form_id: int) -> None:
    """Delete a form with its unconfirmed signups; contacts stay. Raises :class:`Conflict` while a flow starts with it."""
    from flowserver.services.people import usage

    form = get(form_id)
    usage.refuse_if_used("form", form.id, form.name)
    db.session.delete(form)
    db.session.commit()


def _values(form: Form) -> dict[str, Any]:
    return {column.key: getattr(form, column.key) for column in sa.inspect(Form).mapper.column_attrs}


def _checked(values: Mapping[str, Any], own_id: int | None) -> dict[str, Any]:
    """All columns a person decides, checked together."""
    mistakes: dict[str, Any] = {}
    found: dict[str, Any] = {
        "double_opt_in": bool(values.get("double_opt_in", True)),
        "closed": bool(values.get("closed", False)),
    }
    checks: dict[str, Callable[[], Any]] = {
        "name": lambda: _name(values.get("name"), own_id),
        "list_id": lambda: _list(values.get("list_id")),
        "fields": lambda: _fields(values.get("fields") or []),
        "thanks_url": lambda: _address(values.get("thanks_url")),
        "locale": lambda: _locale(values.get("locale")),
        **{key: partial(_text, values.get(key), most) for key, most in _TEXTS.items()},
    }
    for key, check in checks.items():
        try:
            found[key] = check()
        except Invalid as error:
            mistakes[key] = error.messages["_"]
    if not found["double_opt_in"] and not found.get("email_consent_text") and "email_consent_text" not in mistakes:
        mistakes["email_consent_text"] = [
            N_("Without a confirmation e-mail people must tick what they agree to: write the words")
        ]
    if mistakes:
        raise Invalid(mistakes)
    return found


def _name(raw: Any, own_id: int | None) -> str:
    name = people.name(raw)
    if not name:
        raise Invalid(N_("Enter a name for the form"))
    query = sa.select(Form.id).where(sa.func.lower(Form.name) == name.lower(), Form.id != (own_id or 0))
    if db.session.scalar(query):
        raise Invalid(Text("There is already a form called %(name)s", name=name))
    return name


def _list(raw: Any) -> int:
    try:
        return lists.get(raw if isinstance(raw, int) else whole(str(raw)) or 0).id
    except NotFound:
        raise Invalid(N_("Choose the list people join")) from None


def _fields(raw: Any) -> list[dict[str, Any]]:
    known = {question.key for question in available()}
    found: dict[str, dict[str, Any]] = {}
    for asked in raw if isinstance(raw, list) else []:
        key = str(asked.get("key", "")) if isinstance(asked, Mapping) else ""
        if key not in known:
            raise Invalid(Text("There is no field “%(key)s”", key=key[:60]))
        label = people.line(asked.get("label"), 80)
        found[key] = {"key": key, "label": label, "required": bool(asked.get("required"))}
    return list(found.values())


def _text(raw: Any, most: int) -> str:
    return people.line(raw, most)


def _locale(raw: Any) -> str:
    if (raw or "") not in LOCALES:
        raise Invalid(N_("Choose a language from the list"))
    return raw or ""


def _address(raw: Any) -> str:
    text = people.clean(raw)
    if text and (urlsplit(text).scheme not in ("http", "https") or not urlsplit(text).hostname or len(text) > 500):
        raise Invalid(N_("Write a web address that starts with https://"))
    return text
