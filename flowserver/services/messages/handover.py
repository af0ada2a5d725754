"""Threads that hand messages over, a line to the provider each. They never touch the database.

Lines stay open between jobs of a worker, so that the next message need not dial again.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import structlog

from flowserver.errors import Invalid, ProviderAuthFailed
from flowserver.providers.base import FAILED, UNKNOWN, UNSENT, Answer, Provider, Session
from flowserver.services.messages.journal import Journal

log = structlog.get_logger()

_NOT_BEGUN = Answer(UNSENT)
_NEVER = sys.maxsize


@dataclass(slots=True)
class Parcel:
    """A message ready to go: ``make`` builds what the provider takes, at the last moment."""

    id: int
    make: Callable[[], Any]
    row: Any  # the row it comes from
    message: Any = None  # what was made


class Lines:
    """Open sessions of one connection with one set of settings, kept for the next job."""

    def __init__(self, provider: Provider):
        self.provider = provider
        self.pace = 0  # messages a second, as last measured; 0: not yet
        self._idle: list[Session] = []
        self._lock = threading.Lock()

    def take(self) -> Session:
        """An open session, or a new one."""
        with self._lock:
            return self._idle.pop() if self._idle else self.provider.session()

    def give_back(self, session: Session) -> None:
        """Keep it for later."""
        with self._lock:
            self._idle.append(session)

    def close(self) -> None:
        """Hang up on all that are idle."""
        with self._lock:
            sessions, self._idle = self._idle, []
        for session in sessions:
            session.close()


class Crew:
    """Up to ``provider.lines`` threads that work off parcels; answers are collected in the calling thread."""

    def __init__(self, lines: Lines, journal: Journal):
        self.lines, self.journal = lines, journal
        self.outstanding = 0
        self.down = ""  # why the server cannot be reached
        self.refused = ""  # why it refuses our credentials
        self._stop = False
        self._todo: SimpleQueue[Parcel | None] = SimpleQueue()
        self._answers: deque[tuple[Parcel, Answer]] = deque()
        self._wanted = _NEVER  # how many answers the collector waits for
        self._enough = threading.Event()
        self._threads: list[threading.Thread] = []
        self._alive = 0
        self._lock = threading.Lock()

    @property
    def stopped(self) -> bool:
        """Whether nothing more can be handed over."""
        return self._stop

    def add(self, parcels: list[Parcel]) -> None:
        """More work; starts as many threads as it needs."""
        self.outstanding += len(parcels)
        wanted = min(self.lines.provider.lines, self.outstanding) - len(self._threads)
        with self._lock:
            self._alive += max(0, wanted)
        for _ in range(wanted):
            thread = threading.Thread(target=self._work, name="line", daemon=True)
            self._threads.append(thread)
            thread.start()
        for parcel in parcels:
            self._todo.put(parcel)

    def collect(self, until: int) -> list[tuple[Parcel, Answer]]:
        """Wait until at most ``until`` parcels are outstanding; the answers that came meanwhile."""
        self._await(self.outstanding - until)
        found = [self._answers.popleft() for _ in range(len(self._answers))]
        self.outstanding -= len(found)
        return found

    def _await(self, wanted: int) -> None:
        """Sleep until so many answers are there. Waking for each of them would cost the lines more than their sending."""
        self._enough.clear()
        self._wanted = wanted
        if len(self._answers) < wanted:
            self._enough.wait()
        self._wanted = _NEVER

    def _answer(self, parcel: Parcel, answer: Answer) -> None:
        self._answers.append((parcel, answer))
        if len(self._answers) >= self._wanted:
            self._enough.set()

    def leave(self) -> None:
        """Finish what is in hand, begin nothing new, end the threads."""
        self._stop = True
        for _ in self._threads:
            self._todo.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        session = self.lines.take()
        try:
            while (parcel := self._todo.get()) is not None:
                answer = _NOT_BEGUN if self._stop else self._hand_over(session, parcel)
                if answer.state == UNSENT and self._others_go_on(answer):
                    self._todo.put(parcel)
                    return
                self._answer(parcel, answer)
        finally:
            self.lines.give_back(session)

    def _others_go_on(self, answer: Answer) -> bool:
        """One line that cannot be had is no harm while others stand (servers limit how many). The last one tells."""
        with self._lock:
            if not self._stop and self._alive > 1:
                self._alive -= 1
                return True
            if not self._stop:
                self._stop, self.down = True, answer.reason or "cannot be reached"
            return False

    def _hand_over(self, session: Session, parcel: Parcel) -> Answer:
        try:
            message = parcel.message = parcel.make()
        except Invalid as error:
            return Answer(FAILED, str(error), "content")
        except Exception:
            log.exception("deliver.cannot_build", message=parcel.id)
            return Answer(FAILED, "the message could not be built", "content")
        try:
            self.journal.begin(parcel.id)
        except OSError as error:  # a full disk: what cannot be noted is not begun
            log.error("deliver.no_journal", message=parcel.id, why=type(error).__name__)
            self._stop, self.down = True, "the journal cannot be written"
            return _NOT_BEGUN
        answer = self._ask(session, parcel, message)
        self._note(parcel, answer)
        return answer

    def _note(self, parcel: Parcel, answer: Answer) -> None:
        """An answer the journal has no room for still counts; only if we are killed now it is unknown."""
        try:
            self.journal.answered(parcel.id, answer)
        except OSError as error:
            log.error("deliver.no_journal", message=parcel.id, why=type(error).__name__)

    def _ask(self, session: Session, parcel: Parcel, message: Any) -> Answer:
        try:
            answer = session.send(message)
        except ProviderAuthFailed as error:
            self._stop, self.refused = True, str(error) or "the credentials were refused"
            session.close()
            return _NOT_BEGUN
        except Exception as error:  # a provider that breaks its promise: it may have been taken, so not again
            log.exception("deliver.provider_broke", message=parcel.id)
            session.close()
            return Answer(UNKNOWN, type(error).__name__)
        return answer
