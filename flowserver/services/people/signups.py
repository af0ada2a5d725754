"""Signups: a stranger sends in a form, gets an e-mail, presses the button, and only then is a contact."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import flask_babel
import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from flask import current_app
from flask_babel import gettext as _

from flowserver import clock, extensions
from flowserver.domain import people, tokens
from flowserver.domain.consent import ADDRESSES
from flowserver.errors import Invalid, NotFound
from flowserver.extensions import db
from flowserver.models import Contact, Form, Signup, Workspace
from flowserver.services.engine import bulk, events
from flowserver.services.messages import deliveries
from flowserver.services.people import consents, contacts, forms, lists
from flowserver.services.site import visits
from flowserver.text import N_

KEPT = timedelta(days=7)
STAMP_KEPT = timedelta(days=1)
QUIET = timedelta(minutes=10)  # so long no second confirmation goes to the same address
MOST_A_DAY = 5  # confirmations for one address and client in 24 hours
MOST_TEXT = 2_000  # characters in one answer


@dataclass(frozen=True)
class Answer:
    """What became of a form that was sent in, as far as its sender may know."""

    confirm: bool  # "look in your inbox", otherwise "thank you"
    token: str  # for the next page: who it is about, unreadable to others


@dataclass(frozen=True)
class Pending:
    """A signup behind a confirmation link."""

    signup: Signup
    form: Form
    workspace: Workspace


# --- sending in ----------------------------------------------------------------------------------------


def receive(form: Form, answers: Mapping[str, str], *, page: str = "", visitor: str = "") -> Answer:
    """Take a form that was sent in; the same answer for addresses we know and those we do not.

    ``answers``: ``email``, the form's questions by key, ``consent_email`` and ``consent_sms`` (non-empty: ticked),
    ``website`` (the trap: people do not see it; when it is filled nothing is kept). ``visitor``: the browser, as the
    script on a tracked site names it; it is this contact's from the confirmation on. Raises :class:`Invalid` by field.
    """
    answers = {key: value[: MOST_TEXT + 1] for key, value in answers.items()}
    email = people.clean(answers.get("email"))
    if people.clean(answers.get("website")):
        return Answer(form.double_opt_in, seal(form, email[:254]))
    values, agreed = _checked(form, answers)
    if form.double_opt_in:
        _ask_to_confirm(form, values, agreed, page, visitor)
    else:
        _write(form, _signup(form, values, agreed, page, visitor))
    db.session.commit()
    return Answer(form.double_opt_in, seal(form, values["email"]))


def _checked(form: Form, answers: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """``(values of the contact, consents with their words)``, or :class:`Invalid` naming every mistake."""
    mistakes: dict[str, Any] = {}
    raw: dict[str, Any] = {"email": answers.get("email", "")}
    book = contacts.book()
    asked = forms.questions(form)
    for question in asked:
        given = answers.get(question.key, "")
        if len(given) > MOST_TEXT:
            mistakes[question.key] = [N_("This is too long")]
        elif not people.clean(given):
            if question.required:
                mistakes[question.key] = [N_("Fill this in")]
        elif question.key in forms.CORE:
            raw[question.key] = given
        else:
            raw.setdefault("fields", {})[question.key] = given
    values: dict[str, Any] = {}
    try:
        values = book.read(raw)
    except Invalid as error:
        mistakes.update(error.messages.get("fields", {}))
        mistakes.update({key: texts for key, texts in error.messages.items() if key != "fields"})
    if "email" not in mistakes:
        _check_email(raw["email"], mistakes)
    agreed = _agreed(form, answers, "phone" in raw, mistakes)
    if mistakes:
        raise Invalid(mistakes)
    return values, agreed


def _check_email(email: str, mistakes: dict[str, Any]) -> None:
    if not people.clean(email):
        mistakes["email"] = [N_("Enter your e-mail address")]
    elif people.is_disposable(people.email(email)):
        mistakes["email"] = [N_("Use an address that you will still have tomorrow")]


def _agreed(form: Form, answers: Mapping[str, str], has_phone: bool, mistakes: dict[str, Any]) -> dict[str, str]:
    agreed = {}
    if form.email_consent_text:
        if not answers.get("consent_email"):
            mistakes["consent_email"] = [N_("Tick the box if you want our e-mails")]
        agreed["email"] = form.email_consent_text
    elif form.double_opt_in:  # pressing the button in the e-mail is the consent
        agreed["email"] = form.title or form.name
    if form.sms_consent_text and answers.get("consent_sms"):
        if not has_phone and "phone" not in mistakes:
            mistakes["phone"] = [N_("Enter your mobile number to get SMS")]
        agreed["sms"] = form.sms_consent_text
    return agreed


def _signup(form: Form, values: Mapping[str, Any], agreed: Mapping[str, str], page: str, visitor: str = "") -> Signup:
    row = Signup(
        workspace_id=form.workspace_id,
        form_id=form.id,
        email=values["email"],
        phone=values.get("phone"),
        answers=dict(values),
        consents=dict(agreed),
        state="pending",
        page=people.clean(page)[:500],
        visitor=people.clean(visitor)[:60],
        created_at=clock.now(),
    )
    db.session.add(row)
    db.session.flush()
    return row


def _ask_to_confirm(
    form: Form, values: Mapping[str, Any], agreed: Mapping[str, str], page: str, visitor: str = ""
) -> None:
    """Keep the answers and plan the confirmation, unless one has just gone out: then only the answers change."""
    _one_at_a_time(form.workspace_id, values["email"])
    mine = sa.select(Signup).where(Signup.email == values["email"], Signup.created_at > clock.now() - timedelta(days=1))
    recent = db.session.scalars(mine.order_by(Signup.id.desc())).all()
    fresh = [row for row in recent if row.form_id == form.id and row.created_at > clock.now() - QUIET]
    waiting = next((row for row in fresh if row.state == "pending"), None)
    if waiting is not None:
        waiting.answers, waiting.consents, waiting.phone = dict(values), dict(agreed), values.get("phone")
    elif not fresh and len(recent) < MOST_A_DAY:
        plan_confirmation(form, _signup(form, values, agreed, page, visitor))


def _one_at_a_time(workspace_id: int, email: str) -> None:
    """A form sent twice in the same moment waits for itself, so that it is confirmed by one e-mail."""
    digest = hashlib.sha256(f"signup:{workspace_id}:{email}".encode()).digest()
    bulk.lock_name(db.session.connection(), -1 - int.from_bytes(digest[:7], "big"))  # flows hold the numbers above zero


def plan_confirmation(form: Form, signup: Signup) -> None:
    """Plan the e-mail with the button, in the form's language."""
    workspace = db.session.get(Workspace, form.workspace_id)
    assert workspace is not None
    with flask_babel.force_locale(form.locale or workspace.locale):
        content = _mail(form, workspace, _link(signup))
    deliveries.plan_one(
        channel="email",
        address=str(signup.email),
        kind="confirmation",
        key=f"signup:{signup.id}",
        content=content,
        class_="service",
        priority=1,
    )


