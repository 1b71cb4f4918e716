"""What there is at the fake provider, and what happened to it."""

import time
from dataclasses import dataclass, field

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
    password: str = "root-password-of-the-machine"  # noqa: S105 (of a fake)
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


class Place:
    username = "alder"
    password = 'leap password/+%&"of the fake'  # noqa: S105 (of a fake)
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

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.password, self.api_key, self.pin, self.tandems["7"].password)

    def ok(self, **more: object) -> dict[str, object]:
        return {"success": self.quirks.success, **more}

    def before(self, name: str) -> None:
        self.asked.append(name)
        if name in self.quirks.php_faults:
            raise Answered(200, PHP_FAULT)
        if name in self.quirks.canned:
            raise Answered(200, self.quirks.canned[name])

    def new_operation(self) -> dict[str, str]:
        if not self.quirks.ours:
            return {}
        reference = f"7Q5-M{len(self.operations)}D"
        self.operations[reference] = "done"
        return {"operation": reference}

    def state_of(self, reference: str) -> dict[str, object]:
        if reference not in self.operations:
            raise Answered(404, {"success": False, "error": "No such operation"})
        state = self.operations[reference]
        return {"operation": reference, "kind": "reboot", "state": state, "asked_at": 1, "settled_at": 2}

    def announcement(self, commands: list[str]) -> dict[str, object]:
        return {"by": "doublehop", "version": 1, "server": commands, "units": {"bandwidth": "octets"}}

    def listed(self, machine: Machine, id_name: str, host_name: str) -> dict[str, object]:
        line: dict[str, object] = {id_name: machine.id, "type": machine.kind, host_name: machine.hostname}
        if self.quirks.ours:
            line |= {"primaryip": machine.address, "status": machine.status, "suspended": machine.suspended}
        return line

    def usage(self) -> dict[str, object]:
        today = int(time.time()) // DAY * DAY
        days = [
            {"in": 1000 + n, "out": str(2000 + n), "timestamp": str(today - n * DAY), "date": f"{n} days ago"}
            for n in range(40)
        ]
        return {"intotal": 1, "outtotal": 2, "dailyusage": days}

    def users(self) -> list[dict[str, object]]:
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

    def permit(self, user_id: str, servers: list[str], *, permitted: bool) -> dict[str, object]:
        tandem = self.tandems.get(user_id)
        if tandem is None or not all(one in self.machines for one in servers):
            raise Answered(200, {"success": False, "error": "No such user or server"})
        for one in servers:
            tandem.servers = [known for known in tandem.servers if known != one] + (
                [one] if permitted else []
            )
            self.ledger.append(("permit" if permitted else "withhold", one))
        return self.ok()

    def reboot(self, machine: Machine, agent: str) -> dict[str, object]:
        self.ledger.append(("reboot", machine.id))
        self.agents.append(agent)
        return self.ok(**self.new_operation())

    def suspend(self, machine: Machine, suspended: bool) -> dict[str, object]:
        machine.suspended = suspended
        self.ledger.append(("suspend" if suspended else "unsuspend", machine.id))
        return self.ok(**self.new_operation())

    def set_names(self, names: object) -> dict[str, object]:
        for address, name in names.items() if isinstance(names, dict) else ():
            machine = next((m for m in self.machines.values() if address in (m.address, *m.more)), None)
            if machine is None or not isinstance(name, str) or (name and not name.endswith(".")):
                raise Answered(
                    200, self.ok(data=[{"result": "error", "success": "0", "message": "RDNS refused"}])
                )
            machine.rdns[address] = name
            self.ledger.append(("rdns", address, name))
        return self.ok(data=[{"result": "ok", "success": self.quirks.success, "message": "RDNS set"}])
