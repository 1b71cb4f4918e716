"""What the box remembers between two starts: ``box.json`` in its data folder, for its user alone."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent
LOCK = PACKAGE.parents[1] / "requirements" / "demo.txt"


@dataclass
class Memory:
    """``prepared`` is the fingerprint of what databases and page files were made from; ``sign_ins`` come last of all."""

    prepared: str = ""
    addresses: dict[str, str] = field(default_factory=dict)
    sign_ins: dict[str, dict[str, str]] = field(default_factory=dict)
    leap: dict[str, str] = field(default_factory=dict)
    """The LEAP account of the reseller that runs an installation of its own: username, client_id, password, api_key, pin."""
    tandem: dict[str, str] = field(default_factory=dict)
    """Its Tandem user with permission: email, password."""
    own: dict[str, dict[str, str]] = field(default_factory=dict)
    """The sign-ins of that installation: staff and client."""
    own_asks: str = ""
    """Where that installation finds the provider: its base address at the last start."""

    def port(self, name: str) -> int:
        """The port in an address such as ``http://127.0.0.1:43121``; 0 when there is none yet."""
        return int(self.addresses.get(name, ":0").rsplit(":", 1)[1])


def recall(path: Path) -> Memory | None:
    """None when this folder never held a box."""
    try:
        return Memory(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def keep(path: Path, memory: Memory) -> None:
    write_private(path, json.dumps(asdict(memory), indent=1))


def write_private(path: Path, text: str) -> None:
    """Mode 0600 from its first byte on; the old content stands until the new one is complete."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as out:
        out.write(text + "\n")
    fresh.replace(path)


def fingerprint() -> str:
    """Of all that migrations and page files are made from."""
    sources = [*PACKAGE.glob("*/migrations/*.py"), *(PACKAGE / "panels" / "static").rglob("*")]
    found = hashlib.sha256()
    for path in sorted([*sources, LOCK]):
        if path.is_file():
            found.update(str(path.relative_to(PACKAGE.parents[1])).encode() + b"\0" + path.read_bytes())
    return found.hexdigest()
