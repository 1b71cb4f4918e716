"""The file of a backup: whole under its name or not there, and every damage noticed."""

import os
import stat
import tarfile
from datetime import UTC, datetime

import pytest

from doublehop.cli import copy_file
from doublehop.cli.copy_file import Facts
from doublehop.cli.stopping import CannotGoOn

TAKEN_AT = datetime(2026, 11, 25, 2, 30, tzinfo=UTC)
FACTS = Facts("5f" * 16, {"services_service": 3}, 41, ["fleet.0001_initial"])
CONTENT = os.urandom(300_000)


def make(target, *, overwrite=False, product="0.1.0"):
    with copy_file.beside(target) as folder:
        (folder / "database").write_bytes(CONTENT)
        manifest = copy_file.write(
            folder,
            target,
            folder / "database",
            product=product,
            taken_at=TAKEN_AT,
            kind="sqlite",
            facts=FACTS,
        )
        assert not target.exists() or overwrite
        copy_file.put_in_place(folder, target, overwrite=overwrite)
    return manifest


@pytest.fixture
def copy(tmp_path):
    path = tmp_path / "night.tar"
    make(path)
    return path


def test_what_is_written_is_read_and_nobody_else_may(copy, tmp_path):
    manifest = copy_file.read(copy, into=tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == CONTENT
    assert (manifest.facts, manifest.taken_at, manifest.database) == (FACTS, TAKEN_AT, "sqlite")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"night.tar", "out"}


def test_an_existing_file_is_replaced_only_when_asked(copy):
    before = copy.read_bytes()
    with copy_file.beside(copy) as folder:
        (folder / copy.name).write_bytes(b"new")
        with pytest.raises(FileExistsError):
            copy_file.put_in_place(folder, copy, overwrite=False)
    assert copy.read_bytes() == before
    make(copy, overwrite=True)
    assert copy_file.read(copy).size == len(CONTENT)


@pytest.mark.parametrize("where", [0.3, 0.6, 0.95])
def test_one_changed_octet_is_noticed(copy, where):
    content = bytearray(copy.read_bytes())
    content[int(len(content) * where)] ^= 1
    copy.write_bytes(content)
    with pytest.raises(CannotGoOn, match="SHA-256 differs"):
        copy_file.read(copy)


@pytest.mark.parametrize("kept", [0, 100, 700, 2000, 150_000, 301_000])
def test_a_file_that_was_cut_off_is_noticed(copy, kept):
    copy.write_bytes(copy.read_bytes()[:kept])
    with pytest.raises(CannotGoOn, match="cannot be used"):
        copy_file.read(copy)


def test_what_is_no_backup_is_said_and_not_thrown(tmp_path):
    other = tmp_path / "other.tar"
    with tarfile.open(other, "w") as tar:
        tar.add(__file__, arcname="manifest.json")
    for content in (b"", b"SQLite format 3\0" + bytes(4000), other.read_bytes()):
        other.write_bytes(content)
        with pytest.raises(CannotGoOn, match="cannot be used"):
            copy_file.read(other)
    with pytest.raises(CannotGoOn, match="There is no file"):
        copy_file.read(tmp_path / "missing.tar")


def test_a_newer_format_is_refused_by_its_name(tmp_path, monkeypatch):
    path = tmp_path / "new.tar"
    monkeypatch.setattr(copy_file, "FORMAT", copy_file.FORMAT + 1)
    make(path, product="2.0.0")
    monkeypatch.undo()
    with pytest.raises(CannotGoOn, match=r"Doublehop 2\.0\.0, in a newer format"):
        copy_file.read(path)


def test_what_a_killed_run_left_is_cleared_and_what_another_writes_is_not(copy):
    left = copy.with_name(f".{copy.name}.abc.part")
    left.mkdir()
    (left / "database").write_bytes(b"half")
    with copy_file.beside(copy) as working, copy_file.beside(copy):
        assert working.exists()
        assert not left.exists()
    assert list(copy.parent.iterdir()) == [copy]
