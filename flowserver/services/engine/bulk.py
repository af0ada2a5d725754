"""Many rows in one go: COPY and arrays on PostgreSQL, executemany on SQLite. The hot path writes through here only.

Nothing here commits. ``connection`` is a SQLAlchemy connection inside a transaction; tables and columns are ours,
never a user's words.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, date, datetime
from functools import cache, lru_cache, partial
from itertools import chain
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.compiler import compiles

from flowserver.extensions import Base, UtcDateTime

Rows = Sequence[Sequence[Any]]
Column = Sequence[Any]
FEW = 50
MOST_VALUES = 999  # of one statement, on an old SQLite
ALIKE = 20  # rows that write the same values, on average, for one statement each to pay


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
        _lite_insert(connection, table, columns, rows)


def insert_new(connection: sa.Connection, table: str, columns: tuple[str, ...], rows: Rows) -> int:
    """Insert rows and leave out those whose unique key is taken. Returns how many went in."""
    if not rows:
        return 0
    if is_postgres(connection):
        return (_few_new if len(rows) <= FEW else _copy_through)(connection, table, columns, rows)
    return _lite_insert(connection, table, columns, rows, " ON CONFLICT DO NOTHING")


def insert_returning(
    connection: sa.Connection, table: sa.Table, columns: tuple[str, ...], rows: Rows, returning: tuple[str, ...]
) -> list[tuple[Any, ...]]:
    """Insert rows and leave out those whose unique key is taken. Returns ``returning`` of those that went in: numbers
    and texts, as the driver gives them."""
    if not rows:
        return []
    make = _pg_insert_returning if is_postgres(connection) else _lite_insert_returning
    return make(connection, table.name, columns, rows, _names(returning))


def lock_name(connection: sa.Connection, number: int, shared: bool = False) -> None:
    """Hold a lock named by a number until the transaction ends. SQLite has one writer, so nothing is to be done there."""
    if is_postgres(connection):
        lock = sa.func.pg_advisory_xact_lock_shared if shared else sa.func.pg_advisory_xact_lock
        connection.execute(sa.select(lock(number)))


def update(connection: sa.Connection, table: str, columns: tuple[str, ...], rows: Rows, where: str = "") -> int:
    """Update rows by id. A row is ``(id, *values)``; ``where`` adds a fence such as ``lease_id = 5``. Returns how many."""
    if not rows:
        return 0
    groups = _alike(rows)
    if groups is not None:
        return sum(_update_alike(connection, table, columns, *group, where) for group in groups.items())
    if is_postgres(connection):
        return _update_arrays(connection, table, columns, rows, where)
    sets = ", ".join(f'"{column}" = ?' for column in columns)
    statement = f"UPDATE {_quoted(table)} SET {sets} WHERE id = ?" + (f" AND {where}" if where else "")
    values = _lite(table, (*columns, "id"), [(*row[1:], row[0]) for row in rows])
    return _many(connection, statement, values)


def _alike(rows: Rows) -> Mapping[tuple[Any, ...], list[int]] | None:
    """Ids by what is to be written, where many rows get the same; ``None`` where they differ or hold JSON."""
    groups: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    most = len(rows) // ALIKE
    try:
        for row in rows:
            groups[tuple(row[1:])].append(row[0])
            if len(groups) > most:
                return None
    except TypeError:
        return None
    return groups


def _update_alike(
    connection: sa.Connection, table: str, columns: tuple[str, ...], values: tuple[Any, ...], ids: list[int], where: str
) -> int:
    """Write the same values to all these rows."""
    fence = f" AND {where}" if where else ""
    if is_postgres(connection):
        sets = ", ".join(f'"{_column_name(table, column)}" = %s' for column in columns)
        given = (*values, _pg_array(ids))
        statement = f"UPDATE {_quoted(table)} SET {sets} WHERE id = ANY (%s::bigint[]){fence}"
    else:
        sets = ", ".join(f'"{column}" = ?' for column in columns)
        given = (*next(iter(_lite(table, columns, [values]))), json.dumps(ids))
        statement = f"UPDATE {_quoted(table)} SET {sets} WHERE id IN (SELECT value FROM json_each(?)){fence}"
    with closing(_cursor(connection)) as cursor:
        cursor.execute(statement, given)
        return int(cursor.rowcount)


def fetch(
    connection: sa.Connection, statement: sa.Select[Any], columns: tuple[sa.Column[Any], ...], given: Mapping[str, Any]
) -> list[tuple[Any, ...]]:
    """The rows of a select of ``columns``, converted column by column: half the time that rows of their own take."""
    result = connection.execute(statement, given)
    cursor: Any = result.cursor
    rows: list[tuple[Any, ...]] = cursor.fetchall()
    result.close()
    readers = _readers(columns, is_postgres(connection))
    if not rows or not readers:
        return rows
    values: list[Column] = list(zip(*rows, strict=True))
    for position, read in readers:
        values[position] = read(values[position])
    return list(zip(*values, strict=True))


@cache
def _readers(columns: tuple[sa.Column[Any], ...], postgres: bool) -> tuple[tuple[int, Callable[[Column], Column]], ...]:
    """What makes Python values of what the driver gives, for the columns where it gives something else."""
    found: list[tuple[int, Callable[[Column], Column]]] = []
    for position, column in enumerate(columns):
        if isinstance(column.type, UtcDateTime):
            found.append((position, _utc if postgres else _lite_utc))
        elif isinstance(column.type, sa.JSON) and not postgres:
            found.append((position, _lite_loaded))
    return tuple(found)


def _utc(values: Column) -> Column:
    return [None if value is None else value.astimezone(UTC) for value in values]


def _lite_utc(texts: Column) -> Column:
    known = {text: None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC) for text in set(texts)}
    return [known[text] for text in texts]


def _lite_loaded(texts: Column) -> Column:
    return [None if text is None else orjson.loads(text) for text in texts]


def ids_in(column: sa.ColumnElement[Any], ids: Iterable[int]) -> sa.ColumnElement[bool]:
    """``column`` is one of ``ids``: one bound value however many there are, so the statement stays cached."""
    return _In(column, sa.literal(list(ids), _IDS))


def ids_named(column: sa.ColumnElement[Any], name: str = "ids") -> sa.ColumnElement[bool]:
    """As :func:`ids_in`, for a statement that is made once: the ids are given under ``name`` when it is executed."""
    return _In(column, sa.bindparam(name, type_=_IDS))


def texts_named(column: sa.ColumnElement[Any], name: str = "texts") -> sa.ColumnElement[bool]:
    """As :func:`ids_named`, for texts."""
    return _In(column, sa.bindparam(name, type_=_TEXTS))


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
    with _cursor(connection) as cursor:
        _copy_to(cursor, table, table, columns, rows)


def _copy_to(cursor: Any, target: str, table: str, columns: tuple[str, ...], rows: Rows) -> None:
    """COPY as text put together column by column: a third of the time that converting value by value takes."""
    names = _names([_column_name(table, column) for column in columns])
    texts = [make(values) for make, values in zip(_copy_texts(table, columns), zip(*rows, strict=True), strict=True)]
    lines = map("\t".join, zip(*texts, strict=True))
    with cursor.copy(f"COPY {_quoted(target)} ({names}) FROM STDIN") as copy:
        copy.write("\n".join(lines) + "\n")


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
        _copy_to(cursor, f"new_{table}", table, columns, rows)
        cursor.execute(f"INSERT INTO {_quoted(table)} ({names}) SELECT {names} FROM new_{table} ON CONFLICT DO NOTHING")
        count = int(cursor.rowcount)
        cursor.execute(f"TRUNCATE new_{table}")
        return count


def _update_arrays(connection: sa.Connection, table: str, columns: tuple[str, ...], rows: Rows, where: str) -> int:
    """Columns travel as JSON lists of texts, which are made and read faster than arrays; one that is the same in all
    rows travels once."""
    ids, *values = zip(*rows, strict=True)
    sets, sources, given = [], ["unnest(%s::bigint[])"], [_pg_array(ids)]
    fixed: list[Any] = []
    for column, found in zip(columns, values, strict=True):
        name, kind = _column_name(table, column), _pg_type(table, column)
        texts = found if kind == "text" else _pg_texts(_column(table, column).type, found)
        if texts.count(texts[0]) == len(texts):
            sets.append(f'"{name}" = %s::{kind}')
            fixed.append(texts[0])
        else:
            sets.append(f'"{name}" = v.c{len(sources)}::{kind}')
            sources.append("json_array_elements_text(%s::json)")
            given.append(_json(texts))
    aliases = ", ".join(f"c{n}" for n in range(len(sources)))
    fence = f" AND t.{where}" if where else ""
    with _cursor(connection) as cursor:
        cursor.execute(
            f"UPDATE {_quoted(table)} t SET {', '.join(sets)} FROM ROWS FROM ({', '.join(sources)}) v({aliases})"
            f" WHERE t.id = v.c0{fence}",
            [*fixed, *given],
        )
        return int(cursor.rowcount)


def _pg_insert_returning(
    connection: sa.Connection, table: str, columns: tuple[str, ...], rows: Rows, returning: str
) -> list[tuple[Any, ...]]:
    """One statement for any number of rows: columns travel as JSON lists of texts, as in :func:`_update_arrays`."""
    values: list[tuple[str, Any]] = []
    sources: list[str] = []
    given: list[str] = []
    for column, found in zip(columns, zip(*rows, strict=True), strict=True):
        kind = _pg_type(table, column)
        texts = found if kind == "text" else _pg_texts(_column(table, column).type, found)
        if texts.count(texts[0]) == len(texts):
            values.append((f"%s::{kind}", texts[0]))
        else:
            values.append((f"v.c{len(sources)}::{kind}", None))
            sources.append("json_array_elements_text(%s::json)")
            given.append(_json(texts))
    fixed = [text for source, text in values if source.startswith("%s")]
    if sources:
        from_ = f"ROWS FROM ({', '.join(sources)}) v({', '.join(f'c{n}' for n in range(len(sources)))})"
    else:  # one row, or several alike, of which the unique key lets one in
        from_ = "(SELECT 1) v"
    names = _names([_column_name(table, column) for column in columns])
    with _cursor(connection) as cursor:
        cursor.execute(
            f"INSERT INTO {_quoted(table)} ({names}) SELECT {', '.join(source for source, _ in values)} FROM {from_}"
            f" ON CONFLICT DO NOTHING RETURNING {returning}",
            [*fixed, *given],
        )
        return list(cursor.fetchall())


def _pg_texts(kind: sa.types.TypeEngine[Any], values: Column) -> list[str | None]:
    """Values as PostgreSQL reads them from text; ``None`` stays."""
    if isinstance(kind, sa.JSON):
        return [None if value is None else _json(value) for value in values]
    write = _WRITERS.get(type(kind), str)
    known = {value: None if value is None else write(value) for value in set(values)}
    return [known[value] for value in values]


_WRITERS: dict[type, Callable[[Any], str]] = {UtcDateTime: datetime.isoformat, sa.Date: date.isoformat}


def _pg_array(ids: Iterable[int]) -> str:
    return "{" + ",".join(map(str, ids)) + "}"


def _pg_text_array(texts: Iterable[str]) -> str:
    return "{" + ",".join('"' + text.replace("\\", r"\\").replace('"', r"\"") + '"' for text in texts) + "}"


@cache
def _copy_texts(table: str, columns: tuple[str, ...]) -> tuple[Callable[[Column], Iterable[str]], ...]:
    """For each column what turns its values into the text COPY reads."""
    kinds = [_column(table, column).type for column in columns]
    return tuple(_copy_strings if isinstance(kind, sa.String) else partial(_copy_others, kind) for kind in kinds)


def _copy_strings(values: Column) -> Iterable[str]:
    if None not in values and not _SPECIAL.search("\0".join(values)):
        return values
    return [_NULL if value is None else _escaped(value) for value in values]


def _copy_others(kind: sa.types.TypeEngine[Any], values: Column) -> Iterable[str]:
    if isinstance(kind, sa.Integer) and None not in values:
        return map(str, values)
    texts = _pg_texts(kind, values)
    return _copy_strings(texts) if isinstance(kind, sa.JSON) else [text or _NULL for text in texts]


_NULL = r"\N"
_SPECIAL = re.compile(r"[\\\t\n\r]")


def _escaped(text: str) -> str:
    if not _SPECIAL.search(text):
        return text
    return text.replace("\\", r"\\").replace("\t", r"\t").replace("\n", r"\n").replace("\r", r"\r")


def _dumped(row: Sequence[Any], positions: tuple[int, ...]) -> list[Any]:
    values = list(row)
    for position in positions:
        if values[position] is not None:
            values[position] = _json(values[position])
    return values


# --- SQLite ----------------------------------------------------------------------------------------------


def _lite_insert(connection: sa.Connection, table: str, columns: tuple[str, ...], rows: Rows, end: str = "") -> int:
    """Insert as many rows with each statement as it takes values: a third faster than row by row."""
    start = f"INSERT INTO {_quoted(table)} ({_names(columns)}) VALUES "
    row = f"({', '.join('?' * len(columns))})"
    given = list(_lite(table, columns, rows))
    many = max(1, MOST_VALUES // len(columns))
    whole = len(given) - len(given) % many
    statement, count = start + ", ".join([row] * many) + end, 0
    with closing(_cursor(connection)) as cursor:
        for at in range(0, whole, many):
            cursor.execute(statement, list(chain.from_iterable(given[at : at + many])))
            count += cursor.rowcount
        if whole < len(given):
            cursor.executemany(start + row + end, given[whole:])
            count += cursor.rowcount
    return count


def _lite_insert_returning(
    connection: sa.Connection, table: str, columns: tuple[str, ...], rows: Rows, returning: str
) -> list[tuple[Any, ...]]:
    """As many rows with each statement as it takes values."""
    start, row = f"INSERT INTO {_quoted(table)} ({_names(columns)}) VALUES ", f"({', '.join('?' * len(columns))})"
    given = list(_lite(table, columns, rows))
    many = max(1, MOST_VALUES // len(columns))
    found: list[tuple[Any, ...]] = []
    with closing(_cursor(connection)) as cursor:
        for at in range(0, len(given), many):
            part = given[at : at + many]
            statement = f"{start}{', '.join([row] * len(part))} ON CONFLICT DO NOTHING RETURNING {returning}"
            found += cursor.execute(statement, list(chain.from_iterable(part))).fetchall()
    return found


def _many(connection: sa.Connection, statement: str, rows: Iterable[Sequence[Any]]) -> int:
    with closing(_cursor(connection)) as cursor:
        cursor.executemany(statement, rows)
        return int(cursor.rowcount)


def _lite(table: str, columns: tuple[str, ...], rows: Rows) -> Iterable[Sequence[Any]]:
    """Rows with instants and JSON in the text SQLite keeps them as, converted column by column."""
    converters = _lite_converters(table, columns)
    if not converters:
        return rows
    values: list[Column] = list(zip(*rows, strict=True))
    for position, convert in converters:
        values[position] = convert(values[position])
    return zip(*values, strict=True)


def _lite_instants(values: Column) -> Column:
    known = {value: None if value is None else _text(value) for value in set(values)}
    return [known[value] for value in values]


def _lite_json(values: Column) -> Column:
    return [None if value is None else _json(value) for value in values]


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
def _lite_converters(table: str, columns: tuple[str, ...]) -> tuple[tuple[int, Callable[[Column], Column]], ...]:
    found: list[tuple[int, Callable[[Column], Column]]] = []
    for position, column in enumerate(columns):
        kind = _column(table, column).type
        if isinstance(kind, UtcDateTime):
            found.append((position, _lite_instants))
        elif isinstance(kind, sa.JSON):
            found.append((position, _lite_json))
    return tuple(found)


@cache
def _pg_type(table: str, column: str) -> str:
    kind = str(_column(table, column).type.compile(dialect=postgresql.dialect()))
    return "text" if kind.startswith(("VARCHAR", "TEXT")) else kind


def _quoted(table: str) -> str:
    return f'"{table}"'


def _names(columns: Iterable[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


# --- id lists ------------------------------------------------------------------------------------------------


class _List(sa.types.UserDefinedType[Any]):
    """Values as one bound text: an array's on PostgreSQL, JSON on SQLite."""

    cache_ok = True
    render_bind_cast = True  # PostgreSQL reads it as the array it is, before it plans

    def __init__(self, kind: str):
        self.kind = kind

    def get_col_spec(self, **_: Any) -> str:
        return f"{self.kind}[]"

    def bind_processor(self, dialect: sa.Dialect) -> Any:
        if dialect.name == "postgresql":
            return _pg_array if self.kind == "BIGINT" else _pg_text_array
        return lambda values: _json(list(values))


_IDS, _TEXTS = _List("BIGINT"), _List("TEXT")


class _In(sa.sql.expression.ColumnElement[bool]):
    inherit_cache = True
    type = sa.Boolean()
    _traverse_internals = [
        ("column", sa.sql.visitors.InternalTraversal.dp_clauseelement),
        ("values", sa.sql.visitors.InternalTraversal.dp_clauseelement),
    ]

    def __init__(self, column: sa.ColumnElement[Any], values: sa.BindParameter[Any]):
        self.column, self.values = column, values


@compiles(_In)
def _in_json(element: _In, compiler: Any, **kw: Any) -> str:
    values = compiler.process(element.values, **kw)
    return f"{compiler.process(element.column, **kw)} IN (SELECT value FROM json_each({values}))"


@compiles(_In, "postgresql")
def _in_array(element: _In, compiler: Any, **kw: Any) -> str:
    return f"{compiler.process(element.column, **kw)} = ANY ({compiler.process(element.values, **kw)})"
