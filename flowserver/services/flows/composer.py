"""Writing a message of a flow: how it reads for a contact, what to look at, a test to oneself."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from flowserver.domain import content_checks, mail, mailbody, people, sms
from flowserver.domain.content_checks import Remark
from flowserver.errors import Invalid, NotFound
from flowserver.extensions import current_workspace, db
from flowserver.models import Contact, Field, User, Workspace
from flowserver.nodes.actions.send_email import SendEmail, has_text
from flowserver.nodes.actions.send_sms import SendSms
from flowserver.nodes.base import Action
from flowserver.services.messages import deliveries, envelopes
from flowserver.text import N_, Text, whole

NOBODY = "nobody"  # a contact we know nothing about
BLOCKS = {  # type of block → its parts
    "heading": ("text",),
    "text": ("text",),
    "button": ("label", "url"),
    "image": ("url", "alt", "link"),
    "divider": (),
    "spacer": (),
}


@dataclass(frozen=True)
class Reader:
    """Somebody a message can be looked at as."""

    id: str
    name: str


def readers() -> list[Reader]:
    """The newest contacts with a first name, and somebody we know nothing about."""
    query = sa.select(Contact).where(Contact.first_name != "").order_by(Contact.created_at.desc()).limit(4)
    known = [Reader(str(one.id), f"{one.first_name} {one.last_name}".strip()) for one in db.session.scalars(query)]
    return [*known, Reader(NOBODY, N_("A contact without a name"))]


def facts_of(reader: str) -> dict[str, Any]:
    """The values of ``{{ contact.… }}`` for a reader; nobody's are empty."""
    known = whole(reader)
    found = db.session.get(Contact, known) if known is not None else None
    if found is None or found.workspace_id != current_workspace():
        return {"email": "somebody@example.com"}
    return mail.facts(found)


def variables(brought: Mapping[str, str]) -> list[tuple[str, str]]:
    """``[(path, label)]`` of what can be inserted: contact data, the client's name, what the flow has ``brought``."""
    own = db.session.execute(sa.select(Field.key, Field.label).order_by(Field.label))
    return [
        ("contact.first_name | default: 'there'", N_("First name")),
        ("contact.last_name | default: ''", N_("Last name")),
        ("contact.email", N_("E-mail address")),
        *((f"contact.{key} | default: ''", label) for key, label in own),
        ("workspace.name", N_("Client's name")),
        *((f"event.{name}", label) for name, label in brought.items()),
    ]


def workspace() -> Workspace:
    """The present client."""
    return db.session.scalars(sa.select(Workspace).where(Workspace.id == current_workspace())).one()


def preview_email(content: Mapping[str, Any], reader: str) -> dict[str, str]:
    """How an e-mail reads: ``subject``, ``preheader``, ``html``, ``text``. Raises :class:`Invalid` where it cannot."""
    brand = envelopes.brand(workspace())
    if not brand.sender_email:
        content = {**content, "from_email": content.get("from_email") or "sender@example.com"}
    return mail.preview(content, facts_of(reader), brand)


def preview_sms(content: Mapping[str, Any], reader: str) -> dict[str, Any]:
    """How an SMS reads: ``text`` and its ``count``, and the ``sender``. Raises :class:`Invalid`."""
    brand = envelopes.brand(workspace())
    shown = sms.preview(content, facts_of(reader), brand.variables())
    return {**shown, "sender": str(content.get("sender") or sms_sender())}


def sms_sender() -> str:
    """Who an SMS comes from when the step does not say."""
    one = workspace()
    return str(one.sms_sender or sms.sender_from(one.name))


def remarks(sends: str, content: Mapping[str, Any]) -> list[Remark]:
    """What to look at in a text, and where there is nothing, what is in order."""
    fields = frozenset(db.session.scalars(sa.select(Field.key)))
    found = [*_missing(sends, content), *content_checks.of_step(sends, content, fields)]
    return found + (_in_order(content, found) if sends == "email" else [])


