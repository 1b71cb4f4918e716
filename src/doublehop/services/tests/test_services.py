"""A service and its machine: never the same machine twice, permissions dated, the table of states obeyed."""

import pytest
from tests.stage import a_service, ask, run_all_jobs

from doublehop.fleet import actions as fleet
from doublehop.fleet.models import Permission
from doublehop.fleet.permissions import Right, may, rights_of
from doublehop.organisations.refusals import BadInput, NotAllowed, NotHere, WrongState
from doublehop.services import actions
from doublehop.services.lifecycle import SERVICE_LIFE, OperationKind, ServiceStatus, ServiceVerb
from doublehop.services.queries import preview, search, services_visible_to


def test_attach_fills_in_hostname_and_username_and_permits_the_client(house):
    run_all_jobs()
    service = services_visible_to(house.cast.mara).get(pk=house.service.pk)
    assert (service.shown_hostname, service.shown_username) == ("web.example.org", "root")
    house.web.refresh_from_db()
    assert may(house.cast.mara, Right.POWER, house.web)
    assert not may(house.cast.mara, Right.SUSPEND, house.web)
    assert rights_of(house.cast.lena, house.web) == frozenset()


def test_the_same_machine_is_never_attached_twice(house):
    other = a_service(house.cast.rosa, house.cast.quillfeather.pk, house.product)
    with pytest.raises(WrongState) as refused:
        actions.attach(house.cast.rosa, other.pk, house.web.pk)
    assert refused.value.code == "already_attached"
    assert actions.attach(house.cast.rosa, house.service.pk, house.web.pk) == house.service, (
        "asked again: the same"
    )


def test_a_machine_seen_through_two_upstreams_is_attached_once(house):
    (twin,) = house.stage.machines("twin")
    fleet.allocate(house.cast.ines, twin.pk, house.cast.alder.pk)
    twin.same_machine_as = house.web
    twin.save()
    other = a_service(house.cast.rosa, house.cast.quillfeather.pk, house.product)
    with pytest.raises(WrongState, match="same machine"):
        actions.attach(house.cast.rosa, other.pk, twin.pk)


def test_a_machine_of_somebody_else_cannot_be_attached(house):
    other = a_service(house.cast.rosa, house.cast.quillfeather.pk, house.product)
    foreign = house.stage.server("third")
    with pytest.raises(NotHere):
        actions.attach(house.cast.rosa, other.pk, foreign.pk)
    with pytest.raises(NotHere):
        actions.attach(house.cast.tam, other.pk, foreign.pk)


def test_swap_ends_one_permission_and_begins_another(house):
    actions.swap(house.cast.rosa, house.service.pk, house.spare.pk)
    rows = list(Permission.objects.filter(client=house.cast.quillfeather).order_by("since"))
    assert [(row.server_id, row.until is None) for row in rows] == [
        (house.web.pk, False),
        (house.spare.pk, True),
    ]
    house.web.refresh_from_db()
    assert house.web.recorded_identity is None


def test_nothing_is_taken_away_while_an_operation_runs(house):
    ask(house.cast.rosa, OperationKind.REBOOT, house.service)
    with pytest.raises(WrongState, match="operation is running"):
        actions.detach(house.cast.rosa, house.service.pk)
    house.service.refresh_from_db()
    assert house.service.server_id == house.web.pk


def test_save_changes_keeps_what_was_typed_and_only_that(house):
    service = actions.save_service(
        house.cast.rosa,
        house.service.pk,
        server_id=house.spare.pk,
        hostname="web.example.org",
        username="deploy",
    )
    assert service.shown_hostname == "spare.example.org", "unchanged text was not typed"
    assert service.shown_username == "deploy"
    with pytest.raises(BadInput):
        actions.save_service(
            house.cast.rosa, service.pk, server_id=house.spare.pk, hostname="<script>", username="deploy"
        )


