import stat

import pytest

from doublehop.cli import env_file
from doublehop.cli.stopping import CannotGoOn
from doublehop.site.environment import read_environment


def test_the_file_is_private_complete_and_good(tmp_path):
    path = tmp_path / "data" / "doublehop.env"
    source = {"DOUBLEHOP_ENV_FILE": str(path), "DOUBLEHOP_DATA_DIR": str(tmp_path / "data")}
    added = env_file.complete(path, source, base_url="https://panel.example.net")
    assert added == ["DOUBLEHOP_BASE_URL", "DOUBLEHOP_SECRET_KEY", "DOUBLEHOP_VAULT_KEYS"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    env_file.load(path, source)
    assert read_environment(source).base_url == "https://panel.example.net"


def test_nothing_is_ever_overwritten(tmp_path):
    path = tmp_path / "doublehop.env"
    path.write_text("# mine\nDOUBLEHOP_SECRET_KEY=" + "s" * 40)
    source = {"DOUBLEHOP_DATA_DIR": str(tmp_path)}
    assert env_file.complete(path, source) == ["DOUBLEHOP_VAULT_KEYS"]
    first = path.read_text()
    assert first.startswith("# mine\nDOUBLEHOP_SECRET_KEY=" + "s" * 40 + "\n")
    assert env_file.complete(path, source) == []
    assert path.read_text() == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_the_environment_gives_is_not_written_down(tmp_path):
    path = tmp_path / "doublehop.env"
    given = {
        "DOUBLEHOP_DATA_DIR": str(tmp_path),
        "DOUBLEHOP_SECRET_KEY": "s" * 40,
        "DOUBLEHOP_VAULT_KEYS": "k" * 44,
    }
    assert env_file.complete(path, given) == []
    assert not path.exists()


def test_fresh_keys_are_refused_beside_a_database(tmp_path):
    (tmp_path / "doublehop.sqlite3").touch()
    with pytest.raises(CannotGoOn, match=r"bring .* back from your backup"):
        env_file.complete(tmp_path / "doublehop.env", {"DOUBLEHOP_DATA_DIR": str(tmp_path)})
    assert not (tmp_path / "doublehop.env").exists()


def test_the_environment_counts_more_than_the_file(tmp_path):
    path = tmp_path / "doublehop.env"
    path.write_text("A='from the file'\nB=two\n\n; a remark\n")
    target = {"B": "mine"}
    env_file.load(path, target)
    assert target == {"A": "from the file", "B": "mine"}


@pytest.mark.parametrize("text", ["export A=1", "A", "1A=2"])
def test_a_line_that_is_no_setting_is_named(tmp_path, text):
    path = tmp_path / "doublehop.env"
    path.write_text("OK=1\n" + text + "\n")
    with pytest.raises(CannotGoOn, match="line 2"):
        env_file.read(path)
