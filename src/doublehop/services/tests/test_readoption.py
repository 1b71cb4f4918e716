"""Changed hardware: nothing is sent until staff have looked at both identities and said that it is the same machine."""

import pytest
from tests.stage import ask, run_all_jobs

from doublehop.fleet import actions as fleet
from doublehop.fleet.identities import identities_of
from doublehop.fleet.models import Server
from doublehop.journal.models import Entry
from doublehop.organisations.refusals import BadInput, NotAllowed, NotHere, WrongState
from doublehop.services import actions
from doublehop.services.lifecycle import OperationKind
from doublehop.services.models import Operation
from doublehop.services.queries import needs_a_person


@pytest.fixture
def changed(house) -> Server:
    """WEB got a new mainboard: another serial and another MAC."""
    run_all_jobs()
    machine = house.stage.place.machines["web"]
    machine.serial, machine.mac = "SN-new-board", "02:00:00:00:00:ff"
    asked = ask(house.cast.rosa, OperationKind.REBOOT, house.service)
    run_all_jobs()
    assert Operation.objects.get(pk=asked.pk).failure_code == "wrong_machine"
    return Server.objects.select_related("upstream").get(pk=house.web.pk)


def readopt(house, server, actor=None, **other):
    seen = identities_of(house.cast.ines, server).mark
    form = {"seen": seen, "label": "WEB", "reason": "New mainboard, ticket 12", **other}
    return actions.readopt(actor or house.cast.ines, server.pk, **form)


def test_it_is_told_and_shown_side_by_side(house, changed):
    assert changed.identity_changed_at is not None
    need = next(one for one in needs_a_person(house.cast.ines) if one.kind == "identity")
    assert need.target == str(changed.pk)
    lines = {line.kind: line for line in identities_of(house.cast.ines, changed).lines}
    assert (lines["serial"].recorded, lines["serial"].seen) == ("SN-web", "SN-new-board")
    assert lines["serial"].strong
    assert lines["external id"].recorded == lines["external id"].seen
    # Who was given the machine learns that nothing is sent, and not what it is made of.
    assert identities_of(house.cast.rosa, changed) is None
    assert any(one.kind == "server" for one in needs_a_person(house.cast.rosa))


def test_readopted_it_can_be_acted_on_again(house, changed):
    readopt(house, changed)
    line = Entry.objects.get(verb="server.readopted")
    assert "ticket 12" in line.sentence
    assert ["serial", "SN-web", "strong"] in line.details["was"]["identifiers"]
    ask(house.cast.rosa, OperationKind.SUSPEND, house.service)
    run_all_jobs()
    assert house.stage.place.effects("web") == ["port.set_enabled:off"]
    assert Server.objects.get(pk=changed.pk).identity_changed_at is None


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"label": "SPARE"}, "Type WEB"),
        ({"reason": " "}, "What was changed"),
        ({"seen": "0" * 16}, "read anew"),
    ],
)
def test_what_is_not_looked_at_is_not_readopted(house, changed, form, told):
    with pytest.raises((BadInput, WrongState), match=told):
        readopt(house, changed, **form)
    assert Server.objects.get(pk=changed.pk).recorded_identity == changed.recorded_identity


def test_only_the_owner_s_staff_with_the_duty(house, changed):
    with pytest.raises(NotHere):
        readopt(house, changed, actor=house.cast.rosa)
    with pytest.raises((NotHere, NotAllowed)):
        readopt(house, changed, actor=house.cast.ivo)


def test_not_while_something_is_asked_of_the_old_machine(house, changed):
    ask(house.cast.rosa, OperationKind.REBOOT, house.service)
    with pytest.raises(WrongState, match="Wait for it"):
        readopt(house, changed)


def test_the_same_machine_needs_none(house):
    run_all_jobs()
    with pytest.raises(WrongState, match="Nothing is to be done"):
        readopt(house, Server.objects.select_related("upstream").get(pk=house.web.pk))


def test_one_that_comes_back_is_told_no_more(house, changed):
    machine = house.stage.place.machines["web"]
    machine.serial, machine.mac = "SN-web", changed.recorded_identity["identifiers"][0][1]
    fleet.ask_refresh(house.cast.ines, changed.pk)
    run_all_jobs()
    assert Server.objects.get(pk=changed.pk).identity_changed_at is None
