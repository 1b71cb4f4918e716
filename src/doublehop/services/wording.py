"""What operations are called and what people read about them. Staff read causes; clients never do."""

from doublehop.fleet.queries import owns
from doublehop.organisations.actor import Actor, ActorKind
from doublehop.services.lifecycle import OPEN_STATES, OperationKind, OperationState, StepKind, StepState
from doublehop.services.models import Operation, Step

NAME: dict[str, str] = {
    OperationKind.REBOOT: "Reboot",
    OperationKind.POWER_ON: "Power on",
    OperationKind.POWER_OFF: "Power off",
    OperationKind.SUSPEND: "Suspend",
    OperationKind.UNSUSPEND: "Unsuspend",
    OperationKind.REFRESH_ADDRESSES: "Get Server IP",
    OperationKind.SET_RDNS: "Set reverse DNS",
    OperationKind.RESCUE_START: "Start rescue system",
    OperationKind.RESCUE_STOP: "Leave rescue system",
    OperationKind.NULL_ROUTE: "Null route",
    OperationKind.NULL_ROUTE_END: "End null route",
    OperationKind.TERMINATE: "Terminate",
}
_THING: dict[str, str] = {
    OperationKind.REFRESH_ADDRESSES: "reading of the addresses",
    OperationKind.SET_RDNS: "change of the reverse DNS",
    OperationKind.RESCUE_START: "start of the rescue system",
    OperationKind.RESCUE_STOP: "return to the installed system",
    OperationKind.SUSPEND: "suspension",
    OperationKind.NULL_ROUTE: "null route",
    OperationKind.NULL_ROUTE_END: "end of the null route",
    OperationKind.TERMINATE: "termination",
}
STEP_NAME: dict[str, str] = {
    StepKind.RESET: "Send the reboot, once",
    StepKind.POWER_ON: "Switch the power on",
    StepKind.POWER_OFF: "Switch the power off",
    StepKind.PORT_OFF: "Switch the network port off",
    StepKind.PORT_ON: "Switch the network port on",
    StepKind.UPSTREAM_SUSPEND: "Suspend it at the provider",
    StepKind.UPSTREAM_UNSUSPEND: "Unsuspend it at the provider",
    StepKind.WITHDRAW_POWER: "Refuse power on while it is suspended",
    StepKind.RESTORE_POWER: "Allow power on again",
    StepKind.AWAIT_ON: "See the machine on again",
    StepKind.READ_ADDRESSES: "Read the addresses",
    StepKind.PERMISSION_OFF: "Take our permission at the provider away",
    StepKind.PERMISSION_ON: "Give our permission at the provider back",
    StepKind.SET_RDNS: "Set the name of the address",
    StepKind.NULL_ROUTE_ON: "Drop the traffic to the address",
    StepKind.NULL_ROUTE_OFF: "Let the traffic to the address through again",
    StepKind.RESCUE_START: "Restart into the rescue system, once",
    StepKind.RESCUE_STOP: "Restart into the installed system, once",
}
_CLIENT: dict[tuple[str, str], str] = {
    (OperationKind.REBOOT, OperationState.QUEUED): "Reboot asked for. It is sent in a moment.",
    (OperationKind.REBOOT, OperationState.RUNNING): "Restarting. Usually back within 1 to 4 minutes.",
    (OperationKind.REBOOT, OperationState.DONE): "The reboot was accepted, and the machine is on.",
    (OperationKind.POWER_ON, OperationState.RUNNING): "Switching on. Usually done within 1 minute.",
    (OperationKind.POWER_ON, OperationState.DONE): "Switched on.",
    (OperationKind.POWER_OFF, OperationState.RUNNING): "Switching off. Usually done within 2 minutes.",
    (OperationKind.POWER_OFF, OperationState.DONE): "Switched off.",
    (OperationKind.SUSPEND, OperationState.DONE): "Suspended.",
    (OperationKind.TERMINATE, OperationState.DONE): "Ended.",
    (OperationKind.UNSUSPEND, OperationState.RUNNING): "Coming back. Usually done within 5 minutes.",
    (OperationKind.UNSUSPEND, OperationState.DONE): "No longer suspended.",
    (OperationKind.REFRESH_ADDRESSES, OperationState.DONE): "Addresses read.",
    (
        OperationKind.RESCUE_START,
        OperationState.RUNNING,
    ): "Restarting into the rescue system. Usually done within 5 minutes.",
    (OperationKind.RESCUE_START, OperationState.DONE): "The rescue system runs.",
    (OperationKind.RESCUE_STOP, OperationState.RUNNING): "Restarting into the installed system.",
    (OperationKind.RESCUE_STOP, OperationState.DONE): "The installed system runs again.",
}
_CLIENT_STATE: dict[str, str] = {
    OperationState.HELD: "Asked for. Our staff looks at it first.",
    OperationState.QUEUED: "Asked for. It starts in a moment.",
    OperationState.RUNNING: "Running.",
    OperationState.DONE: "Done.",
    OperationState.CANCELLED: "Taken back before anything was sent.",
}


