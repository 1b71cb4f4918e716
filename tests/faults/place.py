"""The other side, in a process of its own: machines behind HTTP, and a ledger of what truly happened to them.

    with started() as place:
        ... a driver speaks to place.url ...
        assert place.effects("web") == ["power.reset:graceful"]

The ledger only ever grows; ``remember`` and ``restore`` concern the machines. What a test asks of the place stands under
/control/ and needs no login. ``quiet`` waits until every connection of others is closed and every request has ended.
"""

import base64
import copy
import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ACCOUNT, PASSWORD = "demo", "plain-place-password"
LOGIN = "Basic " + base64.b64encode(f"{ACCOUNT}:{PASSWORD}".encode()).decode()
QUIET_WITHIN_SECONDS = 10.0
LIVES_SECONDS = 1200
Machine = dict[str, Any]


def a_machine(external_id: str, number: int) -> Machine:
    return {
        "id": external_id,
        "label": external_id.upper(),
        "hostname": f"{external_id}.example.org",
        "address": f"192.0.2.{10 + number}",
        "serial": f"SN-{external_id}",
        "mac": f"02:00:00:00:00:{number:02x}",
        "power": "on",
        "away": 0,  # looks at the power that still find it restarting
        "boots": 1,
        "port": True,
        "suspended": False,
        "permitted": True,
        "rescue": False,
        "rdns": {},
        "dropped": [],
        "octets": 0,
    }


def a_state() -> dict[str, Any]:
    machines = [a_machine(name, number) for number, name in enumerate(("web", "spare", "third"), 1)]
    return {"machines": {machine["id"]: machine for machine in machines}, "tickets": {}}


# ---------------------------------------------------------------- what the machines do


def _power(machine: Machine, call: str, given: Machine) -> str:
    how = "graceful" if given.get("graceful") else "hard"
    if call == "reset":
        machine.update(power="on", away=1, boots=machine["boots"] + 1)
        return f"power.reset:{how}"
    machine["power"] = call
    return f"power.{call}" if call == "on" else f"power.{call}:{how}"


def _switch(name: str) -> Any:
    def change(machine: Machine, call: str, given: Machine) -> str:
        machine[name] = bool(given["value"])
        return f"{name}:{'yes' if given['value'] else 'no'}"

    return change


def _rescue(machine: Machine, call: str, given: Machine) -> str:
    machine.update(rescue=call == "start", boots=machine["boots"] + 1)
    return f"rescue.{call}"


def _rdns(machine: Machine, call: str, given: Machine) -> str:
    machine["rdns"] = {k: v for k, v in machine["rdns"].items() if k != given["address"]}
    if given["name"]:
        machine["rdns"][given["address"]] = given["name"]
    return f"rdns.set:{given['address']}={given['name']}"


def _null_route(machine: Machine, call: str, given: Machine) -> str:
    rest = [one for one in machine["dropped"] if one != given["address"]]
    machine["dropped"] = [*rest, given["address"]] if given["value"] else rest
    return f"null_route:{given['address']} {'dropped' if given['value'] else 'let through'}"


_PARTS = {
    "power": _power,
    "port": _switch("port"),
    "suspension": _switch("suspended"),
    "access": _switch("permitted"),
    "rescue": _rescue,
    "rdns": _rdns,
    "null_route": _null_route,
}


