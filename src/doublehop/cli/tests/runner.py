"""The ``doublehop`` command as people start it: a process of its own, with no settings but those given."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

KEYS = {
    "DOUBLEHOP_SECRET_KEY": "tests-only-" + "x" * 40,
    "DOUBLEHOP_VAULT_KEYS": "dGVzdHMtb25seS10ZXN0cy1vbmx5LXRlc3RzLW9ubHk=",
}
KILLED = (
    "import sys, django; django.setup(); from doublehop.cli.tests import killed; killed.main(sys.argv[1:])"
)
SEVERAL = """
import contextlib, io, json, sys
from doublehop.cli.main import main
told = []
for arguments in json.loads(sys.argv[1]):
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = main(arguments)
    told.append([code, said.getvalue()])
print(json.dumps(told))
"""
COMMAND = [sys.executable, "-m", "doublehop.cli"]
DATABASE = "doublehop.sqlite3"
SOURCE = Path(__file__).parents[2]


def environment(data_dir: Path, **more: str) -> dict[str, str]:
    foreign = ("DOUBLEHOP_", "DATABASE_URL", "DJANGO_", "PORT")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return kept | {"DOUBLEHOP_DATA_DIR": str(data_dir)} | more


def migrated(data_dir: Path) -> Path:
    """Puts an empty database of this version into ``data_dir``, where there is none. Migrating takes some ten seconds of a
    core, so it is done once for each state of the migrations, and copied."""
    state = sha256()
    for path in sorted(SOURCE.glob("*/migrations/*.py")):
        state.update(path.read_bytes())
    template = Path(tempfile.gettempdir()) / f"doublehop-migrated-{state.hexdigest()[:16]}.sqlite3"
    if not template.exists():
        with tempfile.TemporaryDirectory(prefix="doublehop-migrating-") as folder:
            given = {"DJANGO_SETTINGS_MODULE": "doublehop.site.settings", **KEYS}
            command = [sys.executable, "-m", "django", "migrate", "-v", "0"]
            subprocess.run(command, env=environment(Path(folder), **given), check=True, timeout=120)
            # Others may do the same at this moment: whole files only.
            whole = template.with_suffix(f".{uuid4().hex}")
            shutil.copyfile(Path(folder) / DATABASE, whole)
            whole.replace(template)
    if not (data_dir / DATABASE).exists():
        shutil.copyfile(template, data_dir / DATABASE)
    return data_dir


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


def several(data_dir: Path, *commands: list[str], **more: str) -> list[tuple[int, str]]:
    """(exit code, everything said) of each, one after the other in one process: starting one takes a second."""
    done = subprocess.run(
        [sys.executable, "-c", SEVERAL, json.dumps(commands)],
        env=environment(data_dir, **more),
        cwd=data_dir,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return [(code, said) for code, said in json.loads(done.stdout)]
