"""LEAP API, module server: the machines."""

from collections.abc import Callable

from doublehop.leap import deeds, machines, octets, offers
from doublehop.leap.fields import Fields, flag, names, text
from doublehop.leap.table import Certainty, LeapCommand
from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import BadInput, NotOffered
from doublehop.services.lifecycle import OperationKind

NO_MACHINES = "There are no virtual machines here."
NO_REINSTALL = "Reinstalling is not offered here."


def list_servers(actor: Actor, data: Fields) -> object:
    found = [
        {
            "server_id": line["id"],
            "type": machines.KIND,
            "server": line["hostname"],
            "primaryip": line["address"],
            "status": line["status"],
            "status_at": line["status_at"],
            "suspended": line["suspended"],
        }
        for line in machines.lines(actor)
    ]
    return {"success": True, "servers": found}


def get_server_details(actor: Actor, data: Fields) -> object:
    line = machines.line(actor, data.get("serverid"))
    details = {
        "serverid": line["id"],
        "hostname": line["hostname"],
        "primaryip": line["address"],
        "status": line["status"],
        "status_at": line["status_at"],
        "suspended": line["suspended"],
        "type": machines.KIND,
        "username": line["username"],
    }
    return {"success": True, "data": details}


def get_server_ips(actor: Actor, data: Fields) -> object:
    rows = machines.addresses(actor, data.get("serverid"))
    found = [{"ip": address, "primary": primary, "rdns": name} for address, primary, name in rows]
    return {"success": True, "data": found}


def get_server_bandwidth(actor: Actor, data: Fields) -> object:
    return {"success": True, "data": octets.last_days(actor, data.get("serverid"), data)}


def get_rdns_list(actor: Actor, data: Fields) -> object:
    return {"success": True, "data": machines.names(actor, data.get("serverid"))}


def update_rdns(actor: Actor, data: Fields) -> object:
    wanted = {name: value for name, value in data.items() if name != "serverid"}
    references = deeds.set_names(actor, names(wanted), data.get("serverid"))
    return {"success": True, "operation": next(iter(references.values())), "operations": references}


def reboot_server(actor: Actor, data: Fields) -> object:
    return _ask(actor, OperationKind.REBOOT, data, text(data, "reason", needed=False))


def get_os_list(actor: Actor, data: Fields) -> object:
    machines.server_id_of(actor, data.get("serverid"))
    return {"success": True, "data": []}


def reinstall_server(actor: Actor, data: Fields) -> object:
    machines.server_id_of(actor, data.get("serverid"))
    raise NotOffered(NO_REINSTALL)


def list_available_servers(actor: Actor, data: Fields) -> object:
    return offers.leap_lines(actor)


def cancellation_request(actor: Actor, data: Fields) -> object:
    servers, reason = data.get("servers"), text(data, "reason")
    if not isinstance(servers, list):
        raise BadInput("A list of ids is needed: servers.", field="servers")
    if reason not in (*deeds.REASONS, "Going out of business"):
        raise BadInput(f"The reason is one of: {', '.join(deeds.REASONS)}.", field="reason")
    return {
        "success": True,
        "data": deeds.give_back(actor, servers, reason=reason, happy=flag(data, "happy")),
    }


def list_snapshots(actor: Actor, data: Fields) -> object:
    return []


def no_virtual_machine(actor: Actor, data: Fields) -> object:
    raise NotOffered(NO_MACHINES)


def suspend_server(actor: Actor, data: Fields) -> object:
    return _ask(actor, OperationKind.SUSPEND, data, text(data, "reason"))


def unsuspend_server(actor: Actor, data: Fields) -> object:
    return _ask(actor, OperationKind.UNSUSPEND, data)


def get_operation(actor: Actor, data: Fields) -> object:
    return {"success": True, "data": deeds.operation(actor, text(data, "operation"))}


def get_server_login(actor: Actor, data: Fields) -> object:
    return {"success": True, "data": {"username": machines.line(actor, data.get("serverid"))["username"]}}


