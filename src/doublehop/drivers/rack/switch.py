"""The switch of a rack over SNMP v2c: gufo-snmp reads, pysnmp writes (gufo knows no SET).

Ports are matched by ifName each time, since an ifIndex may change when a switch restarts.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import gufo.snmp
import gufo.snmp.sync
import pysnmp.error
import pysnmp.hlapi.v3arch.asyncio as snmp_set

from doublehop.driver_kit.contract import CounterReading, PortCounter
from doublehop.driver_kit.errors import BadAnswer, NotFound, OutcomeUnknown, Refused, Unreachable
from doublehop.driver_kit.forms import split_host
from doublehop.driver_kit.secret import Secret

_UPTIME = "1.3.6.1.2.1.1.3.0"
_IF_ENTRY = "1.3.6.1.2.1.2.2.1"
_IF_X_ENTRY = "1.3.6.1.2.1.31.1.1.1"
_NAME = f"{_IF_X_ENTRY}.1"
_ADMIN = f"{_IF_ENTRY}.7"
_COLUMNS = {
    "name": _NAME,
    "in64": f"{_IF_X_ENTRY}.6",
    "out64": f"{_IF_X_ENTRY}.10",
    "megabits": f"{_IF_X_ENTRY}.15",
    "jump": f"{_IF_X_ENTRY}.19",
    "admin": _ADMIN,
    "oper": f"{_IF_ENTRY}.8",
}
_COLUMNS_32 = {"in32": f"{_IF_ENTRY}.10", "out32": f"{_IF_ENTRY}.16"}
_PORTS_PER_QUESTION = 6
"""Seven columns of six ports and the uptime fit one datagram of 1,500 octets."""
_MOST_PORTS = 4096
_TRIES = 2
_UP, _DOWN = 1, 2


class Switch:
    """``address`` is ``host`` or ``host:port``. Nothing is sent before a method is called."""

    def __init__(self, address: str, read: Secret, write: Secret, *, seconds: float = 3.0) -> None:
        self.address = address
        self._read = read
        self._write = write
        self._seconds = seconds
        self._session: Any = None

    @property
    def may_write(self) -> bool:
        return bool(self._write)

    def read(self) -> CounterReading:
        """All ports. A port's name, counters and the uptime come in one PDU; six ports share one.

        Raises Unreachable, and BadAnswer when names moved or the switch restarted while it was read.
        """
        names = self._names()
        taken_at = datetime.now(UTC)
        uptimes: list[int] = []
        ports: list[PortCounter] = []
        for chunk in _chunks(sorted(names), _PORTS_PER_QUESTION):
            seen = self._get([_UPTIME, *(f"{oid}.{index}" for index in chunk for oid in _COLUMNS.values())])
            uptimes.append(_number(seen.get(_UPTIME)))
            ports += [self._port(index, names[index], seen) for index in chunk]
        if uptimes != sorted(uptimes):
            raise BadAnswer(f"the switch {self.address} restarted while it was read")
        return CounterReading(self.address, taken_at, uptimes[0] if uptimes else 0, tuple(ports))

    def uptime(self) -> int:
        """Its uptime in 1/100 s. Raises Unreachable."""
        return _number(self._get([_UPTIME]).get(_UPTIME))

    def is_enabled(self, if_name: str) -> bool:
        """Raises NotFound when there is no port of that name."""
        return self._checked(if_name, self._index_of(if_name))

    def set_enabled(self, if_name: str, enabled: bool) -> None:
        """SET of ifAdminStatus, sent once. Raises Refused, OutcomeUnknown, or the errors of reading."""
        index = self._index_of(if_name)
        wanted = snmp_set.ObjectType(
            snmp_set.ObjectIdentity(f"{_ADMIN}.{index}"), snmp_set.Integer32(_UP if enabled else _DOWN)
        )
        try:
            trouble, status = asyncio.run(self._set(wanted))
        except (pysnmp.error.PySnmpError, OSError):
            raise OutcomeUnknown(f"setting {if_name} of {self.address} broke off") from None
        if trouble:
            raise OutcomeUnknown(
                f"{self.address} did not answer the change of {if_name}: it is slow, or the write community is wrong"
            )
        if status:
            raise Refused(f"{self.address} refuses to set {if_name}: SNMP error {status}")

    def close(self) -> None:
        self._session = None

    async def _set(self, wanted: Any) -> tuple[bool, int]:
        host, port = self._endpoint()
        family = snmp_set.Udp6TransportTarget if ":" in host else snmp_set.UdpTransportTarget
        engine = snmp_set.SnmpEngine()
        try:
            trouble, status, _, _ = await snmp_set.set_cmd(
                engine,
                snmp_set.CommunityData(self._write.reveal(), mpModel=1),  # noqa: S508 (the README says why)
                await family.create((host, port), timeout=self._seconds, retries=0),
                snmp_set.ContextData(),
                wanted,
                lookupMib=False,
            )
        finally:
            engine.close_dispatcher()
        return bool(trouble), int(status)

    def _port(self, index: int, name: str, seen: Mapping[str, Any]) -> PortCounter:
        row = {column: seen.get(f"{oid}.{index}") for column, oid in _COLUMNS.items()}
        if _text(row["name"]) != name:
            raise BadAnswer(f"the ports of {self.address} were numbered anew while they were read")
        octets, bits = (row["in64"], row["out64"]), 64
        if None in octets:
            narrow = self._get([f"{_NAME}.{index}", *(f"{oid}.{index}" for oid in _COLUMNS_32.values())])
            octets, bits = (narrow.get(f"{oid}.{index}") for oid in _COLUMNS_32.values()), 32  # type: ignore[assignment]
        in_octets, out_octets = octets
        return PortCounter(
            name,
            _number(in_octets),
            _number(out_octets),
            bits=bits,
            speed_bps=_number(row["megabits"]) * 1_000_000,
            enabled=row["admin"] != _DOWN,
            up=row["oper"] == _UP,
            discontinuity=_number(row["jump"]),
        )

    def _names(self) -> dict[int, str]:
        """ifIndex to ifName."""
        names: dict[int, str] = {}
        for oid, value in self._walk(_NAME):
            names[int(oid.rsplit(".", 1)[1])] = _text(value)
            if len(names) > _MOST_PORTS:
                raise BadAnswer(f"the switch {self.address} names more than {_MOST_PORTS} ports")
        return names

    def _index_of(self, if_name: str) -> int:
        indexes = [index for index, name in self._names().items() if name == if_name]
        if not indexes:
            raise NotFound(f"the switch {self.address} has no port named {if_name}")
        if len(indexes) > 1:
            raise BadAnswer(f"the switch {self.address} has several ports named {if_name}")
        return indexes[0]

    def _checked(self, if_name: str, index: int) -> bool:
        seen = self._get([f"{_NAME}.{index}", f"{_ADMIN}.{index}"])
        if _text(seen.get(f"{_NAME}.{index}")) != if_name or f"{_ADMIN}.{index}" not in seen:
            raise BadAnswer(f"the ports of {self.address} were numbered anew while they were read")
        return bool(seen[f"{_ADMIN}.{index}"] != _DOWN)

    def _get(self, oids: Sequence[str]) -> dict[str, Any]:
        return dict(self._try(lambda session: session.get_many(oids)))

    def _walk(self, oid: str) -> list[tuple[str, Any]]:
        return list(self._try(lambda session: _bounded(session.getbulk(oid), _MOST_PORTS + 1)))

    def _try(self, question: Any) -> Any:
        """Asks twice: a datagram may be lost, and reading changes nothing."""
        for last in [False] * (_TRIES - 1) + [True]:
            try:
                return question(self._opened())
            except (TimeoutError, OSError):
                self._session = None
                if last:
                    break
            except (gufo.snmp.SnmpError, ValueError, RuntimeError):
                raise BadAnswer(f"the switch {self.address} gave an answer that makes no sense") from None
        raise Unreachable(
            f"the switch {self.address} does not answer: it is off, or the read community is wrong"
        )

    def _opened(self) -> Any:
        if self._session is None:
            host, port = self._endpoint()
            self._session = gufo.snmp.sync.SnmpSession(
                host, port=port, community=self._read.reveal(), timeout=self._seconds, max_repetitions=25
            )
        return self._session

    def _endpoint(self) -> tuple[str, int]:
        try:
            host, port = split_host(self.address)
            return _address_of(host), port or 161
        except ValueError:
            raise Unreachable(f"{self.address} is no address of a switch") from None
        except OSError:
            raise Unreachable(f"the name {self.address} is not known") from None


def _address_of(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)[0][4][0])


def _bounded(pairs: Iterator[tuple[str, Any]], at_most: int) -> list[tuple[str, Any]]:
    return [pair for pair, _ in zip(pairs, range(at_most), strict=False)]


def _chunks(indexes: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(indexes), size):
        yield indexes[start : start + size]


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def _number(value: object) -> int:
    if value is None:
        return 0
    if not isinstance(value, int):
        raise BadAnswer("a counter of the switch is no number")
    return value
