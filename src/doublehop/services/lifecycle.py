"""The life of a service and of an operation, as tables. Read this first; everything else obeys it."""

from enum import StrEnum


class ServiceStatus(StrEnum):
    PENDING = "pending"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    TERMINATED = "terminated"
    CANCELLED = "cancelled"
    FRAUD = "fraud"


class ServiceVerb(StrEnum):
    ATTACH = "attach"
    SWAP = "swap"
    DETACH = "detach"
    SUSPEND = "suspend"
    UNSUSPEND = "unsuspend"
    TERMINATE = "terminate"
    CANCEL = "cancel"
    MARK_FRAUD = "mark_fraud"
    RESTORE = "restore"


_S, _V = ServiceStatus, ServiceVerb

SERVICE_LIFE: dict[tuple[ServiceStatus, ServiceVerb], ServiceStatus] = {
    # status            verb            becomes
    (_S.PENDING, _V.ATTACH): _S.ACTIVE,
    (_S.PENDING, _V.CANCEL): _S.CANCELLED,
    (_S.PENDING, _V.MARK_FRAUD): _S.FRAUD,
    (_S.ACTIVE, _V.SWAP): _S.ACTIVE,
    (_S.ACTIVE, _V.DETACH): _S.PENDING,
    (_S.ACTIVE, _V.SUSPEND): _S.SUSPENDED,
    (_S.ACTIVE, _V.TERMINATE): _S.TERMINATED,
    (_S.SUSPENDED, _V.UNSUSPEND): _S.ACTIVE,
    (_S.SUSPENDED, _V.SUSPEND): _S.SUSPENDED,
    (_S.SUSPENDED, _V.TERMINATE): _S.TERMINATED,
    (_S.SUSPENDED, _V.MARK_FRAUD): _S.FRAUD,
    (_S.TERMINATED, _V.RESTORE): _S.ACTIVE,
}
"""What is not in here cannot happen. Cancelled and fraud have no way back; terminated has one while the server is free."""


class OperationKind(StrEnum):
    REBOOT = "reboot"
    POWER_ON = "power_on"
    POWER_OFF = "power_off"
    SUSPEND = "suspend"
    UNSUSPEND = "unsuspend"
    REFRESH_ADDRESSES = "refresh_addresses"
    SET_RDNS = "set_rdns"
    RESCUE_START = "rescue_start"
    RESCUE_STOP = "rescue_stop"
    NULL_ROUTE = "null_route"
    """Drops the traffic to one address; overtakes what waits, as a suspension does."""
    NULL_ROUTE_END = "null_route_end"
    TERMINATE = "terminate"
    """Ends the service. Ours alone: no machine is asked, so it has no steps and is done at once, unless a brake holds it."""


class OperationState(StrEnum):
    HELD = "held"
    """A brake holds it: stored, nothing done, waiting for the approval of its batch."""
    QUEUED = "queued"
    """Stored, nothing sent. May still be cancelled."""
    RUNNING = "running"
    """Claimed by a worker; at most one per server (partial unique index)."""
    DONE = "done"
    """Read back and true, or accepted where nothing can be read back."""
    FAILED = "failed"
    """Certain that it did not happen."""
    UNKNOWN = "unknown"
    """Sent, outcome not known. Needs a person; never sent again by itself."""
    CANCELLED = "cancelled"
    """Taken back before anything was sent."""


OPERATION_LIFE: dict[OperationState, frozenset[OperationState]] = {
    OperationState.HELD: frozenset(
        {OperationState.QUEUED, OperationState.DONE, OperationState.CANCELLED, OperationState.FAILED}
    ),
    OperationState.QUEUED: frozenset(
        {OperationState.RUNNING, OperationState.CANCELLED, OperationState.FAILED}
    ),
    # Cancelled only while nothing was sent.
    OperationState.RUNNING: frozenset(
        {OperationState.DONE, OperationState.FAILED, OperationState.UNKNOWN, OperationState.CANCELLED}
    ),
    OperationState.UNKNOWN: frozenset({OperationState.DONE, OperationState.FAILED}),
    OperationState.DONE: frozenset(),
    OperationState.FAILED: frozenset(),
    OperationState.CANCELLED: frozenset(),
}
"""RUNNING never goes back to QUEUED: what waits for a better moment waits as RUNNING, so nothing overtakes half-done work."""

OPEN_STATES = (OperationState.QUEUED, OperationState.RUNNING)
CANCELLABLE = (OperationState.HELD, *OPEN_STATES)
"""While nothing was sent."""
PRESSING_STATES = (*OPEN_STATES, OperationState.HELD, OperationState.UNKNOWN)
"""What has not ended: it is under way, or waits for a person."""


class Nature(StrEnum):
    EDGE = "edge"
    """Once. After ``sent`` it is never sent again; an unclear outcome is UNKNOWN."""
    LEVEL = "level"
    """Make it so: sent again until read back equal, until the deadline."""
    READ = "read"
    """Changes nothing."""


