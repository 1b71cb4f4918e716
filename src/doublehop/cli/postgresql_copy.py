"""Copies of a PostgreSQL database, by pg_dump and pg_restore: one moment out, one transaction in."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.db import connection, transaction
from psycopg.conninfo import make_conninfo

from doublehop.cli.copy_file import Facts
from doublehop.cli.facts import facts_of
from doublehop.cli.stopping import CannotGoOn

RESTORED = "doublehop_restored"
"""A table of one row that comes and goes with a restore: as long as it is there, the copy is not in quarantine yet."""
_EMPTY = """
DO $$
DECLARE one record;
BEGIN
  FOR one IN
    SELECT CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE'
             ELSE 'TABLE' END AS kind, format('public.%I', relname) AS name,
           CASE relkind WHEN 'S' THEN 2 ELSE 1 END AS turn  -- a sequence may go with its table
    FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
    UNION ALL
    SELECT 'ROUTINE', format('public.%I(%s)', proname, pg_get_function_identity_arguments(p.oid)), 3
    FROM pg_proc p WHERE pronamespace = 'public'::regnamespace
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
    UNION ALL
    SELECT 'TYPE', format('public.%I', typname), 4
    FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
    WHERE typnamespace = 'public'::regnamespace AND (typtype IN ('e', 'd') OR c.relkind = 'c')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = t.oid AND d.deptype = 'e')
    ORDER BY turn
  LOOP
    EXECUTE format('DROP %s IF EXISTS %s CASCADE', one.kind, one.name);
  END LOOP;
END $$;
"""


def copy_out(to: Path) -> Facts:
    """In PostgreSQL's custom format. What is written meanwhile is not in it. Raises CannotGoOn."""
    dump = _program("pg_dump")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute("SELECT pg_export_snapshot()")
        snapshot = cursor.fetchone()[0]
        _run([dump, "--format=custom", f"--snapshot={snapshot}", f"--file={to}", f"--dbname={_target()}"])
        return facts_now()


def facts_now() -> Facts:
    def ask(statement: str) -> Sequence[Sequence[Any]]:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    return facts_of(ask, connection.introspection.table_names())


def put_in_place(dump: Path, taken_at: datetime) -> None:
    """Everything in the schema ``public`` is replaced, in one transaction: all of it, or nothing. Raises CannotGoOn.

    psql commits only what ends with our COMMIT, so a death in between, ours too, leaves the old database.
    """
    unpack = [_program("pg_restore"), "--no-owner", "--no-privileges", "--file=-", str(dump)]
    psql = subprocess.Popen(
        [_program("psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--dbname={_target()}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=_environment(),
    )
    assert psql.stdin is not None  # noqa: S101 (asked for above)
    try:
        _feed(psql.stdin, unpack, taken_at)
        _, said = psql.communicate()
    except (BrokenPipeError, CannotGoOn) as error:
        # The end of its input without our COMMIT: it rolls back.
        _, said = psql.communicate()
        if not psql.returncode:
            raise CannotGoOn(f"{error} The database is as it was.") from error
    except BaseException:
        psql.kill()
        psql.communicate()
        raise
    if psql.returncode:
        raise CannotGoOn(f"The database refused the copy, and is as it was: {_first_error(said)}")


def _feed(psql: IO[bytes], unpack: list[str], taken_at: datetime) -> None:
    psql.write(f"SET lock_timeout = '30s'; SET client_min_messages = warning;\nBEGIN;\n{_EMPTY}\n".encode())
    psql.flush()
    _run(unpack, stdout=psql.fileno())
    psql.write(
        f"CREATE TABLE public.{RESTORED} (taken_at timestamptz NOT NULL);\n"
        f"INSERT INTO public.{RESTORED} VALUES ('{taken_at.isoformat()}');\nCOMMIT;\n".encode()
    )
    psql.flush()


def unfinished_restore() -> datetime | None:
    """When the copy was taken that is in the database and was not put into quarantine yet. None: there is none."""
    if connection.vendor != "postgresql" or RESTORED not in connection.introspection.table_names():
        return None
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT taken_at FROM {RESTORED}")  # noqa: S608
        found: datetime = cursor.fetchone()[0]
    return found


def finished_restore() -> None:
    """Within the transaction that puts it into quarantine."""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {RESTORED}")


def other_sessions() -> list[str]:
    """Who else is connected to the database, as "program at address"."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(nullif(application_name, ''), usename::text), client_addr::text FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        return [f"{name} at {address or 'this machine'}" for name, address in cursor.fetchall()]


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise CannotGoOn(
            f"{name} is not installed; it comes with the package postgresql-client"
            " (Debian: apt-get install postgresql-client)."
        )
    return found


def _target() -> str:
    """The database in libpq's words, without the password: everybody on the machine can read a command line."""
    told = settings.DATABASES["default"]
    wanted = {
        "dbname": told["NAME"],
        "user": told["USER"],
        "host": told["HOST"],
        "port": told["PORT"],
        **{name: value for name, value in told["OPTIONS"].items() if name != "password"},
    }
    return make_conninfo(**{name: str(value) for name, value in wanted.items() if value})


def _environment() -> dict[str, str]:
    told = settings.DATABASES["default"]
    password = told["PASSWORD"] or told["OPTIONS"].get("password", "")
    return {**os.environ, **({"PGPASSWORD": password} if password else {})}


def _run(command: list[str], *, stdout: int = subprocess.DEVNULL) -> None:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, env=_environment()
    )
    if done.returncode:
        raise CannotGoOn(f"{Path(command[0]).name} ended with {done.returncode}: {_first_error(done.stderr)}")


def _first_error(said: bytes) -> str:
    lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()]
    return next(
        (line for line in lines if "error" in line.lower()), lines[-1] if lines else "it said nothing"
    )
