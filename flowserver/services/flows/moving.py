"""The people inside a flow when its next version goes live: what each group would see, taking them along, going back.

Everything happens in the transaction that publishes. Statements are set-based, one round for each step where somebody
stands; only a wait whose length changed is worked out row by row, in chunks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import sqlalchemy as sa

from flowserver import clock, jobqueue
from flowserver.domain import definition as definitions
from flowserver.domain import moves
from flowserver.domain.definition import Compiled
from flowserver.domain.moves import Landing, Moves
from flowserver.errors import Invalid
from flowserver.extensions import UtcDateTime, db
from flowserver.models import Contact, Decision, Enrollment, Flow, FlowMove, FlowVersion
from flowserver.nodes import catalogue
from flowserver.services.engine import bulk, timetable
from flowserver.services.engine.versions import compiled
from flowserver.services.flows import options
from flowserver.text import N_

CHOICES = ("finish", "move", "leave")
CHUNK = 5000
MANY = 20_000  # people whose moving others notice on SQLite: it has one writer
TAKEN_OUT = "new_version"  # why somebody left where the author chose "leave"
_E, _D, _M = (table.__table__.c for table in (Enrollment, Decision, FlowMove))


@dataclass(frozen=True, slots=True)
class Choice:
    """What becomes of the people inside: ``finish`` the version they entered, ``move`` to the new one, or ``leave``.

    An empty ``all`` is what :func:`usual` says. ``steps`` holds what is said otherwise for those at single steps, by
    key; ``""`` are those waiting to start.
    """

    all: str = ""
    steps: Mapping[str, str] = field(default_factory=dict)

    def of(self, key: str) -> str:
        """What becomes of those at one step."""
        return self.steps.get(key) or self.all


USUAL = Choice()


def checked(flow: Flow, all: str, steps: Mapping[str, str]) -> Choice:
    """A choice that was sent in. Raises :class:`Invalid` for a word that is none, and for a step the flow never had."""
    words = [N_("Choose finish, move or leave")]
    mistakes = {} if all in ("", *CHOICES) else {"people": words}
    mistakes.update({f"people_at.{key}": words for key, what in steps.items() if what not in ("", *CHOICES)})
    strange = sorted(steps.keys() - {"", *_Change(flow, flow.draft).ever}) if steps else ()
    mistakes.update({f"people_at.{key[:60]}": [N_("This flow never had such a step")] for key in strange})
    if mistakes:
        raise Invalid(mistakes)
    return Choice(all, steps)


# --- looking ahead ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class Group:
    """Those who stand at one step of one version.

    ``again``: how many of them would come to a step a second time, and so finish the version they entered.
    ``at_once``: how many go on as soon as they are moved, because their wait became shorter.
    """

    version: FlowVersion
    landing: Landing
    contacts: int
    anew: bool = False
    again: int = 0
    at_once: int = 0
    definition: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fits(self) -> int:
        """How many have a place in the new version."""
        return 0 if self.landing.step is None else self.contacts - self.again

    @property
    def leaves(self) -> int:
        """How many would leave the flow, because nothing is left of what came after their step."""
        return self.contacts if self.landing.step is None else 0


@dataclass(slots=True)
class Impact:
    """What going live with a draft would mean for everybody inside."""

    groups: list[Group]
    usual: str  # what is chosen unless somebody says otherwise

    @property
    def contacts(self) -> int:
        """Everybody inside."""
        return sum(group.contacts for group in self.groups)

    @property
    def noticed(self) -> bool:
        """Whether signups and sending wait for some seconds while everybody is moved."""
        return db.engine.dialect.name == "sqlite" and self.contacts >= MANY

    @property
    def fits(self) -> int:
        """Those who have a place in the draft."""
        return sum(group.fits for group in self.groups)

    @property
    def leaves(self) -> int:
        """Those who would leave."""
        return sum(group.leaves for group in self.groups)

    @property
    def again(self) -> int:
        """Those who would get something twice, and so cannot be moved."""
        return sum(group.again for group in self.groups)


def impact(flow: Flow) -> Impact:
    """What going live with the flow's draft would mean for the people inside. Nothing is written."""
    live = db.session.get(FlowVersion, flow.version_id) if flow.version_id else None
    if live is None:
        return Impact([], "finish")
    change = _Change(flow, flow.draft)
    return Impact([group for group in change.groups() if group.contacts], usual(live.definition, flow.draft))


