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
}
"""What is not in here cannot happen. Ended services (terminated, cancelled, fraud) have no way back."""


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


class OperationState(StrEnum):
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
    OperationState.QUEUED: frozenset(
        {OperationState.RUNNING, OperationState.CANCELLED, OperationState.FAILED}
    ),
    OperationState.RUNNING: frozenset({OperationState.DONE, OperationState.FAILED, OperationState.UNKNOWN}),
    OperationState.UNKNOWN: frozenset({OperationState.DONE, OperationState.FAILED}),
    OperationState.DONE: frozenset(),
    OperationState.FAILED: frozenset(),
    OperationState.CANCELLED: frozenset(),
}
"""RUNNING never goes back to QUEUED: what waits for a better moment waits as RUNNING, so nothing overtakes half-done work."""

OPEN_STATES = (OperationState.QUEUED, OperationState.RUNNING)


class Nature(StrEnum):
    EDGE = "edge"
    """Once. After ``sent`` it is never sent again; an unclear outcome is UNKNOWN."""
    LEVEL = "level"
    """Make it so: sent again until read back equal, until the deadline."""
    READ = "read"
    """Changes nothing."""


class StepState(StrEnum):
    PENDING = "pending"
    SENT = "sent"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"


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
    StepKind.RESCUE_START: Nature.EDGE,
    StepKind.RESCUE_STOP: Nature.EDGE,
}
