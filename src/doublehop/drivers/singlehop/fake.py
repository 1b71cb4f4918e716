"""SingleHop's two APIs as they were, on loopback, for the tests of this driver and for nothing else.

with FakeProvider(Quirks(...)) as there:
    ... use there.url, there.login ...
    assert there.ledger == [("reboot", "12")]     # what truly happened, in order; only ever grows

Written from the same reference as the driver and sharing no code with it.
"""

import base64
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

PHP_FAULT = (
    "<br />\n<b>Fatal error</b>: Call to undefined method Cascade::getFreeStorage() in "
    "<b>/home/leap/lib/class/Api.class.php</b> on line <b>624</b><br />"
)
DAY = 86400
LEAP_EXTENSIONS = ["suspendServer", "unsuspendServer", "getOperation", "getServerLogin"]
DROPZONE_EXTENSIONS = ["suspend", "unsuspend", "operation", "login"]


@dataclass
class Quirks:
    """How this provider speaks. ``ours``: as another Doublehop does, extensions and all."""

    ours: bool = True
    leap_at: str = "/leap/api.php"
    dropzone_at: str = "/dropzone"
    """Empty: that API is not there."""
    success: object = True
    keyed: bool = True
    """Whether lists are maps by id."""
    refuse_with_401: bool = True
    unknown_is_404: bool = True
    tandem_signs_in: bool = True
    php_faults: tuple[str, ...] = ()
    """Commands (LEAP) and paths (Dropzone) that die in PHP."""
    canned: dict[str, object] = field(default_factory=dict)
    """Command or path to the JSON that is answered instead."""


@dataclass
class Machine:
    id: str
    hostname: str
    address: str
    more: tuple[str, ...] = ()
    kind: str = "server"
    status: str = "online"
    suspended: bool = False
    username: str = "root"
    password: str = "root-password-of-the-machine"
    rdns: dict[str, str] = field(default_factory=dict)


@dataclass
class Tandem:
    id: str
    email: str
    name: str
    password: str
    servers: list[str]


class Answered(Exception):
    """Ends the handling of a request."""

    def __init__(self, status: int, body: object) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


