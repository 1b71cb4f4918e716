"""What an operation consists of, and until when: its steps, the way that a suspension takes, its deadlines."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

from doublehop.fleet.actions.holds import Effect
from doublehop.fleet.models import Server
from doublehop.fleet.queries import open_holds
from doublehop.services.lifecycle import NATURE, OperationKind, StepKind
from doublehop.services.models import Operation, Service, Step, SuspendPolicy

DEFAULT_WAYS = ("port", "upstream", "power", "permission", "notify")

STEPS: dict[OperationKind, tuple[StepKind, ...]] = {
    OperationKind.REBOOT: (StepKind.RESET, StepKind.AWAIT_ON),
    OperationKind.POWER_ON: (StepKind.POWER_ON,),
    OperationKind.POWER_OFF: (StepKind.POWER_OFF,),
    OperationKind.REFRESH_ADDRESSES: (StepKind.READ_ADDRESSES,),
    OperationKind.SET_RDNS: (StepKind.SET_RDNS,),
    OperationKind.RESCUE_START: (StepKind.RESCUE_START,),
    OperationKind.RESCUE_STOP: (StepKind.RESCUE_STOP,),
    OperationKind.NULL_ROUTE: (StepKind.NULL_ROUTE_ON,),
    OperationKind.NULL_ROUTE_END: (StepKind.NULL_ROUTE_OFF,),
    OperationKind.UNSUSPEND: (),  # known when it is claimed: it undoes what was done until then
}
WAY_STEPS: dict[str, tuple[StepKind, ...]] = {
    "port": (StepKind.PORT_OFF,),
    "upstream": (StepKind.UPSTREAM_SUSPEND,),
    "power": (StepKind.WITHDRAW_POWER, StepKind.POWER_OFF),
    "permission": (StepKind.PERMISSION_OFF,),
    "null_route": (StepKind.NULL_ROUTE_ON,),
    "notify": (),
}
WAY_PART = {
    "port": "port",
    "upstream": "suspension",
    "power": "power_switch",
    "permission": "access",
    "null_route": "null_route",
}

_UNDO = {
    "port": StepKind.PORT_ON,
    "upstream": StepKind.UPSTREAM_UNSUSPEND,
    "power": StepKind.POWER_ON,
    "power_withdrawn": StepKind.RESTORE_POWER,
    "permission": StepKind.PERMISSION_ON,
    "null_route": StepKind.NULL_ROUTE_OFF,
}

SEND_WITHIN = {
    OperationKind.REBOOT: timedelta(minutes=2),
    OperationKind.POWER_ON: timedelta(minutes=5),
    OperationKind.POWER_OFF: timedelta(minutes=5),
    OperationKind.RESCUE_START: timedelta(minutes=2),
    OperationKind.RESCUE_STOP: timedelta(minutes=2),
}
SETTLE_WITHIN = {
    OperationKind.REBOOT: timedelta(minutes=10),
    OperationKind.REFRESH_ADDRESSES: timedelta(minutes=2),
    OperationKind.SET_RDNS: timedelta(minutes=10),
    OperationKind.NULL_ROUTE: timedelta(minutes=30),
    OperationKind.NULL_ROUTE_END: timedelta(minutes=30),
    OperationKind.RESCUE_START: timedelta(minutes=15),
    OperationKind.RESCUE_STOP: timedelta(minutes=15),
}
LEVEL_WITHIN = timedelta(hours=1)
"""How long a level step is repeated before a person is told."""


def add_steps(
    operation: Operation, kinds: Sequence[StepKind], parameters: Mapping[str, object] | None = None
) -> None:
    first = operation.steps.count()
    Step.objects.bulk_create(
        Step(
            operation=operation,
            position=first + number,
            kind=kind,
            nature=NATURE[kind],
            parameters=dict(parameters or {}),
        )
        for number, kind in enumerate(kinds)
    )


def undoing(effects: Sequence[Effect]) -> list[tuple[StepKind, Effect]]:
    """The steps, each with its parameters, that undo exactly these, the last first."""
    planned: list[tuple[StepKind, Effect]] = []
    for effect in reversed(effects):
        kind = _UNDO[str(effect["way"])]
        parameters = {"address": effect["address"]} if "address" in effect else {}
        if effect["was"] and (kind, parameters) not in planned:
            planned.append((kind, parameters))
    return planned


def undoes_all(unsuspend: Operation) -> bool:
    """Not when its hold inherited more after it was planned, and nobody is left who would inherit that in turn."""
    holds = list(open_holds([unsuspend.server_id]))
    if unsuspend.kind != OperationKind.UNSUSPEND or [hold.pk for hold in holds] != [unsuspend.hold_id]:
        return True
    planned = [(step.kind, step.parameters) for step in unsuspend.steps.all()]
    return all(step in planned for step in undoing(holds[0].effects))


def suspend_ways(server: Server, service: Service | None) -> str:
    """The way that a suspension of this server takes: the first of the policy that the machine offers."""
    offered = set(server.capabilities)
    if not server.primary_address:
        offered.discard("null_route")  # there is nothing that it could be about
    return way_offered(offered, service.product.suspend_policy if service is not None else None)


def way_offered(capabilities: Collection[str], policy: SuspendPolicy | None) -> str:
    """The same for any machine that offers ``capabilities``. Without a policy the usual order holds."""
    for way in policy.ways if policy is not None else DEFAULT_WAYS:
        if way == "notify" or WAY_PART[way] in capabilities:
            return str(way)
    return "notify"
