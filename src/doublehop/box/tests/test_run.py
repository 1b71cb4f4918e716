import json
import os
import socket
import stat

import pytest

from doublehop.box.children import CannotGoOn, clean_environment
from doublehop.box.installation import DATABASE, refuse_taken
from doublehop.box.keeper import free_or_any
from doublehop.box.memory import Memory, fingerprint, keep, recall
from doublehop.box.run import Box, read_port

SIGN_IN = {"email": "ines@northgate.example", "password": "abcd-efgh", "host": "northgate.localhost"}


def test_a_real_installation_is_never_touched(tmp_path):
    database = tmp_path / DATABASE
    database.write_text("real")
    with pytest.raises(CannotGoOn, match="holds an installation that is no demo"):
        Box(tmp_path, 8000)._begin()
    assert database.read_text() == "real"
    assert not (tmp_path / "box.json").exists()


def test_a_first_start_that_was_broken_off_begins_again(tmp_path):
    keep(tmp_path / "box.json", Memory(prepared="half", addresses={"switch": "127.0.0.1:5"}))
    for name in (DATABASE, DATABASE + "-wal"):
        (tmp_path / name).touch()
    assert Box(tmp_path, 8000)._begin() == Memory(addresses={"switch": "127.0.0.1:5"})
    assert not list(tmp_path.glob("*.sqlite3*"))


def test_a_complete_demo_is_taken_up(tmp_path):
    whole = Memory(
        "print", {"bmc_url": "http://127.0.0.1:43121"}, {"provider": SIGN_IN}, own={"staff": SIGN_IN}
    )
    keep(tmp_path / "box.json", whole)
    (tmp_path / DATABASE).touch()
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / DATABASE).touch()
    assert Box(tmp_path, 8000)._begin() == whole
    assert whole.port("bmc_url") == 43121
    assert whole.port("switch") == 0


def test_of_two_installations_only_the_broken_one_begins_again(tmp_path):
    keep(tmp_path / "box.json", Memory("print", {}, {"provider": SIGN_IN}, own={"staff": SIGN_IN}))
    (tmp_path / DATABASE).touch()
    memory = Box(tmp_path, 8000)._begin()
    assert memory.sign_ins == {"provider": SIGN_IN}
    assert (memory.own, memory.prepared) == ({}, "")
    assert (tmp_path / DATABASE).exists()


def test_what_is_remembered_is_private(tmp_path):
    path = tmp_path / "box.json"
    path.write_text("{}")
    path.chmod(0o644)
    keep(path, Memory("print"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert recall(path) == Memory("print")
    assert recall(tmp_path / "none.json") is None


def test_the_demo_file_says_who_may_sign_in(tmp_path):
    box = Box(tmp_path, 8123)
    leap = {"username": "alder", "client_id": "123456", "password": "p", "api_key": "k", "pin": "1"}
    box._memory = Memory(
        sign_ins={"provider": SIGN_IN}, leap=leap, tandem=SIGN_IN, own={"staff": SIGN_IN, "client": SIGN_IN}
    )
    box._write_demo()
    path = tmp_path / "demo.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    person = {
        "email": SIGN_IN["email"],
        "password": SIGN_IN["password"],
        "brand_url": "http://northgate.localhost:8123",
    }
    at_home = {**person, "brand_url": "http://northgate.localhost:8124"}
    assert json.loads(path.read_text()) == {
        "base_url": "http://127.0.0.1:8123",
        "provider": person,
        "leap": {
            "endpoint": "http://127.0.0.1:8123/leap/api.php",
            "dropzone": "http://127.0.0.1:8123/dropzone/",
            **leap,
        },
        "tandem": person,
        "own_installation": {"base_url": "http://127.0.0.1:8124", "staff": at_home, "client": at_home},
    }


def test_a_kept_port_that_is_taken_is_given_up():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert free_or_any(taken.getsockname()[1], socket.SOCK_STREAM) == 0


def test_settings_of_another_installation_do_not_reach_the_box(tmp_path, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgres://real/one")
    monkeypatch.setenv("DOUBLEHOP_VAULT_KEYS", "real")
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "other")
    environment = clean_environment(tmp_path, 8000)
    assert not {"DATABASE_URL", "DOUBLEHOP_VAULT_KEYS", "DJANGO_SETTINGS_MODULE"} & set(environment)
    assert environment["DOUBLEHOP_DATA_DIR"] == str(tmp_path)
    assert environment["PATH"] == os.environ["PATH"]


def test_the_fingerprint_stays_while_nothing_changes():
    assert fingerprint() == fingerprint()


@pytest.mark.parametrize("port", ["", "0", "65536", "http"])
def test_a_port_that_is_none_is_refused(port):
    with pytest.raises(CannotGoOn):
        read_port(port)


def test_a_taken_port_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotGoOn, match=f"Port {port} cannot be used"):
            refuse_taken(port)
