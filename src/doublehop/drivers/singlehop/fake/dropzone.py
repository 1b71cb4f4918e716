"""Dropzone of the fake provider."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from doublehop.drivers.singlehop.fake.place import DROPZONE_EXTENSIONS, Answered, Machine, Place


@dataclass(frozen=True)
class Call:
    """``agent`` is "account", or the id of the Tandem user who signed in."""

    place: Place
    agent: str
    arguments: list[str]
    form: dict[str, str]

    @property
    def machine(self) -> Machine:
        return _machine_of(self.place, self.agent, self.arguments[0])


def answer(place: Place, method: str, path: str, authorization: str, form: dict[str, str]) -> object:
    agent = _agent(place, authorization)
    words = [unquote(one) for one in path.strip("/").split("/")]
    is_short = words[0] == "server" and words[1:2] != ["bailout"]
    command = "/".join(words[: 2 if is_short else 3])
    place.before(f"/{command}")
    handler = COMMANDS.get(command) or COMMANDS.get(f"{method} {command}")
    if handler is None or (command in EXTENSIONS and not place.quirks.ours):
        raise Answered(404, "<h1>Not Found</h1>")
    return handler(Call(place, agent, words[command.count("/") + 1 :], form))


def _agent(place: Place, authorization: str) -> str:
    """Who signs in: "account", or the id of a Tandem user."""
    try:
        user, _, password = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
    except ValueError:
        user, password = "", ""
    if (user, password) == (place.username, place.password):
        return "account"
    for tandem in place.tandems.values():
        if (user, password) == (tandem.email, tandem.password) and place.quirks.tandem_signs_in:
            return tandem.id
    status = 401 if place.quirks.refuse_with_401 else 200
    raise Answered(status, {"success": False, "error": "Authentication Error"})


def _seen_by(place: Place, agent: str) -> list[Machine]:
    permitted = place.tandems[agent].servers if agent in place.tandems else list(place.machines)
    return [machine for machine in place.machines.values() if machine.id in permitted]


def _machine_of(place: Place, agent: str, external_id: str) -> Machine:
    machine = next((one for one in _seen_by(place, agent) if one.id == external_id), None)
    if machine is None:
        status = 404 if place.quirks.unknown_is_404 else 200
        raise Answered(status, {"success": False, "error": "No such server"})
    return machine


def _check_pin(place: Place, form: dict[str, str]) -> None:
    if form.get("pin") != place.pin:
        raise Answered(200, {"success": False, "error": "Authentication Error"})


def server_list(call: Call) -> object:
    found = {}
    for machine in _seen_by(call.place, call.agent):
        found[machine.id] = call.place.listed(machine, "serverid", "hostname") | {
            "status": machine.status,
            "publicip": machine.address,
        }
    return call.place.ok(data=found if call.place.quirks.keyed else list(found.values()))


def server_view(call: Call) -> object:
    return call.place.ok(data=call.place.listed(call.machine, "serverid", "hostname"))


def server_extensions(call: Call) -> object:
    return call.place.ok(data=call.place.announcement(DROPZONE_EXTENSIONS))


def server_network(call: Call) -> object:
    machine = call.machine
    public = {"firstip": machine.address, "allips": [machine.address, *machine.more]}
    public |= {"gateway": "192.0.2.254", "netmask": "255.255.255.0"}
    private = {"ip": "10.0.0.5", "gateway": "10.0.0.1", "netmask": "255.0.0.0"}
    return call.place.ok(data={"public": [public], "private_networks": [private]})


def server_bandwidth(call: Call) -> object:
    start, end, external_id = call.arguments
    _machine_of(call.place, call.agent, external_id)
    usage = call.place.usage()
    days = [one for one in usage["dailyusage"] if int(start) <= int(one["timestamp"]) < int(end)]  # type: ignore[attr-defined]
    return call.place.ok(data=usage | {"dailyusage": days})


def server_rdns_get(call: Call) -> object:
    names = call.machine.rdns
    return call.place.ok(
        data=names if call.place.quirks.keyed else [{"ip": a, "hostname": n} for a, n in names.items()]
    )


def server_rdns_post(call: Call) -> object:
    _machine_of(call.place, call.agent, call.arguments[0])
    return call.place.set_names(json.loads(call.form["rdns"]))


def server_reboot(call: Call) -> object:
    return call.place.reboot(call.machine, call.agent)


def server_suspend(call: Call) -> object:
    return call.place.suspend(call.machine, True)


def server_unsuspend(call: Call) -> object:
    return call.place.suspend(call.machine, False)


def server_operation(call: Call) -> object:
    return call.place.ok(data=call.place.state_of(call.arguments[0]))


def server_login(call: Call) -> object:
    return call.place.ok(data={"username": call.machine.username})


def server_getpassword(call: Call) -> object:
    _check_pin(call.place, call.form)
    return call.place.ok(data=call.machine.password)


def server_bailout_start(call: Call) -> object:
    return _bailout(call, call.machine, "rescue")


def server_bailout_stop(call: Call) -> object:
    return _bailout(call, call.machine, "online")


def _bailout(call: Call, machine: Machine, status: str) -> object:
    _check_pin(call.place, call.form)
    machine.status = status
    call.place.ledger.append(("rescue" if status == "rescue" else "rescue off", machine.id))
    return call.place.ok(data=[])


def tandem_user_list(call: Call) -> object:
    users = call.place.users()
    return call.place.ok(data={str(one["id"]): one for one in users} if call.place.quirks.keyed else users)


def tandem_user_edit(call: Call) -> object:
    tandem = call.place.tandems[call.form["id"]]
    tandem.name, tandem.email, tandem.password = call.form["name"], call.form["email"], call.form["password"]
    before, tandem.servers = tandem.servers, json.loads(call.form["servers"])
    call.place.ledger += [("withhold", one) for one in before if one not in tandem.servers]
    call.place.ledger += [("permit", one) for one in tandem.servers if one not in before]
    return call.place.ok()


def tandem_user_addcomponent(call: Call) -> object:
    return call.place.permit(call.arguments[0], json.loads(call.form["servers"]), permitted=True)


def tandem_user_removecomponent(call: Call) -> object:
    return call.place.permit(call.arguments[0], json.loads(call.form["servers"]), permitted=False)


EXTENSIONS = {"server/extensions", *(f"server/{name}" for name in DROPZONE_EXTENSIONS)}
COMMANDS: dict[str, Callable[[Call], Any]] = {
    "server/list": server_list,
    "server/view": server_view,
    "server/extensions": server_extensions,
    "server/network": server_network,
    "server/bandwidth": server_bandwidth,
    "GET server/rdns": server_rdns_get,
    "POST server/rdns": server_rdns_post,
    "server/reboot": server_reboot,
    "server/suspend": server_suspend,
    "server/unsuspend": server_unsuspend,
    "server/operation": server_operation,
    "server/login": server_login,
    "server/getpassword": server_getpassword,
    "server/bailout/start": server_bailout_start,
    "server/bailout/stop": server_bailout_stop,
    "tandem/user/list": tandem_user_list,
    "tandem/user/edit": tandem_user_edit,
    "tandem/user/addcomponent": tandem_user_addcomponent,
    "tandem/user/removecomponent": tandem_user_removecomponent,
}
