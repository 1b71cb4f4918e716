"""The ``doublehop`` command as people start it: a process of its own, with no settings but those given."""

import os
import subprocess
import sys
from pathlib import Path

KEYS = {
    "DOUBLEHOP_SECRET_KEY": "tests-only-" + "x" * 40,
    "DOUBLEHOP_VAULT_KEYS": "dGVzdHMtb25seS10ZXN0cy1vbmx5LXRlc3RzLW9ubHk=",
}
COMMAND = [sys.executable, "-m", "doublehop.cli"]


def environment(data_dir: Path, **more: str) -> dict[str, str]:
    foreign = ("DOUBLEHOP_", "DATABASE_URL", "DJANGO_", "PORT")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return kept | {"DOUBLEHOP_DATA_DIR": str(data_dir)} | more


def doublehop(data_dir: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environment(data_dir, **more),
        cwd=data_dir,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