def _mail(form: Form, workspace: Workspace, link: str) -> dict[str, Any]:
    title = form.title or workspace.name
    return {
        "subject": _("Confirm your address for %(title)s", title=title),
        "preheader": _("One click and you are in."),
        "body": [
            {"type": "heading", "text": _("One more click")},
            {
                "type": "text",
                "text": _("You signed up for “%(title)s” with this address. Press the button to confirm.", title=title),
            },
            {"type": "button", "label": _("Yes, sign me up"), "url": link},
            {
                "type": "text",
                "text": _(
                    "Was it not you? Then do nothing: without the button we send nothing and delete the address"
                    " after 7 days."
                ),
            },
        ],
    }


def _link(signup: Signup) -> str:
    payload = f"{tokens.short(signup.workspace_id)}-{tokens.short(signup.id)}"
    return f"{current_app.extensions['config'].url}/o/{_signer().sign('signup', payload)}"


# --- confirming ----------------------------------------------------------------------------------------


def peek(token: str) -> Pending:
    """The signup behind a confirmation link, in the request's workspace from now on. Changes nothing.

    Raises :class:`NotFound` when the link is forged, older than seven days, or its form is gone.
    """
    return _find(token, lock=False)


def confirm(token: str) -> Pending:
    """Make the contact, its place on the list and its consent, and start what listens. Doing it twice is harmless."""
    found = _find(token, lock=True)
    if found.signup.state == "pending":
        _write(found.form, found.signup)
        _forget_others(found.signup)
        db.session.commit()
    return found


def _find(token: str, lock: bool) -> Pending:
    payload = _signer().open("signup", token)
    if not payload:
        raise NotFound(_GONE)
    workspace_id, signup_id = (tokens.number(part) or 0 for part in payload.split("-"))
    extensions.enter_workspace(workspace_id)
    query = sa.select(Signup).where(Signup.id == signup_id)
    signup = db.session.scalar(query.with_for_update() if lock else query)
    workspace = db.session.get(Workspace, workspace_id)
    if signup is None or workspace is None or (signup.state == "pending" and signup.created_at < clock.now() - KEPT):
        raise NotFound(_GONE)
    return Pending(signup, forms.get(signup.form_id), workspace)


