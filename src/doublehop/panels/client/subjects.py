"""What one page is about: a client's service, or a machine of somebody who has permission on it and no service.

Both become the same values (presenting), so the pages, their buttons and their fragments are written once.
"""

from collections.abc import Sequence
from typing import Any

from django.urls import reverse
from django.utils import timezone

from doublehop.fleet import queries as fleet
from doublehop.fleet.permissions import Right, rights_of
from doublehop.organisations.actor import Actor
from doublehop.panels.client.presenting import (
    ALIVE,
    AddressLine,
    Card,
    Glance,
    Places,
    ServerPage,
    name_of,
    state_of,
)
from doublehop.panels.client.progress import due_of, progress_of
from doublehop.services import queries
from doublehop.services.lifecycle import OPEN_STATES, OperationKind, OperationState, ServiceStatus

CLIENT_KINDS = (
    OperationKind.REBOOT,
    OperationKind.POWER_ON,
    OperationKind.POWER_OFF,
    OperationKind.REFRESH_ADDRESSES,
    OperationKind.RESCUE_START,
    OperationKind.RESCUE_STOP,
)
ENDED_SECONDS = 90
PRESSING = (*OPEN_STATES, OperationState.UNKNOWN)


def _places(prefix: str, pk: int) -> Places:
    def to(name: str) -> str:
        return reverse(f"{prefix}-{name}", args=[pk])

    return Places(
        page=to("server"),
        live=to("live"),
        do=to("act"),
        take_back=to("take-back"),
        read_again=to("read-again"),
        rdns=to("rdns"),
        bandwidth=to("bandwidth-page"),
        bandwidth_json=to("bandwidth"),
        bandwidth_csv=to("bandwidth-csv"),
        home=reverse(f"{prefix}-servers"),
    )


def service_glance(actor: Actor, service_id: int) -> Glance:
    """Raises NotHere for what is not theirs."""
    row = queries.service(actor, service_id)
    machine = fleet.servers_visible_to(actor).filter(pk=row.server_id).first() if row.server_id else None
    operation = queries.last_operation(actor, machine.pk) if machine is not None else None
    held = queries.suspension_of(actor, row)
    return Glance(
        at=_places("client", row.pk),
        service=row,
        server=machine,
        name=name_of(row, machine),
        state=state_of(row, machine, operation, held),
        operation=operation,
        suspension=held,
        rights=rights_of(actor, machine) if machine is not None else frozenset(),
    )


def machine_glance(actor: Actor, server_id: int) -> Glance:
    """Raises NotHere without a permission on it."""
    machine = fleet.server(actor, server_id)
    operation = queries.last_operation(actor, machine.pk)
    held = queries.suspensions_of_servers(actor, [machine]).get(machine.pk)
    return Glance(
        at=_places("machine", machine.pk),
        service=None,
        server=machine,
        name=name_of(None, machine),
        state=state_of(None, machine, operation, held),
        operation=operation,
        suspension=held,
        rights=rights_of(actor, machine),
    )


def page_of(actor: Actor, glance: Glance) -> ServerPage:
    operation, service, server = glance.operation, glance.service, glance.server
    if service is not None:
        lines = queries.history(actor, service)
        drawn = queries.buttons(actor, service) if server is not None else []
    else:
        lines = queries.history_of_server(actor, server.pk)
        drawn = queries.server_buttons(actor, server)
    reference = operation.reference if operation is not None else ""
    now = next((line for line in lines if line.reference == reference), None)
    return ServerPage(
        **vars(glance),
        buttons=[button for button in drawn if button.kind in CLIENT_KINDS],
        lines=lines,
        addresses=address_lines(actor, glance) if server is not None else [],
        now_running=now if now is not None and now.state in OPEN_STATES else None,
        just_ended=now if now is not None and glance.suspension is None and _ended_lately(now) else None,
        undecided=now if now is not None and now.state == OperationState.UNKNOWN else None,
        may_take_back=operation is not None
        and queries.can_be_cancelled(operation)
        and operation.actor_user_id == actor.user_id,
        progress=progress_of(actor, service) if service is not None else None,
        due=due_of(service) if service is not None else None,
    )


def _ended_lately(line: queries.HistoryLine) -> bool:
    if line.settled_at is None or line.state in (*OPEN_STATES, OperationState.CANCELLED):
        return False
    return (timezone.now() - line.settled_at).total_seconds() < ENDED_SECONDS


def address_lines(actor: Actor, glance: Glance) -> list[AddressLine]:
    """The server's addresses with their names; those that are being set stand beside the present ones."""
    server, service = glance.server, glance.service
    may_name = Right.RDNS in glance.rights and "rdns" in server.capabilities
    asked = queries.operations_visible_to(actor).filter(
        server_id=server.pk, kind=OperationKind.SET_RDNS, state__in=OPEN_STATES
    )
    names = {row.parameters["address"]: row.parameters["name"] for row in asked.order_by("id")}
    return [
        AddressLine(
            number=row.pk,
            address=row.address,
            primary=row.primary,
            rdns=row.rdns,
            pending=names.get(row.address),
            # A whole network has no name of its own.
            may_name=may_name and "/" not in row.address and (service is None or service.status in ALIVE),
            typed=row.rdns,
        )
        for row in queries.addresses_shown(actor, server.pk)
    ]


def service_cards(actor: Actor, shown: Sequence[Any]) -> list[Card]:
    """The machines and what is under way for all of them in two queries; why one is suspended only where one is."""
    ids = [row.server_id for row in shown if row.server_id]
    machines = {row.pk: row for row in fleet.servers_visible_to(actor).filter(pk__in=ids)}
    rows = queries.operations_visible_to(actor).filter(service_id__in=[row.pk for row in shown])
    running = {row.service_id: row for row in rows.filter(state__in=PRESSING).order_by("id")}
    cards = []
    for row in shown:
        server = machines.get(row.server_id) if row.server_id else None
        held = queries.suspension_of(actor, row) if row.status == ServiceStatus.SUSPENDED else None
        cards.append(
            Card(
                at=_places("client", row.pk),
                name=name_of(row, server),
                state=state_of(row, server, running.get(row.pk), held),
                service=row,
                server=server,
                suspension=held,
                due=due_of(row),
            )
        )
    return cards


def machine_cards(actor: Actor, shown: Sequence[Any]) -> list[Card]:
    """As many queries for many as for one."""
    held = queries.suspensions_of_servers(actor, shown)
    rows = queries.operations_visible_to(actor).filter(server_id__in=[row.pk for row in shown])
    running = {row.server_id: row for row in rows.filter(state__in=PRESSING).order_by("id")}
    return [
        Card(
            at=_places("machine", row.pk),
            name=name_of(None, row),
            state=state_of(None, row, running.get(row.pk), held.get(row.pk)),
            server=row,
            suspension=held.get(row.pk),
        )
        for row in shown
    ]