def _ask(actor: Actor, kind: OperationKind, data: Fields, reason: str = "") -> object:
    dry_run = bool(flag(data, "dry_run"))
    return {"success": True, **deeds.ask(actor, kind, data.get("serverid"), reason=reason, dry_run=dry_run)}


def _of_cascade(name: str, run: Callable[[Actor, Fields], object] = no_virtual_machine) -> LeapCommand:
    refused = run is no_virtual_machine
    note = (
        "There are no virtual machines here."
        if refused
        else "An empty array: there are no virtual machines here."
    )
    return LeapCommand(name, Certainty.REFUSED if refused else Certainty.SEEN, run, note)


COMMANDS = (
    LeapCommand(
        "listServers",
        Certainty.SEEN,
        list_servers,
        "`type` is `server`. `primaryip`, `status`, `status_at`, `suspended` are ours.",
    ),
    LeapCommand(
        "getServerDetails", Certainty.INFERRED, get_server_details, "`serverid`. The old shape is not known."
    ),
    LeapCommand(
        "getServerIps", Certainty.INFERRED, get_server_ips, "`serverid`. `ip`, `primary`, `rdns` each."
    ),
    LeapCommand(
        "getServerBandwidth",
        Certainty.INFERRED,
        get_server_bandwidth,
        "`serverid`. The last 31 UTC days in octets, in the shape of Dropzone. `start` and `end` (Unix) are ours.",
    ),
    LeapCommand("getRdnsList", Certainty.INFERRED, get_rdns_list, "`serverid`. A map of addresses to names."),
    LeapCommand(
        "updateRdns",
        Certainty.INFERRED,
        update_rdns,
        "`data` itself is the map of addresses to names; an empty name removes one. `serverid` beside them is ours.",
    ),
    LeapCommand(
        "rebootServer",
        Certainty.INFERRED,
        reboot_server,
        "`serverid`. `reason` and `dry_run` are ours; a reason is needed after a power change with an unknown outcome.",
    ),
    LeapCommand(
        "getOsList", Certainty.INFERRED, get_os_list, "`serverid`. An empty list: nothing is installed here."
    ),
    LeapCommand("reinstallServer", Certainty.REFUSED, reinstall_server, "Reinstalling is not offered here."),
    LeapCommand(
        "listAvailableServers",
        Certainty.SEEN,
        list_available_servers,
        "The offers of the organisation above. `hdid` and `maxdrives` are empty.",
    ),
    LeapCommand(
        "cancellationRequest",
        Certainty.INFERRED,
        cancellation_request,
        "`servers`, `happy`, `reason` of the old list. Cancellation ids by server; the servers stay until it is accepted.",
    ),
    _of_cascade("cascadeGetCpuUsage"),
    _of_cascade("cascadeGetNodeProperties"),
    _of_cascade("cascadeListSnapshots", list_snapshots),
    _of_cascade("cascadeCreateVm"),
    _of_cascade("cascadeEditVm"),
    _of_cascade("cascadeMoveVm"),
    _of_cascade("cascadeSnapshotVm"),
    _of_cascade("cascadeDeleteVm"),
    _of_cascade("cascadeShutdownVm"),
    _of_cascade("cascadeStartVm"),
    _of_cascade("cascadeRebootVm"),
    LeapCommand(
        "suspendServer",
        Certainty.OURS,
        suspend_server,
        "`serverid`, `reason`. A real suspension. With `dry_run` nothing is done and `dry_run` tells what would be.",
    ),
    LeapCommand(
        "unsuspendServer", Certainty.OURS, unsuspend_server, "`serverid`. Lifts the reseller's own only."
    ),
    LeapCommand(
        "getOperation",
        Certainty.OURS,
        get_operation,
        "`operation`. `state` is held, queued, running, done, failed, unknown or cancelled.",
    ),
    LeapCommand(
        "getServerLogin", Certainty.OURS, get_server_login, "`serverid`. The login name on the machine."
    ),
)
