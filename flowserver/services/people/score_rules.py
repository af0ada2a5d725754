"""Score rules: making, changing, switching on and off, and what each has brought.

What they bring is written by ``services/reactions/score_rules.py`` as events happen; a rule that changes does not change
what was given before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from flowserver import clock, extensions
from flowserver.domain import people, reported, scoring, urls
from flowserver.domain.steps import EVENTS
from flowserver.errors import Invalid, NotFound
from flowserver.extensions import db
from flowserver.models import ScoreEntry, ScoreRule
from flowserver.services.flows import options
from flowserver.text import N_, Text

USUAL = {"points": None, "act": "", "subject": "", "detail": "", "frequency": "every", "enabled": True}


@dataclass(frozen=True)
class Entry:
    """A rule as the page of all rules shows it."""

    row: ScoreRule
    about: Text  # the act in words, with what it is narrowed to
    times: int  # within the last 30 days
    points: int  # brought within the last 30 days


def get(rule_id: int) -> ScoreRule:
    """The rule with this id in the current workspace. Raises :class:`NotFound`."""
    found = db.session.scalar(sa.select(ScoreRule).where(ScoreRule.id == rule_id))
    if found is None:
        raise NotFound(N_("There is no such score rule"))
    return found


def everything() -> list[Entry]:
    """All rules of the client by title, with what they brought within 30 days."""
    month = clock.now() - timedelta(days=30)
    given = (
        sa.select(ScoreEntry.rule_id, sa.func.count().label("times"), sa.func.sum(ScoreEntry.points).label("points"))
        .where(ScoreEntry.rule_id.is_not(None), ScoreEntry.at >= month)
        .group_by(ScoreEntry.rule_id)
        .subquery()
    )
    query = (
        sa.select(ScoreRule, given.c.times, given.c.points)
        .outerjoin(given, given.c.rule_id == ScoreRule.id)
        .order_by(sa.func.lower(ScoreRule.title), ScoreRule.id)
    )
    names = options.namer()
    return [
        Entry(row, about(row, names), int(times or 0), int(points or 0))
        for row, times, points in db.session.execute(query)
    ]


def about(rule: ScoreRule, names: Any = None) -> Text:
    """What a rule counts, in words: "Fills in a form: Footer"."""
    act = scoring.ACTS[rule.act]
    what = rule.detail
    if rule.subject:
        named = act.source not in ("text", "tag")
        called = str((names or options.namer())(act.source, rule.subject)) if named else rule.subject
        what = f"{called}, {what}" if what else called
    return Text("%(act)s: %(what)s", act=act.title, what=what) if what else act.title


# --- making and changing -----------------------------------------------------------------------------------


def create(values: Mapping[str, Any]) -> ScoreRule:
    """Make a rule from title, points, act, subject, detail, frequency, enabled. Raises :class:`Invalid` by field."""
    row = ScoreRule(workspace_id=extensions.current_workspace(), created_at=clock.now())
    return _save(row, {**USUAL, **values})


def update(rule_id: int, values: Mapping[str, Any]) -> ScoreRule:
    """Change the given keys of a rule; what was given before stays. Raises :class:`NotFound`, :class:`Invalid`."""
    row = get(rule_id)
    held = {key: getattr(row, key) for key in ("title", *USUAL)}
    if values.get("act", row.act) != row.act:
        held.update(subject="", detail="")
    return _save(row, {**held, **values})


def _save(row: ScoreRule, wanted: Mapping[str, Any]) -> ScoreRule:
    mistakes: dict[str, Any] = {}
    values: dict[str, Any] = {"updated_at": clock.now(), "enabled": bool(wanted["enabled"])}
    readers = {
        "title": lambda: _title(wanted.get("title"), row.id),
        "points": lambda: points(wanted["points"]),
        "act": lambda: _one_of(wanted["act"], scoring.ACTS, N_("Choose what the contact does")),
        "frequency": lambda: _one_of(wanted["frequency"], scoring.FREQUENCIES, N_("Choose how often it counts")),
        "subject": lambda: _subject(wanted),
        "detail": lambda: _detail(wanted),
    }
    for key, read in readers.items():
        try:
            values[key] = read()
        except Invalid as error:
            mistakes[key] = error.messages["_"]
    if mistakes:
        raise Invalid(mistakes)
    for key, value in values.items():
        setattr(row, key, value)
    db.session.add(row)
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        raise Invalid({"title": [_taken(values["title"])]}) from None
    return row


def _title(raw: Any, own_id: int | None) -> str:
    title = people.name(raw or "")
    if not title:
        raise Invalid(N_("Enter a title for the rule"))
    same = sa.select(ScoreRule.id).where(sa.func.lower(ScoreRule.title) == title.lower())
    if db.session.scalar(same.where(ScoreRule.id != (own_id or 0))):
        raise Invalid(_taken(title))
    return title


def _taken(title: str) -> Text:
    return Text("There is already a rule called %(title)s", title=title)


def points(raw: Any) -> int:
    """A whole number other than 0, typed or given. Raises :class:`Invalid`."""
    text = people.clean(raw).replace("−", "-") if isinstance(raw, str) else raw
    if isinstance(text, str) and text.lstrip("+-").isdecimal() and len(text) < 10:
        text = int(text)
    if isinstance(text, bool) or not isinstance(text, int) or text == 0:
        raise Invalid(N_("Enter a whole number other than 0"))
    if abs(text) > scoring.MOST:
        raise Invalid(Text("Enter a number between -%(most)s and %(most)s", most=f"{scoring.MOST:,}"))
    return text


def _one_of(raw: Any, known: Mapping[str, Any], words: Text) -> str:
    if not isinstance(raw, str) or raw not in known:
        raise Invalid(words)
    return raw


def _subject(wanted: Mapping[str, Any]) -> str:
    """What the act is narrowed to: the id of an object, named by id or name; a tag or other words; "" for any."""
    given = wanted["subject"]
    act = scoring.ACTS.get(str(wanted["act"]))
    if given in (None, "") or act is None:
        return ""
    if not act.source:
        raise Invalid(N_("This act cannot be narrowed down: leave it out"))
    if act.source == "text":
        return people.line(given, 120)
    if act.source == "tag":
        return people.tag(given)
    found = options.find(act.source, given)
    if found is None:
        raise Invalid(options.not_found(act.source, given))
    return str(found)


def _detail(wanted: Mapping[str, Any]) -> str:
    """The pattern of addresses a visit must fit, or the word of an event of your own."""
    given = wanted["detail"]
    text = people.line(given, 500) if given not in (None, "") else ""
    if wanted["act"] == "custom_event":
        if not reported.WORD.fullmatch(text):
            raise Invalid(N_("Enter the word the event is reported under, like test_drive_booked"))
        if text in EVENTS:
            raise Invalid(N_("This is one of our own words: choose what the contact does above"))
    elif wanted["act"] == "page_visited":
        if text in urls.ANY:
            return ""
        if text:
            urls.parse(text)
    elif text:
        raise Invalid(N_("This act has no details: leave them out"))
    return text


def switch(rule_id: int, enabled: bool) -> ScoreRule:
    """Switch a rule on or off; what it brought so far stays. Raises :class:`NotFound`."""
    row = get(rule_id)
    row.enabled, row.updated_at = enabled, clock.now()
    db.session.commit()
    return row


def delete(rule_id: int) -> None:
    """Delete a rule; what it brought so far stays in the ledger under its title. Raises :class:`NotFound`."""
    db.session.delete(get(rule_id))
    db.session.commit()
