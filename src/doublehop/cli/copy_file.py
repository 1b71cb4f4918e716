"""The file of a backup: a tar of ``manifest.json`` and ``database``, readable with tar alone. Knows no Django.

It appears under its name whole or not at all: written in a private folder beside it, flushed to the disk, then renamed.
"""

import fcntl
import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from doublehop.cli.stopping import CannotGoOn

FORMAT = 1
MANIFEST, DATABASE = "manifest.json", "database"
LARGEST_MANIFEST = 1_000_000
PRIVATE = 0o600
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Facts:
    """What the database part holds."""

    installation: str
    """Its UUID; empty in a copy of a release that had none."""
    counts: Mapping[str, int]
    """Rows of the main tables, by table."""
    newest_journal_entry: int
    migrations: list[str]
    """Applied ones, as ``fleet.0001_initial``."""


@dataclass(frozen=True)
class Manifest:
    product: str
    """The version of the program that wrote it."""
    taken_at: datetime
    database: str
    """"sqlite" or "postgresql"."""
    facts: Facts
    sha256: str
    size: int
    """Octets of the database part."""

    def as_json(self) -> str:
        told = {"format": FORMAT, **asdict(self), "taken_at": self.taken_at.isoformat()}
        return json.dumps(told, indent=2) + "\n"


@contextmanager
def beside(target: Path) -> Iterator[Path]:
    """A private folder next to ``target``, gone afterwards; what a killed run left behind is cleared away first."""
    prefix, suffix = f".{target.name}.", ".part"
    for left in target.parent.glob(f"{prefix}*{suffix}"):
        _clear(left)
    folder = Path(tempfile.mkdtemp(prefix=prefix, suffix=suffix, dir=target.parent))
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _clear(left: Path) -> None:
    """Unless somebody still works in it, who then holds its lock."""
    try:
        lock = os.open(left, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    finally:
        os.close(lock)
    shutil.rmtree(left, ignore_errors=True)


def write(
    folder: Path, target: Path, database: Path, *, product: str, taken_at: datetime, kind: str, facts: Facts
) -> Manifest:
    """Packs ``database`` in ``folder``. Call ``put_in_place`` afterwards."""
    with database.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    manifest = Manifest(product, taken_at, kind, facts, digest, database.stat().st_size)
    with (folder / target.name).open("xb") as out:
        with tarfile.open(fileobj=out, mode="w") as tar:
            told = manifest.as_json().encode()
            tar.addfile(_entry(MANIFEST, len(told), taken_at), io.BytesIO(told))
            with database.open("rb") as file:
                tar.addfile(_entry(DATABASE, manifest.size, taken_at), file)
        out.flush()
        os.fchmod(out.fileno(), PRIVATE)
        os.fsync(out.fileno())
    return manifest


def _entry(name: str, size: int, at: datetime) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = size, PRIVATE, int(at.timestamp())
    return entry


def put_in_place(folder: Path, target: Path, *, overwrite: bool) -> None:
    """Under its final name, in one move. Raises FileExistsError when there is one already, unless ``overwrite``."""
    if overwrite:
        (folder / target.name).replace(target)
    else:
        link(folder / target.name, target)
    flush_folder(target.parent)


def link(source: Path, name: Path) -> None:
    """A second name for a file, or a copy where the file system has no such thing. Raises FileExistsError."""
    try:
        name.hardlink_to(source)
    except PermissionError:
        if name.exists():
            raise FileExistsError(name) from None
        shutil.copy2(source, name)


def flush_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def read(path: Path, *, into: Path | None = None) -> Manifest:
    """Checks a file from end to end, and writes its database part to ``into``. Raises CannotGoOn."""
    try:
        with tarfile.open(path, mode="r:") as tar:
            manifest = _manifest(tar)
            entry = tar.next()
            if entry is None or entry.name != DATABASE or not entry.isreg():
                raise _damaged(path, "its database part is missing")
            part = tar.extractfile(entry)
            if part is None or entry.size != manifest.size:
                raise _damaged(path, "its database part has another size than written down")
            if _copy(part, into) != manifest.sha256:
                raise _damaged(path, "its database part is not what was written (SHA-256 differs)")
    except FileNotFoundError as error:
        raise CannotGoOn(f"There is no file {error.filename}.") from error
    except (tarfile.TarError, EOFError) as error:
        raise _damaged(path, "it was cut off, or is no backup at all") from error
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, "its manifest cannot be read") from error
    except OSError as error:
        raise CannotGoOn(f"{path} cannot be read: {error.strerror}.") from error
    return manifest


def _damaged(path: Path, why: str) -> CannotGoOn:
    return CannotGoOn(f"{path} cannot be used: {why}.")


def _manifest(tar: tarfile.TarFile) -> Manifest:
    entry = tar.next()
    file = tar.extractfile(entry) if entry is not None and entry.isreg() else None
    if entry is None or file is None or entry.name != MANIFEST or entry.size > LARGEST_MANIFEST:
        raise ValueError("no manifest")
    told: dict[str, Any] = json.loads(file.read())
    if int(told["format"]) > FORMAT:
        raise CannotGoOn(
            f"This backup was made by Doublehop {told.get('product', '?')}, in a newer format than this program reads:"
            " upgrade the program first."
        )
    facts = told["facts"]
    taken_at = datetime.fromisoformat(told["taken_at"])
    if taken_at.tzinfo is None:
        raise ValueError("a time without zone")
    return Manifest(
        product=str(told["product"]),
        taken_at=taken_at,
        database=str(told["database"]),
        facts=Facts(
            installation=str(facts["installation"]),
            counts={str(name): int(count) for name, count in facts["counts"].items()},
            newest_journal_entry=int(facts["newest_journal_entry"]),
            migrations=[str(name) for name in facts["migrations"]],
        ),
        sha256=str(told["sha256"]),
        size=int(told["size"]),
    )


def _copy(part: IO[bytes], into: Path | None) -> str:
    digest = hashlib.sha256()
    out = into.open("xb") if into is not None else None
    try:
        while chunk := part.read(_CHUNK):
            digest.update(chunk)
            if out is not None:
                out.write(chunk)
    finally:
        if out is not None:
            out.close()
    return digest.hexdigest()