class FakeProvider:
    username = "alder"
    password = 'leap password/+%&"of the fake'
    api_key = "api-key-of-the-fake/+=="
    pin = "pin-4711"

    def __init__(self, quirks: Quirks | None = None) -> None:
        self.quirks = quirks or Quirks()
        self.ledger: list[tuple[str, ...]] = []
        self.asked: list[str] = []
        """Every command and path that was asked, in order."""
        self.agents: list[str] = []
        """Who rebooted: "leap", or the login at Dropzone."""
        self.machines = {
            "12": Machine("12", "web1.example.org", "192.0.2.12", ("192.0.2.112", "2001:db8::12")),
            "15": Machine("15", "db1.example.org", "192.0.2.15"),
            "000001": Machine("000001", "node.example.org", "192.0.2.1", kind="vmnode"),
            "123456": Machine("123456", "vm.example.org", "192.0.2.99", kind="vm"),
        }
        self.tandems = {
            "7": Tandem(
                "7", "panel@alder.example", "Alder Panel", "tandem-password-of-the-fake", ["12", "15"]
            ),
            "8": Tandem("8", "other@alder.example", "Other Panel", "another-password", []),
        }
        self.operations: dict[str, str] = {}
        self.lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.address[1]}"

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.password, self.api_key, self.pin, self.tandems["7"].password)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body in one packet, else each answer waits 40 ms.
            wbufsize = 65536

            def do_GET(self) -> None:
                self._answer({})

            def do_POST(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                body = self.rfile.read(length).decode()
                form = {name: values[0] for name, values in parse_qs(body, keep_blank_values=True).items()}
                self._answer(form)

            def _answer(self, form: dict[str, str]) -> None:
                with provider.lock:
                    status, body = provider.handle(
                        self.command, self.path, self.headers.get("authorization", ""), form
                    )
                data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "text/html" if isinstance(body, str) else "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                """Request lines of the old API hold credentials."""

        return Handler

    # ------------------------------------------------------------ both

    def handle(
        self, method: str, target: str, authorization: str, form: dict[str, str]
    ) -> tuple[int, object]:
        parts = urlsplit(target)
        try:
            if self.quirks.leap_at and parts.path == self.quirks.leap_at:
                return 200, self._leap(parts.query)
            root = self.quirks.dropzone_at
            if root and parts.path.startswith(f"{root}/"):
                return 200, self._dropzone(method, parts.path.removeprefix(root), authorization, form)
        except Answered as answer:
            return answer.status, answer.body
        return 404, "<h1>Not Found</h1>"

    def _ok(self, **more: object) -> dict[str, object]:
        return {"success": self.quirks.success, **more}

    def _canned(self, name: str) -> None:
        self.asked.append(name)
        if name in self.quirks.php_faults:
            raise Answered(200, PHP_FAULT)
        if name in self.quirks.canned:
            raise Answered(200, self.quirks.canned[name])

    def _operation(self) -> dict[str, str]:
        if not self.quirks.ours:
            return {}
        reference = f"7Q5-M{len(self.operations)}D"
        self.operations[reference] = "done"
        return {"operation": reference}

    def _state_of(self, reference: str) -> dict[str, object]:
        if reference not in self.operations:
            raise Answered(404, {"success": False, "error": "No such operation"})
        state = self.operations[reference]
        return {"operation": reference, "kind": "reboot", "state": state, "asked_at": 1, "settled_at": 2}

    def _announcement(self, commands: list[str]) -> dict[str, object]:
        return {"by": "doublehop", "version": 1, "server": commands, "units": {"bandwidth": "octets"}}

    def _listed(self, machine: Machine, id_name: str, host_name: str) -> dict[str, object]:
        line: dict[str, object] = {id_name: machine.id, "type": machine.kind, host_name: machine.hostname}
        if self.quirks.ours:
            line |= {"primaryip": machine.address, "status": machine.status, "suspended": machine.suspended}
        return line

    def _usage(self) -> dict[str, object]:
        today = int(time.time()) // DAY * DAY
        days = [
            {"in": 1000 + n, "out": str(2000 + n), "timestamp": str(today - n * DAY), "date": f"{n} days ago"}
            for n in range(40)
        ]
        return {"intotal": 1, "outtotal": 2, "dailyusage": days}

    def _users(self) -> list[dict[str, object]]:
        return [
            {
                "id": one.id,
                "email": one.email,
                "name": one.name,
                "pass": one.password,
                "servers": list(one.servers),
            }
            for one in self.tandems.values()
        ]

    def _permit(self, user_id: str, servers: list[str], *, permitted: bool) -> dict[str, object]:
        tandem = self.tandems.get(user_id)
        if tandem is None or not all(one in self.machines for one in servers):
            raise Answered(200, {"success": False, "error": "No such user or server"})
        for one in servers:
            tandem.servers = [known for known in tandem.servers if known != one] + (
                [one] if permitted else []
            )
            self.ledger.append(("permit" if permitted else "withhold", one))
        return self._ok()

    def _reboot(self, machine: Machine, agent: str) -> dict[str, object]:
        self.ledger.append(("reboot", machine.id))
        self.agents.append(agent)
        return self._ok(**self._operation())

    def _suspend(self, machine: Machine, suspended: bool) -> dict[str, object]:
        machine.suspended = suspended
        self.ledger.append(("suspend" if suspended else "unsuspend", machine.id))
        return self._ok(**self._operation())

    def _name(self, names: object) -> dict[str, object]:
        for address, name in names.items() if isinstance(names, dict) else ():
            machine = next((m for m in self.machines.values() if address in (m.address, *m.more)), None)
            if machine is None or not isinstance(name, str) or (name and not name.endswith(".")):
                raise Answered(
                    200, self._ok(data=[{"result": "error", "success": "0", "message": "RDNS refused"}])
                )
            machine.rdns[address] = name
            self.ledger.append(("rdns", address, name))
        return self._ok(data=[{"result": "ok", "success": self.quirks.success, "message": "RDNS set"}])

    # ------------------------------------------------------------ LEAP

    def _leap(self, query: str) -> object:
        encoded = query.partition("request=")[2]
        try:
            request = json.loads(unquote(encoded))
            auth, module = request["auth"], request["module"]
        except (ValueError, KeyError, TypeError):
            return {"error": "JSON Decoding error"}
        wanted = {"key": self.api_key, "user": self.username, "password": self.password}
        if auth != wanted:
            raise Answered(401 if self.quirks.refuse_with_401 else 200, {"error": "Authentication Error"})
        command = str(module["command"])
        self._canned(command)
        method = getattr(self, f"_leap_{command}", None)
        if method is None or (command in LEAP_EXTENSIONS and not self.quirks.ours):
            return {"error": "No Such Command"}
        return method(request.get("data") or {})

    def _leap_machine(self, data: dict[str, Any], name: str = "serverid") -> Machine:
        machine = self.machines.get(str(data.get(name, "")))
        if machine is None:
            raise Answered(200, {"error": "Unauthorized for this object"})
        return machine

    def _leap_getAccountDetails(self, data: dict[str, Any]) -> object:
        more = {"extensions": self._announcement(LEAP_EXTENSIONS)} if self.quirks.ours else {}
        return self._ok(data={"clientid": 123456, "first": "Rosa", "email": "rosa@alder.example", **more})

    def _leap_listServers(self, data: dict[str, Any]) -> object:
        lines = [self._listed(m, "server_id", "server") for m in self.machines.values()]
        return self._ok(servers={str(one["server_id"]): one for one in lines} if self.quirks.keyed else lines)

    def _leap_getServerDetails(self, data: dict[str, Any]) -> object:
        return self._ok(data=self._listed(self._leap_machine(data), "serverid", "hostname"))

    def _leap_getServerIps(self, data: dict[str, Any]) -> object:
        machine = self._leap_machine(data)
        return self._ok(
            data=[{"ip": one, "gateway": "192.0.2.254"} for one in (machine.address, *machine.more)]
        )

    def _leap_getServerBandwidth(self, data: dict[str, Any]) -> object:
        self._leap_machine(data)
        return self._ok(data=self._usage() | ({"unit": "octets"} if self.quirks.ours else {}))

    def _leap_getRdnsList(self, data: dict[str, Any]) -> object:
        return self._leap_machine(data).rdns or None

    def _leap_updateRdns(self, data: dict[str, Any]) -> object:
        return self._name(data)

    def _leap_rebootServer(self, data: dict[str, Any]) -> object:
        return self._reboot(self._leap_machine(data), "leap")

    def _leap_cascadeRebootVm(self, data: dict[str, Any]) -> object:
        return self._reboot(self._leap_machine(data, "vmid"), "leap") | {
            "result": "ok",
            "message": "VM rebooted",
        }

    def _leap_tandemList(self, data: dict[str, Any]) -> object:
        users = self._users()
        return self._ok(data={str(one["id"]): one for one in users} if self.quirks.keyed else users)

    def _leap_tandemAddUserPermission(self, data: dict[str, Any]) -> object:
        return self._permit(str(data.get("userid")), [str(data.get("serverid"))], permitted=True)

    def _leap_tandemDeleteUserPermission(self, data: dict[str, Any]) -> object:
        return self._permit(str(data.get("userid")), [str(data.get("serverid"))], permitted=False)

    def _leap_suspendServer(self, data: dict[str, Any]) -> object:
        return self._suspend(self._leap_machine(data), True)

    def _leap_unsuspendServer(self, data: dict[str, Any]) -> object:
        return self._suspend(self._leap_machine(data), False)

    def _leap_getOperation(self, data: dict[str, Any]) -> object:
        return self._ok(data=self._state_of(str(data.get("operation"))))

    def _leap_getServerLogin(self, data: dict[str, Any]) -> object:
        return self._ok(data={"username": self._leap_machine(data).username})

    # ------------------------------------------------------------ Dropzone

    def _dropzone(self, method: str, path: str, authorization: str, form: dict[str, str]) -> object:
        agent = self._agent(authorization)
        words = [unquote(one) for one in path.strip("/").split("/")]
        command = "/".join(words[:2]) if words[:1] == ["server"] else "/".join(words[:3])
        if words[:2] == ["server", "bailout"]:
            command = "/".join(words[:3])
        self._canned(f"/{command}")
        arguments = words[command.count("/") + 1 :]
        name = "_at_" + command.replace("/", "_")
        if command == "server/rdns":
            name += f"_{method}"
        handler = getattr(self, name, None)
        if handler is None or (words[-1] in (*DROPZONE_EXTENSIONS, "extensions") and not self.quirks.ours):
            raise Answered(404, "<h1>Not Found</h1>")
        return handler(agent, arguments, form)

    def _agent(self, authorization: str) -> str:
        """Who signs in: "account", or the id of a Tandem user."""
        try:
            user, _, password = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        except ValueError:
            user, password = "", ""
        if (user, password) == (self.username, self.password):
            return "account"
        for tandem in self.tandems.values():
            if (user, password) == (tandem.email, tandem.password) and self.quirks.tandem_signs_in:
                return tandem.id
        status = 401 if self.quirks.refuse_with_401 else 200
        raise Answered(status, {"success": False, "error": "Authentication Error"})

    def _seen_by(self, agent: str) -> list[Machine]:
        permitted = self.tandems[agent].servers if agent in self.tandems else list(self.machines)
        return [machine for machine in self.machines.values() if machine.id in permitted]

    def _machine(self, agent: str, external_id: str) -> Machine:
        machine = next((one for one in self._seen_by(agent) if one.id == external_id), None)
        if machine is None:
            status = 404 if self.quirks.unknown_is_404 else 200
            raise Answered(status, {"success": False, "error": "No such server"})
        return machine

    def _check_pin(self, form: dict[str, str]) -> None:
        if form.get("pin") != self.pin:
            raise Answered(200, {"success": False, "error": "Authentication Error"})

    def _at_server_list(self, agent: str, arguments: list[str], form: dict[str, str]) -> object:
        found = {}
        for machine in self._seen_by(agent):
            found[machine.id] = self._listed(machine, "serverid", "hostname") | {
                "status": machine.status,
                "publicip": machine.address,
            }
        return self._ok(data=found if self.quirks.keyed else list(found.values()))

    def _at_server_view(self, agent: str, arguments: list[str], form: dict[str, str]) -> object:
        return self._ok(data=self._listed(self._machine(agent, arguments[0]), "serverid", "hostname"))

    def _at_server_extensions(self, agent: str, arguments: list[str], form: dict[str, str]) -> object:
        return self._ok(data=self._announcement(DROPZONE_EXTENSIONS))

    def _at_server_network(self, agent: str, arguments: list[str], form: dict[str, str]) -> object:
        machine = self._machine(agent, arguments[0])
        public = {"firstip": machine.address, "allips": [machine.address, *machine.more]}
        public |= {"gateway": "192.0.2.254", "netmask": "255.255.255.0"}
        private = {"ip": "10.0.0.5", "gateway": "10.0.0.1", "netmask": "255.0.0.0"}
        return self._ok(data={"public": [public], "private_networks": [private]})

    def _at_server_bandwidth(self, agent: str, arguments: list[str], form: dict[str, str]) -> object:
        start, end, external_id = arguments
        self._machine(agent, external_id)
        usage = self._usage()
        days = [one for one in usage["dailyusage"] if int(start) <= int(one["timestamp"]) < int(end)]  # type: ignore[attr-defined]
        return self._ok(data=usage | {"dailyusage": days})

    def _at_server_rdns_GET(self, agent: str, arguments: list[str], form: dict[str, str]) -> object:
        names = self._machine(agent, arguments[0]).rdns
        return self._ok(
            data=names if self.quirks.keyed else [{"ip": a, "hostname": n} for a, n in names.items()]
        )

    def _at_server_rdns_POST(self, agent: str, arguments: list[str], form: dict[str, str]) -> object:
        self._machine(agent, arguments[0])
        return self._name(json.loads(form["rdns"]))

    def _at_server_reboot(self, agent: str, arguments: list[str], form: dict[str, str]) -> object:
        return self._reboot(self._machine(agent, arguments[0]), agent)

    def _at_server_suspend(self, agent: str, arguments: list[str], form: dict[str, str]) -> object:
        return self._suspend(self._machine(agent, arguments[0]), True)

    def _at_server_unsuspend(self, agent: str, arguments: list[str], form: dict[str, str]) -> object:
        return self._suspend(self._machine(agent, arguments[0]), False)

    def _at_server_operation(self, agent: str, arguments: list[str], form: dict[str, str]) -> object:
        return self._ok(data=self._state_of(arguments[0]))

    def _at_server_login(self, agent: str, arguments: list[str], form: dict[str, str]) -> object:
        return self._ok(data={"username": self._machine(agent, arguments[0]).username})

    def _at_server_getpassword(self, agent: str, arguments: list[str], form: dict[str, str]) -> object:
        self._check_pin(form)
        return self._ok(data=self._machine(agent, arguments[0]).password)

    def _at_server_bailout_start(self, agent: str, arguments: list[str], form: dict[str, str]) -> object:
        return self._bailout(self._machine(agent, arguments[0]), "rescue", form)

    def _at_server_bailout_stop(self, agent: str, arguments: list[str], form: dict[str, str]) -> object:
        return self._bailout(self._machine(agent, arguments[0]), "online", form)

    def _bailout(self, machine: Machine, status: str, form: dict[str, str]) -> object:
        self._check_pin(form)
        machine.status = status
        self.ledger.append(("rescue" if status == "rescue" else "rescue off", machine.id))
        return self._ok(data=[])

    def _at_tandem_user_list(self, agent: str, arguments: list[str], form: dict[str, str]) -> object:
        users = self._users()
        return self._ok(data={str(one["id"]): one for one in users} if self.quirks.keyed else users)

    def _at_tandem_user_edit(self, agent: str, arguments: list[str], form: dict[str, str]) -> object:
        tandem = self.tandems[form["id"]]
        tandem.name, tandem.email, tandem.password = form["name"], form["email"], form["password"]
        before, tandem.servers = tandem.servers, json.loads(form["servers"])
        self.ledger += [("withhold", one) for one in before if one not in tandem.servers]
        self.ledger += [("permit", one) for one in tandem.servers if one not in before]
        return self._ok()

    def _at_tandem_user_addcomponent(self, agent: str, arguments: list[str], form: dict[str, str]) -> object:
        return self._permit(arguments[0], json.loads(form["servers"]), permitted=True)

    def _at_tandem_user_removecomponent(
        self, agent: str, arguments: list[str], form: dict[str, str]
    ) -> object:
        return self._permit(arguments[0], json.loads(form["servers"]), permitted=False)
