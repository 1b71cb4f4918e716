"""Dropzone, module Server."""

from typing import Any

from doublehop.fleet import actions as fleet
from doublehop.leap import deeds, machines, octets
from doublehop.leap.extensions import announced
from doublehop.leap.fields import Fields, flag, names, structure, text
from doublehop.leap.server import NO_MACHINES
from doublehop.leap.table import Call, Certainty, DropzoneCommand, Members
from doublehop.organisations.machine_identity import pin_fits
from doublehop.organisations.refusals import BadInput, NotAllowed, NotOffered
from doublehop.services.lifecycle import OperationKind

EXTENSIONS = ["suspend", "unsuspend", "operation", "login"]
GET, POST = ("GET",), ("POST",)


def _head(line: dict[str, Any]) -> dict[str, object]:
    return {
        "serverid": line["id"],
        "hostname": line["hostname"],
        "status": line["status"],
        "status_at": line["status_at"],
        "type": machines.KIND,
        "publicip": line["address"],
        "primaryip": line["address"],
        "suspended": line["suspended"],
    }


def list_servers(call: Call) -> Members:
    return {"data": {line["id"]: _head(line) for line in machines.lines(call.actor)}}


def view(call: Call) -> Members:
    line = machines.line(call.actor, call.arguments[0])
    return {"data": {**_head(line), "username": line["username"]}}


def network(call: Call) -> Members:
    return {"data": machines.network(call.actor, call.arguments[0])}


def bandwidth(call: Call) -> Members:
    first, second, third = call.arguments
    return {"data": octets.in_either_order(call.actor, first, second, third)}


def rdns(call: Call) -> Members:
    found = machines.names(call.actor, call.arguments[0])
    return {"data": {address: f"{name}." if name else "" for address, name in found.items()}}


def update_rdns(call: Call) -> Members:
    wanted = names(structure(call.fields, "rdns"))
    references = deeds.set_names(call.actor, wanted, call.arguments[0])
    results = [
        {
            "result": "ok",
            "success": "1",
            "message": "RDNS change accepted",
            "ip": address,
            "operation": reference,
        }
        for address, reference in references.items()
    ]
    return {"data": results, "operation": results[0]["operation"]}


def get_password(call: Call) -> Members:
    server_id = machines.server_id_of(call.actor, call.arguments[0])
    _check_pin(call)
    return {"data": fleet.reveal_login(call.actor, server_id).password.reveal()}


def check_install(call: Call) -> Members:
    machines.server_id_of(call.actor, call.arguments[0])
    # A machine has an id here only once it was handed over.
    return {"data": {"step": "Finished", "progress": 100, "position": 1, "steps": {"1": "Finished"}}}


def cancel(call: Call) -> Members:
    server_id = machines.server_id_of_hostname(call.actor, call.arguments[0])
    reason = text(call.fields, "reason", needed=False) or "Asked for by a program."
    return {"data": deeds.give_back(call.actor, [server_id], reason=reason)[str(server_id)]}


def bailout_start(call: Call) -> Members:
    return _with_pin(call, OperationKind.RESCUE_START)


def bailout_stop(call: Call) -> Members:
    return _with_pin(call, OperationKind.RESCUE_STOP)


def reboot(call: Call) -> Members:
    return _done(call, OperationKind.REBOOT, reason=_reason(call.fields))


def suspend(call: Call) -> Members:
    return _done(call, OperationKind.SUSPEND, reason=text(call.fields, "reason"))


def unsuspend(call: Call) -> Members:
    return _done(call, OperationKind.UNSUSPEND)


def operation(call: Call) -> Members:
    return {"data": deeds.operation(call.actor, call.arguments[0])}


def login(call: Call) -> Members:
    return {"data": {"username": machines.line(call.actor, call.arguments[0])["username"]}}


def extensions(call: Call) -> Members:
    return {"data": announced(EXTENSIONS)}


def no_virtual_machine(call: Call) -> Members:
    raise NotOffered(NO_MACHINES)


def no_requests(call: Call) -> Members:
    raise NotOffered("Addresses are not asked for here. Ask the staff.")


def _reason(fields: Fields) -> str:
    return text(fields, "reason", needed=False)


def _with_pin(call: Call, kind: OperationKind) -> Members:
    machines.server_id_of(call.actor, call.arguments[0])
    _check_pin(call)
    return _done(call, kind, reason=_reason(call.fields))