def thing(kind: str) -> str:
    """In the middle of a sentence: "reboot", "start of the rescue system"."""
    return _THING.get(kind) or NAME[kind].lower()


def name_of(operation: Operation) -> str:
    """ "Reboot, asked of the system" / "Reboot, cut and restart": what staff read."""
    name = NAME[operation.kind]
    if operation.kind == OperationKind.REBOOT:
        return f"{name}, {'asked of the system' if operation.graceful else 'cut and restart'}"
    if operation.kind == OperationKind.POWER_OFF:
        return f"{name}, {'asked of the system' if operation.graceful else 'cut'}"
    return name


def client_sentence(operation: Operation) -> str:
    """Neutral: how it stands and, where staff must act, the reference. Never a cause from beyond the brand."""
    what = thing(operation.kind)
    if operation.state == OperationState.UNKNOWN:
        return (
            f"We could not confirm your {what}. Our staff is looking at it; please do not start another one. "
            f"Reference {operation.reference}."
        )
    if operation.state == OperationState.FAILED:
        if operation.failure_code == "suspended":
            return f"The {what} was not sent: this service is suspended."
        if operation.failure_code == "restored":
            return f"The {what} was called off after maintenance of ours. If it is still needed, ask again."
        return f"The {what} was not done; nothing was changed. You may ask again, or tell us reference {operation.reference}."
    if operation.state == OperationState.DONE and operation.settled_by:
        return f"The {what} was confirmed by our staff."
    if operation.not_confirmable:
        return f"The {what} was accepted. Whether the machine is back cannot be read from here."
    if operation.kind == OperationKind.SET_RDNS:
        return _rdns_sentence(operation)
    if operation.restart_seen:
        return "Rebooted: the machine was away and is on again."
    return _CLIENT.get((operation.kind, operation.state)) or _CLIENT_STATE[operation.state]


def _rdns_sentence(operation: Operation) -> str:
    address, name = operation.parameters.get("address", ""), operation.parameters.get("name", "")
    what = f"set to {name}" if name else "removed"
    if operation.state == OperationState.DONE:
        return f"Reverse DNS of {address} {what}."
    if operation.state == OperationState.CANCELLED:
        return _CLIENT_STATE[operation.state]
    return f"Reverse DNS of {address} is being {what}."


def asked_by(actor: Actor, operation: Operation) -> str:
    """Who asked, as far as ``actor`` may know: names stay within one house, and nobody learns who stands above it."""
    if operation.actor_kind in (ActorKind.SYSTEM, ActorKind.HOUSE):
        return "automatic"
    if actor.is_tandem:
        return operation.actor_label if operation.actor_user_id == actor.user_id else "our staff"
    if actor.is_client:
        # Not by name, nor by which program of theirs: a LEAP account has a name that a house above chose.
        return operation.actor_label if operation.actor_kind == ActorKind.CLIENT else "our staff"
    own_house = operation.organisation_id == operation.actor_organisation_id == actor.organisation_id
    if own_house or actor.is_system:
        return operation.actor_label
    if operation.server.upstream.organisation_id == actor.organisation_id:
        return operation.organisation.name
    return "a level above"


OURS = frozenset(
    {
        "suspended",
        "taken_back",
        "restored",
        "too_late",
        "detached",
        "not_allowed",
        "not_offered",
        "read_back",
        "deadline",
    }
)
"""Codes of failures whose text is written here: it names nobody, whoever reads it."""
_ELSEWHERE = {
    "wrong_machine": "It was not sent: what answers is not the machine that was attached.",
    "missing": "It was not sent: the machine is not listed any more.",
}


def staff_sentence(actor: Actor, operation: Operation) -> str:
    """What came of it, for staff; empty where there is nothing to say. What an upstream told, its name in it, is read by the
    organisation that it belongs to: whoever received the server learns what that means for them."""
    if not operation.staff_text or owns(actor, operation.server) or operation.failure_code in OURS:
        return operation.staff_text
    if operation.kind == OperationKind.TERMINATE:
        return operation.staff_text
    what, ask = thing(operation.kind), f"Whoever provides the machine can look {operation.reference} up."
    if operation.state == OperationState.FAILED:
        return _ELSEWHERE.get(operation.failure_code, f"The {what} could not be done at the machine. {ask}")
    if operation.state == OperationState.UNKNOWN:
        return f"No certain answer came back from the machine. {ask}"
    return f"The machine cannot be reached at the moment. {ask}" if operation.state in OPEN_STATES else ""


def step_sentence(actor: Actor, operation: Operation, step: Step) -> str:
    """What staff read below a step that is not begun or runs."""
    if step.note and (owns(actor, operation.server) or operation.failure_code in OURS):
        return step.note
    if step.state == StepState.PENDING:
        return "Not started"
    if step.state == StepState.SENT:
        return "Sent, waiting for the machine"
    return ""
