"""What is wrong with the text of a message, and what deserves a look before it goes to many people."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from html import unescape
from typing import Any

from flowserver.domain import liquid, mail, mailbody, sms
from flowserver.domain.tokens import Signer
from flowserver.errors import Invalid, flat
from flowserver.text import N_, Text

LARGEST = 100_000  # bytes of HTML; larger mails are cut off by the largest mail service
_IMAGE = re.compile(r"<img\b[^>]*>", re.I)
_LINK = re.compile(r"<a\b[^>]*?\bhref\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", re.I)
_BRAND = mail.Brand(name="-", sender_email="sender@example.com", base_url="https://example.com")
ROOTS = frozenset({"contact", "workspace", "event", "unsubscribe_url", "preferences_url"})
FIELD_WORDS = {
    "first_name": N_("a first name"),
    "last_name": N_("a last name"),
    "email": N_("an e-mail address"),
    "phone": N_("a mobile number"),
    "external_id": N_("a customer number"),
    "locale": N_("a language"),
}


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing about a text. ``kind``: ``fix``, ``check`` or ``ok`` (said to the author, nothing to do)."""

    kind: str
    text: str
    field: str = ""


def email(content: Mapping[str, Any], fields: frozenset[str] = frozenset()) -> list[Remark]:
    """Remarks on an e-mail. ``fields``: the keys of the client's custom fields."""
    return list(_email(json.dumps(content, sort_keys=True, default=str), fields))


@lru_cache(maxsize=512)
def _email(content: str, fields: frozenset[str]) -> tuple[Remark, ...]:
    return tuple(_remarks_on_email(json.loads(content), fields))


def _remarks_on_email(content: Mapping[str, Any], fields: frozenset[str]) -> Iterator[Remark]:
    try:
        compiled = mail.compile_mail(content, _BRAND, Signer(["checks"]), tracked=False)
        shown = compiled.preview({})
    except Invalid as error:
        for name, texts in (_mistakes(content) or error.messages).items():
            for text in flat(texts):
                yield Remark("fix", text, str(name))
        return
    parts = [one for one in (compiled.subject, compiled.preheader, compiled.html) if one]
    yield from _variables(parts, fields, "body")
    yield from _pictures_and_links(content)
    size = len(shown["html"].encode())
    if size > LARGEST:
        yield Remark(
            "check", Text("The e-mail is %(n)s KB: some mail services cut it off after 100", n=size // 1000), "body"
        )


def _mistakes(content: Mapping[str, Any]) -> dict[str, list[str]]:
    """What is wrong with each piece of an e-mail by itself: what is left open would be blamed on the words after it."""
    body = content.get("body")
    blocks = [block for block in body if isinstance(block, Mapping)] if isinstance(body, list) else []
    texts = [str(block.get(part) or "") for block in blocks for part in ("text", "label", "url", "link")]
    pieces = [(name, str(content.get(name) or "")) for name in ("subject", "preheader")]
    found: dict[str, list[str]] = {}
    for name, source in [*pieces, *(("body", text) for text in texts)]:
        try:
            liquid.compile(source, field=name).render({})
        except Invalid as error:
            found.setdefault(name, []).extend(flat(error.messages))
    return found


def _variables(parts: list[liquid.Template], fields: frozenset[str], field: str) -> Iterator[Remark]:
    bare = sorted(frozenset().union(*(part.bare for part in parts)))
    used = frozenset().union(*(part.variables for part in parts))
    known = {f"contact.{name}" for name in mail.FACTS | fields}
    for path in sorted(used):
        if path.startswith("contact.") and path not in known:
            name = path.removeprefix("contact.")
            yield Remark("check", Text("There is no field “%(field)s”: the place stays empty", field=name), field)
    for path in sorted(used):
        if path.partition(".")[0] not in ROOTS and not path.startswith("_"):
            words = Text(
                "“%(name)s” is no variable: the place stays empty. Contact data is called contact.…", name=path
            )
            yield Remark("check", words, field)
    for path in bare:
        if path in known and path not in ("contact.email", "contact.score"):
            name = path.removeprefix("contact.")
            words = FIELD_WORDS.get(name) or Text("a value for “%(field)s”", field=name)
            yield Remark("check", Text("Nothing is written for contacts without %(what)s", what=words), field)


def _pictures_and_links(content: Mapping[str, Any]) -> Iterator[Remark]:
    body = content.get("body")
    if isinstance(body, str):
        images = _IMAGE.findall(body)
        if any(not re.search(r"\balt\s*=", image, re.I) for image in images):
            yield Remark("check", N_("A picture has no text for people who cannot see it"), "body")
        links = [unescape(one or two).strip() for one, two in _LINK.findall(body)]
    else:
        blocks = [block for block in body or [] if isinstance(block, Mapping)]
        pictures = [block for block in blocks if block.get("type") == "image"]
        if any(not str(block.get("url") or "").strip() for block in pictures):
            yield Remark("fix", N_("A picture has no address"), "body")
        if any(not str(block.get("alt") or "").strip() for block in pictures):
            yield Remark("check", N_("A picture has no text for people who cannot see it"), "body")
        buttons = [block for block in blocks if block.get("type") == "button"]
        if any(not str(block.get("label") or "").strip() for block in buttons):
            yield Remark("fix", N_("A button has no words on it"), "body")
        links = [str(block.get("url") or "").strip() for block in buttons]
        links += [str(block["link"]).strip() for block in pictures if block.get("link")]
    for link in dict.fromkeys(links):
        if not link or link == "#":
            yield Remark("fix", N_("A link or button leads nowhere"), "body")
        elif not _leads_somewhere(link):
            yield Remark("fix", Text("“%(link)s” is not an address a mail can lead to", link=link[:80]), "body")


def _leads_somewhere(link: str) -> bool:
    return mailbody.is_link(link) or bool(re.match(r"[\w-]+(\.[\w-]+)+(/|$|\?)", link)) or link.startswith("#")


def text_message(content: Mapping[str, Any], fields: frozenset[str] = frozenset()) -> list[Remark]:
    """Remarks on an SMS."""
    source = str(content.get("text") or "")
    try:
        template = liquid.compile(source, field="text")
        shown = template.render({"contact": {}, "workspace": {}}).strip()
    except Invalid as error:
        return [Remark("fix", text, "text") for text in flat(error.messages)]
    found = list(_variables([template], fields, "text"))
    if content.get("sender") and not sms.is_sender(str(content["sender"])):
        found.append(
            Remark(
                "fix", N_("Use up to 11 letters and digits for the sender, or a number such as +393331234567"), "sender"
            )
        )
    return found + [Remark("check", text, "text") for text in sms.checks(shown)]


def of_step(sends: str, content: Mapping[str, Any], fields: frozenset[str]) -> list[Remark]:
    """Remarks on what a step sends through ``email`` or ``sms``."""
    return email(content, fields) if sends == "email" else text_message(content, fields)
