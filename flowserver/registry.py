"""Finds plug-in classes by walking a folder: a new file is all it takes to add one."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from functools import cache
from importlib.metadata import entry_points
from types import ModuleType
from typing import TypeVar

Plugin = TypeVar("Plugin", bound=type)


@cache
def modules(package: str) -> tuple[ModuleType, ...]:
    """Every module inside ``package`` (dotted name), sub-packages included, imported, in name order."""
    root = importlib.import_module(package)
    found = [importlib.import_module(info.name) for info in pkgutil.walk_packages(root.__path__, package + ".")]
    return tuple(sorted(found, key=lambda module: module.__name__))


@cache
def discover(package: str, base: type, group: str | None = None) -> dict[str, type]:
    """``{name: class}`` of the concrete subclasses of ``base`` below ``package``.

    ``group`` names an entry-point group (``flowserver.nodes``) through which installed packages
    add classes of their own. Two classes of one name are a mistake and raise ``ValueError``.
    """
    classes = [
        member
        for module in modules(package)
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, base) and member.__module__ == module.__name__
    ]
    classes += [entry.load() for entry in (entry_points(group=group) if group else ())]
    found: dict[str, type] = {}
    for cls in classes:
        name = cls.__dict__.get("name", "")
        if not name:
            continue
        if name in found and found[name] is not cls:
            raise ValueError(f"{cls.__module__}: the name {name!r} is taken by {found[name].__module__}")
        found[name] = cls
    return dict(sorted(found.items()))