class _Place(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.state = a_state()
        self.ledger: list[dict[str, Any]] = []
        self.busy = 0
        """Connections that are open, those of the test itself included."""
        self.changed = threading.Condition()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self.changed:
            self.busy += 1
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self.changed:
            self.busy -= 1
            self.changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Callers that die in the middle of a sentence are what this place is for."""

    def answer(self, command: str, path: str, given: Machine) -> tuple[int, Any]:
        match path.strip("/").split("/"):
            case ["servers"]:
                return 200, {"servers": list(self.state["machines"].values())}
            case ["counters"]:
                for machine in self.state["machines"].values():
                    machine["octets"] += 1000
                return 200, {"counters": {k: v["octets"] for k, v in self.state["machines"].items()}}
            case ["servers", name, *rest] if name in self.state["machines"]:
                return self._of_machine(command, self.state["machines"][name], rest, given)
        return 404, {"error": "nothing of that name is here"}

    def _of_machine(self, command: str, machine: Machine, rest: list[str], given: Machine) -> tuple[int, Any]:
        match rest:
            case [] if command == "GET":
                seen = dict(machine, power="restarting" if machine["away"] else machine["power"])
                machine["away"] = max(0, machine["away"] - 1)
                return 200, seen
            case ["tickets", ticket] if ticket in self.state["tickets"]:
                looks = self.state["tickets"][ticket]
                self.state["tickets"][ticket] = looks - 1
                return 200, {"id": machine["id"], "state": "pending" if looks > 0 else "done"}
            case [part, call] if command == "POST" and part in _PARTS:
                what = _PARTS[part](machine, call, given)
                entry = {
                    "at": time.time(),
                    "machine": machine["id"],
                    "what": what,
                    "command": f"{part}/{call}",
                }
                self.ledger.append(entry)
                ticket = f"t{len(self.ledger)}"
                self.state["tickets"][ticket] = 1
                return 200, {"id": machine["id"], "ticket": ticket}
        return 404, {"error": "nothing of that name is here"}

    def control(self, path: str, given: Any) -> tuple[int, Any]:
        match path:
            case "/control/ledger":
                return 200, self.ledger[given["since"] :]
            case "/control/remember":
                return 200, copy.deepcopy(self.state)
            case "/control/restore":
                self.state = given
                return 200, len(self.ledger)
            case "/control/change":
                self.state["machines"].setdefault(given["machine"], {}).update(given["values"])
                return 200, None
            case "/control/remove":
                return 200, self.state["machines"].pop(given["machine"])
        return 404, None

    def wait_until_quiet(self) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: self.busy <= 1, QUIET_WITHIN_SECONDS)


class _Handler(BaseHTTPRequestHandler):
    server: _Place
    protocol_version = "HTTP/1.1"
    # Head and body in one packet, else each answer waits 40 ms.
    wbufsize = 65536

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return  # half a sentence is no instruction
        given = json.loads(body) if body else {}
        if self.path == "/control/quiet":
            status, answer = 200, self.server.wait_until_quiet()
        else:
            with self.server.changed:
                status, answer = self._heard(given)
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _heard(self, given: Any) -> tuple[int, Any]:
        if self.path.startswith("/control/"):
            return self.server.control(self.path, given)
        if self.headers.get("authorization") != LOGIN:
            return 401, {"error": "the password is wrong"}
        return self.server.answer(self.command, self.path, given)

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


# ---------------------------------------------------------------- how a test speaks with it


@dataclass
class Place:
    """``since`` is the length of the ledger when the machines were last restored: what stands before it is of others."""

    port: int
    since: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    def _ask(self, name: str, given: Any = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=QUIET_WITHIN_SECONDS + 5)
        try:
            body = json.dumps({} if given is None else given)
            connection.request("POST", f"/control/{name}", body, {"connection": "close"})
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def ledger(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._ask("ledger", {"since": self.since})
        return found

    def effects(self, machine: str) -> list[str]:
        return [entry["what"] for entry in self.ledger() if entry["machine"] == machine]

    def machine(self, name: str) -> Machine:
        found: Machine = self.remember()["machines"][name]
        return found

    def change(self, machine: str, **values: Any) -> None:
        self._ask("change", {"machine": machine, "values": values})

    def remove(self, machine: str) -> Machine:
        found: Machine = self._ask("remove", {"machine": machine})
        return found

    def remember(self) -> dict[str, Any]:
        found: dict[str, Any] = self._ask("remember")
        return found

    def restore(self, state: dict[str, Any] | None = None) -> None:
        """All machines as they were remembered; as new without that. Waits until nobody speaks to them any more."""
        self.quiet()
        self.since = self._ask("restore", state or a_state())

    def quiet(self) -> None:
        assert self._ask("quiet"), "somebody still speaks to the machines"


@contextmanager
def started() -> Iterator[Place]:
    """A place of its own. It ends with the block, and by itself after a while."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.place"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        yield Place(int(child.stdout.readline()))
    finally:
        child.kill()
        child.communicate()


def main() -> None:
    place = _Place()
    threading.Thread(target=place.serve_forever, args=(0.05,), daemon=True).start()
    threading.Timer(LIVES_SECONDS, place.shutdown).start()
    print(place.server_address[1], flush=True)
    # Ends with whoever started it.
    sys.stdin.read()
    sys.exit(0)


if __name__ == "__main__":
    main()