def _missing(sends: str, content: Mapping[str, Any]) -> list[Remark]:
    """What is not written yet, in the words of the step that sends it."""
    return [Remark(one.kind, one.text, one.field) for one in _STEPS[sends](dict(content)).problems([])]


_STEPS: Mapping[str, type[Action]] = {"email": SendEmail, "sms": SendSms}


def _in_order(content: Mapping[str, Any], found: list[Remark]) -> list[Remark]:
    if not has_text(content.get("body")) or (found and found[0].kind == "fix" and len(found) == 1):
        return []
    said = [str(one.text) for one in found]
    good = []
    if content.get("class", "marketing") == "marketing":
        good.append(N_("The unsubscribe link and the sender's address are added at the end"))
    if "{{" in str(content) and not any("Nothing is written" in text or "stays empty" in text for text in said):
        good.append(N_("Every variable has a fallback"))
    if _has_picture(content.get("body")) and not any("picture" in text for text in said):
        good.append(N_("All pictures have a text"))
    return [Remark("ok", text) for text in good]


def _has_picture(body: Any) -> bool:
    if isinstance(body, str):
        return "<img" in body.lower()
    return any(isinstance(block, Mapping) and block.get("type") == "image" for block in body or ())


def as_html(blocks: Sequence[Mapping[str, Any]]) -> str:
    """Blocks as simple HTML to go on with by hand."""
    brand = envelopes.brand(workspace())
    made = mailbody.make({"body": blocks}, brand, marketing=False, tracked=False).html
    inner = made.partition("<body")[2].partition(">")[2].rpartition("</body>")[0]
    return inner.strip()


def as_blocks(html: str) -> list[dict[str, str]]:
    """Own HTML as one text block: the words stay, the layout goes."""
    return [{"type": "text", "text": mailbody.as_text(html).strip()}]


# --- tests -------------------------------------------------------------------------------------------------


def send_test(sends: str, content: Mapping[str, Any], address: str, user_id: int) -> str:
    """Send a message to oneself, marked as a test and counted nowhere. Returns the address as it was understood.

    Raises :class:`Invalid` for an address that is none or a text that cannot be sent.
    """
    mistakes = [one.text for one in content_checks.of_step(sends, content, frozenset()) if one.kind == "fix"]
    if mistakes:
        raise Invalid({"content": mistakes})
    if sends == "email":
        to = _email_address(address)
        body = {**content, "subject": f"[Test] {content.get('subject') or ''}".strip()}
        if not (content.get("from_email") or workspace().sender_email):
            raise Invalid({"content": [N_("The client has no sender address for e-mail")]})
    else:
        to, body = _number(address), dict(content)
        if not str(content.get("text") or "").strip():
            raise Invalid({"content": [N_("The SMS has no text")]})
    deliveries.plan_one(
        channel=sends,
        address=to,
        kind="test",
        key=f"test:{user_id}:{secrets.token_hex(8)}",
        content=body,
        contact_id=_myself(sends, to),
        class_="service" if content.get("class") == "service" else "marketing",
        priority=1,
    )
    db.session.commit()
    return to


def _email_address(address: str) -> str:
    try:
        return people.email(address)
    except Invalid:
        raise Invalid({"address": [N_("Enter an e-mail address such as name@example.com")]}) from None


def _number(address: str) -> str:
    try:
        return people.phone(address, workspace().country)
    except Invalid:
        raise Invalid({"address": [N_("Enter a mobile number with its country, such as +39 333 1234567")]}) from None


def _myself(sends: str, address: str) -> int | None:
    """The contact with this address, so that a test to oneself shows one's own name."""
    column = Contact.email if sends == "email" else Contact.phone
    return db.session.scalar(sa.select(Contact.id).where(column == address))


def my_address(user_id: int) -> str:
    """Where tests go unless the person says otherwise."""
    user = db.session.get(User, user_id)
    if user is None:
        raise NotFound(Text("There is no such user"))
    return user.email
