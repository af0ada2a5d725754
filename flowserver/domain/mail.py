"""From a written message to the bytes of a mail: compiled once for a step of a version, joined for each contact.

``content`` is what the composer stores: ``{"subject", "preheader"?, "body": [blocks] or "own html", "text"?, "from_name"?,
"from_email"?, "reply_to"?, "class": "marketing" | "service"}``. :func:`compile_mail` makes a :class:`MailTemplate` of it;
its :meth:`~MailTemplate.build` only fills in values. Every part is quoted-printable, and a value always stands on a line
of its own behind a soft line break, so that inserting one never disturbs the bytes around it.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime, formataddr
from functools import lru_cache
from typing import Any

from markupsafe import escape

from flowserver.domain import liquid, mailbody
from flowserver.domain.liquid import Chunk, Template, Var
from flowserver.domain.tokens import Signer, short
from flowserver.errors import Invalid
from flowserver.text import N_, Text

TRACK = "track"  # purpose of the token in links and pixel
LEAVE = "leave"  # purpose of the token that unsubscribes
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_SOFT = b"=\r\n"


@dataclass(frozen=True, slots=True)
class Brand:
    """What a mail takes from the client that sends it. ``say`` translates the few words we add ourselves."""

    name: str
    sender_email: str = ""
    sender_name: str = ""
    address: str = ""  # postal
    color: str = "#0b6478"
    lang: str = "en"
    base_url: str = ""  # where tracked links and the preference page live
    say: Callable[[Text], str] = field(default=str, compare=False)

    def variables(self) -> dict[str, Any]:
        """The values of ``{{ workspace.… }}``."""
        return {
            "name": self.name,
            "sender_name": self.sender_name or self.name,
            "sender_email": self.sender_email,
            "postal_address": self.address,
        }


# --- headers -----------------------------------------------------------------------------------------------


def clean(text: str) -> str:
    """A text fit for a header: runs of line breaks and control characters become one space."""
    return CONTROL.sub(" ", text).strip()


def header_value(text: str) -> bytes:
    """A header's text, folded, and encoded (RFC 2047) where it is not plain ASCII. Breaks nothing, whatever comes."""
    text = clean(text)
    if len(text) <= 66 and text.isascii() and "=?" not in text:
        return text.encode()
    if text.isascii() and "=?" not in text and max(map(len, text.split(" "))) <= 66:
        return b"\r\n".join(line.encode() for line in _folded(text))
    return _encoded_words(text)


def _encoded_words(text: str) -> bytes:
    """RFC 2047 words of at most 64 characters, one a line, cut between characters. Lone surrogates become "?"."""
    raw, words = text.encode("utf-8", "replace"), []
    while raw:
        cut = min(39, len(raw))
        while cut < len(raw) and raw[cut] & 0xC0 == 0x80:
            cut -= 1
        words.append(b"=?utf-8?b?" + binascii.b2a_base64(raw[:cut], newline=False) + b"?=")
        raw = raw[cut:]
    return b"\r\n ".join(words)


def _folded(text: str) -> Iterator[str]:
    """Lines of at most about 76 characters; every continuation begins with the space it was cut at."""
    line = ""
    for piece in re.findall(r" *[^ ]+", text):
        if line and len(line) + len(piece) > 66:
            yield line
            line = ""
        line += piece
    yield line


def sender_header(name: str, address: str) -> bytes:
    """``From``: name and address. Raises :class:`Invalid` for line breaks or an address that is none."""
    if CONTROL.search(name):
        raise Invalid({"from_name": [N_("The sender name must be on one line")]})
    if not is_address(address):
        raise Invalid({"from_email": [N_("Enter a sender address such as hello@example.com")]})
    if name.isascii() and "=?" not in name and len(name) <= 60:
        return formataddr((name, address)).encode()
    return _encoded_words(name) + b"\r\n <" + address.encode() + b">"


def is_address(address: str) -> bool:
    """Whether a text can stand as one address in a header and in an SMTP command."""
    return bool(re.fullmatch(r"[^\s<>()\[\]\\,;:\"@\x00-\x1f\x7f-\x9f]+@[^\s<>()\\,;\"@\x00-\x1f\x7f-\x9f]+", address))


@lru_cache(maxsize=64)
def _date(second: int) -> bytes:
    return format_datetime(datetime.fromtimestamp(second, UTC)).encode()


_MESSAGE_ID = re.compile(r"<?[0-9a-f]+\.([0-9a-f]+)\.[0-9a-f]{8}@")


def id_of(message_id: str) -> int | None:
    """Our message's id from a ``Message-ID`` we wrote."""
    found = _MESSAGE_ID.match(message_id.strip())
    return int(found[1], 16) if found else None


# --- quoted-printable --------------------------------------------------------------------------------------

