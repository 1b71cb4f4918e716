"""The LEAP API of the fake provider."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from doublehop.drivers.singlehop.fake.place import LEAP_EXTENSIONS, Answered, Machine, Place


def answer(place: Place, query: str) -> object:
    encoded = query.partition("request=")[2]
    try:
        request = json.loads(unquote(encoded))
        auth, module = request["auth"], request["module"]
    except (ValueError, KeyError, TypeError):
        return {"error": "JSON Decoding error"}
    wanted = {"key": place.api_key, "user": place.username, "password": place.password}
    if auth != wanted:
        raise Answered(401 if place.quirks.refuse_with_401 else 200, {"error": "Authentication Error"})
    command = str(module["command"])
    place.before(command)
    method = COMMANDS.get(command)
    if method is None or (command in LEAP_EXTENSIONS and not place.quirks.ours):
        return {"error": "No Such Command"}
    return method(place, request.get("data") or {})


def _machine(place: Place, data: dict[str, Any], name: str = "serverid") -> Machine:
    machine = place.machines.get(str(data.get(name, "")))
    if machine is None:
        raise Answered(200, {"error": "Unauthorized for this object"})
    return machine


def get_account_details(place: Place, data: dict[str, Any]) -> object:
    more = {"extensions": place.announcement(LEAP_EXTENSIONS)} if place.quirks.ours else {}
    return place.ok(data={"clientid": 123456, "first": "Rosa", "email": "rosa@alder.example", **more})


def list_servers(place: Place, data: dict[str, Any]) -> object:
    lines = [place.listed(m, "server_id", "server") for m in place.machines.values()]
    return place.ok(servers={str(one["server_id"]): one for one in lines} if place.quirks.keyed else lines)


def get_server_details(place: Place, data: dict[str, Any]) -> object:
    return place.ok(data=place.listed(_machine(place, data), "serverid", "hostname"))


def get_server_ips(place: Place, data: dict[str, Any]) -> object:
    machine = _machine(place, data)
    return place.ok(data=[{"ip": one, "gateway": "192.0.2.254"} for one in (machine.address, *machine.more)])


def get_server_bandwidth(place: Place, data: dict[str, Any]) -> object:
    _machine(place, data)
    return place.ok(data=place.usage() | ({"unit": "octets"} if place.quirks.ours else {}))


def get_rdns_list(place: Place, data: dict[str, Any]) -> object:
    return _machine(place, data).rdns or None


def update_rdns(place: Place, data: dict[str, Any]) -> object:
    return place.set_names(data)


def reboot_server(place: Place, data: dict[str, Any]) -> object:
    return place.reboot(_machine(place, data), "leap")


def cascade_reboot_vm(place: Place, data: dict[str, Any]) -> object:
    return place.reboot(_machine(place, data, "vmid"), "leap") | {
        "result": "ok",
        "message": "VM rebooted",
    }


def tandem_list(place: Place, data: dict[str, Any]) -> object:
    users = place.users()
    return place.ok(data={str(one["id"]): one for one in users} if place.quirks.keyed else users)


def tandem_add_user_permission(place: Place, data: dict[str, Any]) -> object:
    return place.permit(str(data.get("userid")), [str(data.get("serverid"))], permitted=True)


def tandem_delete_user_permission(place: Place, data: dict[str, Any]) -> object:
    return place.permit(str(data.get("userid")), [str(data.get("serverid"))], permitted=False)


def suspend_server(place: Place, data: dict[str, Any]) -> object:
    return place.suspend(_machine(place, data), True)


def unsuspend_server(place: Place, data: dict[str, Any]) -> object:
    return place.suspend(_machine(place, data), False)


def get_operation(place: Place, data: dict[str, Any]) -> object:
    return place.ok(data=place.state_of(str(data.get("operation"))))


def get_server_login(place: Place, data: dict[str, Any]) -> object:
    return place.ok(data={"username": _machine(place, data).username})


COMMANDS: dict[str, Callable[[Place, dict[str, Any]], Any]] = {
    "getAccountDetails": get_account_details,
    "listServers": list_servers,
    "getServerDetails": get_server_details,
    "getServerIps": get_server_ips,
    "getServerBandwidth": get_server_bandwidth,
    "getRdnsList": get_rdns_list,
    "updateRdns": update_rdns,
    "rebootServer": reboot_server,
    "cascadeRebootVm": cascade_reboot_vm,
    "tandemList": tandem_list,
    "tandemAddUserPermission": tandem_add_user_permission,
    "tandemDeleteUserPermission": tandem_delete_user_permission,
    "suspendServer": suspend_server,
    "unsuspendServer": unsuspend_server,
    "getOperation": get_operation,
    "getServerLogin": get_server_login,
}
