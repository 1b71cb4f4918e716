"""Many rows at once, without a model in between: ten thousand ports are stored and read in milliseconds. Both databases.

To PostgreSQL a whole table of values goes beside one statement, and octets go and come as they are: its usual way is a statement a row,
and octets written out as text of twice the length.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connection, models


def put(
    model: type[models.Model],
    names: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    once: Sequence[str] = (),
) -> None:
    """Inserts ``rows``, each with a value for every field of ``names``. One that is there already, by the fields ``once``, is
    overwritten. Values are as the database takes them: numbers, text, octets."""
    ready = list(rows)
    if not ready:
        return
    columns, unique = _columns(model, names), _columns(model, once)
    sql = f"INSERT INTO {_table(model)} ({', '.join(columns)}) "
    end = ""
    if unique:
        news = ", ".join(f"{name} = EXCLUDED.{name}" for name in columns if name not in unique)
        end = f" ON CONFLICT ({', '.join(unique)}) DO UPDATE SET {news}"
    if connection.vendor == "postgresql":
        arrays = ", ".join(f"%b::{kind}[]" for kind in _kinds(model, names))
        values = f"SELECT * FROM unnest({arrays})"  # noqa: S608 - only types of our own columns
        with _postgresql() as cursor:
            cursor.execute(f"{sql}{values}{end}", [list(one) for one in zip(*ready, strict=True)])
        return
    places = ", ".join(["%s"] * len(columns))
    with connection.cursor() as cursor:
        cursor.executemany(f"{sql}VALUES ({places}){end}", ready)


def pick(
    model: type[models.Model],
    names: Sequence[str],
    key: str,
    values: Collection[int],
    *,
    locked: bool = False,
) -> list[tuple[Any, ...]]:
    """The fields ``names`` of the rows whose field ``key`` is one of ``values``, in their order; as the database gives them.

    ``locked``: nobody else gets them so until the transaction ends. On SQLite a transaction that writes is alone anyway.
    """
    if not values:
        return []
    (column,) = _columns(model, [key])
    end = f" ORDER BY {column}"
    if locked and connection.features.has_select_for_update:
        end += " FOR UPDATE"
    what = f"SELECT {', '.join(_columns(model, names))} FROM {_table(model)}"  # noqa: S608 - only names of our own models
    return _fetch(f"{what} WHERE {_one_of(column, values)}{end}")


def listed(
    model: type[models.Model], names: Sequence[str], key: str, values: Collection[int]
) -> list[tuple[Any, ...]]:
    """A row for each of the ``values`` that a field ``key`` has: the value, and of each field of ``names`` all its numbers as one text."""
    if not values:
        return []
    (column,) = _columns(model, [key])
    how = (
        "STRING_AGG(COALESCE({}, 0)::text, ',')"
        if connection.vendor == "postgresql"
        else "GROUP_CONCAT(COALESCE({}, 0))"
    )
    lists = ", ".join(how.format(one) for one in _columns(model, names))
    return _fetch(
        f"SELECT {column}, {lists} FROM {_table(model)} WHERE {_one_of(column, values)} GROUP BY {column}"  # noqa: S608 - only names of our own models
    )


def _one_of(column: str, values: Collection[int]) -> str:
    # The numbers stand in the statement: SQLite takes only so many beside it.
    return f"{column} IN ({','.join(map(str, map(int, values)))})"


def in_ranges(
    model: type[models.Model],
    names: Sequence[str],
    ranges: Sequence[tuple[int, int]],
    *,
    most: int | None = None,
) -> list[tuple[Any, ...]]:
    """The fields ``names`` of the rows whose primary key lies in one of the ``ranges`` (the end not included), by that key.

    ``most``: the first so many of them.
    """
    (key,) = _columns(model, [model._meta.pk.name])
    # Numbers that stand in the statement tell the database how few rows it will be.
    where = " OR ".join(f"({key} >= {int(first)} AND {key} < {int(end)})" for first, end in ranges)
    limit = "" if most is None else f" LIMIT {int(most)}"
    what = f"SELECT {', '.join(_columns(model, names))} FROM {_table(model)}"  # noqa: S608 - only names of our own models
    return _fetch(f"{what} WHERE {where} ORDER BY {key}{limit}")


def _fetch(sql: str) -> list[tuple[Any, ...]]:
    """All rows that a statement finds. Octets come as ``bytes``."""
    if connection.vendor == "postgresql":
        with _postgresql() as cursor:
            return cursor.execute(sql, binary=True).fetchall()
    with connection.cursor() as cursor:
        cursor.execute(sql)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


@contextmanager
def _postgresql() -> Iterator[psycopg.Cursor[Any]]:
    """One that sends values beside the statement; Django's own writes them into it."""
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        yield cursor


def _table(model: type[models.Model]) -> str:
    return connection.ops.quote_name(model._meta.db_table)


def _columns(model: type[models.Model], names: Sequence[str]) -> list[str]:
    by_name = {one.name: one.column or one.name for one in model._meta.concrete_fields}
    return [connection.ops.quote_name(by_name[name]) for name in names]


def _kinds(model: type[models.Model], names: Sequence[str]) -> list[str]:
    """Of columns, without their lengths: a cast would cut what is too long instead of refusing it."""
    by_name = {one.name: str(one.db_type(connection)) for one in model._meta.concrete_fields}
    return [by_name[name].partition("(")[0] for name in names]
