"""The file that keeps an installation's settings: ``doublehop.env`` in its data folder, or DOUBLEHOP_ENV_FILE.

Lines of NAME=VALUE, as systemd's EnvironmentFile reads them. What the environment itself says counts more.
"""

import base64
import os
import re
import secrets
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from doublehop.cli.stopping import CannotGoOn

_LINE = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)=(.*)")
_HEADING = """\
# Settings of this Doublehop installation, made by `doublehop init`; docs/how-to/go-real.md explains each.
# Keep a copy, apart from your backups: without DOUBLEHOP_VAULT_KEYS the stored passwords of machines cannot be read.
"""


def path_of(source: Mapping[str, str]) -> Path:
    named = source.get("DOUBLEHOP_ENV_FILE")
    return Path(named) if named else Path(source.get("DOUBLEHOP_DATA_DIR") or "var") / "doublehop.env"


def read(path: Path) -> dict[str, str]:
    """Empty when there is no file. Raises CannotGoOn for one that cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise CannotGoOn(f"{path} cannot be read: {error}.") from error
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith(("#", ";")):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise CannotGoOn(f"{path}, line {number}: expected NAME=VALUE.")
        value = match[2].strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        found[match[1]] = value
    return found


def load(path: Path, target: MutableMapping[str, str]) -> None:
    """Puts what the file says beside what ``target`` (os.environ) says already."""
    for name, value in read(path).items():
        target.setdefault(name, value)


def complete(path: Path, source: Mapping[str, str], *, base_url: str = "") -> list[str]:
    """Adds fresh keys, where neither the file nor the environment has them. Overwrites nothing; answers what was added.

    Raises CannotGoOn when a database is there but its keys are not: fresh ones would not open its secrets.
    """
    known = {**read(path), **{name: value for name, value in source.items() if value}}
    data_dir = Path(known.get("DOUBLEHOP_DATA_DIR") or "var").absolute()
    wanted = {
        "DOUBLEHOP_DATA_DIR": str(data_dir),
        "DOUBLEHOP_SECRET_KEY": secrets.token_urlsafe(48),
        "DOUBLEHOP_VAULT_KEYS": fresh_vault_key(),
    }
    if base_url:
        wanted["DOUBLEHOP_BASE_URL"] = base_url
    added = {name: value for name, value in wanted.items() if name not in known}
    if "DOUBLEHOP_VAULT_KEYS" in added and (data_dir / "doublehop.sqlite3").exists():
        raise CannotGoOn(
            f"{data_dir} holds a database, but DOUBLEHOP_VAULT_KEYS is missing: bring {path} back from your backup."
        )
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    if added:
        _append(path, added)
    return sorted(added)


def fresh_vault_key() -> str:
    """What Fernet.generate_key() makes; written out so that this module needs nothing but Python."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def _append(path: Path, added: Mapping[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"{name}={value}\n" for name, value in added.items())
    # 0600 from the first byte on: there is no moment at which somebody else could read the keys.
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as out:
        is_new = os.fstat(file).st_size == 0
        os.fchmod(out.fileno(), 0o600)
        ends_open = not is_new and not path.read_bytes().endswith(b"\n")
        out.write(_HEADING if is_new else "\n" * ends_open)
        out.write(lines)
