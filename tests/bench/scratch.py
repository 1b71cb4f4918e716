"""Installations of any size, in a folder of their own, each in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.postgresql import passing_postgresql

ENVIRONMENT = {
    "DJANGO_SETTINGS_MODULE": "doublehop.site.settings",
    "DOUBLEHOP_SECRET_KEY": "bench-only-" + "x" * 40,
    "DOUBLEHOP_VAULT_KEYS": "dGVzdHMtb25seS10ZXN0cy1vbmx5LXRlc3RzLW9ubHk=",
    "DOUBLEHOP_SHARED_HOSTS": "127.0.0.1,testserver",
    "DOUBLEHOP_LOG_LEVEL": "ERROR",
}


PASSWORD = "bench-only-password"


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, **ENVIRONMENT, "DOUBLEHOP_DATA_DIR": str(folder)}


def run(folder: Path, module: str, *arguments: str) -> dict[str, Any]:
    """Runs ``python -m module arguments`` for the installation in ``folder``; its last line of output is JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=1800,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def run_on(database: str, folder: Path, module: str, *arguments: str) -> dict[str, Any]:
    """The same on "SQLite" or "PostgreSQL", of which it starts one for the time being."""
    if database == "SQLite":
        return run(folder, module, *arguments)
    with passing_postgresql(on_disk=True) as url:
        before = os.environ.get("DATABASE_URL")
        os.environ["DATABASE_URL"] = url
        try:
            return run(folder, module, *arguments)
        finally:
            del os.environ["DATABASE_URL"]
            if before is not None:
                os.environ["DATABASE_URL"] = before


def prepare(folder: Path) -> None:
    """Migrations and static files' manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    for command in (["migrate", "-v", "0"], ["collectstatic", "-v", "0", "--noinput"]):
        subprocess.run(
            [sys.executable, "manage.py", *command], env=environment(folder), check=True, capture_output=True
        )