def _check_pin(call: Call) -> None:
    pin = text(call.fields, "pin", needed=False)
    if not pin:
        raise BadInput("A PIN is needed: pin.", field="pin")
    if not pin_fits(call.request, call.actor, pin):
        raise NotAllowed("The PIN does not fit.")


def _done(call: Call, kind: OperationKind, *, reason: str = "") -> Members:
    dry_run = bool(flag(call.fields, "dry_run"))
    return deeds.ask(call.actor, kind, call.arguments[0], reason=reason, dry_run=dry_run)


_C = Certainty
_VM = "There are no virtual machines here."
COMMANDS = (
    DropzoneCommand(
        "server/list",
        GET,
        _C.SEEN,
        list_servers,
        "An object keyed by id. `status_at`, `primaryip`, `suspended` are ours.",
        True,
    ),
    DropzoneCommand(
        "server/view/{serverid}",
        GET,
        _C.SEEN,
        view,
        "`hostname`, `status`, `primaryip` are seen; the rest is ours.",
        True,
    ),
    DropzoneCommand(
        "server/network/{serverid}",
        GET,
        _C.SEEN,
        network,
        "`gateway` and `netmask` are empty where they are not known.",
        True,
    ),
    DropzoneCommand(
        "server/bandwidth/{start}/{end}/{serverid}",
        GET,
        _C.SEEN,
        bandwidth,
        "Also in its first order, `{serverid}/{start}/{end}`: moments are told from ids by their size. UTC days, octets.",
        True,
    ),
    DropzoneCommand("server/rdns/{serverid}", GET, _C.INFERRED, rdns, "Names with their final dot.", True),
    DropzoneCommand(
        "server/rdns/{serverid}",
        POST,
        _C.SEEN,
        update_rdns,
        "`rdns` is a JSON object. Names with or without final dot; an empty one removes. `message` says that it was accepted.",
        True,
    ),
    DropzoneCommand(
        "server/getpassword/{serverid}",
        POST,
        _C.SEEN,
        get_password,
        "`pin`. Where the password is known here.",
        True,
    ),
    DropzoneCommand(
        "server/checkinstall/{serverid}",
        GET,
        _C.SEEN,
        check_install,
        "A machine with an id is finished.",
        True,
    ),
    DropzoneCommand(
        "server/cancel/{hostname}",
        POST,
        _C.SEEN,
        cancel,
        "The cancellation id. The server stays until it is accepted. `reason` is ours.",
    ),
    DropzoneCommand(
        "server/bailout/start/{serverid}",
        POST,
        _C.SEEN,
        bailout_start,
        "`pin`. Where the machine has a rescue system.",
        True,
    ),
    DropzoneCommand(
        "server/bailout/stop/{serverid}",
        POST,
        _C.SEEN,
        bailout_stop,
        "`pin`. Restarts into the installed system.",
        True,
    ),
    DropzoneCommand(
        "server/reboot/{serverid}",
        ("GET", "POST"),
        _C.INFERRED,
        reboot,
        "`reason` and `dry_run` are ours; a reason is needed after a power change with an unknown outcome.",
        True,
    ),
    DropzoneCommand("server/startvm/{serverid}", ("GET", "POST"), _C.REFUSED, no_virtual_machine, _VM, True),
    DropzoneCommand("server/stopvm/{serverid}", ("GET", "POST"), _C.REFUSED, no_virtual_machine, _VM, True),
    DropzoneCommand("server/createvm", POST, _C.REFUSED, no_virtual_machine, _VM, True),
    DropzoneCommand(
        "server/ip/justification/{serverid}",
        ("GET", "POST"),
        _C.REFUSED,
        no_requests,
        "Addresses are not asked for here.",
    ),
    DropzoneCommand(
        "server/ip/requests/{serverid}", POST, _C.REFUSED, no_requests, "Addresses are not asked for here."
    ),
    DropzoneCommand(
        "server/suspend/{serverid}", POST, _C.OURS, suspend, "`reason`, `dry_run`. A real suspension.", True
    ),
    DropzoneCommand(
        "server/unsuspend/{serverid}", POST, _C.OURS, unsuspend, "Lifts the reseller's own only.", True
    ),
    DropzoneCommand(
        "server/operation/{reference}",
        GET,
        _C.OURS,
        operation,
        "`state` is queued, running, done, failed, unknown or cancelled.",
        True,
    ),
    DropzoneCommand("server/login/{serverid}", GET, _C.OURS, login, "The login name on the machine.", True),
    DropzoneCommand(
        "server/extensions", GET, _C.OURS, extensions, "What is offered beyond the old API.", True
    ),
)
