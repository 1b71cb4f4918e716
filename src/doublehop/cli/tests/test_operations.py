"""``doublehop operations``, on the database of the tests; how it starts and ends as a process of its own is at the end."""

import json
import os
import pwd
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.test import Client
from django.utils import timezone
from tests.cast import a_cast
from tests.stage import a_product, a_service, a_stage, ask, run_all_jobs

from doublehop.cli import operations
from doublehop.cli.arguments import parser
from doublehop.cli.operations_shown import _known
from doublehop.cli.stopping import WRONG, CannotGoOn
from doublehop.cli.tests.runner import KEYS, doublehop
from doublehop.driver_kit.conformance.world import Fault
from doublehop.fleet import actions as fleet
from doublehop.journal.models import Audience, Entry
from doublehop.organisations.models import User
from doublehop.services.lifecycle import OperationKind, OperationState, StepKind, StepState
from doublehop.services.models import Operation, Step

pytestmark = pytest.mark.django_db
ME = pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture
def house(monkeypatch):
    """A machine of the provider in a service of Alder: its reboot is unknown, and another machine's waits."""
    monkeypatch.delenv("SUDO_USER", raising=False)
    cast = a_cast()
    stage = a_stage(cast.ines)
    servers = stage.machines("web", "spare")
    product = a_product(cast.rosa)
    for server in servers:
        fleet.allocate(cast.ines, server.pk, cast.alder.pk)
    web, spare = (a_service(cast.rosa, cast.quillfeather.pk, product, server) for server in servers)
    stage.place.fault(Fault.UNKNOWN_AFTER_ACTING, on="power.reset")
    unknown = ask(cast.rosa, OperationKind.REBOOT, web, reason="It hangs")
    run_all_jobs()
    waiting = ask(cast.rosa, OperationKind.REBOOT, spare)
    unknown.refresh_from_db()
    assert (unknown.state, waiting.state) == ("unknown", "queued")
    return SimpleNamespace(cast=cast, stage=stage, web=web, unknown=unknown, waiting=waiting)


def run(*arguments):
    return operations.run(parser().parse_args(["operations", *arguments]), None)


def refused(*arguments):
    with pytest.raises(CannotGoOn) as caught:
        run(*arguments)
    assert caught.value.exit_code == WRONG
    return str(caught.value)


def listed(capsys, *arguments):
    assert run("list", "--json", *arguments) == 0
    return [one["reference"] for one in json.loads(capsys.readouterr().out)["operations"]]


def test_the_list_names_what_has_not_ended(house, capsys):
    assert run("list") == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].split() == ["REFERENCE", "STATE", "AGE", "WHAT", "WHERE", "BY"]
    assert [line.split()[:2] for line in told[1:3]] == [
        [house.waiting.reference, "queued"],
        [house.unknown.reference, "unknown"],
    ]
    for word in ("Reboot, asked of the system", "WEB, Alder Hosting", "Rosa Lind"):
        assert word in told[2]


def test_every_filter(house, capsys):
    both = [house.waiting.reference, house.unknown.reference]
    assert listed(capsys) == both
    assert listed(capsys, "--state", "unknown") == both[1:]
    assert listed(capsys, "--state", "queued", "--state", "done") == both[:1]
    assert listed(capsys, "--state", "all") == both
    for name in (str(house.web.server_id), "web", "WEB.example.org", house.web.server.primary_address):
        assert listed(capsys, "--server", name) == both[1:]
    for number in (str(house.web), str(house.web).lower(), str(house.web.number)):
        assert listed(capsys, "--service", number) == both[1:]
    assert listed(capsys, "--organisation", "alder hosting") == both
    assert listed(capsys, "--organisation", str(house.cast.birch.pk)) == []
    Operation.objects.filter(pk=house.unknown.pk).update(asked_at=timezone.now() - timedelta(hours=3))
    assert listed(capsys, "--since", "2h") == both[:1]
    assert listed(capsys, "--since", "4h") == both
    assert listed(capsys, "--since", "2031-01-01") == []
    assert run("list", "--limit", "1") == 0
    assert "There are more" in capsys.readouterr().out
    assert run("list", "--organisation", str(house.cast.birch.pk)) == 0
    assert capsys.readouterr().out.startswith("No operation is like that.")
    for what, text in (("server", "nowhere"), ("service", "S-1"), ("organisation", "9" * 30)):
        assert refused("list", f"--{what}", text) == f"No {what} is called {text}."


def test_a_new_state_shows_by_itself():
    (action,) = (
        one
        for one in parser()._subparsers._group_actions[0].choices["operations"]._actions
        if one.dest == "deed"
    )
    states = next(one for one in action.choices["list"]._actions if one.dest == "state").choices
    assert states == [*(state.value for state in OperationState), "all"]


