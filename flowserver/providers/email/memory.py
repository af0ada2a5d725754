"""Keeps mails in a list: for tests and development."""

from __future__ import annotations

from typing import ClassVar

from flowserver.providers import base
from flowserver.providers.base import TAKEN, Answer, Email, EmailProvider
from flowserver.text import N_


class MemoryEmail(EmailProvider):
    name = "memory"
    title = N_("Memory (nothing leaves)")
    outbox: ClassVar[list[Email]] = []

    def session(self) -> base.Session:
        return _Session()


class _Session(base.Session):
    def send(self, message: Email) -> Answer:
        MemoryEmail.outbox.append(message)
        return TAKEN
