"""Signing in, lists and tables, questions before harm, and watching, as a person or a program sees them."""

import io
import json
import os
import re
import stat
import time
from pathlib import Path

import pytest

from doublehop_remote import finding, stored
from doublehop_remote.stopping import Stop
from doublehop_remote.tables import Column, moment, octets, rate, table, width_of, zone_of
from tests.remote.conftest import TOKEN, Run
from tests.remote.standin import Answer, Asked, Standin, problem

ME = {"kind": "program", "organisation": "Alder Hosting", "token": "laptop", "scopes": ["read", "operate"]}
SERVICES = [
    {"id": 7, "number": 3001, "status": "active", "product": "Dedicated M", "hostname": "web1.example.org"},
    {"id": 8, "number": 3002, "status": "active", "product": "Dedicated M", "hostname": "twin.example.org"},
    {"id": 9, "number": 3003, "status": "pending", "product": "Dedicated M", "hostname": "twin.example.org"},
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _listed(*rows: dict) -> Answer:
    return Answer({"items": list(rows), "next": None})


# ---------------------------------------------------------------- signing in


def test_a_token_is_kept_for_its_owner_alone_after_the_service_took_it(
    run: Run, service: Standin, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{TOKEN}\n"))
    service.in_turn(Answer(ME))
    said = run("login", service.address)
    assert said.code == 0
    assert "Alder Hosting" in said.out
    assert stat.S_IMODE(home.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.parent.stat().st_mode) == 0o700
    assert service.asked[0].headers["authorization"] == f"Bearer {TOKEN}"
    service.in_turn(_listed(*SERVICES))
    assert "S-3001" in run("list", "services").out
    assert str(home) in run("logout").out
    assert not home.exists()
    assert run("list", "services").code == 4


def test_a_token_that_the_service_refuses_is_not_kept(
    run: Run, service: Standin, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{TOKEN}\n"))
    service.in_turn(problem(401, "not_signed_in", "A valid API token is needed."))
    assert run("login", service.address).code == 4
    assert not home.exists()


def test_a_file_that_others_may_read_is_not_used(run: Run, service: Standin, home: Path) -> None:
    stored.keep(os.environ, stored.Place(service.address, TOKEN))
    home.chmod(0o640)
    said = run("list", "services")
    assert said.code == 4
    assert "chmod 600" in said.err
    assert not service.asked


@pytest.mark.parametrize("text", ["{", "[]", '{"address": 3}', '{"address": "https://a.example"}', "null"])
def test_a_damaged_file_is_said_to_be_damaged(run: Run, home: Path, text: str) -> None:
    home.parent.mkdir()
    home.write_text(text)
    home.chmod(0o600)
    said = run("list", "services")
    assert said.code == 4
    assert "damaged" in said.err


def test_the_environment_wins_and_a_kept_token_goes_to_its_own_service_only(
    run: Run, service: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored.keep(os.environ, stored.Place("https://elsewhere.example", TOKEN))
    monkeypatch.setenv("DOUBLEHOP_API", service.address)
    assert run("list", "services").code == 4
    assert not service.asked
    monkeypatch.setenv("DOUBLEHOP_TOKEN", "dh_other_one")
    run("list", "services")
    assert service.asked[0].headers["authorization"] == "Bearer dh_other_one"


@pytest.mark.parametrize(
    ("typed", "base"),
    [
        ("panel.example.net", "https://panel.example.net"),
        (" https://panel.example.net/api/v1/ ", "https://panel.example.net"),
        ("https://example.net:8443/panel", "https://example.net:8443/panel"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
    ],
)
def test_an_address_may_be_written_as_people_write_it(typed: str, base: str) -> None:
    assert stored.base_of(typed) == base


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "http://panel.example.net",
        "ftp://a.example",
        "https://u:p@a.example",
        "https://a.example:x",
        "a b",
    ],
)
def test_no_address_and_none_in_the_clear(typed: str) -> None:
    with pytest.raises(Stop):
        stored.base_of(typed)


# ---------------------------------------------------------------- finding and showing


def test_a_service_is_found_by_number_id_and_by_a_name_that_only_one_has(
    remote: Run, service: Standin
) -> None:
    service.answer = lambda asked: (
        _listed(*SERVICES) if asked.path.startswith("/api/v1/services?") else Answer(SERVICES[0])
    )
    for name in ("S-3001", "s3001", "7", "WEB1.example.org"):
        said = remote("show", "service", name)
        assert "S-3001 (id 7)" in said.out, name
    said = remote("show", "service", "twin.example.org")
    assert said.code == 3
    assert "S-3002 (id 8, active), S-3003 (id 9, pending)" in said.err
    assert remote("show", "service", "S-4000").code == 3
    assert remote("show", "service", "nobody.example.org").code == 3


def test_where_not_all_could_be_read_nothing_is_decided(
    remote: Run, service: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second one of that name may stand behind the last page that was read."""
    monkeypatch.setattr(finding, "MOST_LOOKED_AT", 2)
    service.answer = lambda asked: _listed(*SERVICES)
    for name in ("web1.example.org", "twin.example.org", "nobody.example.org", "S-3003"):
        said = remote("show", "service", name)
        assert said.code == 3, name
        assert "more than 2 services, and not all were read" in said.err
    assert remote("list", "services", "web1").err.strip().endswith("the others were not looked at.")
    listed = json.loads(remote("list", "services", "twin", "--json").out)
    assert ([row["id"] for row in listed["items"]], listed["more"]) == ([8], True)
    monkeypatch.setattr(finding, "MOST_LOOKED_AT", 3)
    assert remote("list", "services", "twin").err == ""
    assert "S-3002 (id 8, active), S-3003" in remote("show", "service", "twin.example.org").err


def test_what_the_service_does_not_find_by_q_is_looked_for_among_all(remote: Run, service: Standin) -> None:
    service.answer = lambda asked: (
        _listed()
        if "q=" in asked.path
        else Answer({"items": [{**SERVICES[0], "primary_address": "192.0.2.7"}]})
        if asked.path.startswith("/api/v1/services?")
        else Answer(SERVICES[0])
    )
    assert "S-3001 (id 7)" in remote("show", "service", "192.0.2.7").out
    service.answer = lambda asked: _listed()
    service.asked.clear()
    assert remote("show", "server", "nobody").code == 3
    assert len(service.asked) == 1, "of servers the service itself finds every name"


def test_what_fields_say_nothing_are_left_out_and_missing_ones_do_no_harm(
    remote: Run, service: Standin
) -> None:
    service.in_turn(_listed({}, {"id": None, "label": None, "hostname": "a\x1b[31m.example"}))
    said = remote("list", "servers")
    assert said.code == 0
    assert "\x1b" not in said.out
    assert "SITE" not in said.out
    service.in_turn(Answer({}))
    assert remote("show", "server", "4").code == 0


def test_json_is_what_the_service_says(remote: Run, service: Standin) -> None:
    service.in_turn(_listed({"id": 1, "new_field": [1]}))
    assert json.loads(remote("list", "servers", "--json").out) == {
        "items": [{"id": 1, "new_field": [1]}],
        "more": False,
    }


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("list", "servers", "--status", "free"), "--status is for"),
        (("list", "clients", "--status", "active"), "--status is for"),
        (("list", "products", "--status", "active"), "--status is for"),
        (("list", "services", "--free"), "--free is for"),
        (("operations", "7Q5-M3D", "--state", "failed"), "--state is for"),
        (("operations", "--watch", "--state", "failed"), "--state is for"),
    ],
)
def test_what_cannot_be_narrowed_so_is_refused_and_not_listed_whole(
    remote: Run, service: Standin, arguments: tuple[str, ...], told: str
) -> None:
    said = remote(*arguments)
    assert said.code == 2
    assert told in said.err
    assert not service.asked


def test_a_list_is_narrowed_by_the_word_of_its_kind(remote: Run, service: Standin) -> None:
    service.answer = lambda asked: _listed()
    for command in (
        ("list", "services", "--status"),
        ("list", "orders", "--status"),
        ("operations", "--state"),
    ):
        assert remote(*command, "x1").code == 0
    queries = [one.path.partition("?")[2].split("&")[0] for one in service.asked]
    assert queries == ["status=x1", "state=x1", "state=x1"]


COLUMNS = (
    Column("ID", lambda row: str(row["id"]), right=True),
    Column("NAME", lambda row: row["name"], cut=True),
    Column("ADDRESS", lambda row: row["address"]),
)


@pytest.mark.parametrize(
    "name",
    [
        "short",
        "Quillfeather Books and Sons of the North",
        "東京サーバー本店の東京サーバー本店",
        "e\u0301" * 30,
    ],
)
def test_a_table_fits_its_terminal_and_cuts_names_only(name: str) -> None:
    rows = [
        {"id": 12, "name": name, "address": "2001:db8:aaaa:bbbb::1"},
        {"id": 3, "name": "x", "address": "192.0.2.1"},
    ]
    for width in (40, 44, 60, 200):
        lines = list(table(rows, COLUMNS, width))
        assert max(width_of(line) for line in lines) <= width
        assert any("2001:db8:aaaa:bbbb::1" in line for line in lines)
    whole = list(table(rows, COLUMNS, None))
    assert name in whole[1]
    assert len(whole) == 3
    assert len({width_of(line[: line.index("2001:db8")]) for line in whole if "2001:db8" in line}) == 1


def test_where_no_table_fits_each_row_is_a_block() -> None:
    lines = list(table([{"id": 1, "name": "x", "address": "192.0.2.1"}] * 2, COLUMNS, 18))
    assert lines == [
        "ID       1",
        "NAME     x",
        "ADDRESS  192.0.2.1",
        "",
        "ID       1",
        "NAME     x",
        "ADDRESS  192.0.2.1",
    ]


def test_times_carry_their_zone_and_figures_their_unit() -> None:
    assert moment("2026-11-26T08:30:00Z", zone_of("UTC")) == "2026-11-26 08:30 UTC"
    assert moment("2026-11-26T08:30:00.123456+00:00", zone_of("Europe/Berlin")) == "2026-11-26 09:30 +01:00"
    assert moment("2026-11-26", zone_of("Asia/Kathmandu")) == "2026-11-26"
    assert moment(None, zone_of("UTC")) == "–"
    assert [octets(n) for n in (0, 999, 1000, 12_345_678, 999_999, 5 * 10**15)] == [
        "0 B", "999 B", "1.00 kB", "12.3 MB", "1.00 MB", "5.00 PB",
    ]  # fmt: skip
    assert rate(1_500_000_000) == "1.50 Gbit/s"
    assert octets(None) == "–"
    with pytest.raises(Stop):
        zone_of("Nowhere/Land")


def test_a_month_is_whole_days_of_the_zone(remote: Run, service: Standin) -> None:
    told = {
        "start": "2026-09-30T22:00:00Z", "end": "2026-10-31T23:00:00Z", "step": "1d",
        "points": [{"at": "2026-09-30T22:00:00Z", "in": 10**9, "out": 2 * 10**9, "gap": False},
                   {"at": "2026-10-01T22:00:00Z", "in": None, "out": None, "gap": True}],
        "octets_in": 10**9, "octets_out": 2 * 10**9, "percentile_95_in": "1500000", "percentile_95_out": 2500000,
        "coverage_percent": "50.00",
    }  # fmt: skip
    service.answer = lambda asked: Answer(told if "bandwidth" in asked.path else SERVICES[0])
    said = remote("bandwidth", "7", "--month", "2026-10", "--zone", "Europe/Berlin", "--percentile")
    asked = service.asked[-1].path
    assert "start=2026-09-30T22%3A00%3A00%2B00%3A00" in asked
    assert "end=2026-10-31T23%3A00" in asked
    assert "2026-10-01 00:00 +02:00" in said.out
    assert "1.50 Mbit/s" in said.out
    assert "not measured" in said.out
    assert remote("bandwidth", "7", "--month", "2026-13").code == 2
    assert remote("bandwidth", "7", "--start", "2026-10-05", "--end", "2026-10-01").code == 2


# ---------------------------------------------------------------- questions before harm


REHEARSED = {
    "dry_run": True,
    "kind": "reboot",
    "held": False,
    "steps": ["Send the reboot, once"],
    "not_sent": "",
}
QUEUED = {"reference": "7Q5-M3D", "kind": "reboot", "state": "queued"}


def _deeds(asked: Asked) -> Answer:
    if asked.method == "GET":
        return Answer(SERVICES[0])
    return Answer(REHEARSED) if "dry_run=true" in asked.path else Answer(QUEUED, 202)


@pytest.mark.parametrize(("typed", "sent"), [("y\n", 1), ("yes\n", 1), ("n\n", 0), ("\n", 0), ("", 0)])
def test_harm_is_asked_about_first(
    remote: Run, service: Standin, monkeypatch: pytest.MonkeyPatch, typed: str, sent: int
) -> None:
    service.answer = _deeds
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    said = remote("reboot", "7")
    assert "reboot S-3001 web1.example.org? [y/N]" in said.err
    assert "Send the reboot, once" in said.err
    assert said.code == (0 if sent else 8)
    assert len([one for one in service.of("POST") if "dry_run" not in one.path]) == sent


@pytest.mark.parametrize(
    "arguments", [("reboot", "7"), ("power-off", "7"), ("suspend", "7", "--reason", "x")]
)
def test_what_may_be_done_already_is_not_tried_again_but_asked_for_by_its_key(
    remote: Run, service: Standin, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """The trial of a suspension that was done is refused as any second one would be."""
    service.answer = lambda asked: (
        problem(409, "already_suspended", "It is suspended already.")
        if "dry_run=true" in asked.path
        else _deeds(asked)
    )
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    said = remote(*arguments, "--key", "remote-lost")
    assert said.code == 0, said.err
    assert "[y/N]" in said.err
    assert [one.headers["idempotency-key"] for one in service.of("POST")] == ["remote-lost"]


@pytest.mark.parametrize("command", ["power-on", "unsuspend"])
def test_what_does_no_harm_is_not_asked_about(remote: Run, service: Standin, command: str) -> None:
    service.answer = _deeds
    assert remote(command, "7").code == 0


@pytest.mark.parametrize(
    "arguments", [("reboot", "7"), ("suspend", "7", "--reason", "x"), ("detach", "7"), ("attach", "7", "7")]
)
def test_a_trial_changes_nothing(remote: Run, service: Standin, arguments: tuple[str, ...]) -> None:
    service.answer = _deeds
    said = remote(*arguments, "--dry-run")
    assert said.code == 0
    assert "Would be done" in said.out
    assert all("dry_run=true" in one.path for one in service.of("POST"))


# ---------------------------------------------------------------- watching


def test_an_operation_is_watched_line_by_line_to_its_end(remote: Run, service: Standin) -> None:
    states = ["queued", "running", "running", "done"]
    looks = iter(states)

    def answer(asked: Asked) -> Answer:
        if asked.path.endswith("/steps"):
            answer.steps = getattr(answer, "steps", 0) + 1  # type: ignore[attr-defined]
            state = "done" if answer.steps >= 3 else "pending"  # type: ignore[attr-defined]
            return Answer([{"name": "Send the reboot, once", "state": state}])
        return Answer({**QUEUED, "state": next(looks), "sentence": ""})

    service.answer = answer
    said = remote("operations", "--watch", "7q5m3d")
    assert said.code == 0
    lines = [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in said.out.splitlines()]
    assert lines == [
        "7Q5-M3D reboot: queued",
        "7Q5-M3D running",
        "7Q5-M3D   1. Send the reboot, once: done",
        "7Q5-M3D running",
        "7Q5-M3D done",
    ]


@pytest.mark.parametrize(
    ("state", "code"), [("done", 0), ("failed", 1), ("cancelled", 1), ("unknown", 6), ("held", 7)]
)
def test_the_end_is_the_exit_code(remote: Run, service: Standin, state: str, code: int) -> None:
    service.answer = lambda asked: (
        problem(404, "not_found", "Not found.")
        if asked.path.endswith("/steps")
        else Answer({**QUEUED, "state": state, "sentence": "Said."})
    )
    said = remote("operations", "--watch", "7Q5-M3D", "--json")
    assert said.code == code
    assert [json.loads(line)["state"] for line in said.out.splitlines()] == [state]


def test_what_does_not_end_is_let_go_after_its_time(remote: Run, service: Standin) -> None:
    service.answer = lambda asked: (
        Answer([]) if asked.path.endswith("/steps") else Answer({**QUEUED, "state": "running"})
    )
    before = time.monotonic()
    said = remote("operations", "--watch", "7Q5-M3D", "--timeout", "0.2")
    assert said.code == 7
    assert "goes on without being watched" in said.err
    assert time.monotonic() - before < 5


def test_without_a_reference_all_that_is_under_way_is_watched(remote: Run, service: Standin) -> None:
    def answer(asked: Asked) -> Answer:
        if asked.path.endswith("/steps"):
            return Answer([])
        if "state=queued" in asked.path:
            return _listed(QUEUED)
        if "state=running" in asked.path:
            return _listed({**QUEUED, "reference": "7Q5-M3E"})
        return Answer({**QUEUED, "reference": asked.path[-7:], "state": "done"})

    service.answer = answer
    said = remote("operations", "--watch")
    assert said.code == 0
    assert "7Q5-M3D" in said.out
    assert "7Q5-M3E" in said.out