_SAFE_TEXT = re.compile(r"(?!\.)[ -<>-~]{0,75}\Z").match
_SAFE_HTML = re.compile(r"(?!\.)[ !#-%(-;?-~]{0,75}\Z").match  # nothing to escape either
_DOT_FIRST = re.compile(rb"^\.(.*)$", re.M)


def quoted(text: str) -> bytes:
    """Quoted-printable bytes of a text, lines ended by CRLF; its last line leaves room for a soft break.

    No line begins with a dot, so that SMTP has nothing to double.
    """
    raw = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace")
    done = binascii.b2a_qp(raw, istext=True)
    if b"\n." in done or done[:1] == b".":
        done = _DOT_FIRST.sub(_without_dot, done)
    done = done.replace(b"\n", b"\r\n")
    last = done.rfind(b"\n") + 1
    if len(done) - last > 75:
        cut = len(done) - 3
        while b"=" in done[cut - 2 : cut]:  # never inside an =XX
            cut -= 1
        done = done[:cut] + _SOFT + done[cut:]
    return done


def _without_dot(line: re.Match[bytes]) -> bytes:
    """A line that began with a dot, with that dot encoded, cut in two where it became too long."""
    rest = line[1]
    if len(rest) <= 73:
        return b"=2E" + rest
    cut = 70
    while b"=" in rest[cut - 2 : cut] or rest[cut : cut + 1] == b".":  # never inside an =XX, never before a dot
        cut -= 1
    return b"=2E" + rest[:cut] + b"=\n" + rest[cut:]


def quoted_text(text: str) -> bytes:
    """A value for the text part."""
    return text.encode() if _SAFE_TEXT(text) else quoted(text)


def quoted_html(text: str) -> bytes:
    """A value for the HTML part: escaped, then quoted-printable."""
    if _SAFE_HTML(text):
        return text.encode()
    escaped = str(escape(text))
    return escaped.encode() if _SAFE_TEXT(escaped) else quoted(escaped)


# --- the compiled mail -------------------------------------------------------------------------------------


@dataclass(slots=True)
class Letter:
    """What makes one mail: to whom it goes and who is to be named in it."""

    id: int
    key: str
    address: str
    planned: int  # seconds since 1970: with the id it makes the Message-ID, the same at every attempt
    contact_id: int = 0
    contact: Mapping[str, Any] = field(default_factory=dict)
    event: Mapping[str, Any] = field(default_factory=dict)  # what the event that started the flow brought along


