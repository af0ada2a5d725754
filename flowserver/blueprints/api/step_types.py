"""What definitions can be made of: starting points, steps and questions, from the nodes there are."""

from __future__ import annotations

import inspect
from typing import Any

from marshmallow import fields as plain

from flowserver.blueprints.api import fields
from flowserver.blueprints.api.kit import Resource
from flowserver.blueprints.say import say
from flowserver.nodes import catalogue
from flowserver.nodes.base import Ref

resource = Resource("Step types", 65, "What definitions of flows can be made of.", part="flows")

KINDS: dict[str, Any] = {"trigger": catalogue.triggers, "action": catalogue.actions, "condition": catalogue.conditions}


class Setting(fields.Shown):
    """One setting of a type."""

    name = plain.String()
    required = plain.Boolean()
    refers_to = plain.String(
        allow_none=True,
        metadata={"description": "Kind of object it names, by id or name; step: an earlier step's key."},
    )
    one_of = plain.List(plain.String(), allow_none=True, metadata={"description": "The words it takes; null: others."})


class StepType(fields.Shown):
    """A type of starting point, step or question."""

    kind = plain.String(metadata={"enum": list(KINDS)})
    type = plain.String()
    title = plain.String()
    about = plain.String()
    lanes = plain.List(plain.String(), metadata={"description": "Lists of steps it holds."})
    settings = plain.List(plain.Nested(Setting))


class StepTypes(fields.Shown):
    """All types there are."""

    data = plain.List(plain.Nested(StepType))


EXAMPLE = {
    "kind": "action",
    "type": "join_list",
    "title": "Add to a list",
    "about": "Add the contact to a list; flows that start with this list see it.",
    "lanes": [],
    "settings": [{"name": "list", "required": True, "refers_to": "list", "one_of": None}],
}


@resource.reads("/step-types", shows=StepTypes, example={"data": [EXAMPLE]})
def list_step_types() -> Any:
    """List what definitions can be made of.

    Triggers stand in `trigger`, actions in `steps`, conditions in the `if` of an if/else, alone or in `all`, `any` and
    `not`. A trigger also takes `wait`, `reentry`, `cooldown` and `include_existing`.
    """
    return {"data": [_show(kind, name, node) for kind, found in KINDS.items() for name, node in found().items()]}


def _show(kind: str, name: str, node: Any) -> dict[str, Any]:
    about = inspect.getdoc(inspect.getmodule(node)) or ""
    return {
        "kind": kind,
        "type": name,
        "title": say(node.title),
        "about": " ".join(about.partition("\n\n")[0].split()),
        "lanes": [port for port in getattr(node, "ports", ()) if port != "next"],
        "settings": [_setting(name, field) for name, field in node.Settings._declared_fields.items()],
    }


def _setting(name: str, field: Any) -> dict[str, Any]:
    words = next((check.choices for check in field.validators if hasattr(check, "choices")), None)
    return {
        "name": field.data_key or name,
        "required": field.required,
        "refers_to": field.source if isinstance(field, Ref) else None,
        "one_of": [str(word) for word in words] if words else None,
    }
