"""The body of a mail: blocks or own HTML become one HTML document, its text part, and numbered links, all still Liquid.

Liquid tags are put aside as markers that survive cleaning and layout, and put back at the end. So the slow work (laying out,
cleaning with nh3, css-inline, the text part) happens once for a template and never for a contact.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape, unescape
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

from flowserver.domain import liquid
from flowserver.errors import Invalid
from flowserver.text import N_, Text

if TYPE_CHECKING:
    from flowserver.domain.mail import Brand

_LIQUID = liquid.MARKUP
_MARK = re.compile(r"QZ(\d{4,})ZQ")
_HREF = re.compile(r'(<(?:a|area)\b[^>]*?\shref=")([^"]*)(")', re.I)
_BARE_URL = re.compile(r"https?://[^\s<>\"')\]]*[^\s<>\"')\].,;:!?]")
_SCHEMES = ("https://", "http://", "mailto:", "tel:", "sms:")
_FONT = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
_FREE_ROOTS = {"contact", "event", "workspace"}


@dataclass(slots=True)
class Body:
    """Liquid sources of both parts, and where the numbered links lead. ``html`` is "" in a mail of text only."""

    html: str
    text: str
    links: list[str]


class Marks:
    """Pieces put aside behind ``QZ0001ZQ``; :meth:`back` puts them in again."""

    def __init__(self) -> None:
        self.kept: list[str] = []

    def keep(self, piece: str) -> str:
        """The marker that stands for ``piece``."""
        self.kept.append(piece)
        return f"QZ{len(self.kept) - 1:04d}ZQ"

    def hide(self, source: str) -> str:
        """``source`` with its Liquid tags (and anything that looks like our markers) put aside."""
        source = _MARK.sub(lambda found: self.keep(found[0]), source)
        return _LIQUID.sub(lambda found: self.keep(found[0]), source)

    def back(self, source: str) -> str:
        """``source`` with every marker replaced, nested ones too."""
        while True:
            again = _MARK.sub(
                lambda found: self.kept[int(found[1])] if int(found[1]) < len(self.kept) else found[0], source
            )
            if again == source or "QZ" not in again:
                return again
            source = again


def make(content: Mapping[str, Any], brand: Brand, *, marketing: bool, tracked: bool) -> Body:
    """Lay a message out. Raises :class:`Invalid` (``body``) where it cannot be done."""
    marks = Marks()
    body = content.get("body")
    for piece in (body,) if isinstance(body, str) else [str(part) for block in body or [] for part in block.values()]:
        liquid.check_size(piece, "body")
    liquid.check_size(str(content.get("text") or ""), "text")
    inner = _own_html(body, marks) if isinstance(body, str) else _blocks(body or [], marks, brand)
    own_text = str(content.get("text") or "")
    if not inner.strip():
        text = marks.hide(own_text)
        links = _Links(marks, tracked, brand)
        text = links.in_text(text + (_text_footer(text, brand, marks) if marketing else ""))
        return Body("", marks.back(text), links.found)
    footer = _footer(inner, marks, brand) if marketing else ""
    links = _Links(marks, tracked, brand)
    inner = links.in_html(inner + footer)
    if own_text.strip():
        hidden = marks.hide(own_text)
        text = links.in_text(hidden + (_text_footer(hidden, brand, marks) if marketing else ""))
    else:
        text = as_text(inner)
    preheader = marks.hide(str(content.get("preheader") or ""))
    pixel = links.pixel()
    html = _document(inner, preheader, pixel, brand, framed=not isinstance(body, str))
    html = re.sub(r"((?:<!--QZ\d+ZQ-->\s*)+)<tbody>", r"<tbody>\1", html)  # a loop over rows begins inside the body
    html = re.sub(r"<!--(QZ\d+ZQ)-->", r"\1", html)
    return Body(marks.back(html), marks.back(text), links.found)


# --- blocks ------------------------------------------------------------------------------------------------


def _blocks(blocks: Sequence[Mapping[str, Any]], marks: Marks, brand: Brand) -> str:
    return "\n".join(_block(block, marks, brand) for block in blocks)


def _block(block: Mapping[str, Any], marks: Marks, brand: Brand) -> str:
    kind = block.get("type")

    def word(name: str) -> str:
        return marks.hide(str(block.get(name) or "").strip())

    if kind == "heading":
        return _row(
            f'<h1 style="margin:0;{_FONT};font-size:24px;line-height:1.3;color:#1b2023">{escape(word("text"))}</h1>'
        )
    if kind == "text":
        return _row(light_markup(word("text"), brand.color))
    if kind == "button":
        return _row(_button(escape(word("label")), escape(_address(word("url"))), brand.color))
    if kind == "image":
        image = (
            f'<img src="{escape(word("url"))}" alt="{escape(word("alt"))}" width="536"'
            ' style="display:block;width:100%;max-width:536px;height:auto;border:0">'
        )
        link = word("link")
        return _row(f'<a href="{escape(_address(link))}">{image}</a>' if link else image)
    if kind == "divider":
        return _row('<hr style="border:0;border-top:1px solid #e3e1db;margin:0">')
    if kind == "spacer":
        return '<tr><td style="height:24px;line-height:24px;font-size:1px">&nbsp;</td></tr>'
    raise Invalid({"body": [Text("There is no block called %(kind)s", kind=str(kind))]})


def _row(inner: str) -> str:
    return f'<tr><td style="padding:10px 32px">{inner}</td></tr>'


def _button(label: str, url: str, color: str) -> str:
    """A button that every mail program draws: a coloured table cell with a link that fills it."""
    ink = "#ffffff" if _dark(color) else "#1b2023"
    return (
        '<table role="presentation" cellpadding="0" cellspacing="0" border="0"><tr>'
        f'<td bgcolor="{color}" style="border-radius:6px;background:{color}"><a href="{url}" style="display:inline-block;'
        f'padding:12px 22px;{_FONT};font-size:16px;font-weight:600;color:{ink};text-decoration:none">{label}</a></td>'
        "</tr></table>"
    )


def _dark(color: str) -> bool:
    """Whether white text is easier to read on this colour (#rrggbb) than black."""
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", color):
        return True
    red, green, blue = (int(color[n : n + 2], 16) / 255 for n in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue < 0.62


_PARAGRAPH = f"margin:0 0 14px;{_FONT};font-size:16px;line-height:1.55;color:#1b2023"
_LINK = re.compile(r"\[([^\]\n]{1,200})\]\(([^)\s]{1,3000})\)")


def light_markup(text: str, color: str) -> str:
    """**bold**, *italic*, [label](address), bare addresses; a blank line makes a paragraph. Everything else is escaped."""
    links: list[str] = []

    def link(label: str, url: str) -> str:
        links.append(f'<a href="{escape(_address(url))}" style="color:{color}">{_inline(escape(label))}</a>')
        return f"\x00{len(links) - 1}\x00"

    text = text.replace("\x00", "")
    text = _LINK.sub(lambda found: link(found[1], found[2]) if is_link(found[2]) else found[0], text)
    text = _BARE_URL.sub(lambda found: link(found[0], found[0]), text)
    paragraphs = [_inline(escape(piece.strip())) for piece in re.split(r"\r?\n\s*\n", text) if piece.strip()]
    html = "".join(f'<p style="{_PARAGRAPH}">{piece}</p>' for piece in paragraphs)
    html = re.sub(r"\r?\n", "<br>\n", html)
    return re.sub(r"\x00(\d+)\x00", lambda found: links[int(found[1])], html)


def _inline(text: str) -> str:
    text = re.sub(r"\*\*(?=\S)(.{1,500}?)(?<=\S)\*\*", r"<strong>\1</strong>", text)
    return re.sub(r"(?<!\*)\*(?=[^\s*])(.{1,500}?)(?<=[^\s*])\*(?!\*)", r"<em>\1</em>", text)


def is_link(url: str) -> bool:
    """Whether an address may stand in a mail: a web, mail or phone address, or one that a variable brings."""
    return url.lower().startswith(_SCHEMES) or bool(_MARK.match(url)) or url.startswith("{{")


def _address(url: str) -> str:
    """The address, or ``#`` for one that must not stand in a mail (``javascript:``). The composer's check names it."""
    if is_link(url):
        return url
    return f"https://{url}" if re.match(r"[\w-]+(\.[\w-]+)+(/|$|\?)", url) else "#"


# --- own HTML ----------------------------------------------------------------------------------------------

_TAGS = {
    *["a", "abbr", "address", "area", "article", "aside", "b", "bdi", "bdo", "blockquote", "br", "caption", "center", "cite", "code", "col", "colgroup", "dd", "del", "dfn", "div", "dl", "dt", "em", "figcaption", "figure", "font", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "i", "img", "ins", "kbd", "li", "main", "map", "mark", "nav", "ol", "p", "pre", "q", "s", "samp", "section", "small", "span", "strike", "strong", "style", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "time", "tr", "tt", "u", "ul", "var", "wbr"]
}  # fmt: skip
_ATTRIBUTES = {
    "*": {
        "style",
        "class",
        "id",
        "align",
        "valign",
        "bgcolor",
        "background",
        "width",
        "height",
        "dir",
        "lang",
        "title",
        "role",
    },
    "a": {"href", "target", "name"},
    "area": {"href", "shape", "coords", "alt"},
    "img": {"src", "alt", "border", "hspace", "vspace", "usemap", "srcset"},
    "map": {"name"},
    "font": {"color", "face", "size"},
    "table": {"cellpadding", "cellspacing", "border", "summary"},
    "td": {"colspan", "rowspan", "nowrap", "abbr"},
    "th": {"colspan", "rowspan", "nowrap", "abbr", "scope"},
    "col": {"span"},
    "colgroup": {"span"},
    "ol": {"start", "type"},
    "style": {"type", "media"},
    "hr": {"size", "noshade", "color"},
}


def _own_html(source: str, marks: Marks) -> str:
    """Own HTML with its styles inlined and everything that runs or loads removed; Liquid stays as markers."""
    import css_inline
    import nh3

    if not source.strip():
        return ""
    hidden, tags = _hide_in_html(source, marks)
    try:
        inliner = css_inline.CSSInliner(load_remote_stylesheets=False, keep_at_rules=True)
        styled = inliner.inline(hidden) if "<style" in hidden.lower() else hidden
    except css_inline.InlineError:
        styled = hidden
    styled = re.sub(r"<(/?)body\b", r"<\1div", styled, flags=re.I)
    styled = re.sub(r"<title\b.*?</title\s*>", "", styled, flags=re.I | re.S)
    cleaned = nh3.clean(
        styled,
        tags=_TAGS,
        clean_content_tags={"script"},
        attributes=_ATTRIBUTES,
        strip_comments=False,
        link_rel=None,
        url_schemes={"http", "https", "mailto", "tel", "sms", "cid"},
    )
    kept = [number for number in map(int, _MARK.findall(cleaned)) if number in tags]
    if kept != tags:
        lost = next(
            (number for number, now in zip(tags, [*kept, *[-1] * len(tags)], strict=False) if number != now), tags[0]
        )
        raise Invalid(
            {"body": [Text("Move %(tag)s: it may stand in the text or around whole elements", tag=marks.kept[lost])]}
        )
    return cleaned


def _hide_in_html(source: str, marks: Marks) -> tuple[str, list[int]]:
    """Put Liquid aside; a tag between elements becomes a comment, which tables tolerate. Also the tags' numbers in order."""
    source = _MARK.sub(lambda found: marks.keep(found[0]), source)
    tags: list[int] = []
    out, at = "", 0
    for found in _LIQUID.finditer(source):
        out += source[at : found.start()]
        mark = marks.keep(found[0])
        at = found.end()
        if found[0].startswith("{%"):
            tags.append(len(marks.kept) - 1)
            inside = out.rfind("<") > out.rfind(">")
            mark = mark if inside else f"<!--{mark}-->"
        out += mark
    marks_in_comments = out + source[at:]
    return marks_in_comments, tags


# --- links -------------------------------------------------------------------------------------------------


class _Links:
    """Numbers the links of a mail and writes the tracking address in their place."""

    def __init__(self, marks: Marks, tracked: bool, brand: Brand):
        self.marks, self.tracked, self.brand = marks, tracked, brand
        self.found: list[str] = []

    def in_html(self, html: str) -> str:
        return _HREF.sub(lambda found: found[1] + self._replace(unescape(found[2]), html=True) + found[3], html)

    def in_text(self, text: str) -> str:
        return _BARE_URL.sub(lambda found: self._replace(found[0], html=False), text)

    def pixel(self) -> str:
        if not self.tracked:
            return ""
        source = self.marks.keep(f"{self.brand.base_url}/t/{{{{ _track }}}}.gif")
        return f'<img src="{source}" width="1" height="1" alt="" style="display:block;width:1px;height:1px;border:0">'

    def _replace(self, url: str, html: bool) -> str:
        source = self.marks.back(url)
        if not (self.tracked and trackable(source)):
            return escape(url) if html else url
        if source not in self.found:
            self.found.append(source)
        address = f"{self.brand.base_url}/l/{{{{ _track }}}}/{self.found.index(source)}"
        return self.marks.keep(address)


def trackable(url: str) -> bool:
    """Whether a link can be counted: a web address with its host written out, and variables we know again at the click."""
    if not re.match(r"https?://[^/?#{]", url) or "{%" in url:
        return False
    roots = re.findall(r"\{\{-?\s*([A-Za-z_]\w*)", url)
    host = re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0]
    return "{{" not in host and len(roots) == url.count("{{") and set(roots) <= _FREE_ROOTS


# --- footer, frame, text part ------------------------------------------------------------------------------

WHY = N_("You get this mail because you are in touch with %(name)s.")
UNSUBSCRIBE = N_("Unsubscribe")
PREFERENCES = N_("Choose what you get")


def _has(source: str, marks: Marks, name: str) -> bool:
    return re.search(rf"\{{\{{-?\s*{name}\b", marks.back(source)) is not None


def _footer(inner: str, marks: Marks, brand: Brand) -> str:
    """What every marketing mail must carry: who sends it, where from, and two ways to stop it."""
    small = f"margin:0 0 6px;{_FONT};font-size:12px;line-height:1.5;color:#62686c"
    lines = [escape(brand.say(Text(WHY.msgid, name=brand.name)))]
    if brand.address and not _has(inner, marks, "workspace.postal_address"):
        lines.append("<br>".join(escape(line.strip()) for line in brand.address.splitlines() if line.strip()))
    links = [("preferences_url", PREFERENCES), ("unsubscribe_url", UNSUBSCRIBE)]
    wanted = [
        f'<a href="{marks.keep("{{ " + name + " }}")}" style="color:#62686c">{escape(brand.say(words))}</a>'
        for name, words in links
        if not _has(inner, marks, name)
    ]
    lines += [" &middot; ".join(wanted)] if wanted else []
    paragraphs = "".join(f'<p style="{small}">{line}</p>' for line in lines)
    return f'\n<tr><td style="padding:18px 32px 10px;border-top:1px solid #e3e1db">{paragraphs}</td></tr>'


def _text_footer(text: str, brand: Brand, marks: Marks) -> str:
    lines = ["", "", "-- ", brand.say(Text(WHY.msgid, name=brand.name)), *brand.address.splitlines()]
    for name, words in (("preferences_url", PREFERENCES), ("unsubscribe_url", UNSUBSCRIBE)):
        if not _has(text, marks, name):
            lines.append(f"{brand.say(words)}: " + marks.keep("{{ " + name + " }}"))
    return "\n".join(lines)


def _document(inner: str, preheader: str, pixel: str, brand: Brand, *, framed: bool) -> str:
    """The whole HTML document. Blocks get a frame 600 px wide; own HTML brings its own."""
    hidden = (
        f'<div style="display:none;max-height:0;overflow:hidden;opacity:0">{escape(preheader)}{"&#847;&zwnj;&nbsp;" * 40}</div>'
        if preheader
        else ""
    )
    table = '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"'
    if framed:
        main = (
            f'{table} style="background:#f3f2ee"><tr><td align="center" style="padding:24px 12px">'
            f'{table.replace("100%", "600")} style="width:100%;max-width:600px;background:#ffffff;border-radius:10px">'
            f'<tr><td style="height:18px;line-height:18px;font-size:1px">&nbsp;</td></tr>\n{inner}\n'
            '<tr><td style="height:18px;line-height:18px;font-size:1px">&nbsp;</td></tr></table></td></tr></table>'
        )
    else:
        at = inner.rfind('\n<tr><td style="padding:18px 32px 10px;border-top')
        own, footer = (inner[:at], inner[at:]) if at >= 0 else (inner, "")
        frame = f'{table} style="max-width:600px;margin:0 auto">{footer}</table>' if footer else ""
        main = own + frame
    return (
        f'<!doctype html>\n<html lang="{escape(brand.lang)}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light">'
        f"<title>{escape(brand.name)}</title></head>\n"
        f'<body style="margin:0;padding:0{";background:#f3f2ee" if framed else ""}">{hidden}\n{main}\n{pixel}</body></html>\n'
    )


_BREAKS = {
    *[
        "address",
        "article",
        "aside",
        "blockquote",
        "center",
        "dd",
        "div",
        "dl",
        "dt",
        "figcaption",
        "figure",
        "footer",
        "header",
        "hr",
        "li",
        "main",
        "nav",
        "ol",
        "section",
    ],
    *["table", "td", "th", "tr", "ul"],
}
_GAPS = {*["h1", "h2", "h3", "h4", "h5", "h6", "p", "pre"]}


class _Reader(HTMLParser):
    """Reads HTML aloud: words in their order, link targets behind their words, images by their alt text.

    Layout tables are read cell by cell. Order matters more than looks: Liquid loops and conditions stand between rows.
    """

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.out: list[str] = []
        self.links: list[tuple[str, int]] = []
        self.silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("style", "head", "title"):
            self.silent += 1
        elif tag == "br":
            self.out.append("\n")
        elif tag == "a":
            self.links.append((given.get("href") or "", len(self.out)))
        elif tag == "img" and given.get("alt"):
            self.out.append(f"[{given['alt']}]")
        self._break(tag)
        if tag == "li":
            self.out.append("- ")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("style", "head", "title"):
            self.silent = max(0, self.silent - 1)
        elif tag == "a" and self.links:
            url, start = self.links.pop()
            label = " ".join("".join(self.out[start:]).split())
            same = not label or label == url or _BARE_URL.fullmatch(label)
            self.out[start:] = [url if same else f"{label} ( {url} )" if url and url != "#" else label]
        self._break(tag)

    def handle_data(self, data: str) -> None:
        data = re.sub(r"\s+", " ", data)
        if not self.silent and (data != " " or not self._ended()):
            self.out.append(data)

    def handle_comment(self, data: str) -> None:
        if _MARK.fullmatch(data):
            self.out.append(data)

    def _ended(self) -> bool:
        """Whether we stand at the start of a line; a Liquid tag put aside takes no place."""
        last = next((piece for piece in reversed(self.out) if not _MARK.fullmatch(piece)), "\n")
        return last.endswith("\n")

    def _break(self, tag: str) -> None:
        if tag in _GAPS:
            self.out.append("\n" if self._ended() else "\n\n")
        elif tag in _BREAKS and not self._ended():
            self.out.append("\n")


def as_text(html: str) -> str:
    """The text part of an HTML body."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    lines = [line.strip(" ") for line in re.sub(r"[ \u00a0]+", " ", "".join(reader.out)).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"
