"""Many rows in one go: COPY and arrays on PostgreSQL, executemany on SQLite. The hot path writes through here only.

Nothing here commits. ``connection`` is a SQLAlchemy connection inside a transaction; tables and columns are ours,
never a user's words.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles

from flowserver.extensions import Base, UtcDateTime

Rows = Sequence[Sequence[Any]]
FEW = 50


def is_postgres(connection: sa.Connection) -> bool:
    """Whether we speak to PostgreSQL."""
    return connection.dialect.name == "postgresql"


def insert(connection: sa.Connection, table: str, columns: tuple[str, ...], rows: Rows) -> None:
    """Insert rows; a duplicate of a unique key raises what :func:`is_duplicate` knows."""
    if not rows:
        return
    if is_postgres(connection):
        _copy(connection, table, columns, rows)
    else:
        marks = ", ".join("?" * len(columns))
        _many(
            connection,
            f"INSERT INTO {_quoted(table)} ({_names(columns)}) VALUES ({marks})",
            _lite(table, columns, rows),
        )


def insert_new(connection: sa.Connection, table: str, columns: tuple[str, ...], rows: Rows) -> int:
    """Insert rows and leave out those whose unique key is taken. Returns how many went in."""
    if not rows:
        return 0
    if is_postgres(connection):
        return (_few_new if len(rows) <= FEW else _copy_through)(connection, table, columns, rows)
    marks = ", ".join("?" * len(columns))
    statement = f"INSERT INTO {_quoted(table)} ({_names(columns)}) VALUES ({marks}) ON CONFLICT DO NOTHING"
    return _many(connection, statement, _lite(table, columns, rows))


def insert_returning(
    connection: sa.Connection, table: sa.Table, columns: tuple[str, ...], rows: Rows, returning: tuple[str, ...]
) -> list[tuple[Any, ...]]:
    """Insert rows and leave out those whose unique key is taken. Returns ``returning`` of those that went in."""
    if not rows:
        return []
    make = postgresql.insert if is_postgres(connection) else sqlite.insert
    statement: Any = make(table).on_conflict_do_nothing().returning(*(table.c[name] for name in returning))
    given = [dict(zip(columns, row, strict=True)) for row in rows]
    return [tuple(row) for row in connection.execute(statement, given)]


def lock_name(connection: sa.Connection, number: int, shared: bool = False) -> None:
    """Hold a lock named by a number until the transaction ends. SQLite has one writer, so nothing is to be done there."""
    if is_postgres(connection):
        lock = sa.func.pg_advisory_xact_lock_shared if shared else sa.func.pg_advisory_xact_lock
        connection.execute(sa.select(lock(number)))


def update(connection: sa.Connection, table: str, columns: tuple[str, ...], rows: Rows, where: str = "") -> int:
    """Update rows by id. A row is ``(id, *values)``; ``where`` adds a fence such as ``lease_id = 5``. Returns how many."""
    if not rows:
        return 0
    if is_postgres(connection):
        return _update_arrays(connection, table, columns, rows, where)
    sets = ", ".join(f'"{column}" = ?' for column in columns)
    statement = f"UPDATE {_quoted(table)} SET {sets} WHERE id = ?" + (f" AND {where}" if where else "")
    values = _lite(table, (*columns, "id"), [(*row[1:], row[0]) for row in rows])
    return _many(connection, statement, values)


def ids_in(column: sa.ColumnElement[Any], ids: Iterable[int]) -> sa.ColumnElement[bool]:
    """``column`` is one of ``ids``: one bound value however many there are, so the statement stays cached."""
    return _InIds(column, sa.literal(list(ids), _Ids()))


def is_duplicate(error: BaseException, table: str) -> bool:
    """Whether an exception says that a unique key of ``table`` was taken, from either database, wrapped or not."""
    raw: Any = getattr(error, "orig", error)
    if isinstance(raw, sqlite3.IntegrityError):
        return f"UNIQUE constraint failed: {table}." in str(raw)
    return getattr(raw, "sqlstate", "") == "23505" and raw.diag.table_name == table


def is_outage(error: BaseException) -> bool:
    """Whether an exception is the database's trouble (away, locked, a deadlock), not that of the rows in hand."""
    raw: Any = getattr(error, "orig", error)
    if isinstance(raw, sqlite3.Error):
        return isinstance(raw, sqlite3.OperationalError)
    return any(cls.__name__ in ("OperationalError", "InterfaceError") for cls in type(raw).__mro__)


