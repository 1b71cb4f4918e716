"""``python bin/whmcs_module.py FILE.zip``: what is put into the folder of a WHMCS, as one file that is the same whenever it is made."""

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

BILLING = Path(__file__).resolve().parent.parent / "billing"
MODULES = BILLING / "whmcs" / "modules" / "servers"
OWN_FILES = ("address.php", "installation.php")
LONG_AGO = (1980, 1, 1, 0, 0, 0)


def contents() -> Iterator[tuple[str, bytes]]:
    """(name inside, octets) each, in order."""
    found = {"README.md": (BILLING / "whmcs" / "README.md").read_bytes()}
    for module in sorted(path for path in MODULES.iterdir() if path.is_dir()):
        inside = f"modules/servers/{module.name}"
        for path in module.rglob("*"):
            # What an installation has written there is its own.
            if path.is_file() and path.name not in OWN_FILES:
                found[f"{inside}/{path.relative_to(module).as_posix()}"] = _own(module, path)
        for path in (BILLING / "client").glob("*.php"):
            found[f"{inside}/lib/client/{path.name}"] = _own(module, path)
    yield from sorted(found.items())


def _own(module: Path, path: Path) -> bytes:
    """Each module carries the client under a name of its own: two modules of different age never share a class."""
    content = path.read_bytes()
    if path.suffix != ".php":
        return content
    return content.replace(
        b"Doublehop\\Billing", f"WHMCS\\Module\\Server\\{module.name.capitalize()}\\Client".encode()
    )


def write(target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # Stored, not packed: what a library makes of the same octets changes with its version.
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, content in contents():
            entry = zipfile.ZipInfo(name, LONG_AGO)
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, content)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
    print(sys.argv[1])
