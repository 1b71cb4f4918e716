"""Starts the independent emulators of the box on loopback: Redfish BMCs (sushy-tools) and one SNMP switch (snmpsim).

    with Emulators(folder, machines=machines_of(4)) as place:
        place.addresses.bmc_url      # "http://127.0.0.1:43121"
        place.addresses.switch       # "127.0.0.1:51234"
        place.resets("…uuid…")       # how many ComputerSystem.Reset the emulator itself has logged

Both run as whoever calls, root or not, each as the leader of a process group that ``stop`` ends. ``folder`` keeps the
BMCs' state, the switch's port states and both logs.
"""

import importlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import gufo.snmp
import gufo.snmp.sync
import httpx

READY_WITHIN_SECONDS = 30.0


class EmulatorsUnavailable(Exception):
    """The text says what is missing or went wrong."""


@dataclass(frozen=True)
class Machine:
    """One machine of the box. ``uuid`` is its Redfish system id; ``if_name`` its switch port."""

    uuid: str
    name: str
    mac: str
    address: str
    if_name: str


@dataclass(frozen=True)
class Addresses:
    bmc_url: str
    bmc_username: str
    bmc_password: str
    switch: str
    read_community: str
    write_community: str


def machines_of(count: int) -> tuple[Machine, ...]:
    """``count`` machines with made-up but stable identities, on ports ``Ethernet1`` …"""
    return tuple(
        Machine(
            f"d0b1e40b-0000-4000-8000-{number:012x}",
            f"rack1-u{number:02d}",
            f"02:d0:b1:e0:{number // 256:02x}:{number % 256:02x}",
            f"192.0.2.{number % 256}",
            f"Ethernet{number}",
        )
        for number in range(1, count + 1)
    )


class Emulators:
    """Ports of 0 are chosen freely. ``certificate`` is (certificate file, key file) and makes the BMCs speak TLS."""

    def __init__(
        self,
        folder: Path,
        machines: Sequence[Machine],
        *,
        spare_ports: int = 0,
        bmc_port: int = 0,
        switch_port: int = 0,
        bmc_login: tuple[str, str] = ("admin", "box-bmc-password"),
        certificate: tuple[Path, Path] | None = None,
    ) -> None:
        self._folder = folder.absolute()
        self._machines = tuple(machines)
        self._spare_ports = spare_ports
        self._bmc_port = bmc_port
        self._switch_port = switch_port
        self._login = bmc_login
        self._certificate = certificate
        self._children: list[subprocess.Popen[bytes]] = []
        self.bmc_log = self._folder / "bmc.log"
        self.switch_log = self._folder / "switch.log"

    def start(self) -> Addresses:
        """Starts both and waits until they answer. Raises EmulatorsUnavailable; then nothing is left running."""
        redfish, snmp = script("sushy-emulator"), script("snmpsim-command-responder")
        self._folder.mkdir(parents=True, exist_ok=True)
        scheme = "https" if self._certificate else "http"
        bmc_port = self._bmc_port or free_port(socket.SOCK_STREAM)
        switch_port = self._switch_port or free_port(socket.SOCK_DGRAM)
        self.addresses = Addresses(
            f"{scheme}://127.0.0.1:{bmc_port}", *self._login, f"127.0.0.1:{switch_port}", "public", "private"
        )
        try:
            self._launch([redfish, "--config", str(self._write_bmcs(bmc_port))], self.bmc_log)
            self._launch([snmp, *self._write_switch(switch_port)], self.switch_log)
            self._wait()
        except BaseException:
            self.stop()
            raise
        return self.addresses

    def stop(self) -> None:
        """Ends both and everything that they started. May be called twice."""
        for kind in (signal.SIGTERM, signal.SIGKILL):
            for child in self._children:
                if child.poll() is None:
                    os.killpg(child.pid, kind)
            until = time.monotonic() + 5
            for child in self._children:
                try:
                    child.wait(max(0.0, until - time.monotonic()))
                except subprocess.TimeoutExpired:
                    continue
        self._children.clear()

    def resets(self, uuid: str) -> int:
        """How often the Redfish emulator wrote down that it was asked to reset this machine."""
        wanted = f"POST /redfish/v1/Systems/{uuid}/Actions/ComputerSystem.Reset"
        return self.bmc_log.read_text(errors="replace").count(wanted)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _launch(self, command: list[str], log: Path) -> None:
        with log.open("ab") as out:
            self._children.append(
                subprocess.Popen(
                    command,
                    cwd=self._folder,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore"},
                )
            )

    def _write_bmcs(self, port: int) -> Path:
        bcrypt = importlib.import_module("bcrypt")
        username, password = self._login
        passwords = self._folder / "bmc.htpasswd"
        hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
        passwords.write_text(f"{username}:{hashed}\n")
        passwords.chmod(0o600)
        systems = [
            {
                "uuid": machine.uuid,
                "name": machine.name,
                "power_state": "On",
                "boot_device": "Hdd",
                "nics": [{"mac": machine.mac, "ip": machine.address}],
            }
            for machine in self._machines
        ]
        settings: dict[str, object] = {
            "SUSHY_EMULATOR_LISTEN_IP": "127.0.0.1",
            "SUSHY_EMULATOR_LISTEN_PORT": port,
            "SUSHY_EMULATOR_FAKE_DRIVER": True,
            "SUSHY_EMULATOR_STATE_DIR": str(self._folder / "bmc-state"),
            "SUSHY_EMULATOR_AUTH_FILE": str(passwords),
            "SUSHY_EMULATOR_FAKE_SYSTEMS": systems,
        }
        if self._certificate:
            settings["SUSHY_EMULATOR_SSL_CERT"], settings["SUSHY_EMULATOR_SSL_KEY"] = map(
                str, self._certificate
            )
        path = self._folder / "bmc.conf"
        path.write_text("".join(f"{name} = {value!r}\n" for name, value in settings.items()))
        return path

    def _write_switch(self, port: int) -> list[str]:
        data = self._folder / "switch"
        data.mkdir(exist_ok=True)
        names = [machine.if_name for machine in self._machines]
        names += [f"Spare{number}" for number in range(1, self._spare_ports + 1)]
        for community, writable in (("public", False), ("private", True)):
            (data / f"{community}.snmprec").write_text(switch_lines(names, writable=writable))
        arguments = [
            f"--data-dir={data}",
            f"--cache-dir={self._folder / 'switch-cache'}",
            "--logging-method=stderr",
            "--log-level=error",
            f"--variation-module-options=writecache:file:{self._folder / 'switch-ports'}",
            f"--agent-udpv4-endpoint=127.0.0.1:{port}",
        ]
        if os.geteuid() == 0:
            # It insists on stepping down, but any other user may be unable to read this Python.
            arguments = ["--process-user=root", "--process-group=root", *arguments]
        return arguments

    def _wait(self) -> None:
        until = time.monotonic() + READY_WITHIN_SECONDS
        for name, log, is_ready in (
            ("sushy-emulator", self.bmc_log, self._bmc_answers),
            ("snmpsim-command-responder", self.switch_log, self._switch_answers),
        ):
            # A stranger may answer on a taken port, so ours must be alive as well.
            while not is_ready() or self._any_ended():
                if self._any_ended() or time.monotonic() > until:
                    raise EmulatorsUnavailable(f"{name} does not start; it said: {last_words(log)}")
                time.sleep(0.1)

    def _any_ended(self) -> bool:
        return any(child.poll() is not None for child in self._children)

    def _bmc_answers(self) -> bool:
        try:
            # Nothing secret is sent, and this is our own child on loopback.
            context = httpx.create_ssl_context(verify=False)
            answer = httpx.get(
                f"{self.addresses.bmc_url}/redfish/v1/", verify=context, timeout=2, trust_env=False
            )
        except httpx.TransportError:
            return False
        return answer.status_code == 200

    def _switch_answers(self) -> bool:
        host, port = self.addresses.switch.rsplit(":", 1)
        session = gufo.snmp.sync.SnmpSession(host, port=int(port), community="public", timeout=1)
        try:
            session.get("1.3.6.1.2.1.1.3.0")
        except (OSError, TimeoutError, gufo.snmp.SnmpError):
            return False
        return True