class StepState(StrEnum):
    PENDING = "pending"
    """Not begun: nothing was sent for it."""
    SENT = "sent"
    """Committed directly before the first byte. Without an answer it is not known whether anything happened."""
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"


STEP_LIFE: dict[StepState, frozenset[StepState]] = {
    StepState.PENDING: frozenset({StepState.SENT, StepState.DONE, StepState.FAILED}),
    # Back to pending only when it is proven that no byte left, or that nothing was done.
    StepState.SENT: frozenset(
        {StepState.PENDING, StepState.SENT, StepState.DONE, StepState.FAILED, StepState.UNKNOWN}
    ),
    StepState.UNKNOWN: frozenset({StepState.DONE, StepState.FAILED}),
    StepState.DONE: frozenset(),
    StepState.FAILED: frozenset(),
}
"""A step that is UNKNOWN is settled by reading back or by a person; it never becomes SENT again."""


class Trouble(StrEnum):
    """What may come of sending a step, besides an answer."""

    NEVER_LEFT = "never left us"
    """Proven: no byte that could act has left, or the upstream asked for patience and did nothing."""
    REFUSED = "refused"
    """Proven: the answer says no, or a guard does. Asking again would not help."""
    UNCLEAR = "unclear"
    """It left, and whether it acted is not known."""
    INTERRUPTED = "interrupted"
    """We died between "sent" and the answer: as unclear, and nobody is left to ask."""


class Then(StrEnum):
    AGAIN = "sent again, while there is time"
    FAIL = "failed"
    PARK = "unknown: a person decides"
    READ_BACK = "read back, and sent again if it is not so"


RULES: dict[tuple[Nature, Trouble], Then] = {
    (Nature.EDGE, Trouble.NEVER_LEFT): Then.AGAIN,
    (Nature.EDGE, Trouble.REFUSED): Then.FAIL,
    (Nature.EDGE, Trouble.UNCLEAR): Then.PARK,
    (Nature.EDGE, Trouble.INTERRUPTED): Then.PARK,
    (Nature.LEVEL, Trouble.NEVER_LEFT): Then.AGAIN,
    (Nature.LEVEL, Trouble.REFUSED): Then.FAIL,
    (Nature.LEVEL, Trouble.UNCLEAR): Then.READ_BACK,
    (Nature.LEVEL, Trouble.INTERRUPTED): Then.READ_BACK,
}
"""The whole safety of sending in eight lines. A step that only reads sends nothing, so it has no rule here."""


class StepKind(StrEnum):
    RESET = "reset"
    POWER_ON = "power_on"
    POWER_OFF = "power_off"
    PORT_OFF = "port_off"
    PORT_ON = "port_on"
    UPSTREAM_SUSPEND = "upstream_suspend"
    UPSTREAM_UNSUSPEND = "upstream_unsuspend"
    WITHDRAW_POWER = "withdraw_power"
    """Clients may not switch the machine on while it is held. Ours alone: no upstream is asked."""
    RESTORE_POWER = "restore_power"
    AWAIT_ON = "await_on"
    READ_ADDRESSES = "read_addresses"
    PERMISSION_OFF = "permission_off"
    """The permission of the login that works for us is taken away; the machine stays online."""
    PERMISSION_ON = "permission_on"
    SET_RDNS = "set_rdns"
    NULL_ROUTE_ON = "null_route_on"
    NULL_ROUTE_OFF = "null_route_off"
    RESCUE_START = "rescue_start"
    RESCUE_STOP = "rescue_stop"


NATURE: dict[StepKind, Nature] = {
    StepKind.RESET: Nature.EDGE,
    StepKind.POWER_ON: Nature.LEVEL,
    StepKind.POWER_OFF: Nature.LEVEL,
    StepKind.PORT_OFF: Nature.LEVEL,
    StepKind.PORT_ON: Nature.LEVEL,
    StepKind.UPSTREAM_SUSPEND: Nature.LEVEL,
    StepKind.UPSTREAM_UNSUSPEND: Nature.LEVEL,
    StepKind.WITHDRAW_POWER: Nature.LEVEL,
    StepKind.RESTORE_POWER: Nature.LEVEL,
    StepKind.AWAIT_ON: Nature.READ,
    StepKind.READ_ADDRESSES: Nature.READ,
    StepKind.PERMISSION_OFF: Nature.LEVEL,
    StepKind.PERMISSION_ON: Nature.LEVEL,
    StepKind.SET_RDNS: Nature.LEVEL,
    StepKind.NULL_ROUTE_ON: Nature.LEVEL,
    StepKind.NULL_ROUTE_OFF: Nature.LEVEL,
    StepKind.RESCUE_START: Nature.EDGE,
    StepKind.RESCUE_STOP: Nature.EDGE,
}
