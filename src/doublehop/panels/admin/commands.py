"""Module Commands: the buttons of a service or a server, their questions, and what pressing one does."""

from dataclasses import dataclass, replace
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import NotHere, Refusal
from doublehop.panels.gates import key_of
from doublehop.panels.looks import is_stale
from doublehop.panels.refusals import back_with
from doublehop.services import actions
from doublehop.services.actions import AlreadyOpen
from doublehop.services.actions.planning import suspend_ways
from doublehop.services.guards import ADDRESS_KINDS
from doublehop.services.lifecycle import PRESSING_STATES, OperationKind, OperationState
from doublehop.services.queries import Button
from doublehop.services.queries.preview import EFFECT
from doublehop.services.wording import NAME, name_of

ORDER = (
    OperationKind.SUSPEND,
    OperationKind.UNSUSPEND,
    OperationKind.REBOOT,
    OperationKind.REFRESH_ADDRESSES,
    OperationKind.POWER_ON,
    OperationKind.POWER_OFF,
    OperationKind.RESCUE_START,
    OperationKind.RESCUE_STOP,
)
"""As they stand in a row: those that each module has had for ever come first."""


@dataclass(frozen=True)
class Manner:
    """How a command looks, and what it asks before it acts; without a heading it asks nothing.

    ``{name}`` is the machine, ``{effect}`` what a suspension does to it; ``ask`` and ``cut`` name the two ways of a restart.
    """

    icon: str
    heading: str = ""
    text: str = ""
    keep: str = ""
    go: str = ""
    danger: bool = False
    ask: str = ""
    cut: str = ""


MANNERS: dict[str, Manner] = {
    OperationKind.REFRESH_ADDRESSES: Manner(icon="list-details"),
    OperationKind.REBOOT: Manner(
        icon="rotate",
        heading="Reboot {name}?",
        text="It will be away for about 1 to 4 minutes. A reboot is sent once and cannot be called back.",
        keep="Keep it running",
        go="Reboot {name}",
        ask="Ask the system to restart",
        cut="Cut and restart",
    ),
    OperationKind.POWER_OFF: Manner(
        icon="power",
        heading="Power off {name}?",
        text="Everything on it stops until it is powered on again. Its data stays.",
        keep="Keep it running",
        go="Power off {name}",
        danger=True,
        ask="Ask the system to shut down",
        cut="Cut the power",
    ),
    OperationKind.POWER_ON: Manner(
        icon="power",
        heading="Power on {name}?",
        text="It starts as after a power cut; its system is there after about 1 to 4 minutes.",
        keep="Leave it off",
        go="Power on {name}",
    ),
    OperationKind.SUSPEND: Manner(
        icon="player-pause",
        heading="Suspend {name}?",
        text="{effect} Unsuspend undoes exactly what was done.",
        keep="Keep it running",
        go="Suspend {name}",
        danger=True,
    ),
    OperationKind.UNSUSPEND: Manner(
        icon="player-play",
        heading="Unsuspend {name}?",
        text="What this suspension took away comes back, usually within 5 minutes. A suspension by somebody else stays.",
        keep="Keep it suspended",
        go="Unsuspend {name}",
    ),
    OperationKind.RESCUE_START: Manner(
        icon="lifebuoy",
        heading="Restart {name} into the rescue system?",
        text=(
            "Its own system stops, and the machine comes up in the rescue system within about 5 minutes. "
            "It is sent once and cannot be called back. The disks stay as they are."
        ),
        keep="Keep it running",
        go="Start rescue on {name}",
    ),
    OperationKind.RESCUE_STOP: Manner(
        icon="logout",
        heading="Restart {name} into its installed system?",
        text="Whatever runs in the rescue system ends. It is sent once and cannot be called back.",
        keep="Stay in the rescue system",
        go="Leave rescue on {name}",
    ),
}
LONGEST_IN_BUTTON = 32


@dataclass(frozen=True)
class Command:
    """A button as the page draws it: ``dialog`` is the question it opens, or it submits ``form``."""

    kind: str
    label: str
    manner: Manner
    why_not: str = ""
    blocking_url: str = ""
    needs_reason: bool = False

    @property
    def id(self) -> str:
        return f"c-{self.kind.replace('_', '-')}"

    @property
    def dialog(self) -> str:
        return f"d-{self.kind.replace('_', '-')}" if self.manner.heading else ""


