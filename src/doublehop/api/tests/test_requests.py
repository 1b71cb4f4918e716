"""What a program may learn about its own requests, and about who suspended a server."""

import pytest
from django.utils import timezone
from tests.cast import a_cast
from tests.stage import a_stage, run_all_jobs, run_jobs

from doublehop.api.tests.calling import Program
from doublehop.fleet import actions as fleet
from doublehop.fleet.models import Hold, Server
from doublehop.services.models import Operation


@pytest.fixture
def given(db):
    cast = a_cast()
    (web,) = a_stage(cast.ines).machines("web")
    fleet.allocate(cast.ines, web.pk, cast.alder.pk)
    return cast, web


def test_what_became_of_a_request_is_told_to_the_token_that_sent_it(given):
    cast, web = given
    ours, other = Program(cast.rosa), Program(cast.rosa)
    key = "here:7Q5-M3D:0.1/a b"
    assert ours.get("/requests/here:7Q5-M3D:0.1%2Fa%20b").status_code == 404
    asked = ours.post(f"/servers/{web.pk}/operations", {"kind": "reboot"}, key=key).json()
    assert ours.get("/requests/here:7Q5-M3D:0.1%2Fa%20b").json()["reference"] == asked["reference"]
    assert other.get("/requests/here:7Q5-M3D:0.1%2Fa%20b").status_code == 404


def test_what_cannot_be_a_key_was_never_asked_under(given):
    cast, _ = given
    for key in ("%00", "a%00b", "%C3%A4"):
        assert Program(cast.rosa).get(f"/requests/{key}").status_code == 404


def test_whose_suspension_it_is_is_told(given):
    cast, web = given
    above, below = Program(cast.ines), Program(cast.rosa)
    above.post(f"/servers/{web.pk}/operations", {"kind": "suspend", "reason": "Abuse"})
    run_jobs()
    told = below.get(f"/servers/{web.pk}").json()
    assert (told["suspended"], told["suspended_by_you"]) == (True, False)
    assert above.get(f"/servers/{web.pk}").json()["suspended_by_you"] is True
    below.post(f"/servers/{web.pk}/operations", {"kind": "suspend", "reason": "Overdue"})
    # It is asked for, and the machine does not feel it yet.
    assert below.get("/servers").json()["items"][0]["suspended_by_you"] is False
    run_all_jobs()
    assert below.get("/servers").json()["items"][0]["suspended_by_you"] is True
    below.post(f"/servers/{web.pk}/operations", {"kind": "unsuspend"})
    assert below.get("/servers").json()["items"][0]["suspended_by_you"] is True
    run_all_jobs()
    assert below.get("/servers").json()["items"][0]["suspended_by_you"] is False


def test_a_suspension_that_waits_or_failed_is_asked_for_all_the_same(given):
    cast, web = given
    above, below = Program(cast.ines), Program(cast.rosa)

    def told(program):
        (line,) = [one for one in program.get("/servers").json()["items"] if one["id"] == web.pk]
        assert line["suspension_asked"] is program.get(f"/servers/{web.pk}").json()["suspension_asked"]
        return line["suspended"], line["suspended_by_you"], line["suspension_asked"]

    assert told(below) == (False, False, False)
    below.post(f"/servers/{web.pk}/operations", {"kind": "suspend", "reason": "Overdue"})
    asked = Operation.objects.get()
    hold = asked.hold_id
    assert told(below) == (True, False, True)
    assert told(above) == (True, False, False)
    Operation.objects.update(state="failed")
    assert told(below) == (True, False, True)
    Operation.objects.update(state="held", hold_id=None)
    Hold.objects.get(pk=hold).delete()
    assert told(below) == (False, False, True)
    assert told(above) == (False, False, False)
    below.post(f"/servers/{web.pk}/operations", {"kind": "unsuspend"})
    assert told(below) == (False, False, False)


def test_what_is_withheld_is_told_as_such_though_it_is_suspended(given):
    cast, web = given
    program = Program(cast.rosa)
    program.post(f"/servers/{web.pk}/operations", {"kind": "suspend", "reason": "Overdue"})
    assert program.get(f"/servers/{web.pk}").json()["status"] == "suspended"
    Server.objects.filter(pk=web.pk).update(withheld_since=timezone.now())
    told = program.get(f"/servers/{web.pk}").json()
    assert (told["status"], told["suspended"]) == ("withheld", True)


def test_identifiers_stand_in_the_list(given):
    cast, _ = given
    line = Program(cast.rosa).get("/servers").json()["items"][0]
    assert {"kind": "serial", "value": "SN-web", "proof": "strong"} in line["identifiers"]
