"""Render and build: bytes of a mail joined from a compiled template, against an ``EmailMessage`` made for each contact."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

from flowserver.bench import world
from flowserver.bench.figures import Row, in_turn, rates
from flowserver.bench.ground import Ground
from flowserver.domain import mail
from flowserver.domain.tokens import Signer

BRAND = mail.Brand("Bench", "bench@example.test", "Bench", "Via Roma 1, Torino", base_url="https://bench.example.test")
LOGIC = {
    **world.MAIL,
    "body": [
        *world.MAIL["body"],
        {
            "type": "text",
            "text": "{% if contact.plan == 'pro' %}{{ contact.first_name }}, these seats are yours:{% for n in (1..contact.seats) %}"
            " seat {{ n }}{% endfor %}.{% else %}See what the pro plan adds, {{ contact.first_name }}.{% endif %}",
        },
    ],
}
PLANNED = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def rows(ground: Ground, quick: bool) -> list[Row]:
    """Plain variables, and a body with an ``if`` and a loop. No database has a part in this."""
    many, few, times = (2000, 30, 3) if quick else (10_000, 150, 7)
    found = []
    for name, content, goal in (("build, plain variables", world.MAIL, 100), ("build, Liquid body", LOGIC, 20)):
        template = mail.compile_mail(content, BRAND, Signer(["bench"]))
        _same_words(template)
        ours, theirs = _rate(_joined(template), many), _rate(_message(template), few)
        result = in_turn(ours, theirs, times)
        note = rates({"mails": result.ours})
        found.append(Row(name, result.ratio, goal, baseline=result.theirs, note=note))
    return found


def _person(i: int) -> dict[str, Any]:
    return {
        "first_name": f"Ada{i}",
        "last_name": "Lovelace",
        "email": f"c{i}@example.test",
        "city": "London",
        "plan": "pro" if i % 2 else "free",
        "seats": 3,
    }


def _letter(i: int) -> mail.Letter:
    return mail.Letter(i, f"{i}:hello:1", f"c{i}@example.test", int(PLANNED.timestamp()), i, _person(i))


def _joined(template: mail.MailTemplate) -> Callable[[int], bytes]:
    return lambda i: template.build(_letter(i), PLANNED)


def _message(template: mail.MailTemplate) -> Callable[[int], bytes]:
    """The same words in the same parts, put together by the standard library for each contact."""

    def build(i: int) -> bytes:
        person = _person(i)
        shown = template.preview(person)
        message = EmailMessage(policy=SMTP)
        message["From"] = "Bench <bench@example.test>"
        message["To"] = person["email"]
        message["Subject"] = shown["subject"]
        message["Date"] = PLANNED
        message["Message-ID"] = f"<{i}@example.test>"
        message["List-Unsubscribe"] = f"<https://bench.example.test/u/{i:040x}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        message.set_content(shown["text"])
        message.add_alternative(shown["html"], subtype="html")
        return message.as_bytes()

    return build


def _rate(build: Callable[[int], bytes], count: int) -> Callable[[], float]:
    def measure() -> float:
        began = time.perf_counter()
        for i in range(count):
            build(i)
        return count / (time.perf_counter() - began)

    return measure


def _same_words(template: mail.MailTemplate) -> None:
    """Both sides must say the same, or the comparison is worth nothing."""
    import email
    from email.policy import default

    ours = email.message_from_bytes(_joined(template)(7), policy=default)
    theirs = email.message_from_bytes(_message(template)(7), policy=default)
    for kind in ("plain", "html"):
        said, expected = (part.get_body((kind,)).get_content().split() for part in (ours, theirs))  # type: ignore[union-attr]
        assert len(said) == len(expected) and sum(a != b for a, b in zip(said, expected, strict=True)) < 20, kind
    assert str(ours["subject"]) == str(theirs["subject"])