def drawn(buttons: list[Button], name: str, effect: str = "") -> list[Command]:
    """The buttons of one machine, in one order. ``effect`` is what a suspension does to it."""
    return [
        _command(button, name, effect) for button in sorted(buttons, key=lambda one: ORDER.index(one.kind))
    ]


def _command(button: Button, name: str, effect: str) -> Command:
    manner = _about(MANNERS[button.kind], name, effect)
    blocking = button.blocking_reference
    return Command(
        kind=button.kind.value,
        label=f"{button.label}…" if manner.heading and not button.why_not else button.label,
        manner=manner,
        why_not=button.why_not,
        blocking_url=reverse("admin-operation", args=[blocking]) if blocking else "",
        needs_reason=button.needs_reason,
    )


def _about(manner: Manner, name: str, effect: str) -> Manner:
    short = name if len(name) <= LONGEST_IN_BUTTON else f"{name[: LONGEST_IN_BUTTON - 1]}…"
    return replace(
        manner,
        heading=manner.heading.format(name=name),
        text=manner.text.format(effect=effect or "It is taken away as the suspend policy says."),
        go=manner.go.format(name=short),
    )


IDLE = tuple(Command(kind.value, NAME[kind], MANNERS[kind]) for kind in ORDER[:4])
"""What stands there, grey, while no server is attached."""


def fitting(all_of_them: list[Command], server: Any) -> list[Command]:
    """Without *Power on* for a machine that was just read as on, and without the rescue system's other side."""
    if server is None:
        return all_of_them
    moot: set[str | None] = {
        OperationKind.RESCUE_START if server.rescue_active else OperationKind.RESCUE_STOP
    }
    if not is_stale(server.power_read_at):
        moot.add({"on": OperationKind.POWER_ON, "off": OperationKind.POWER_OFF}.get(server.power_state))
    return [one for one in all_of_them if one.kind not in moot]


def pressing(operation: Any) -> dict[str, Any] | None:
    """The operation that is under way or undecided, for the notice of a page."""
    if operation is None or operation.state not in PRESSING_STATES:
        return None
    return {
        "operation": operation,
        "name": name_of(operation),
        "is_unknown": operation.state == OperationState.UNKNOWN,
        "url": reverse("admin-operation", args=[operation.reference]),
    }


def suspend_effect(server: Any, service: Any) -> str:
    """ "Network port off: network gone, machine stays on." """
    return "{}: {}.".format(*EFFECT[suspend_ways(server, service)])


def press(
    request: HttpRequest,
    actor: Actor,
    address: str,
    *,
    service_id: int | None = None,
    server_id: int | None = None,
) -> HttpResponse:
    """Asks for the operation of the form and goes back to ``address``.

    Where the same is under way already, the person is taken to that operation.
    """
    kind = request.POST.get("kind", "")
    if kind not in set(OperationKind):
        raise NotHere
    try:
        operation = actions.request(
            actor,
            OperationKind(kind),
            service_id,
            server_id=server_id,
            idempotency_key=key_of(request),
            graceful=request.POST.get("graceful", "yes") == "yes",
            reason=request.POST.get("reason", ""),
            client_text=request.POST.get("client_text", ""),
            cause="abuse" if request.POST.get("cause") == "abuse" else "billing",
            parameters=_parameters(request, kind) if kind in ADDRESS_KINDS else None,
        )
    except AlreadyOpen as refusal:
        messages.warning(request, refusal.sentence)
        return HttpResponseRedirect(reverse("admin-operation", args=[refusal.operation.reference]))
    except Refusal as refusal:
        return back_with(request, refusal, address)
    messages.success(request, f"{NAME[kind]} is queued: see steps under {operation.reference}")
    return HttpResponseRedirect(address)


def _parameters(request: HttpRequest, kind: str) -> dict[str, str]:
    names = ("address", "name") if kind == OperationKind.SET_RDNS else ("address",)
    return {name: request.POST.get(name, "") for name in names}