def test_a_suspended_machine_is_not_handed_to_the_next_client(house):
    ask(house.cast.rosa, OperationKind.SUSPEND, house.service)
    run_all_jobs()
    actions.terminate(house.cast.rosa, house.service.pk, reason="unpaid")
    other = a_service(house.cast.rosa, house.cast.quillfeather.pk, house.product)
    with pytest.raises(WrongState) as refused:
        actions.attach(house.cast.rosa, other.pk, house.web.pk)
    assert refused.value.code == "held"


def test_roles_reach_so_far(house):
    with pytest.raises(NotAllowed):
        actions.create_service(
            house.cast.ivo, client_id=house.cast.quillfeather.pk, product_id=house.product.pk
        )
    with pytest.raises(NotAllowed):
        actions.terminate(house.cast.ivo, house.service.pk, reason="no")
    with pytest.raises(NotHere):
        actions.terminate(house.cast.tam, house.service.pk, reason="no")


def test_only_a_termination_can_be_taken_back():
    ended = {ServiceStatus.TERMINATED, ServiceStatus.CANCELLED, ServiceStatus.FRAUD}
    ways = [key for key in SERVICE_LIFE if key[0] in ended]
    assert ways == [(ServiceStatus.TERMINATED, ServiceVerb.RESTORE)]


def test_rights_shrink_at_once_all_the_way_down(house):
    run_all_jobs()
    Permission.objects.filter(organisation=house.cast.alder, server=house.web).update(
        rights=["view", "bandwidth"]
    )
    assert rights_of(house.cast.rosa, house.web) == {Right.VIEW, Right.BANDWIDTH}
    assert rights_of(house.cast.mara, house.web) == {Right.VIEW, Right.BANDWIDTH}
    with pytest.raises(NotAllowed):
        ask(house.cast.rosa, OperationKind.REBOOT, house.service)


def test_an_allocated_machine_in_use_is_not_taken_back(house):
    allocation = house.web.allocations.get()
    with pytest.raises(WrongState, match="in use"):
        fleet.end_allocation(house.cast.ines, allocation.pk)
    actions.detach(house.cast.rosa, house.service.pk)
    fleet.end_allocation(house.cast.ines, allocation.pk)
    assert rights_of(house.cast.rosa, house.web) == frozenset()


def test_a_preview_runs_the_guards_and_sends_nothing(house):
    idle = a_service(house.cast.rosa, house.cast.quillfeather.pk, house.product)
    shown = preview(house.cast.rosa, OperationKind.SUSPEND, [house.service.pk, idle.pk])
    assert [line.service for line in shown.will] == [house.service]
    assert shown.will[0].effect == "Network port off"
    assert [line.left_out for line in shown.left_out] == ["has no server yet"]
    assert preview(house.cast.tam, OperationKind.SUSPEND, [house.service.pk]).will == ()
    run_all_jobs()
    assert house.stage.place.effects("web") == []


@pytest.mark.parametrize(
    "words", ["WEB", "web.example", "192.0.2.1", "SN-web", "02:00:00:00:00:02", "020000000002"]
)
def test_one_box_finds_the_machine_however_it_is_named(house, words):
    run_all_jobs()
    found = {hit.target for hit in search(house.cast.ines, words) if hit.kind == "server"}
    assert str(house.web.pk) in found
    assert str(house.web.pk) not in {hit.target for hit in search(house.cast.tam, words)}


def test_a_protected_machine_is_not_taken_away_by_any_door(house):
    fleet.protect(house.cast.ines, house.web.pk)
    for kind in (OperationKind.SUSPEND, OperationKind.POWER_OFF):
        with pytest.raises(WrongState) as refused:
            ask(house.cast.rosa, kind, house.service)
        assert refused.value.code == "protected"
        with pytest.raises(WrongState) as refused:
            actions.request(
                house.cast.ines, kind, server_id=house.web.pk, idempotency_key=str(kind), reason="x"
            )
        assert refused.value.code == "protected"
