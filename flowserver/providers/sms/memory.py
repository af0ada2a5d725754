"""Keeps texts in a list: for tests and development."""

from __future__ import annotations

from typing import ClassVar

from flowserver.providers import base
from flowserver.providers.base import TAKEN, Answer, Sms, SmsProvider
from flowserver.text import N_


class MemorySms(SmsProvider):
    name = "memory"
    title = N_("Memory (nothing leaves)")
    outbox: ClassVar[list[Sms]] = []

    def session(self) -> base.Session:
        return _Session()


class _Session(base.Session):
    def send(self, message: Sms) -> Answer:
        MemorySms.outbox.append(message)
        return TAKEN