class MailTemplate:
    """One message of one version, compiled. Safe to use from several threads."""

    def __init__(
        self,
        *,
        subject: Template,
        html: Template | None,
        text: Template,
        links: Sequence[Template],
        preheader: Template,
        sender: tuple[str, str],
        reply_to: str,
        marketing: bool,
        brand: Brand,
        signer: Signer,
    ):
        self.subject, self.html, self.text, self.links, self.preheader = subject, html, text, links, preheader
        self.sender_email = sender[1]
        self.marketing = marketing
        self.brand = brand
        self._signer = signer
        self._workspace = brand.variables()
        self._asks_subject = not all(isinstance(part, str) for part in subject.parts)
        self._domain = _domain_of(sender[1])
        self._skeleton(sender_header(*sender), reply_to)

    # The skeleton is a list of literal bytes with gaps; each gap takes one of the values that build() makes. The first
    # values are the same for every mail (``_FIXED``), then come the plain variables, then what needs the engine.

    def _skeleton(self, sender: bytes, reply_to: str) -> None:
        templates = [template for template in (self.subject, self.html, self.text) if template]
        values = [part for template in templates for part in template.parts]
        names = {name for template in templates for name in template.variables}
        self._engine = any(isinstance(part, Chunk) for part in values)
        self._tracks = Var("_track") in values or "_track" in names
        self._leaves = self.marketing or bool(names & {"unsubscribe_url", "preferences_url", "_leave"})
        self._words: dict[tuple[str, Var], _Word] = {}
        self._chunks: list[Chunk] = []
        parts: list[bytes | _Gap] = [b"From: " + sender + b"\r\nTo: ", _Gap("to")]
        if reply_to:
            parts.append(b"\r\nReply-To: " + sender_header("", reply_to))
        parts += [b"\r\nSubject: ", *self._subject_parts(), b"\r\nDate: ", _Gap("date")]
        parts += [b"\r\nMessage-ID: ", _Gap("id"), b"\r\nX-Flowserver-Key: ", _Gap("key")]
        if self.marketing:
            parts += [f"\r\nList-Unsubscribe: <{self.brand.base_url}/u/".encode(), _Gap("leave")]
            parts.append(b">\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click")
        parts.append(b"\r\nMIME-Version: 1.0\r\n")
        self._literals, gaps = _merge([*parts, *self._body_parts()])
        words, chunks = list(self._words), len(_FIXED) + len(self._words)
        places = {**{_Gap(kind, var): len(_FIXED) + n for n, (kind, var) in enumerate(words)}}
        self._order = [
            places[gap] if gap in places else chunks + gap.chunk if gap.kind == "chunk" else _FIXED.index(gap.kind)
            for gap in gaps
        ]
        self._plain = [word.ready() for word in self._words.values()]

    def _subject_parts(self) -> list[bytes | _Gap]:
        if self._asks_subject:
            return [_Gap("subject")]
        return [header_value("".join(map(str, self.subject.parts)))]

    def _body_parts(self) -> list[bytes | _Gap]:
        plain = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        if self.html is None:
            return [plain, *self._quoted(self.text, "text"), b"\r\n"]
        edge = b"=_flowserver_" + self._signer.salt.encode()  # "=_" never stands in quoted-printable
        return [
            b'Content-Type: multipart/alternative; boundary="' + edge + b'"\r\n\r\n--' + edge + b"\r\n" + plain,
            *self._quoted(self.text, "text"),
            b"\r\n--" + edge + b"\r\n" + plain.replace(b"text/plain", b"text/html"),
            *self._quoted(self.html, "html"),
            b"\r\n--" + edge + b"--\r\n",
        ]

    def _quoted(self, template: Template, kind: str) -> Iterator[bytes | _Gap]:
        for n, part in enumerate(template.parts):
            if n:
                yield _SOFT
            if isinstance(part, str):
                yield quoted(part)
            elif isinstance(part, Chunk):
                self._chunks.append(part)
                yield _Gap("chunk", chunk=len(self._chunks) - 1)
            elif part.path in ("_track", "_leave"):
                yield _Gap(part.path[1:])
            else:
                self._words.setdefault((kind, part), _Word(kind, part))
                yield _Gap(kind, part)

    def build(self, letter: Letter, now: datetime) -> bytes:
        """The mail for one contact, ready for SMTP. Raises :class:`Invalid` when Liquid or the address refuses."""
        if not is_address(letter.address):
            raise Invalid({"address": [N_("The address cannot be written to")]})
        contact, me = letter.contact, short(letter.id)
        if letter.event:  # so that its plain variables cost one look-up too
            contact = {**contact, **{f"event.{name}": value for name, value in letter.event.items()}}
        track = self._signer.sign(TRACK, me) if self._tracks else ""
        leave = self._signer.sign(LEAVE, f"{letter.contact_id:x}-{me}") if self._leaves else ""
        values = {"contact": contact, "event": letter.event}
        if self._engine:
            values = self._values(contact, letter.event, track, leave)
        filled = [  # as in _FIXED
            letter.address.encode(),
            header_value(self.subject.render(values)) if self._asks_subject else b"",
            _date(int(now.timestamp())),
            f"<{letter.planned:x}.{me}.{self._signer.salt}@{self._domain}>".encode(),
            clean(letter.key).encode("ascii", "replace"),
            track.encode(),
            leave.encode(),
        ]
        for name, default, var, safe, slow in self._plain:
            found = contact.get(name)
            if type(found) is not str:
                found = "" if var.falls_back(found) else liquid.to_text(found)
            filled.append((found.encode() if safe(found) else slow(found)) if found else default)
        for chunk in self._chunks:
            filled.append(quoted(chunk.render(values)))
        out = self._literals.copy()
        out[1::2] = [filled[place] for place in self._order]
        return b"".join(out)

    def _values(self, contact: Mapping[str, Any], event: Mapping[str, Any], track: str, leave: str) -> dict[str, Any]:
        base = self.brand.base_url
        return {
            "contact": contact,
            "event": event,
            "workspace": self._workspace,
            "unsubscribe_url": f"{base}/u/{leave}" if leave else "#",
            "preferences_url": f"{base}/p/{leave}" if leave else "#",
            "_track": track,
            "_leave": leave,
        }

    def preview(self, contact: Mapping[str, Any]) -> dict[str, str]:
        """What the contact would read: ``subject``, ``preheader``, ``html`` ("" in a text mail) and ``text``."""
        values = self._values(contact, {}, "", "")
        return {
            "subject": clean(self.subject.render(values)),
            "preheader": clean(self.preheader.render(values)),
            "html": self.html.render(values) if self.html else "",
            "text": self.text.render(values),
        }

    def link(self, number: int, contact: Mapping[str, Any], event: Mapping[str, Any] | None = None) -> str | None:
        """Where link ``number`` leads for this contact; ``None`` when there is no such link."""
        if not 0 <= number < len(self.links):
            return None
        return self.links[number].render({"contact": contact, "event": event or {}, "workspace": self._workspace})


_FIXED = ("to", "subject", "date", "id", "key", "track", "leave")