def now_text(value: datetime) -> str:
    """An instant as SQLite keeps it."""
    return _text(value)


# --- PostgreSQL ------------------------------------------------------------------------------------------


def _cursor(connection: sa.Connection) -> Any:
    raw: Any = connection.connection
    return raw.cursor()


def _copy(connection: sa.Connection, table: str, columns: tuple[str, ...], rows: Rows) -> None:
    names = [_column_name(table, column) for column in columns]
    converters = _json_columns(table, columns)
    with _cursor(connection) as cursor, cursor.copy(f"COPY {_quoted(table)} ({_names(names)}) FROM STDIN") as copy:
        write = copy.write_row
        for row in rows:
            write(_dumped(row, converters) if converters else row)


def _few_new(connection: sa.Connection, table: str, columns: tuple[str, ...], rows: Rows) -> int:
    """A handful of rows is not worth a temporary table."""
    names = _names([_column_name(table, column) for column in columns])
    marks = ", ".join(["%s"] * len(columns))
    converters = _json_columns(table, columns)
    with _cursor(connection) as cursor:
        cursor.executemany(
            f"INSERT INTO {_quoted(table)} ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING",
            [_dumped(row, converters) if converters else row for row in rows],
        )
        return int(cursor.rowcount)


def _copy_through(connection: sa.Connection, table: str, columns: tuple[str, ...], rows: Rows) -> int:
    """COPY knows no ON CONFLICT: copy to a temporary table first."""
    names = _names([_column_name(table, column) for column in columns])
    with _cursor(connection) as cursor:
        cursor.execute(
            f"CREATE TEMP TABLE IF NOT EXISTS new_{table} ON COMMIT DROP AS SELECT {names} FROM {_quoted(table)} LIMIT 0"
        )
        converters = _json_columns(table, columns)
        with cursor.copy(f"COPY new_{table} ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(_dumped(row, converters) if converters else row)
        cursor.execute(f"INSERT INTO {_quoted(table)} ({names}) SELECT {names} FROM new_{table} ON CONFLICT DO NOTHING")
        count = int(cursor.rowcount)
        cursor.execute(f"TRUNCATE new_{table}")
        return count


def _update_arrays(connection: sa.Connection, table: str, columns: tuple[str, ...], rows: Rows, where: str) -> int:
    names = [_column_name(table, column) for column in columns]
    types = ["bigint", *(_pg_type(table, column) for column in columns)]
    sets = ", ".join(f'"{name}" = v.c{n}' for n, name in enumerate(names, 1))
    given = ", ".join(f"%s::{kind}[]" for kind in types)
    aliases = ", ".join(f"c{n}" for n in range(len(types)))
    fence = f" AND t.{where}" if where else ""
    converters = _json_columns(table, columns)
    arrays = [list(values) for values in zip(*rows, strict=True)]
    for n in converters:
        arrays[n + 1] = [None if value is None else _json(value) for value in arrays[n + 1]]
    with _cursor(connection) as cursor:
        cursor.execute(
            f"UPDATE {_quoted(table)} t SET {sets} FROM unnest({given}) v({aliases}) WHERE t.id = v.c0{fence}", arrays
        )
        return int(cursor.rowcount)


def _dumped(row: Sequence[Any], positions: tuple[int, ...]) -> list[Any]:
    values = list(row)
    for position in positions:
        if values[position] is not None:
            values[position] = _json(values[position])
    return values


# --- SQLite ----------------------------------------------------------------------------------------------


def _many(connection: sa.Connection, statement: str, rows: Iterable[Sequence[Any]]) -> int:
    raw: Any = connection.connection
    cursor = raw.cursor()
    try:
        cursor.executemany(statement, rows)
        return int(cursor.rowcount)
    finally:
        cursor.close()


def _lite(table: str, columns: tuple[str, ...], rows: Rows) -> Iterable[Sequence[Any]]:
    """Rows with instants and JSON in the text SQLite keeps them as."""
    converters = _lite_converters(table, columns)
    if not converters:
        return rows
    if len(converters) == 1:
        return _one_converted(rows, *converters[0])
    return [_converted(row, converters) for row in rows]


def _one_converted(rows: Rows, position: int, convert: Callable[[Any], Any]) -> Iterable[Sequence[Any]]:
    after = position + 1
    return [(*row[:position], None if row[position] is None else convert(row[position]), *row[after:]) for row in rows]


def _converted(row: Sequence[Any], converters: tuple[tuple[int, Callable[[Any], Any]], ...]) -> list[Any]:
    values = list(row)
    for position, convert in converters:
        value = values[position]
        if value is not None:
            values[position] = convert(value)
    return values


@lru_cache(4096)
def _text(value: datetime) -> str:
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


# --- what the tables say -----------------------------------------------------------------------------------


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # whole numbers beyond 64 bits
        return json.dumps(value)


@cache
def _column(table: str, column: str) -> sa.Column[Any]:
    columns = Base.metadata.tables[table].columns
    return columns[column] if column in columns else columns[column.rstrip("_")]


def _column_name(table: str, column: str) -> str:
    return str(_column(table, column).name)


@cache
def _json_columns(table: str, columns: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(n for n, column in enumerate(columns) if isinstance(_column(table, column).type, sa.JSON))


@cache
def _lite_converters(table: str, columns: tuple[str, ...]) -> tuple[tuple[int, Callable[[Any], Any]], ...]:
    found: list[tuple[int, Callable[[Any], Any]]] = []
    for position, column in enumerate(columns):
        kind = _column(table, column).type
        if isinstance(kind, UtcDateTime):
            found.append((position, _text))
        elif isinstance(kind, sa.JSON):
            found.append((position, _json))
    return tuple(found)


@cache
def _pg_type(table: str, column: str) -> str:
    kind = str(_column(table, column).type.compile(dialect=postgresql.dialect()))
    return "text" if kind.startswith("VARCHAR") else kind


def _quoted(table: str) -> str:
    return f'"{table}"'


def _names(columns: Iterable[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


# --- id lists ------------------------------------------------------------------------------------------------


class _Ids(sa.types.TypeDecorator[list[int]]):
    """A list of ids as one bound value: an array on PostgreSQL, JSON text on SQLite."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> Any:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(sa.ARRAY(sa.BigInteger))
        return dialect.type_descriptor(sa.Text())

    def process_bind_param(self, value: list[int] | None, dialect: sa.Dialect) -> Any:
        return value if dialect.name == "postgresql" else json.dumps(value)


class _InIds(sa.sql.expression.ColumnElement[bool]):
    inherit_cache = True
    type = sa.Boolean()
    _traverse_internals = [
        ("column", sa.sql.visitors.InternalTraversal.dp_clauseelement),
        ("ids", sa.sql.visitors.InternalTraversal.dp_clauseelement),
    ]

    def __init__(self, column: sa.ColumnElement[Any], ids: sa.ColumnElement[Any]):
        self.column, self.ids = column, ids


@compiles(_InIds)
def _in_json(element: _InIds, compiler: Any, **kw: Any) -> str:
    return f"{compiler.process(element.column, **kw)} IN (SELECT value FROM json_each({compiler.process(element.ids, **kw)}))"


@compiles(_InIds, "postgresql")
def _in_array(element: _InIds, compiler: Any, **kw: Any) -> str:
    return f"{compiler.process(element.column, **kw)} = ANY ({compiler.process(element.ids, **kw)})"
