"""Contacts whose field compares to a value, as a query that answers as ``nodes/conditions/field_compares.py`` does.

SQLite asks that very function. PostgreSQL gets it as SQL: case folding there depends on how the database was made, so
the letters that matter for the value asked for are folded one by one.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Mapping
from functools import cache
from typing import Any

import orjson
import sqlalchemy as sa

from flowserver.extensions import db
from flowserver.models import Contact
from flowserver.nodes.conditions import field_compares as rules
from flowserver.services.engine import bulk

_C = Contact.__table__.c
_FUNCTION = "flowserver_compares"
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_NUMBER = r"^[+-]?([0-9]+([.,][0-9]*)?|[.,][0-9]+)$"
_SPACES = "".join(char for char in map(chr, range(0x3001)) if char.isspace())


def matching(rule: Mapping[str, Any], workspace_id: int) -> sa.Select[Any]:
    """The contacts for whom ``{field, operator, value}`` holds now: a query of their ``id``."""
    connection = db.session.connection()
    holds = _postgres if bulk.is_postgres(connection) else _sqlite
    condition = holds(rule["field"], rule["operator"], rule.get("value"))
    return sa.select(_C.id).where(_C.workspace_id == workspace_id, condition)


# --- SQLite ------------------------------------------------------------------------------------------------


def _sqlite(key: str, operator: str, wanted: Any) -> Any:
    raw: Any = db.session.connection().connection.dbapi_connection
    raw.create_function(_FUNCTION, 4, _compare, deterministic=True)
    path = f'$."{key}"'
    kind: Any = sa.func.json_type(_C.fields, path, type_=sa.Text)
    value: Any = sa.func.json_extract(_C.fields, path)
    if key in rules.CORE:
        kind, value = sa.literal("text"), _C[key]
    return getattr(sa.func, _FUNCTION)(kind, value, operator, orjson.dumps(wanted).decode(), type_=sa.Integer) == 1


def _compare(kind: str | None, value: Any, operator: str, wanted: str) -> bool:
    found = {"true": True, "false": False}.get(kind or "", value)
    return rules.compare(rules.present(found), operator, orjson.loads(wanted))


# --- PostgreSQL --------------------------------------------------------------------------------------------


def _postgres(key: str, operator: str, wanted: Any) -> Any:
    kind: Any = sa.func.jsonb_typeof(_C.fields.op("->")(sa.literal(key, sa.Text)))
    text: Any = _C.fields.op("->>")(sa.literal(key, sa.Text))
    if key in rules.CORE:
        kind, text = sa.literal("string"), _C[key]
    trimmed = sa.func.btrim(text, _SPACES)
    there = sa.func.coalesce(trimmed, "") != ""
    if operator in rules.ALONE:
        return there if operator == "is_set" else ~there
    if operator == "contains":
        answer = sa.func.strpos(_folded(trimmed, wanted), rules.fold(wanted)) > 0
    elif operator in ("less", "more"):
        answer = _in_order(kind, trimmed, wanted, operator == "less")
    else:
        answer = _equal(kind, trimmed, wanted)
        answer = answer if operator == "equals" else ~answer
    return sa.and_(there, answer)


def _equal(kind: Any, text: Any, wanted: Any) -> Any:
    number = rules.number(wanted)
    return sa.case(
        (kind == "boolean", text == _truth(wanted)),
        (kind == "number", _as_number(text) == number if number is not None else sa.false()),
        else_=_folded(text, wanted) == rules.fold(wanted),
    )


def _truth(wanted: Any) -> str:
    """ "true", "false", or "" for a value that is neither."""
    return next(
        (word for word, truth in (("true", True), ("false", False)) if rules.compare(truth, "equals", wanted)), ""
    )


def _in_order(kind: Any, text: Any, wanted: Any, less: bool) -> Any:
    number, day = rules.number(wanted), str(wanted).strip()
    known = _as_number(text)
    if number is not None:
        is_number = sa.or_(kind == "number", sa.and_(kind == "string", text.op("~")(_NUMBER)))
        return sa.case((is_number, known < number if less else known > number), else_=sa.false())
    plain = text.collate("C")
    is_day = sa.and_(kind == "string", text.op("~")(_DATE), sa.literal(day).op("~")(_DATE))
    return sa.case((is_day, plain < day if less else plain > day), else_=sa.false())


def _as_number(text: Any) -> Any:
    return sa.cast(sa.func.replace(text, ",", "."), sa.Numeric(asdecimal=True))


def _folded(text: Any, wanted: Any) -> Any:
    """``rules.fold`` as SQL, as far as letters of ``wanted`` are concerned."""
    letters = set(unicodedata.normalize("NFD", rules.fold(wanted)))
    mattering = {char: folded for char, (folded, made_of) in _folding().items() if letters & made_of}
    single = {char: folded for char, folded in mattering.items() if len(folded) == 1}
    found = sa.func.normalize(text, sa.literal_column("NFC"))
    if single:
        found = sa.func.translate(found, "".join(single), "".join(single.values()))
    for char, folded in mattering.items():
        if len(folded) > 1:
            found = sa.func.replace(found, char, folded)
    return sa.func.normalize(found, sa.literal_column("NFC"))


@cache
def _folding() -> dict[str, tuple[str, frozenset[str]]]:
    """Every character that case folding changes: what it becomes, and the letters and marks that is made of."""
    chars = (chr(code) for code in range(sys.maxunicode + 1))
    changed = {char: folded for char in chars if (folded := char.casefold()) != char}
    return {char: (folded, frozenset(unicodedata.normalize("NFD", folded))) for char, folded in changed.items()}
