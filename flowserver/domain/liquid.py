"""Liquid templates, compiled once: plain variables become slots to fill, only the rest goes through the engine.

A template is a list of parts. ``{{ contact.first_name | default: 'there' }}`` is a :class:`Var`, filled in at the cost of
one look-up; ``{% if … %}`` and filters are a :class:`Chunk`, rendered by python-liquid (imported late: it is slow to
load) under limits on loops and output. Values are escaped where the template is HTML and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from markupsafe import escape as html_escape

from flowserver.errors import Invalid
from flowserver.text import N_, Text

LONGEST = 500_000  # characters of a template, and of what it may produce
MOST_LOOPS = 10_000

_PLAIN = re.compile(
    r"""\{\{\s*([A-Za-z_]\w*(?:\.[A-Za-z_][\w-]*)+|[a-z]+_url|_\w+)\s*(?:\|\s*default:\s*('[^'\\]*'|"[^"\\]*")\s*)?\}\}"""
)
_MARKUP = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.S)
_TAG = re.compile(r"\{%-?\s*(\w+|#)")
_OUTPUT = re.compile(r"\{\{-?\s*([A-Za-z_]\w*(?:\.[\w-]+)*)(.*?)-?\}\}", re.S)
_BLOCKS = {"if", "unless", "case", "for", "tablerow", "ifchanged", "comment", "doc", "raw"}
_STATEFUL = {"assign", "capture", "increment", "decrement", "cycle", "ifchanged", "liquid", "doc"}
_SPECIAL = {"size", "first", "last"}  # Liquid gives these a meaning of its own


@dataclass(slots=True, frozen=True)
class Var:
    """One plain variable: its dotted path, and the fallback for a value that is missing or empty."""

    path: str
    default: str = ""

    def text(self, values: Mapping[str, Any]) -> str:
        """The value as text, not escaped."""
        found = look_up(self.path, values)
        return self.default if missing(found) else to_text(found)


class Chunk:
    """A piece of a template that needs the Liquid engine."""

    __slots__ = ("_template", "source")

    def __init__(self, source: str, escape: bool):
        self.source = source
        self._template = _environment(escape).from_string(source)

    def render(self, values: Mapping[str, Any]) -> str:
        """The rendered text (escaped where the template is HTML). Raises :class:`Invalid`."""
        import liquid

        try:
            return self._template.render(**values)
        except liquid.exceptions.LiquidError as error:
            raise _mistake(error, self.source, "_") from error


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
        text = part.text(values)
        return str(html_escape(text)) if self.escape and not missing(look_up(part.path, values)) else text


def compile(
    source: str, *, escape: bool = False, constants: Mapping[str, Any] | None = None, field: str = "_"
) -> Template:
    """Compile Liquid source. ``escape`` for HTML; ``constants`` (nested mapping) are written into the literals.

    Raises :class:`Invalid` under ``field`` for a syntax error (naming its line), an unknown filter or tag, and for a
    source that is too long.
    """
    if len(source) > LONGEST:
        raise Invalid({field: [Text("Shorten the text to %(most)s characters", most=LONGEST)]})
    markup = _MARKUP.findall(source)
    if "{%" not in source and "{{" not in source:
        return Template((source,) if source else (), frozenset(), frozenset(), escape)
    easy = all(_plain(piece) for piece in markup) and not _leftover(source)
    variables, shielded = (_plain_paths(markup), frozenset()) if easy else _analyse(source, escape, field)
    parts = tuple(_fold(_split(source, markup, escape, easy), constants or {}, escape))
    return Template(parts, frozenset(variables), _bare(source) - shielded, escape)


def _plain(piece: str) -> re.Match[str] | None:
    found = _PLAIN.fullmatch(piece)
    return found if found and found[1].rpartition(".")[2] not in _SPECIAL else None


def _leftover(source: str) -> bool:
    """Whether braces remain that open something and never close it."""
    rest = _MARKUP.sub("", source)
    return "{{" in rest or "{%" in rest


def _plain_paths(markup: list[str]) -> frozenset[str]:
    return frozenset(found[1] for piece in markup if (found := _plain(piece)))


def _var(found: re.Match[str]) -> Var:
    return Var(found[1], found[2][1:-1] if found[2] else "")


def _split(source: str, markup: list[str], escape: bool, easy: bool) -> Iterator[str | Var | Chunk]:
    """Cut a source that compiles into literals, plain variables and chunks that stand on their own."""
    tags = {found[1] for piece in markup if (found := _TAG.match(piece))}
    if not easy and (tags & _STATEFUL or any("{{-" in p or "-}}" in p or "{%-" in p or "-%}" in p for p in markup)):
        yield Chunk(source, escape)
        return
    depth, start, at = 0, 0, 0  # start: of the chunk being collected; at: end of what was given out
    for found in _MARKUP.finditer(source):
        tag = _TAG.match(found[0])
        word = tag[1] if tag else ""
        if depth == 0:
            if found.start() > at:
                yield source[at : found.start()]
            start = found.start()
        depth += (word in _BLOCKS) - (word.startswith("end") and word[3:] in _BLOCKS)
        if depth == 0:
            plain = _plain(found[0]) if start == found.start() else None
            yield _var(plain) if plain else Chunk(source[start : found.end()], escape)
            at = found.end()
    if at < len(source):
        yield source[at:]


def _fold(
    parts: Iterator[str | Var | Chunk], constants: Mapping[str, Any], escape: bool
) -> Iterator[str | Var | Chunk]:
    """Write constants into the literals and join neighbours."""
    literal = ""
    for part in parts:
        if isinstance(part, Var) and part.path.partition(".")[0] in constants:
            text = part.text(constants)
            part = str(html_escape(text)) if escape and not missing(look_up(part.path, constants)) else text
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
    found: Any = values
    for name in path.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(name)
    return found


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
            raise Invalid({field: [Text("Line %(line)s: there is no filter called %(name)s", line=line, name=name)]})
    paths = frozenset(str(variable) for variables in found.globals.values() for variable in variables)
    tests = " ".join(piece for piece in _MARKUP.findall(source) if re.match(r"\{%-?\s*(if|elsif|unless|case)\b", piece))
    return paths, frozenset(path for path in paths if re.search(rf"\b{re.escape(path)}\b", tests))


def _mistake(error: Any, source: str, field: str) -> Invalid:
    """A python-liquid error in words, with its line."""
    where = error.context() if hasattr(error, "context") else None
    line = where[0] if where else source.count("\n") + 1
    why = str(error).split("\n")[0] or type(error).__name__
    text = Text("Line %(line)s: %(why)s", line=line, why=why)
    if "ResourceLimit" in "".join(cls.__name__ for cls in type(error).__mro__) or "Limit" in type(error).__name__:
        text = N_("The template repeats or produces too much")
    return Invalid({field: [text]})