@dataclass(frozen=True, slots=True)
class _Gap:
    """A place in the skeleton: one of ``_FIXED``, a variable (``html`` or ``text``), or a chunk."""

    kind: str
    var: Var | None = None
    chunk: int = -1


@dataclass(frozen=True, slots=True)
class _Word:
    """A plain variable of one part."""

    kind: str
    var: Var

    def ready(self) -> tuple[str, bytes, Var, Callable[[str], Any], Callable[[str], bytes]]:
        """Field of the contact, bytes of the fallback, the variable, and how a value becomes bytes."""
        field, default = self.var.path.removeprefix("contact."), quoted(self.var.default or "")
        if self.kind == "html":
            return field, default, self.var, _SAFE_HTML, quoted_html
        return field, default, self.var, _SAFE_TEXT, quoted_text


def _merge(parts: Sequence[bytes | _Gap]) -> tuple[list[bytes], list[_Gap]]:
    """Literals and gaps in turn: ``[bytes, b"", bytes, b"", … bytes]``, and what each gap takes."""
    literals: list[bytes] = [b""]
    gaps: list[_Gap] = []
    for part in parts:
        if isinstance(part, _Gap):
            gaps.append(part)
            literals += [b"", b""]
        else:
            literals[-1] += part
    return literals, gaps


def _domain_of(email: str) -> str:
    try:
        return email.rpartition("@")[2].encode("idna").decode() or "localhost"
    except UnicodeError:
        raise Invalid({"from_email": [N_("Enter an e-mail address like name@example.com")]}) from None


# --- compiling ---------------------------------------------------------------------------------------------


def compile_mail(content: Mapping[str, Any], brand: Brand, signer: Signer, *, tracked: bool = True) -> MailTemplate:
    """Compile a message. ``tracked``: rewrite links and add the open pixel (flow mail, never tests or team mail).

    Raises :class:`Invalid` with the field's name (``subject``, ``body``, ``text``, ``from_email`` …).
    """
    subject = str(content.get("subject") or "")
    if CONTROL.search(subject):
        raise Invalid({"subject": [N_("The subject must be on one line")]})
    constants = {"workspace": brand.variables()}
    marketing = content.get("class", "marketing") == "marketing"
    source = mailbody.make(content, brand, marketing=marketing, tracked=tracked)
    text = _without_urls(liquid.compile(source.text, constants=constants, field="text"), brand)
    html = liquid.compile(source.html, escape=True, constants=constants, field="body") if source.html else None
    return MailTemplate(
        subject=liquid.compile(subject, constants=constants, field="subject"),
        preheader=liquid.compile(str(content.get("preheader") or ""), constants=constants, field="preheader"),
        html=_without_urls(html, brand) if html else None,
        text=text,
        links=[liquid.compile(link, constants=constants, field="body") for link in source.links],
        sender=sender_of(content, brand),
        reply_to=str(content.get("reply_to") or ""),
        marketing=marketing,
        brand=brand,
        signer=signer,
    )


def sender_of(content: Mapping[str, Any], brand: Brand) -> tuple[str, str]:
    """Name and address a message comes from: its own, else the client's."""
    email = str(content.get("from_email") or brand.sender_email)
    return str(content.get("from_name") or brand.sender_name or brand.name), email


def _without_urls(template: Template, brand: Brand) -> Template:
    """Write ``{{ unsubscribe_url }}`` and its sister as literal address plus token, so that no engine is needed."""
    parts: list[str | Var | Chunk] = []
    for part in template.parts:
        letter = {"unsubscribe_url": "u", "preferences_url": "p"}.get(part.path) if isinstance(part, Var) else None
        added: list[str | Var | Chunk] = [f"{brand.base_url}/{letter}/", Var("_leave")] if letter else [part]
        if parts and isinstance(parts[-1], str) and isinstance(added[0], str):
            added[0] = str(parts.pop()) + added[0]
        parts += added
    return Template(tuple(parts), template.variables, template.bare, template.escape)


def preview(content: Mapping[str, Any], contact: Mapping[str, Any], brand: Brand) -> dict[str, str]:
    """How a message reads for one contact, for the composer: ``subject``, ``preheader``, ``html``, ``text``."""
    return compile_mail(content, brand, Signer(["preview"]), tracked=False).preview(contact)


def facts(contact: Any) -> dict[str, Any]:
    """The values of ``{{ contact.… }}``: custom fields, then the fixed ones. Takes a row or a domain contact."""
    return {
        **(contact.fields or {}),
        "first_name": contact.first_name,
        "last_name": contact.last_name,
        "email": contact.email,
        "phone": contact.phone,
        "external_id": contact.external_id,
        "score": contact.score,
        "locale": contact.locale,
    }


FACTS = frozenset({"first_name", "last_name", "email", "phone", "external_id", "score", "locale"})
