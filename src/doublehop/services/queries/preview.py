"""What a bulk action would do, exactly: every guard runs, nothing is sent."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from doublehop.organisations.actor import Actor
from doublehop.organisations.once import caller_of
from doublehop.services.actions.brakes import BRAKED
from doublehop.services.actions.brakes import left as brakes_left
from doublehop.services.actions.planning import suspend_ways
from doublehop.services.guards import why_not, why_not_terminated
from doublehop.services.lifecycle import OperationKind
from doublehop.services.models import Service
from doublehop.services.queries.services import services_visible_to

EFFECT = {
    "port": ("Network port off", "network gone, machine stays on"),
    "upstream": ("Suspended at the provider", "as the provider does it"),
    "power": ("Power off", "the machine stops; power on is refused"),
    "null_route": ("Null route", "traffic to its main address is dropped, machine stays on"),
    "permission": ("Permission taken away", "the machine stays online"),
    "notify": ("Marked as suspended only", "the machine stays online"),
}
_EFFECT_OF_KIND = {
    OperationKind.REBOOT: ("Reboot", "away for 1 to 4 minutes"),
    OperationKind.POWER_ON: ("Power on", ""),
    OperationKind.POWER_OFF: ("Power off", "the machine stops"),
    OperationKind.UNSUSPEND: ("What was taken away comes back", "only this suspension is lifted"),
    OperationKind.REFRESH_ADDRESSES: ("Addresses are read again", "nothing is changed"),
    OperationKind.RESCUE_START: ("Rescue system", "the machine restarts into it"),
    OperationKind.RESCUE_STOP: ("Installed system", "the machine restarts into it"),
    OperationKind.SET_RDNS: ("Name of the address", "the machine is not touched"),
    OperationKind.NULL_ROUTE: ("Null route", "traffic to the address is dropped"),
    OperationKind.NULL_ROUTE_END: ("Null route ends", "traffic reaches the address again"),
    OperationKind.TERMINATE: ("Service ends", "the server is free; nothing is switched off or erased"),
}
MOST_AT_ONCE = 200
BIGGEST_ID = 2**63


@dataclass(frozen=True)
class PreviewLine:
    """``left_out`` is empty for what will be touched, else the reason why not."""

    service: Service
    effect: str
    effect_detail: str
    left_out: str = ""
    held: bool = False
    """Beyond what one caller may ask in an hour: it will wait for approval."""


@dataclass(frozen=True)
class Preview:
    kind: OperationKind
    will: tuple[PreviewLine, ...]
    left_out: tuple[PreviewLine, ...]

    @property
    def clients(self) -> int:
        return len({line.service.client_id for line in self.will})


def preview(actor: Actor, kind: OperationKind, service_ids: Sequence[int]) -> Preview:
    """Runs every guard for each chosen service of the actor. Foreign ids are simply not there."""
    rows = services_visible_to(actor).select_related("server__upstream", "product__suspend_policy")
    will: list[PreviewLine] = []
    left: list[PreviewLine] = []
    free = brakes_left(actor.organisation_id, caller_of(actor)) if kind in BRAKED else 0
    wanted = [pk for pk in service_ids if 0 < pk < BIGGEST_ID][:MOST_AT_ONCE]
    for row in rows.filter(pk__in=wanted).order_by("number"):
        line = _line(actor, kind, row)
        if line.left_out:
            left.append(line)
        else:
            will.append(replace(line, held=kind in BRAKED and len(will) >= free))
    return Preview(kind, tuple(will), tuple(left))


def _line(actor: Actor, kind: OperationKind, row: Service) -> PreviewLine:
    if row.server is None:
        return PreviewLine(row, "", "", "has no server yet")
    if kind is OperationKind.TERMINATE:
        refusal = why_not_terminated(actor, row)
    else:
        refusal = why_not(actor, kind, row.server, row, reason="preview")
    if refusal is not None:
        return PreviewLine(row, "", "", refusal.sentence)
    if kind is OperationKind.SUSPEND:
        return PreviewLine(row, *EFFECT[suspend_ways(row.server, row)])
    return PreviewLine(row, *_EFFECT_OF_KIND[kind])
