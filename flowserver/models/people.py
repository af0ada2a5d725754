"""Contacts and what is known about them: lists, tags, fields, score, consent, suppression, signups, imports."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from flowserver.clock import now
from flowserver.extensions import Base, OfWorkspace, UtcDateTime
from flowserver.models.base import BigId, Changed, Dict, Instant, List, WorkspaceRow

# On SQLite an id is free again when the newest row is deleted, unless told otherwise. Where links, messages or
# statistics keep the id of a deleted row, the next row must not inherit them.
NEVER_AGAIN = {"sqlite_autoincrement": True}


class Contact(WorkspaceRow):
    """One person who gets messages. Has an e-mail address or a phone number, each unique in the workspace."""

    __tablename__ = "contact"
    __table_args__ = (
        sa.UniqueConstraint("workspace_id", "email"),
        sa.UniqueConstraint("workspace_id", "phone"),
        sa.UniqueConstraint("workspace_id", "external_id"),
        sa.Index("ix_contact_recent", "workspace_id", "created_at"),
        NEVER_AGAIN,
    )

    email: Mapped[str | None] = mapped_column(sa.String(254))  # normalised: domain in lower case, whole address folded
    phone: Mapped[str | None] = mapped_column(sa.String(16))  # E.164
    external_id: Mapped[str | None] = mapped_column(sa.String(120))
    first_name: Mapped[str] = mapped_column(sa.String(120), default="")
    last_name: Mapped[str] = mapped_column(sa.String(120), default="")
    fields: Mapped[Dict]  # custom fields by key, typed as Field.type says (dates as ISO text)
    score: Mapped[int] = mapped_column(default=0)  # always the sum of the ledger, score_entry
    email_consent: Mapped[str] = mapped_column(sa.String(10), default="none")  # none, given, withdrawn
    sms_consent: Mapped[str] = mapped_column(sa.String(10), default="none")
    web_push_consent: Mapped[str] = mapped_column(sa.String(10), server_default="none")
    mobile_push_consent: Mapped[str] = mapped_column(sa.String(10), server_default="none")
    ads_consent: Mapped[str] = mapped_column(sa.String(10), server_default="none")
    status: Mapped[str] = mapped_column(sa.String(12), default="active")  # active, suppressed, bounced
    owner_id: Mapped[int | None] = mapped_column(BigId, sa.ForeignKey("user.id", ondelete="SET NULL"))
    locale: Mapped[str] = mapped_column(sa.String(8), default="")
    source: Mapped[str] = mapped_column(sa.String(40), default="")
    updated_at: Mapped[Instant] = mapped_column(default=now)
    last_activity_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    paused_until: Mapped[datetime | None] = mapped_column(UtcDateTime)  # asked for no marketing messages until then


class ContactList(WorkspaceRow):
    """A list contacts join and leave."""

    __tablename__ = "contact_list"
    __table_args__ = (sa.UniqueConstraint("workspace_id", "name"), NEVER_AGAIN)

    name: Mapped[str] = mapped_column(sa.String(120))
    description: Mapped[str] = mapped_column(sa.String(300), default="")
    public: Mapped[bool] = mapped_column(default=False)  # offered as a topic on the preference page
    leaving: Mapped[str] = mapped_column(sa.String(8), default="")  # being deleted: "keep" or "delete" its contacts
    updated_at: Mapped[Changed]


class Membership(OfWorkspace, Base):
    """A contact is on a list."""

    __tablename__ = "membership"

    list_id: Mapped[int] = mapped_column(BigId, sa.ForeignKey("contact_list.id", ondelete="CASCADE"), primary_key=True)
    contact_id: Mapped[int] = mapped_column(
        BigId, sa.ForeignKey("contact.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    workspace_id: Mapped[int] = mapped_column(BigId)
    joined_at: Mapped[Instant] = mapped_column(default=now)


class Tag(WorkspaceRow):
    """A word put on contacts."""

    __tablename__ = "tag"
    __table_args__ = (sa.UniqueConstraint("workspace_id", "name"),)

    name: Mapped[str] = mapped_column(sa.String(60))  # trimmed, lower case
    updated_at: Mapped[Changed]


class ContactTag(OfWorkspace, Base):
    """A contact has a tag."""

    __tablename__ = "contact_tag"

    tag_id: Mapped[int] = mapped_column(BigId, sa.ForeignKey("tag.id", ondelete="CASCADE"), primary_key=True)
    contact_id: Mapped[int] = mapped_column(
        BigId, sa.ForeignKey("contact.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    workspace_id: Mapped[int] = mapped_column(BigId)
    added_at: Mapped[Instant] = mapped_column(default=now)


class Field(WorkspaceRow):
    """A custom field of contacts."""

    __tablename__ = "field"
    __table_args__ = (sa.UniqueConstraint("workspace_id", "key"),)

    key: Mapped[str] = mapped_column(sa.String(40))  # as used in {{ contact.<key> }}
    label: Mapped[str] = mapped_column(sa.String(80))
    type: Mapped[str] = mapped_column(sa.String(10))  # text, number, date, yes_no, choice
    choices: Mapped[List]
    updated_at: Mapped[Changed]


class Consent(WorkspaceRow):
    """One change of consent, with its proof: when, where, in which words."""

    __tablename__ = "consent"

    contact_id: Mapped[int] = mapped_column(BigId, sa.ForeignKey("contact.id", ondelete="CASCADE"), index=True)
    channel: Mapped[str] = mapped_column(sa.String(12))  # one of domain/consent.py
    state: Mapped[str] = mapped_column(sa.String(10))  # given, withdrawn
    at: Mapped[Instant]
    source: Mapped[str] = mapped_column(sa.String(80), default="")
    words: Mapped[str] = mapped_column(sa.Text, default="")


class Suppression(WorkspaceRow):
    """An address nothing may be sent to, whoever holds it."""

    __tablename__ = "suppression"
    __table_args__ = (sa.UniqueConstraint("workspace_id", "channel", "address"),)

    channel: Mapped[str] = mapped_column(sa.String(8))  # email, sms
    address: Mapped[str] = mapped_column(sa.String(254))
    reason: Mapped[str] = mapped_column(sa.String(40))  # hard_bounce, complaint, stop, unsubscribed, by_hand
    source: Mapped[str] = mapped_column(sa.String(300), default="")


class SuppressionChange(WorkspaceRow):
    """A person put an address on the suppression list or took it off, and why: the proof behind the list."""

    __tablename__ = "suppression_change"
    __table_args__ = (sa.Index("ix_suppression_change_recent", "workspace_id", "created_at"),)

    user_id: Mapped[int | None] = mapped_column(BigId, sa.ForeignKey("user.id", ondelete="SET NULL"))
    channel: Mapped[str] = mapped_column(sa.String(8))
    address: Mapped[str] = mapped_column(sa.String(254))
    what: Mapped[str] = mapped_column(sa.String(8))  # added, removed
    reason: Mapped[str] = mapped_column(sa.String(300))


class ScoreEntry(WorkspaceRow):
    """One movement of a contact's score; the total is their sum.

    What a rule brought names the rule, the event, and the ``slot`` that it fills for the contact and fills only once:
    the event, the day, or everything.
    """

    __tablename__ = "score_entry"
    __table_args__ = (
        sa.Index(
            "ix_score_entry_slot", "rule_id", "contact_id", "slot", unique=True,
            sqlite_where=sa.text("rule_id IS NOT NULL"), postgresql_where=sa.text("rule_id IS NOT NULL"),
        ),
    )  # fmt: skip

    contact_id: Mapped[int] = mapped_column(BigId, sa.ForeignKey("contact.id", ondelete="CASCADE"), index=True)
    points: Mapped[int]
    reason: Mapped[str] = mapped_column(sa.String(120), default="")
    at: Mapped[Instant]
    rule_id: Mapped[int | None] = mapped_column(BigId)  # stays when the rule is deleted
    event_key: Mapped[str | None] = mapped_column(sa.String(120))
    slot: Mapped[str | None] = mapped_column(sa.String(120))


class Form(WorkspaceRow):
    """A signup form that clients put on their pages."""

    __tablename__ = "form"
    __table_args__ = (sa.UniqueConstraint("workspace_id", "name"), NEVER_AGAIN)

    public_id: Mapped[str] = mapped_column(sa.String(16), unique=True)
    name: Mapped[str] = mapped_column(sa.String(120))
    title: Mapped[str] = mapped_column(sa.String(200), default="")
    intro: Mapped[str] = mapped_column(sa.String(600), default="")
    button: Mapped[str] = mapped_column(sa.String(60), default="")
    list_id: Mapped[int] = mapped_column(BigId, sa.ForeignKey("contact_list.id"))
    fields: Mapped[List]  # [{"key": "first_name", "label": …, "required": false}], e-mail always first
    double_opt_in: Mapped[bool] = mapped_column(default=True)
    email_consent_text: Mapped[str] = mapped_column(sa.Text, default="")
    sms_consent_text: Mapped[str] = mapped_column(sa.Text, default="")
    thanks_title: Mapped[str] = mapped_column(sa.String(200), default="")
    thanks_text: Mapped[str] = mapped_column(sa.String(600), default="")
    thanks_url: Mapped[str] = mapped_column(sa.String(500), default="")
    locale: Mapped[str] = mapped_column(sa.String(8), default="")  # empty: the client's
    closed: Mapped[bool] = mapped_column(default=False)
    updated_at: Mapped[Changed]


class Signup(WorkspaceRow):
    """A form that was sent in. With double opt-in nothing else exists until it is confirmed."""

    __tablename__ = "signup"
    __table_args__ = NEVER_AGAIN

    form_id: Mapped[int] = mapped_column(BigId, sa.ForeignKey("form.id", ondelete="CASCADE"), index=True)
    email: Mapped[str | None] = mapped_column(sa.String(254), index=True)
    phone: Mapped[str | None] = mapped_column(sa.String(16))
    answers: Mapped[Dict]
    consents: Mapped[Dict]  # {"email": words, "sms": words}
    state: Mapped[str] = mapped_column(sa.String(10), default="pending")  # pending, confirmed
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    contact_id: Mapped[int | None] = mapped_column(BigId)
    page: Mapped[str] = mapped_column(sa.String(500), default="")  # where it was sent in
    visitor: Mapped[str] = mapped_column(sa.String(60), default="", server_default="")  # the browser, on a tracked site


class Import(WorkspaceRow):
    """A CSV file on its way into the address book, resumable after every chunk."""

    __tablename__ = "import"
    __table_args__ = NEVER_AGAIN

    user_id: Mapped[int | None] = mapped_column(BigId)
    filename: Mapped[str] = mapped_column(sa.String(200))
    path: Mapped[str] = mapped_column(sa.String(500))  # in the data folder
    encoding: Mapped[str] = mapped_column(sa.String(40), default="")
    separator: Mapped[str] = mapped_column(sa.String(4), default="")
    columns: Mapped[List]  # as found in the file
    mapping: Mapped[Dict]  # column number (text) → contact field
    options: Mapped[Dict]  # list_id, country, start_flows, consent …
    state: Mapped[str] = mapped_column(sa.String(12), default="uploaded")  # uploaded, running, done, stopped, failed
    rows: Mapped[int] = mapped_column(default=0)
    done: Mapped[int] = mapped_column(default=0)
    made: Mapped[int] = mapped_column(default=0)
    changed: Mapped[int] = mapped_column(default=0)
    refused: Mapped[int] = mapped_column(default=0)
    reason: Mapped[str] = mapped_column(sa.String(300), default="")
    seen_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # when a job last wrote a chunk
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    updated_at: Mapped[Changed]