def usual(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """What is chosen unless somebody says otherwise: to move when only texts changed, to finish when more did."""
    sends = frozenset(name for name, node in catalogue.actions().items() if node.sends)
    return "move" if moves.only_texts(before, after, sends) else "finish"


class _Change:
    """From the versions people are in to a definition, whose version there is once it goes live."""

    def __init__(self, flow: Flow, definition: Mapping[str, Any], version: FlowVersion | None = None):
        self.flow, self.now = flow, version.created_at if version else clock.now()
        self.new_id: int | None = version.id if version else None
        self.number = version.number if version else 0
        self.new: Compiled = options.compiled(definition)

    @cached_property
    def versions(self) -> dict[int, FlowVersion]:
        query = sa.select(FlowVersion).where(FlowVersion.flow_id == self.flow.id, FlowVersion.id != self.new_id)
        return {version.id: version for version in db.session.scalars(query)}

    @cached_property
    def ever(self) -> frozenset[str]:
        """The keys of all steps this flow ever had."""
        return frozenset(key for version in self.versions.values() for key in definitions.keys(version.definition))

    @cached_property
    def zone(self) -> ZoneInfo:
        return timetable.zone_of(self.flow.workspace_id)

    def groups(self) -> Iterator[Group]:
        """Everybody inside by version and step, in reading order, the end first.

        So whoever walks on meanwhile is not met twice.
        """
        counts = self._counts()
        for version_id in sorted({version for version, _ in counts}):
            version = self.versions[version_id]
            old = self._readable(version)
            if old is None:
                continue
            landings = Moves(old, version.definition, self.new, self.ever)
            for key in reversed(["", *old.steps]):
                if (version_id, key) in counts:
                    yield self._group(version, old, landings.landing(key), counts[version_id, key])

    def _counts(self) -> dict[tuple[int, str], int]:
        query = sa.select(_E.version_id, _E.step, sa.func.count()).where(*self._inside())
        rows = db.session.connection().execute(query.group_by(_E.version_id, _E.step))
        return {(version, step): count for version, step, count in rows if version in self.versions}

    @staticmethod
    def _readable(version: FlowVersion) -> Compiled | None:
        """A version this release cannot read any more keeps its people; the engine pauses it."""
        try:
            return compiled(version.id)
        except Invalid:
            return None

    def _group(self, version: FlowVersion, old: Compiled, landing: Landing, contacts: int) -> Group:
        group = Group(version, landing, contacts, definition=version.definition)
        group.anew = landing.stays and moves.waits_anew(old, self.new, landing.key)
        if landing.again:
            group.again = self._count(version.id, landing, self._was_there(landing))
        if group.anew and (shift := self._shift(old, landing.key)) is not None:
            group.at_once = self._count(version.id, landing, _E.due_at <= self.now - shift)
        return group

    def _shift(self, old: Compiled, key: str) -> timedelta | None:
        """By how much everybody's wait changed alike, where it did."""
        if key and not (old.steps[key].node.waits and "for" in old.steps[key].settings):
            return None
        if key and "for" not in self.new.steps[key].settings:
            return None
        due = moves.due_anew(old, self.new, key, self.now, self.now, self.zone)
        return due - self.now if due else None

    def _count(self, version_id: int, landing: Landing, which: Any) -> int:
        query = sa.select(sa.func.count()).where(*self._at(version_id, landing.key), which)
        return db.session.connection().scalar(query) or 0

    # --- conditions ---

    def _inside(self) -> tuple[Any, ...]:
        return (_E.flow_id == self.flow.id, _E.due_at.is_not(None))

    def _at(self, version_id: int, key: str) -> tuple[Any, ...]:
        return (*self._inside(), _E.version_id == version_id, _E.step == key)

    @staticmethod
    def _was_there(landing: Landing) -> Any:
        """Whether an enrollment has been at a step it would come to."""
        return sa.exists().where(_D.enrollment_id == _E.id, _D.step.in_(sorted(landing.again)))

    # --- taking along ---

    def take(self, choice: Choice) -> None:
        """Do with everybody inside what was chosen. The caller commits."""
        self._lock()
        for group in list(self.groups()):
            what = choice.of(group.landing.key)
            if what == "leave":
                self._out(group, None, TAKEN_OUT)
            elif what == "move" and group.landing.step is None:
                self._out(group, None, "step_removed")
            elif what == "move":
                self._over(group)
        jobqueue.wake_after_commit(db.session, "advance")

    def _lock(self) -> None:
        """Wait for the batches that are under way, so that nobody stands elsewhere than was counted."""
        locked = sa.select(_E.id).where(*self._inside()).order_by(_E.id).with_for_update().cte("locked")
        db.session.connection().execute(sa.select(sa.func.count()).select_from(locked))

    def _over(self, group: Group) -> None:
        landing = group.landing
        mine = self._note(group, landing.step, ~self._was_there(landing) if landing.again else sa.true())
        self._decide(mine, "moved", "new_version", _way(group.version.number, self.number))
        if group.anew:
            self._wait_anew(group, mine)
        elif landing.stays:
            self._set(mine, version_id=self.new_id)
        else:
            fresh = {"parked_at": None, "awaits": None, "due_at": self.now, "due_kind": "relative"}
            self._set(mine, version_id=self.new_id, step=landing.step, **fresh)

    def _out(self, group: Group, landed: str | None, reason: str) -> None:
        mine = self._note(group, landed, sa.true())
        self._decide(mine, "left", reason)
        ended = {"due_at": None, "ended_at": self.now, "end_reason": reason, "held": False, "awaits": None}
        self._set(mine, **ended)

    def _note(self, group: Group, landed: str | None, which: Any) -> Any:
        """Write down where they stand, for going back; the answer is a condition that finds just these."""
        columns = ("version_id", "enrollment_id", "workspace_id", "from_version_id", "step", "landed")
        places = ("parked_at", "awaits", "due_at", "due_kind")
        given = (sa.literal(self.new_id), _E.id, _E.workspace_id, _E.version_id, _E.step)
        target = sa.cast(sa.literal(landed, sa.String()), sa.String(60))
        rows = sa.select(*given, target, *(_E[name] for name in places))
        rows = rows.where(*self._at(group.version.id, group.landing.key), which)
        insert = FlowMove.__table__.insert().from_select([*columns, *places], rows, include_defaults=False)
        db.session.connection().execute(insert)
        mine = (_M.version_id == self.new_id, _M.from_version_id == group.version.id, _M.step == group.landing.key)
        return _E.id.in_(sa.select(_M.enrollment_id).where(*mine))

    def _decide(self, mine: Any, outcome: str, reason: str, facts: str | None = None) -> None:
        _write_decision(sa.select(*_RUN).where(mine), self.now, outcome, reason, facts)

    def _wait_anew(self, group: Group, mine: Any) -> None:
        key, old, after = group.landing.key, compiled(group.version.id), 0
        settings = self.new.steps[key].settings if key else {}
        kind = "absolute" if "until" in settings else "relative"
        while rows := self._chunk(mine, after):
            dues = [
                (
                    id,
                    self.new_id,
                    moves.due_anew(old, self.new, key, since or self.now, due, self.zone) or self.now,
                    kind,
                )
                for id, since, due in rows
            ]
            bulk.update(db.session.connection(), "enrollment", ("version_id", "due_at", "due_kind"), dues)
            after = rows[-1][0]

    @staticmethod
    def _chunk(mine: Any, after: int) -> list[Any]:
        query = sa.select(_E.id, _E.parked_at, _E.due_at).where(mine, _E.id > after).order_by(_E.id).limit(CHUNK)
        return list(db.session.connection().execute(query).all())

    @staticmethod
    def _set(mine: Any, **values: Any) -> None:
        db.session.connection().execute(sa.update(Enrollment.__table__).where(mine).values(**values))


def take_along(flow: Flow, version: FlowVersion, replaced: FlowVersion, choice: Choice) -> None:
    """Do with the people inside what was chosen, now that ``version`` goes live. The caller commits."""
    choice = Choice(choice.all or usual(replaced.definition, version.definition), choice.steps)
    versions = sa.select(FlowVersion.id).where(FlowVersion.flow_id == flow.id, FlowVersion.id != version.id)
    db.session.connection().execute(sa.delete(FlowMove.__table__).where(_M.version_id.in_(versions)))
    if choice.all != "finish" or any(what != "finish" for what in choice.steps.values() if what):
        _Change(flow, version.definition, version).take(choice)


_RUN = (_E.workspace_id, _E.id, _E.step, _E.visit)


def _write_decision(runs: sa.Select[Any], at: datetime, outcome: str, reason: str, facts: str | None) -> None:
    """Why these runs (a query of :data:`_RUN`) stand elsewhere from now on."""
    text = sa.cast(sa.literal(facts, sa.Text()), sa.Text())
    given = (sa.literal(at, UtcDateTime()), sa.literal(outcome), sa.literal(reason), text)
    columns = ["workspace_id", "enrollment_id", "step", "visit", "at", "outcome", "reason", "facts"]
    insert = Decision.__table__.insert().from_select(columns, runs.add_columns(*given), include_defaults=False)
    db.session.connection().execute(insert)


def _way(before: int, after: int) -> str:
    return orjson.dumps({"from": before, "to": after}).decode()


# --- going back ------------------------------------------------------------------------------------------


def put_back(version: FlowVersion) -> int:
    """Put everybody whom ``version`` took along back where they stood, unless they have walked on; returns how many.

    Those who left because of it come back, unless they are in the flow once more. The caller commits.
    """
    connection, mine = db.session.connection(), (_M.version_id == version.id, _M.enrollment_id == _E.id)
    which = sa.and_(*mine, sa.or_(_has_not_walked_on(version), _left_because_of(version)))
    came_from = sa.select(_M.from_version_id).where(_M.version_id == version.id).distinct()
    for before in db.session.scalars(sa.select(FlowVersion).where(FlowVersion.id.in_(came_from))).all():
        runs = sa.select(*_RUN).where(which, _M.from_version_id == before.id)
        _write_decision(runs, clock.now(), "moved", "version_undone", _way(version.number, before.number))
    places = {name: _M[name] for name in ("step", "parked_at", "awaits", "due_at", "due_kind")}
    values = {**places, "version_id": _M.from_version_id, "ended_at": None, "end_reason": None}
    done = connection.execute(sa.update(Enrollment.__table__).where(which).values(**values))
    connection.execute(sa.delete(FlowMove.__table__).where(_M.version_id == version.id))
    jobqueue.wake_after_commit(db.session, "advance")
    return int(done.rowcount)


def _has_not_walked_on(version: FlowVersion) -> Any:
    parked_at = sa.case((_M.landed == _M.step, _M.parked_at))  # who came to another step had not arrived there yet
    here = (_E.version_id == version.id, _E.due_at.is_not(None), _E.step == _M.landed)
    return sa.and_(*here, parked_at.is_not_distinct_from(_E.parked_at))


def _left_because_of(version: FlowVersion) -> Any:
    other = Enrollment.__table__.alias()
    inside = (other.c.flow_id == _E.flow_id, other.c.contact_id == _E.contact_id, other.c.due_at.is_not(None))
    left = (_M.landed.is_(None), _E.ended_at == version.created_at, ~sa.exists().where(*inside))
    return sa.and_(*left, sa.exists().where(Contact.__table__.c.id == _E.contact_id))  # some are erased since
