"""One BMC over Redfish: ten calls, made with the client of the kit."""

import json
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from doublehop.driver_kit.contract import Health, Identifier, PowerState, Ticket, TicketState, TicketStatus
from doublehop.driver_kit.errors import BadAnswer, NotFound, Refused
from doublehop.driver_kit.http import HttpClient

_ROOT = "/redfish/v1"
_MOST_INTERFACES = 16
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_NO_SERIAL = frozenset(
    ("", "none", "n/a", "na", "default", "unknown", "0", "not specified", "to be filled by o.e.m.")
)
_NO_UUID = frozenset(("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"))

ON = ("On", "ForceOn")
OFF_GRACEFUL = ("GracefulShutdown",)
OFF_HARD = ("ForceOff",)
RESET_GRACEFUL = ("GracefulRestart",)
RESET_HARD = ("ForceRestart", "PowerCycle", "FullPowerCycle")

_STATES = {
    "On": PowerState.ON,
    "Off": PowerState.OFF,
    "PoweringOn": PowerState.RESTARTING,
    "PoweringOff": PowerState.RESTARTING,
    "Paused": PowerState.UNKNOWN,
}
_HEALTHS = {"OK": Health.OK, "Warning": Health.WARNING, "Critical": Health.CRITICAL}


class Bmc:
    """``system`` is the Redfish id; an empty one means the only system of this BMC."""

    def __init__(self, client: HttpClient, system: str = "") -> None:
        self._client = client
        self._path = f"{_ROOT}/Systems/{quote(system, safe='')}" if system else ""

    def system(self) -> dict[str, Any]:
        """The ComputerSystem. Raises NotFound, and Refused when the BMC has several and none was named."""
        if not self._path:
            self._path = self._only_system()
        return self._client.read(self._path).object()

    def power(self) -> PowerState:
        return _STATES.get(_text(self.system(), "PowerState"), PowerState.UNKNOWN)

    def health(self) -> Health:
        status = _part(self.system(), "Status")
        word = _text(status, "HealthRollup") or _text(status, "HealthRollUp") or _text(status, "Health")
        return _HEALTHS.get(word, Health.UNKNOWN)

    def identify(self) -> tuple[Identifier, ...]:
        """System UUID, serial number and MACs, as far as the BMC offers them; lower case, sorted."""
        system = self.system()
        found: set[Identifier] = set()
        uuid = _text(system, "UUID").lower()
        if uuid and uuid not in _NO_UUID:
            found.add(Identifier("system_uuid", uuid))
        serial = _text(system, "SerialNumber").strip()
        if serial.lower() not in _NO_SERIAL:
            found.add(Identifier("serial", serial))
        found.update(Identifier("mac", mac) for mac in self._macs(system))
        return tuple(sorted(found))

    def reset(self, wanted: Sequence[str], *, goal: PowerState | None) -> Ticket:
        """Asks for the first of the ``wanted`` reset types that the BMC allows. ``goal`` is None for a restart.

        Raises Refused when it allows none of them. Where the BMC refuses because the goal is reached, that is success.
        """
        system = self.system()
        action = _part(_part(system, "Actions"), "#ComputerSystem.Reset")
        target = _text(action, "target") or f"{self._path}/Actions/ComputerSystem.Reset"
        kind = _choose(wanted, action.get("ResetType@Redfish.AllowableValues"))
        receipt = {"goal": goal.value if goal else "", "reset_before": _text(system, "LastResetTime")}
        try:
            answer = self._client.change("POST", target, json={"ResetType": kind})
        except Refused:
            if goal is None or self.power() is not goal:
                raise
        else:
            location = answer.headers.get("location", "")
            if answer.status == 202 and location.startswith("/"):
                receipt["task"] = location
        return Ticket(json.dumps({**receipt, "asked_at": int(time.time())}))

    def follow_up(self, ticket: Ticket) -> TicketStatus:
        """Done when the wanted state is read. A restart is done when the machine is on again and, where the BMC keeps
        the time of the last reset, that time has moved."""
        receipt = _receipt(ticket)
        if receipt.get("task"):
            failed = self._task_failure(str(receipt["task"]))
            if failed is not None:
                return failed
        system = self.system()
        seen = _STATES.get(_text(system, "PowerState"), PowerState.UNKNOWN)
        if seen is not PowerState(receipt.get("goal") or PowerState.ON):
            return TicketStatus(TicketState.PENDING, f"the BMC says: {seen}")
        before, now = receipt.get("reset_before"), _text(system, "LastResetTime")
        if not receipt.get("goal") and before and before == now:
            return TicketStatus(TicketState.PENDING, "the BMC has not yet noted the restart")
        return TicketStatus(TicketState.DONE, f"the BMC says: {seen}")

    def _task_failure(self, path: str) -> TicketStatus | None:
        try:
            state = _text(self._client.read(path).object(), "TaskState")
        except NotFound:
            # Finished tasks are forgotten; the state of the machine decides.
            return None
        if state in ("Exception", "Killed", "Cancelled"):
            return TicketStatus(TicketState.FAILED, f"the BMC's task ended as {state}")
        return None

    def _only_system(self) -> str:
        members = _links(self._client.read(f"{_ROOT}/Systems").object(), "Members")
        if not members:
            raise NotFound("the BMC lists no system")
        if len(members) > 1:
            raise Refused("the BMC lists several systems; record which one this is")
        return members[0]

    def _macs(self, system: Mapping[str, Any]) -> list[str]:
        link = _text(_part(system, "EthernetInterfaces"), "@odata.id")
        if not link:
            return []
        macs = []
        for path in _links(self._client.read(link).object(), "Members")[:_MOST_INTERFACES]:
            interface = self._client.read(path).object()
            mac = (
                (_text(interface, "PermanentMACAddress") or _text(interface, "MACAddress"))
                .lower()
                .replace("-", ":")
            )
            if _MAC.fullmatch(mac) and mac not in ("00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"):
                macs.append(mac)
        return macs


def _choose(wanted: Sequence[str], allowed: object) -> str:
    if not isinstance(allowed, list):
        return wanted[0]
    for kind in wanted:
        if kind in allowed:
            return kind
    raise Refused(f"the BMC does not offer {' or '.join(wanted)}")


def _receipt(ticket: Ticket) -> dict[str, Any]:
    try:
        receipt = json.loads(ticket.text)
    except ValueError:
        receipt = None
    if not isinstance(receipt, dict) or receipt.get("goal") not in ("", "on", "off"):
        raise BadAnswer("this is no ticket of this driver")
    return receipt


def _part(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = data.get(name)
    return part if isinstance(part, dict) else {}


def _text(data: Mapping[str, Any], name: str) -> str:
    text = data.get(name)
    return text if isinstance(text, str) else ""


def _links(data: Mapping[str, Any], name: str) -> list[str]:
    members = data.get(name)
    if not isinstance(members, list):
        raise BadAnswer("the BMC gave a list without members")
    return [_text(member, "@odata.id") for member in members if isinstance(member, dict)]
