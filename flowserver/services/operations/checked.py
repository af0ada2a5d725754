"""Check several answers at once, so that a person sees every mistake of a page together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowserver.errors import Invalid


def checked(**checks: Callable[[], Any]) -> dict[str, Any]:
    """Call every check and return ``{name: value}``.

    Raises :class:`Invalid` with the mistakes of all of them, each under the name of its check.
    """
    values: dict[str, Any] = {}
    mistakes: dict[str, Any] = {}
    for name, check in checks.items():
        try:
            values[name] = check()
        except Invalid as error:
            mistakes[name] = error.messages["_"] if list(error.messages) == ["_"] else error.messages
    if mistakes:
        raise Invalid(mistakes)
    return values
