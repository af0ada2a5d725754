"""Definitions as text: YAML 1.2 in one canonical form, so that the same definition is always the same bytes.

``load(dump(definition))`` is the definition again, and ``dump(load(text))`` of a text that :func:`dump` wrote is that text.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, ScalarEvent
from ruamel.yaml.representer import SafeRepresenter

from flowserver.errors import Invalid
from flowserver.text import N_, Text

MOST = 512 * 1024  # characters of a text
DEEPEST = 64  # lists and mappings inside one another: the reader's time grows with the square of it
_WIDE = 1_000_000  # characters before a line is broken: never


class _Representer(SafeRepresenter):
    """Texts of several lines are written as they are read, everything else on one line."""


def _text(representer: SafeRepresenter, value: str) -> Any:
    style = '"' if _UNSAFE.search(value) else "|" if "\n" in value else None
    return representer.represent_scalar("tag:yaml.org,2002:str", value, style=style)


# What YAML would take for a line end, or not take at all, unless it is written as an escape.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


_LOST = re.compile("[\0\ud800-\udfff]")  # what no database keeps
BIGGEST = 2**63

_Representer.add_representer(str, _text)


def _yaml() -> YAML:
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Representer
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.default_flow_style = False
    yaml.allow_unicode = True
    yaml.width = _WIDE
    return yaml


def dump(definition: Mapping[str, Any]) -> str:
    """A definition, in canonical order already (see :mod:`flowserver.domain.canonical`), as text."""
    stream = io.StringIO()
    _yaml().dump(dict(definition), stream)
    return stream.getvalue()


def load(text: str) -> dict[str, Any]:
    """The definition a text holds. Raises :class:`Invalid` for what is no YAML, names the line, refuses aliases."""
    if len(text) > MOST:
        raise Invalid(Text("The text has more than %(most)s characters", most=f"{MOST:,}"))
    try:
        _check_shape(text)
        found = _yaml().load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        text = Text("Line %(line)s is no YAML: %(why)s", line=line, why=str(error.problem or error.context))
        raise Invalid(text) from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise Invalid(Text("This is no YAML: %(why)s", why=str(error)[:200])) from None
    if not isinstance(found, dict):
        raise Invalid(N_("The text must hold one flow: keys and values, beginning with its name"))
    plain: dict[str, Any] = _plain(found)
    return plain


def _check_shape(text: str) -> None:
    """Aliases make a text larger than it looks; names of types and anchors have no place here, and nesting has an end."""
    depth = 0
    for event in YAML(typ="safe", pure=True).parse(text):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > DEEPEST:
            raise Invalid(Text("Nest objects and lists at most %(most)s deep", most=DEEPEST))
        named = isinstance(event, ScalarEvent | CollectionStartEvent) and (event.anchor or event.tag)
        if isinstance(event, AliasEvent) or named:
            line = event.start_mark.line + 1
            raise Invalid(Text("Line %(line)s uses an alias, an anchor or a tag. Write it out", line=line))


def _plain(value: Any, path: str = "") -> Any:
    """Only what JSON has: a date that was written without quotes is text. Raises :class:`Invalid` for what none can keep."""
    if isinstance(value, Mapping):
        return {_word(key): _plain(one, f"{path}.{_word(key)}" if path else _word(key)) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one, f"{path}[{place}]") for place, one in enumerate(value)]
    if isinstance(value, str) and _LOST.search(value):
        raise Invalid({path: [N_("Leave out the character NUL and halves of characters")]})
    if (isinstance(value, float) and not math.isfinite(value)) or (isinstance(value, int) and abs(value) >= BIGGEST):
        raise Invalid({path: [N_("Use a smaller number")]})
    return value.isoformat() if isinstance(value, date) else value


def _word(key: Any) -> str:
    if isinstance(key, tuple | list | dict) or _LOST.search(str(key)):
        raise Invalid(N_("Write every key as a plain word"))
    return str(key)
