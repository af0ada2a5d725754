"""All nodes there are, by name, found by walking the folders."""

from flowserver.nodes.base import OF_A_RUN, Action, Condition, Trigger
from flowserver.registry import discover
from flowserver.text import Text


def triggers() -> dict[str, type[Trigger]]:
    """Every trigger by name."""
    return discover("flowserver.nodes.triggers", Trigger, "flowserver.nodes")


def actions() -> dict[str, type[Action]]:
    """Every action by name: what can stand in a list of steps."""
    return discover("flowserver.nodes.actions", Action, "flowserver.nodes")


def conditions() -> dict[str, type[Condition]]:
    """Every condition by name: what an if/else can ask."""
    return discover("flowserver.nodes.conditions", Condition, "flowserver.nodes")


def of_contacts() -> dict[str, type[Condition]]:
    """The conditions a segment can ask: those about the contact, not about its passage through a flow."""
    return {name: cls for name, cls in conditions().items() if cls.in_segments and not cls.needs & OF_A_RUN}


def reasons() -> dict[str, Text]:
    """Why a step may have done nothing: the reason codes of all actions, in words."""
    return {code: words for action in actions().values() for code, words in action.reasons.items()}
