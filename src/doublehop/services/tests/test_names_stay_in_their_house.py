"""Who reads what of an operation that passes between a provider, a reseller and a client of theirs.

The machine is Northgate's, Alder received it, and Quillfeather has it in a service.
"""

from datetime import timedelta

import pytest
from tests.stage import ask, run_all_jobs, run_jobs

from doublehop.fleet.actions import ask_refresh
from doublehop.fleet.models import Upstream
from doublehop.journal.models import Entry
from doublehop.journal.queries import entries_for_organisation
from doublehop.organisations.actor import ActorKind
from doublehop.organisations.models import Brand
from doublehop.services import actions
from doublehop.services.actions.rehearsal import rehearse
from doublehop.services.lifecycle import OperationKind, OperationState
from doublehop.services.models import Operation
from doublehop.services.queries import history, needs_a_person, operation, steps_of
from doublehop.services.wording import asked_by, staff_sentence, step_sentence

REBOOT, POWER_OFF = OperationKind.REBOOT, OperationKind.POWER_OFF
ABOVE = "Rack of Northgate"


@pytest.fixture(autouse=True)
def _named(house, monkeypatch):
    monkeypatch.setattr("doublehop.services.work.steps.EARLIEST_ON", timedelta(0))
    Upstream.objects.update(name=ABOVE)


def failed_at_the_login(house, actor) -> Operation:
    house.stage.place.password = "changed"
    ask_refresh(house.cast.ines, house.web.pk)
    run_jobs()
    asked = ask(actor, REBOOT, house.service)
    run_all_jobs()
    return Operation.objects.select_related("server__upstream").get(pk=asked.pk)


def test_a_reseller_reads_what_a_failure_means_and_its_owner_reads_the_cause(house):
    failed = failed_at_the_login(house, house.cast.rosa)
    assert failed.state == OperationState.FAILED
    assert ABOVE in failed.staff_text
    rosa, ines = house.cast.rosa, house.cast.ines
    told = [
        staff_sentence(rosa, operation(rosa, failed.reference)),
        *(line.outcome for line in history(rosa, house.service)),
        *(need.detail for need in needs_a_person(rosa)),
        *(step_sentence(rosa, failed, step) for step in steps_of(rosa, failed)),
        *(entry.sentence for entry in entries_for_organisation(rosa.organisation_id)),
    ]
    assert not [text for text in told if ABOVE in text]
    assert (
        f"could not be done at the machine. Whoever provides the machine can look {failed.reference} up."
        in told[0]
    )
    assert ABOVE in staff_sentence(ines, operation(ines, failed.reference))
    assert ABOVE in "".join(step_sentence(ines, failed, step) for step in steps_of(ines, failed))


def test_a_rehearsal_tells_a_reseller_nothing_of_the_upstream(house):
    house.stage.place.password = "changed"
    ask_refresh(house.cast.ines, house.web.pk)
    run_jobs()
    found = rehearse(lambda: actions.request(house.cast.rosa, REBOOT, house.service.pk, idempotency_key="r"))
    assert found.not_sent == "It would not be sent now: the machine cannot be reached at the moment."
    found = rehearse(
        lambda: actions.request(house.cast.ines, REBOOT, server_id=house.web.pk, idempotency_key="i")
    )
    assert ABOVE in found.not_sent


@pytest.mark.parametrize("down", [True, False], ids=["of the provider", "of the reseller"])
def test_a_reason_stays_with_whoever_wrote_it_until_the_operation_has_ended(house, down):
    asker, reader = (house.cast.ines, house.cast.rosa) if down else (house.cast.rosa, house.cast.ines)
    asked = actions.request(
        asker, POWER_OFF, server_id=house.spare.pk, reason="Vellum Press has not paid", idempotency_key="k"
    )
    run_all_jobs()
    assert Operation.objects.get(pk=asked.pk).state == OperationState.DONE
    lines = [
        one for one in Entry.objects.filter(server_id=house.spare.pk) if one.verb.startswith("operation.")
    ]
    assert {one.verb for one in lines} == {"operation.power_off.asked", "operation.power_off.done"}
    assert {one.organisation_id for one in lines} == {asker.organisation_id}
    ids = {one.pk for one in entries_for_organisation(reader.organisation_id)}
    assert {one.pk for one in lines} <= ids, "that it was done is everybody's who has the machine"


@pytest.mark.parametrize(
    ("kind", "label"),
    [
        (ActorKind.LEAP, "LEAP account alder-by-northgate"),
        (ActorKind.PROGRAM, "API token of Northgate"),
        (ActorKind.STAFF, "Rosa Lind"),
        (ActorKind.TANDEM, "Night Shift"),
    ],
)
def test_a_client_reads_of_others_only_that_it_was_our_staff(house, kind, label):
    asked = ask(house.cast.rosa, REBOOT, house.service)
    asked.actor_kind, asked.actor_label = kind, label
    assert asked_by(house.cast.mara, asked) == "our staff"
    own = ask(house.cast.mara, OperationKind.SET_RDNS, house.service, parameters=_named_address(house))
    assert asked_by(house.cast.mara, own) == "Mara Quill"


def _named_address(house) -> dict[str, str]:
    return {"address": house.web.primary_address, "name": "a.example.org"}


def test_staff_are_told_whose_address_their_mails_would_come_from(house):
    def told(actor):
        return [need.heading for need in needs_a_person(actor) if need.kind == "brand"]

    assert told(house.cast.rosa) == []
    Brand.objects.update(support_email="")
    assert told(house.cast.rosa) == ["Mails to your clients come from an address that is not yours"]
    assert told(house.cast.ines) == [], "the installation is theirs"


def test_names_of_another_house_are_not_found_by_searching_for_them(house):
    ask(house.cast.ivo, REBOOT, house.service)
    run_all_jobs()
    assert entries_for_organisation(house.cast.alder.pk, text="Ivo P")
    assert entries_for_organisation(house.cast.provider.pk, text="Ivo P") == []
    assert entries_for_organisation(house.cast.provider.pk, text=house.web.label)