def test_show_says_what_is_known_and_what_may_be_done(house, capsys):
    assert run("show", house.unknown.reference.lower()) == 0
    told = capsys.readouterr().out
    for words in (
        f"{house.unknown.reference}: Reboot, asked of the system, unknown",
        "through Rack A",
        "by Rosa Lind (staff): It hangs",
        " UTC, ",
        "Send the reboot, once: unknown",
        "no answer came back: nobody knows whether it acted",
        f"settle {house.unknown.reference} --did-not-happen --why",
    ):
        assert words in told
    assert run("show", house.waiting.reference) == 0
    told = capsys.readouterr().out
    assert f"operations cancel {house.waiting.reference}" in told
    assert "To end by" in told
    assert run("show", "--json", house.unknown.reference) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["may_become"] == ["done", "failed"]
    assert shown["steps"][0]["sent_at"].endswith("+00:00")


def pages_of(actor, *paths):
    browser = Client()
    browser.force_login(User.objects.get(pk=actor.user_id))
    return "".join(browser.get(path).content.decode() for path in paths)


def test_settling_is_told_to_those_whom_it_concerns(house, capsys):
    assert run("settle", house.unknown.reference, "--happened", "--why", "Uptime is 4 minutes") == 0
    assert f"{house.unknown.reference} is done now. Nothing was sent." in capsys.readouterr().out
    house.unknown.refresh_from_db()
    assert (house.unknown.state, house.unknown.settled_by, house.unknown.settled_why) == (
        "done",
        "the operator of this installation",
        "Uptime is 4 minutes",
    )
    line = Entry.objects.get(verb="operation.reboot.settled")
    assert (line.actor_kind, line.actor_label) == ("system", f"{ME}, operator")
    readers = set(Audience.objects.filter(entry_id=line.pk).values_list("organisation_id", flat=True))
    assert readers == {house.cast.provider.pk, house.cast.alder.pk}
    # The owner's staff read who it was; below, it is a level above.
    above = pages_of(house.cast.ines, "/admin/journal/")
    assert f"{ME}, operator" in above
    below = pages_of(house.cast.rosa, "/admin/journal/", f"/admin/operations/{house.unknown.reference}/")
    assert f"{ME}, operator" not in below
    assert "a level above" in below
    assert "Recorded as done by the operator of this installation" in below
    assert [one for one in house.stage.place.effects("web") if one.startswith("power.reset")] == [
        "power.reset:graceful"
    ]


def test_the_person_behind_sudo_is_named(house, monkeypatch):
    monkeypatch.setenv("SUDO_USER", "ines")
    run("settle", house.unknown.reference, "--did-not-happen", "--why", "Its log shows no restart")
    line = Entry.objects.get(verb="operation.reboot.settled")
    assert (line.result, line.actor_label) == ("failed", f"ines (as {ME}), operator")


def test_cancelling_takes_back_what_waits(house, capsys):
    assert run("cancel", house.waiting.reference) == 0
    assert f"{house.waiting.reference} is cancelled now." in capsys.readouterr().out
    run_all_jobs()
    assert house.stage.place.effects("spare") == []
    assert Entry.objects.get(verb="operation.reboot.cancelled").actor_label == f"{ME}, operator"


def test_what_cannot_be_is_refused_with_the_next_step(house):
    for arguments in (
        ("cancel", house.unknown.reference),
        ("settle", house.waiting.reference, "--happened", "--why", "seen"),
        ("settle", house.unknown.reference, "--happened", "--why", " "),
    ):
        lines = Entry.objects.count()
        told = refused(*arguments)
        assert f"`doublehop operations show {arguments[1]}` says what may be done." in told
        assert Entry.objects.count() == lines
    assert "has begun or ended" in refused("cancel", house.unknown.reference)
    for deed in (("show",), ("cancel",), ("settle", "--happened", "--why", "seen")):
        told = refused(deed[0], "ZZZ-ZZZ", *deed[1:])
        assert told.startswith("There is no operation ZZZ-ZZZ. `doublehop operations list --state all`")


def test_how_it_starts_and_ends(tmp_path):
    older = doublehop(tmp_path, "operations", "list", **KEYS)
    assert older.returncode == 78
    assert older.stderr.startswith("doublehop: The database is older")
    for wrong in (
        ("operations",),
        ("operations", "settle", "AAA-AAA", "--why", "seen"),
        ("operations", "settle", "AAA-AAA", "--happened", "--did-not-happen", "--why", "seen"),
    ):
        with pytest.raises(SystemExit) as caught:
            parser().parse_args(wrong)
        assert caught.value.code == 2
    for option in ("--since=soon", "--state=maybe", "--limit=0"):
        with pytest.raises(SystemExit):
            parser().parse_args(["operations", "list", option])


def test_a_step_that_only_looks_is_not_said_to_have_acted():
    looked = Step(kind=StepKind.AWAIT_ON, sent_at=timezone.now(), state=StepState.DONE)
    (line,) = _known(looked)
    assert line.startswith("begun ")
