"""Ready-made flows: one YAML file each in ``flowserver/library``, read once."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

from ruamel.yaml import YAML

from flowserver.domain import definition as definitions
from flowserver.domain import flow_graph
from flowserver.errors import NotFound
from flowserver.nodes import catalogue
from flowserver.services.flows import options
from flowserver.text import N_


@dataclass(frozen=True)
class Template:
    """A flow to start from: what it is good for and what it holds."""

    slug: str
    name: str
    about: str
    order: int
    definition: dict[str, Any] = field(repr=False)
    days: int = 0
    counts: dict[str, int] = field(default_factory=dict)  # step type → how many

    @property
    def trigger(self) -> str:
        """The starting point it is made for."""
        return str(self.definition["trigger"]["type"])


@cache
def templates() -> tuple[Template, ...]:
    """All templates whose starting point and steps this installation knows, in the order their files ask for."""
    yaml = YAML(typ="safe", pure=True)
    found = []
    for file in resources.files("flowserver").joinpath("library").iterdir():
        if file.name.endswith(".yaml"):
            found.append(_template(file.name.removesuffix(".yaml"), yaml.load(file.read_text("utf-8"))))
    known = catalogue.actions()
    usable = [one for one in found if one.trigger in catalogue.triggers() and set(one.counts) <= set(known)]
    return tuple(sorted(usable, key=lambda one: (one.order, one.name)))


def _template(slug: str, raw: dict[str, Any]) -> Template:
    definition = {name: value for name, value in raw.items() if name not in ("about", "order")}
    counts: dict[str, int] = {}
    for _, _, step in definitions.walk(definition["steps"]):
        counts[step["type"]] = counts.get(step["type"], 0) + 1
    time, _messages = flow_graph.longest(options.compiled(definition))
    return Template(slug, raw["name"], raw["about"], raw.get("order", 99), definition, time.days, counts)


def get(slug: str) -> Template:
    """One template. Raises :class:`NotFound`."""
    found = next((one for one in templates() if one.slug == slug), None)
    if found is None:
        raise NotFound(N_("There is no such template"))
    return found


def steps(slug: str) -> list[dict[str, Any]]:
    """A fresh copy of a template's steps."""
    copied: list[dict[str, Any]] = copy.deepcopy(get(slug).definition["steps"])
    return copied


def goals(slug: str) -> dict[str, Any]:
    """A fresh copy of what ends a template's runs from anywhere: its goal and its exit, where it has them."""
    definition = get(slug).definition
    return copy.deepcopy({name: definition[name] for name in definitions.GOALS if name in definition})