_GONE = N_("This link does not work any more. Sign up again, and we send you a new one")


def _write(form: Form, signup: Signup) -> Contact:
    """The signup becomes a contact on the form's list, in the caller's transaction."""
    now = clock.now()
    values = dict(signup.answers)
    visitor = visits.hold(signup.visitor)
    phone_is_theirs = _leave_out_taken_phone(values)
    contact, _new = contacts.put(values, source=f"form:{form.id}")
    for channel in ADDRESSES:
        if channel in signup.consents and (channel == "email" or phone_is_theirs):
            given = now if channel == "email" else signup.created_at  # the button confirms the e-mail address only
            words = signup.consents[channel]
            consents.change(contact, channel, "given", source=form.name, words=words, at=given)
    signup.state, signup.confirmed_at, signup.contact_id = "confirmed", now, contact.id
    if visitor is not None:
        visits.become(visitor, contact.id)
    db.session.flush()
    lists.join(form.list_id, [contact.id], commit=False)
    answers = {key: value for key, value in values.items() if key != "fields"}
    data = {"form": form.id, "answers": {**answers, **values.get("fields", {})}}
    events.record(contact.id, "form_filled", subject=str(form.id), key=f"signup:{signup.id}:filled", at=now, data=data)
    return contact


def _leave_out_taken_phone(values: dict[str, Any]) -> bool:
    """Nobody takes over a number by typing it: one that belongs to another contact is dropped. Whether one is left."""
    if not values.get("phone"):
        return False
    holder = db.session.scalar(sa.select(Contact).where(Contact.phone == values["phone"]))
    if holder is not None and holder.email != values["email"]:
        del values["phone"]
        return False
    return True


def _forget_others(signup: Signup) -> None:
    """Older links of the same address and form need no answer any more."""
    db.session.execute(
        sa.delete(Signup).where(
            Signup.form_id == signup.form_id,
            Signup.email == signup.email,
            Signup.state == "pending",
            Signup.id != signup.id,
        )
    )


def expire(now: datetime) -> int:
    """Delete signups nobody confirmed within seven days, of all clients; how many. The clock calls this."""
    gone = 0
    with extensions.every_workspace():
        old = sa.select(Signup.id).where(Signup.state == "pending", Signup.created_at < now - KEPT).limit(500)
        while ids := db.session.scalars(old).all():
            db.session.execute(sa.delete(Signup).where(Signup.id.in_(ids)))
            db.session.commit()
            gone += len(ids)
        db.session.rollback()
    return gone


# --- the page after sending in -------------------------------------------------------------------------


def again(form: Form, token: str) -> Answer:
    """Send the confirmation once more to the address behind ``token``, unless the last one is younger than ten minutes."""
    email = unseal(form, token)
    query = sa.select(Signup).where(Signup.form_id == form.id, Signup.email == email, Signup.state == "pending")
    waiting = db.session.scalar(query.order_by(Signup.id.desc()).limit(1))
    if waiting is not None:
        _ask_to_confirm(form, waiting.answers, waiting.consents, waiting.page, waiting.visitor)
        db.session.commit()
    return Answer(form.double_opt_in, token)


def seal(form: Form, email: str) -> str:
    """An address for the next page's URL, encrypted so that it stands in no log."""
    return _fernet().encrypt(f"{form.public_id}\n{email}".encode()).decode()


def unseal(form: Form, token: str) -> str:
    """The address in a sealed token of this form; empty when it is forged."""
    try:
        owner, _line, email = _fernet().decrypt(token.encode()).decode().partition("\n")
    except (InvalidToken, ValueError):
        return ""
    return email if owner == form.public_id else ""


def stamp(form: Form) -> str:
    """What our own page of a form carries along: when it was opened, signed."""
    return _signer().sign("stamp", f"{form.id}-{int(clock.now().timestamp())}")


def check_stamp(form: Form, token: str | None) -> None:
    """Raise :class:`Invalid` when a form carries a stamp that is forged, of another form, or older than a day.

    Forms on foreign pages are plain HTML and carry none, which is fine.
    """
    if token is None:
        return
    owner, _dash, opened = (_signer().open("stamp", token) or "").partition("-")
    if owner != str(form.id) or clock.now().timestamp() - int(opened) > STAMP_KEPT.total_seconds():
        raise Invalid({"_": [N_("This page was open for too long. Send the form again")]})


def _signer() -> tokens.Signer:
    return tokens.Signer(_keys())


def _fernet() -> MultiFernet:
    digests = [hashlib.sha256(b"signup-page:" + key.encode()).digest() for key in _keys()]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])


def _keys() -> list[str]:
    config = current_app.extensions["config"]
    return [config.secret_key, *config.old_secret_keys]