def switch_lines(names: Sequence[str], *, writable: bool) -> str:
    """The recording that snmpsim plays: moving 64-bit counters, ifAdminStatus that a SET changes (if ``writable``)."""
    if_entry, if_x_entry = "1.3.6.1.2.1.2.2.1", "1.3.6.1.2.1.31.1.1.1"
    guard = "" if writable else ",vlist=gt:0:noaccess"
    columns: list[tuple[str, str, str]] = [
        (f"{if_entry}.7", "2:writecache", "value=1" + guard),
        (f"{if_entry}.8", "2", "1"),
        (f"{if_x_entry}.1", "4", "{name}"),
        (f"{if_x_entry}.6", "70:numeric", "rate={in_rate},initial={initial}"),
        (f"{if_x_entry}.10", "70:numeric", "rate={out_rate},initial={initial}"),
        (f"{if_x_entry}.15", "66", "1000"),
        (f"{if_x_entry}.19", "67", "0"),
    ]
    lines = ["1.3.6.1.2.1.1.1.0|4|Switch of the box", "1.3.6.1.2.1.1.3.0|67:numeric|rate=100,initial=0"]
    lines.append("1.3.6.1.2.1.1.5.0|4|switch1.example.org")
    lines.append(f"1.3.6.1.2.1.2.1.0|2|{len(names)}")
    for column, tag, value in columns:
        for number, name in enumerate(names, start=1):
            # The index is not the port's number, as on real switches.
            text = value.format(
                name=name, in_rate=40_000 * number, out_rate=300_000 * number, initial=10**12 * number
            )
            lines.append(f"{column}.{number + 100}|{tag}|{text}")
    return "\n".join(sorted(lines, key=_oid_of)) + "\n"


def _oid_of(line: str) -> tuple[int, ...]:
    return tuple(int(part) for part in line.split("|", 1)[0].split("."))


def script(name: str) -> str:
    """The console script beside this Python. Raises EmulatorsUnavailable when its package is missing."""
    path = Path(sys.executable).parent / name
    if not path.is_file():
        raise EmulatorsUnavailable(f"{name} is missing: install the extra “box” of this package")
    return str(path)


def free_port(kind: socket.SocketKind) -> int:
    """A port of loopback that nobody used a moment ago."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def free_pair() -> int:
    """The first of two ports of loopback in a row: what a box of two installations listens on.

    From below 32768, where Linux takes no ports for outgoing connections, so that none takes the second meanwhile.
    """
    for port in random.sample(range(20_000, 32_000, 2), 50):
        with socket.socket() as first, socket.socket() as second:
            try:
                first.bind(("127.0.0.1", port))
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
    raise EmulatorsUnavailable("no two ports in a row are free")


def last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return " ".join(lines[-3:])[-500:] or "nothing"
