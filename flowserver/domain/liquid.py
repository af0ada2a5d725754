"""Liquid templates, compiled once: plain variables become slots to fill, only the rest goes through the engine.

A template is a list of parts. ``{{ contact.first_name | default: 'there' }}`` is a :class:`Var`, filled in at the cost of
one look-up; ``{% if … %}`` and filters are a :class:`Chunk`, rendered by python-liquid (imported late: it is slow to
load) under limits on loops and output. Values are escaped where the template is HTML and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from markupsafe import escape as html_escape

from flowserver.errors import Invalid
from flowserver.text import N_, Text

LONGEST = 500_000  # characters of a template, and of what it may produce
LONGEST_PIECE = 60  # characters of a template repeated in a message
MOST_LOOPS = 10_000
MOST_TAGS = 5_000
MOST_REMEMBERED = 1000  # results of one chunk

_PLAIN = re.compile(
    r"""\{\{\s*([A-Za-z_]\w*(?:\.[A-Za-z_][\w-]*)+|[a-z]+_url|_\w+)\s*(?:\|\s*default:\s*('[^'\\]*'|"[^"\\]*")\s*)?\}\}"""
)
MARKUP = re.compile(r"\{\{.{0,5000}?\}\}|\{%.{0,5000}?%\}", re.S)  # bounded: what never closes costs no time
_TAG = re.compile(r"\{%-?\s*(\w+|#)")
_OUTPUT = re.compile(r"\{\{-?\s*([A-Za-z_]\w*(?:\.[\w-]+)*)(.*?)-?\}\}", re.S)
_PIECE = re.compile(r"\{%-?\s*(raw|comment|doc)\s*-?%\}.*?\{%-?\s*end\1\s*-?%\}|" + MARKUP.pattern, re.S)
_BLOCKS = {"if", "unless", "case", "for", "tablerow", "ifchanged", "capture", "comment", "doc", "raw"}
_DEFINING = {"assign", "capture"}
_STATEFUL = {"increment", "decrement", "cycle", "ifchanged", "liquid", "break", "continue"}
_SPECIAL = {"size", "first", "last"}  # Liquid gives these a meaning of its own


@dataclass(slots=True, frozen=True)
class Var:
    """One plain variable: its dotted path, and the fallback for a value that is missing or empty."""

    path: str
    default: str | None = None

    def text(self, values: Mapping[str, Any]) -> str:
        """The value as text, not escaped."""
        return self.word(look_up(self.path, values))

    def word(self, value: Any) -> str:
        """What stands there for a value, not escaped."""
        return self.default if self.default is not None and missing(value) else to_text(value)

    def falls_back(self, value: Any) -> bool:
        """Whether the author's own words stand there."""
        return self.default is not None and missing(value)


class Chunk:
    """A piece of a template that needs the Liquid engine.

    What it shows depends on the values it reads and on nothing else, so results are remembered by those values: a
    condition on the plan or the country is rendered once for each, not once for each contact.
    """

    __slots__ = ("_paths", "_remembered", "_template", "source")

    def __init__(self, source: str, escape: bool):
        self.source = source
        self._template = _environment(escape).from_string(source)
        found = self._template.analyze()
        self._paths = [[*variable.segments] for variables in found.globals.values() for variable in variables]
        timeless = "date" not in found.filters and all(_simple(path) for path in self._paths)
        self._remembered: dict[Any, str] | None = {} if timeless else None

    def render(self, values: Mapping[str, Any]) -> str:
        """The rendered text (escaped where the template is HTML). Raises :class:`Invalid`."""
        if self._remembered is None:
            return self._render(values)
        key = tuple([_keyed(_walk(path, values)) for path in self._paths])
        try:
            found = self._remembered.get(key)
        except TypeError:  # a list among them
            return self._render(values)
        if found is None:
            found = self._render(values)
            if len(self._remembered) >= MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[key] = found
        return found

    def _render(self, values: Mapping[str, Any]) -> str:
        import liquid

        template, output = self._template, _Output()
        context = template.context_class(template, globals=template.make_globals(values))
        try:
            template.render_with_context(context, output)
            return "".join(output.pieces)
        except liquid.exceptions.LiquidError as error:
            raise _mistake(error, self.source, "_") from error


class _Output:
    """Where the engine writes: a list of pieces. Its own counts bytes, which costs a fifth of the rendering."""

    __slots__ = ("pieces", "room")

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.room = LONGEST

    def write(self, piece: str) -> int:
        """Take a piece; returns its length. Raises liquid's ``OutputStreamLimitError`` when it becomes too much."""
        self.room -= len(piece)
        if self.room < 0:
            from liquid.exceptions import OutputStreamLimitError

            raise OutputStreamLimitError("output stream limit reached", token=None)
        self.pieces.append(piece)
        return len(piece)


def _simple(path: Sequence[Any]) -> bool:
    """Whether a path names one value: ``contact.plan``, not ``contact[other]`` or ``contact`` as a whole."""
    return len(path) > 1 and all(isinstance(segment, str) and segment not in _SPECIAL for segment in path)


def _keyed(value: Any) -> Any:
    return value if type(value) is str else (type(value), value)  # True is 1 to a dict, but not to a reader


def _walk(path: Sequence[str], values: Any) -> Any:
    for name in path:
        if not isinstance(values, Mapping):
            return None
        values = values.get(name)
    return values


@dataclass(slots=True, frozen=True)
class Template:
    """A compiled template: literal text, :class:`Var` and :class:`Chunk` in order."""

    parts: tuple[str | Var | Chunk, ...]
    variables: frozenset[str]  # dotted paths it reads
    bare: frozenset[str]  # those shown without a fallback
    escape: bool

    @property
    def plain(self) -> bool:
        """Whether it needs no Liquid engine."""
        return not any(isinstance(part, Chunk) for part in self.parts)

    def render(self, values: Mapping[str, Any]) -> str:
        """The text for these values (nested mappings: ``{"contact": {…}}``). Raises :class:`Invalid`."""
        return "".join(part if isinstance(part, str) else self.piece(part, values) for part in self.parts)

    def piece(self, part: Var | Chunk, values: Mapping[str, Any]) -> str:
        """What one part becomes for these values."""
        if isinstance(part, Chunk):
            return part.render(values)
        found = look_up(part.path, values)
        text = part.word(found)
        return str(html_escape(text)) if self.escape and not part.falls_back(found) else text


def compile(
    source: str, *, escape: bool = False, constants: Mapping[str, Any] | None = None, field: str = "_"
) -> Template:
    """Compile Liquid source. ``escape`` for HTML; ``constants`` (nested mapping) are written into the literals.

    Raises :class:`Invalid` under ``field`` for a syntax error (naming its line), an unknown filter or tag, and for a
    source that is too long.
    """
    check_size(source, field)
    markup = MARKUP.findall(source)
    if "{%" not in source and "{{" not in source:
        return Template((source,) if source else (), frozenset(), frozenset(), escape)
    easy = all(_plain(piece) for piece in markup) and not _leftover(source)
    variables, shielded = (_plain_paths(markup), frozenset()) if easy else _analyse(source, escape, field)
    parts = tuple(_fold(_split(source, escape), constants or {}, escape))
    return Template(parts, frozenset(variables), _bare(source) - shielded, escape)


def check_size(source: str, field: str = "_") -> None:
    """Raises :class:`Invalid` for a source that is too long or has too many Liquid tags to be looked at."""
    if len(source) > LONGEST:
        raise Invalid({field: [Text("Shorten the text to %(most)s characters", most=LONGEST)]})
    if source.count("{{") + source.count("{%") > MOST_TAGS:
        raise Invalid({field: [Text("Use at most %(most)s variables and Liquid tags", most=MOST_TAGS)]})


def _plain(piece: str) -> re.Match[str] | None:
    found = _PLAIN.fullmatch(piece)
    return found if found and found[1].rpartition(".")[2] not in _SPECIAL else None


def _leftover(source: str) -> bool:
    """Whether braces remain that open something and never close it."""
    rest = MARKUP.sub("", source)
    return "{{" in rest or "{%" in rest


def _plain_paths(markup: list[str]) -> frozenset[str]:
    return frozenset(found[1] for piece in markup if (found := _plain(piece)))


def _var(found: re.Match[str]) -> Var:
    return Var(found[1], found[2][1:-1] if found[2] else None)


class _Whole(Exception):
    """The template cannot be cut: what one place does changes what another shows."""


def _split(source: str, escape: bool) -> list[str | Var | Chunk]:
    """Cut a source that compiles into literals, plain variables and chunks that stand on their own."""
    import liquid

    try:
        return list(_pieces(source, escape))
    except (_Whole, liquid.exceptions.LiquidError):
        return [Chunk(source, escape)]


def _pieces(source: str, escape: bool) -> Iterator[str | Var | Chunk]:
    """Pieces at the top level. What ``assign`` and ``capture`` define is repeated before each piece that uses it."""
    depth, start, at, trim = 0, 0, 0, False  # start: of the piece being collected; at: end of what was given out
    opening, defined, prefix = "", set[str](), ""
    for found in _PIECE.finditer(source):
        tag = _TAG.match(found[0])
        word = tag[1] if tag else ""
        if depth == 0:
            yield from _literal(source[at : found.start()], trim, found[0][2] == "-")
            start, opening = found.start(), word
        if word in _STATEFUL or (depth and word in _DEFINING):
            raise _Whole
        depth += (word in _BLOCKS and not found[1]) - (word.startswith("end") and word[3:] in _BLOCKS)
        if depth:
            continue
        piece, at, trim = source[start : found.end()], found.end(), found[0][-3] == "-"
        if opening in _DEFINING:
            prefix += piece
            defined.add(_defined(piece))
        elif (plain := _plain(piece)) and plain[1].partition(".")[0] not in defined:
            yield _var(plain)
        else:
            uses = any(re.search(rf"\b{name}\b", piece) for name in defined)
            yield Chunk((prefix if uses else "") + piece, escape)
    yield from _literal(source[at:], trim, False)


def _literal(text: str, left: bool, right: bool) -> Iterator[str]:
    """Text between pieces, without the white space that ``{{-`` and ``-}}`` take away."""
    text = text.lstrip() if left else text
    text = text.rstrip() if right else text
    if "{{" in text or "{%" in text:  # markup we did not recognise: leave all of it to the engine
        raise _Whole
    if text:
        yield text


def _defined(piece: str) -> str:
    found = re.match(r"\{%-?\s*(?:assign|capture)\s+([A-Za-z_]\w*)", piece)
    if found is None or found[1] in ("contact", "event", "workspace"):
        raise _Whole
    return found[1]


def _fold(
    parts: Sequence[str | Var | Chunk], constants: Mapping[str, Any], escape: bool
) -> Iterator[str | Var | Chunk]:
    """Write constants into the literals and join neighbours."""
    literal = ""
    for part in parts:
        if isinstance(part, Var) and part.path.partition(".")[0] in constants:
            found = look_up(part.path, constants)
            text = part.word(found)
            part = str(html_escape(text)) if escape and not part.falls_back(found) else text
        if isinstance(part, str):
            literal += part
            continue
        if literal:
            yield literal
            literal = ""
        yield part
    if literal:
        yield literal


def _bare(source: str) -> frozenset[str]:
    """Paths that some ``{{ … }}`` shows without ``default``."""
    return frozenset(path for path, rest in _OUTPUT.findall(source) if "default" not in rest and "." in path)


# --- values ------------------------------------------------------------------------------------------------


def look_up(path: str, values: Mapping[str, Any]) -> Any:
    """The value behind a dotted path, ``None`` where there is none."""
    return _walk(path.split("."), values)


def missing(value: Any) -> bool:
    """Whether Liquid's ``default`` would step in: nothing, empty, or no."""
    return value is None or value is False or value == "" or (isinstance(value, list | dict) and not value)


def to_text(value: Any) -> str:
    """A value the way Liquid prints it."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return "".join(to_text(item) for item in value)
    return str(value)


# --- the engine --------------------------------------------------------------------------------------------


@cache
def _environment(escape: bool) -> Any:
    import liquid

    class Limited(liquid.Environment):
        loop_iteration_limit = MOST_LOOPS
        output_stream_limit = LONGEST
        local_namespace_limit = LONGEST
        block_nesting_limit = 20

    environment = Limited(autoescape=escape)
    for name in ("include", "render"):  # there is nothing to load from
        environment.tags.pop(name, None)
    environment.filters.pop("safe", None)  # would let contact data through unescaped
    return environment


def _analyse(source: str, escape: bool, field: str) -> tuple[frozenset[str], frozenset[str]]:
    """Paths a template reads, and those it tests before it shows them. Raises :class:`Invalid`."""
    import liquid

    environment = _environment(escape)
    try:
        found = environment.from_string(source).analyze()
    except liquid.exceptions.LiquidError as error:
        raise _mistake(error, source, field) from None
    for name, spans in found.filters.items():
        if name not in environment.filters:
            line = source.count("\n", 0, spans[0].index) + 1
            words = Text("There is no filter called “%(name)s”, see “%(piece)s”", name=name, piece=_line(source, line))
            raise Invalid({field: [words]})
    paths = frozenset(str(variable) for variables in found.globals.values() for variable in variables)
    tests = " ".join(piece for piece in MARKUP.findall(source) if re.match(r"\{%-?\s*(if|elsif|unless|case)\b", piece))
    return paths, frozenset(path for path in paths if re.search(rf"\b{re.escape(path)}\b", tests))


def _line(source: str, number: int) -> str:
    """What stands in a line, counted from 1, short enough for a message."""
    line = [*source.split("\n"), ""][number - 1].strip()
    return line if len(line) <= LONGEST_PIECE else f"{line[: LONGEST_PIECE - 1]}…"


def _mistake(error: Any, source: str, field: str) -> Invalid:
    """A python-liquid error in words, with the text it stands in: blocks of an e-mail have no line numbers to count."""
    where = error.context() if hasattr(error, "context") else None
    line = where[0] if where else source.count("\n") + 1
    why = str(error).split("\n")[0] or type(error).__name__
    text = Text("“%(piece)s” cannot be read: %(why)s", piece=_line(source, line), why=why)
    if "ResourceLimit" in "".join(cls.__name__ for cls in type(error).__mro__) or "Limit" in type(error).__name__:
        text = N_("The template repeats or produces too much")
    return Invalid({field: [text]})
