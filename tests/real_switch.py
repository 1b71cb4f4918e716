"""A switch that nobody here wrote: a Linux bridge with veth ports in a network namespace, and Debian's snmpd beside it.

Its hosts stand in a second namespace, one at the other end of each port. Nothing of it touches the machine's own network.
"""

import ctypes
import json
import os
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType

from tests.needs import need_missing, need_program

READ, WRITE = "read-community-of-the-test", "write-community-of-the-test"
USER, AUTH, PRIV = "poller", "auth-password-of-the-test", "priv-password-of-the-test"
FIRST_AGENT = 2001
_PREFIX = "doublehop-"
_NAMESPACES = Path("/run/netns")
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def need_namespaces() -> None:
    """Skips (fails in CI) where a namespace cannot be made."""
    ip = need_program("ip", package="iproute2")
    need_program("snmpd")
    if os.geteuid() != 0:
        need_missing("network namespaces need the superuser")
    probe = f"{_PREFIX}{os.getpid()}-probe"
    made = subprocess.run([ip, "netns", "add", probe], capture_output=True, text=True)
    if made.returncode:
        need_missing(f"no network namespace can be made here: {made.stderr.strip()}")
    subprocess.run([ip, "netns", "del", probe], check=True)


class RealSwitch:
    """Ports ``p1`` ... of the bridge, with the hosts ``h1`` ... at their ends; the agents all tell of the same ports."""

    def __init__(self, folder: Path, *, ports: int = 48, agents: int = 1) -> None:
        self._folder = folder
        self._ports = ports
        self._agents = agents
        self._name = f"{_PREFIX}{os.getpid()}-switch"
        self._hosts = f"{_PREFIX}{os.getpid()}-hosts"
        self._open = ExitStack()
        self._running: list[subprocess.Popen[bytes]] = []

    @property
    def addresses(self) -> list[str]:
        """To be called from inside only."""
        return [f"127.0.0.1:{FIRST_AGENT + number}" for number in range(self._agents)]

    def __enter__(self) -> "RealSwitch":
        with self._open:
            _sweep()
            for namespace in (self._name, self._hosts):
                _ip("netns", "add", namespace)
                self._open.callback(_ip, "netns", "del", namespace)
            self._build()
            self._open.callback(self._stop_agents)
            for number in range(self._agents):
                self._start_agent(number, self._folder / f"agent{number}")
            self._open = self._open.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._open.close()

    def _build(self) -> None:
        for namespace in (self._name, self._hosts):
            with _in_namespace(namespace):
                _silence()
        lines = ["link set lo up", "link add br0 type bridge", "link set br0 up"]
        for number in range(1, self._ports + 1):
            lines.append(f"link add p{number} type veth peer name h{number} netns {self._hosts}")
            lines.append(f"link set p{number} master br0 up")
        _batch(self._name, lines)
        _batch(self._hosts, [f"link set h{number} up" for number in range(1, self._ports + 1)])

    def restart_agent(self) -> None:
        """The first one. It need not answer yet."""
        stop(self._running[0])
        self._start_agent(0, self._folder / "agent0")

    @contextmanager
    def replaced(self) -> Iterator[None]:
        """Another device answers at the first one's address: it has never run before."""
        stop(self._running[0])
        self._start_agent(0, self._folder / "another")
        try:
            yield
        finally:
            self.restart_agent()

    def agent_pids(self) -> list[int]:
        return [one.pid for one in self._running]

    def _stop_agents(self) -> None:
        for one in self._running:
            one.terminate()
        for one in self._running:
            stop(one)

    def _start_agent(self, number: int, folder: Path) -> None:
        """``folder`` keeps what an agent must remember: its engine's id, and how often it has started."""
        memory = folder / "memory"
        memory.mkdir(parents=True, exist_ok=True)
        (folder / "snmpd.conf").write_text(
            f"agentAddress udp:127.0.0.1:{FIRST_AGENT + number}\n"
            f"rocommunity {READ} 127.0.0.1\nrwcommunity {WRITE} 127.0.0.1\n"
            f"createUser {USER} SHA-256 {AUTH} AES {PRIV}\nrwuser {USER} priv\n"
        )
        command = ["ip", "netns", "exec", self._name, need_program("snmpd"), "-f", "-Lf", str(folder / "log")]
        running = subprocess.Popen(
            [*command, "-I", "-smux,mteTrigger,mteTriggerConf"],
            env={
                **os.environ,
                "SNMPCONFPATH": f"{folder}:{memory}",
                "SNMP_PERSISTENT_DIR": str(memory),
                "MIBS": "",
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._running[number : number + 1] = [running]

    @contextmanager
    def inside(self) -> Iterator[None]:
        """This thread, and those that it starts, see the switch's network and nothing else."""
        with _in_namespace(self._name):
            yield

    def send(self, host: int, frames: int, size: int = 1500) -> int:
        """Raw frames from one host into its port, to nobody the bridge knows, so all other ports send them out.

        Answers with their octets. Raises OSError when the cable is cut.
        """
        frame = b"\x02\xaa\x00\x00\x00\x01" + bytes((2, 0xBB, 0, 0, 0, host)) + b"\x88\xb5"
        frame += bytes(size - len(frame))
        with _in_namespace(self._hosts), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
            out.bind((f"h{host}", 0))
            for _ in range(frames):
                out.send(frame)
        return frames * size

    def mac(self, port: int) -> str:
        with _in_namespace(self._name):
            shown = subprocess.run(
                ["ip", "-json", "link", "show", f"p{port}"], capture_output=True, text=True, check=True
            )
        return str(json.loads(shown.stdout)[0]["address"])

    def kernel_counters(self, port: int) -> tuple[int, int]:
        """Octets (received, sent) of a port, as the kernel itself counts them."""
        line = next(
            line
            for line in self._read("/proc/thread-self/net/dev").splitlines()
            if line.strip().startswith(f"p{port}:")
        )
        fields = line.split(":")[1].split()
        return int(fields[0]), int(fields[8])

    def has_carrier(self, host: int) -> bool:
        with _in_namespace(self._hosts):
            shown = subprocess.run(["ip", "link", "show", f"h{host}"], capture_output=True, text=True)
        return "NO-CARRIER" not in shown.stdout

    def _read(self, path: str) -> str:
        with _in_namespace(self._name):
            return Path(path).read_text()


def stop(running: subprocess.Popen[bytes]) -> None:
    running.terminate()
    try:
        running.wait(5)
    except subprocess.TimeoutExpired:
        running.kill()
        running.wait()


@contextmanager
def _in_namespace(name: str) -> Iterator[None]:
    with Path("/proc/thread-self/ns/net").open() as home, (_NAMESPACES / name).open() as there:
        _enter(there.fileno())
        try:
            yield
        finally:
            _enter(home.fileno())


def _silence() -> None:
    """Of the namespace of this thread: no neighbour discovery, so that nothing moves but what is sent."""
    for which in ("all", "default"):
        switch = Path(f"/proc/sys/net/ipv6/conf/{which}/disable_ipv6")
        if switch.exists():
            switch.write_text("1")


def _enter(descriptor: int) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def _batch(namespace: str, lines: Sequence[str]) -> None:
    subprocess.run(
        ["ip", "-n", namespace, "-batch", "-"],
        input="\n".join(lines),
        text=True,
        check=True,
        capture_output=True,
    )


def _sweep() -> None:
    """What a test left behind that was killed."""
    for left in _NAMESPACES.glob(f"{_PREFIX}*"):
        pid = left.name.removeprefix(_PREFIX).split("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            _ip("netns", "del", left.name)
