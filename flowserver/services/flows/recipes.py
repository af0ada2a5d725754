"""Definitions as programs and files read them: in one order, objects by name or by id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowserver.domain import canonical
from flowserver.nodes import catalogue
from flowserver.services.flows import options


def written(definition: Mapping[str, Any], *, by_name: bool = True) -> dict[str, Any]:
    """A stored definition of the present client in its canonical order, sound or not.

    ``by_name``: lists, forms and users by name instead of id; what was deleted keeps its id.
    """
    named = options.unresolve(definition) if by_name else definition
    return canonical.ordered(named, catalogue.triggers(), catalogue.actions())
