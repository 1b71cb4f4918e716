"""The switch of a rack over SNMP.

A port's name, hardware address, counters and the device's uptime come in one PDU; ports are matched by ifName each time,
since an ifIndex may change when a switch restarts. What was learned of a switch (which indexes there are) is kept in this
process and checked by every answer, so that a reading asks for nothing twice.
"""

import asyncio
import ipaddress
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import gufo.snmp
import pysnmp.error

from doublehop.driver_kit.contract import CounterReading, PortCounter
from doublehop.driver_kit.errors import BadAnswer, CredentialsRejected, NotFound, OutcomeUnknown, Unreachable
from doublehop.driver_kit.forms import split_host
from doublehop.driver_kit.reach import ANYWHERE, OutOfReach, Reach
from doublehop.drivers.rack import identity
from doublehop.drivers.rack.identity import UPTIME, number_of, text_of
from doublehop.drivers.rack.snmp import Login, set_number

_IF_NUMBER = "1.3.6.1.2.1.2.1.0"
_IF_ENTRY = "1.3.6.1.2.1.2.2.1"
_IF_X_ENTRY = "1.3.6.1.2.1.31.1.1.1"
_NAME = f"{_IF_X_ENTRY}.1"
_ADMIN = f"{_IF_ENTRY}.7"
# Name, octets in and out (64 bits), Mbit/s, discontinuity, hardware address. What nobody uses is not asked: it costs the switch most.
_COLUMNS = (
    _NAME,
    f"{_IF_X_ENTRY}.6",
    f"{_IF_X_ENTRY}.10",
    f"{_IF_X_ENTRY}.15",
    f"{_IF_X_ENTRY}.19",
    f"{_IF_ENTRY}.6",
)
_COLUMNS_32 = (f"{_IF_ENTRY}.10", f"{_IF_ENTRY}.16")
_PORTS_PER_QUESTION = 7
"""With six columns and the uptime they fit one datagram of 1,500 octets, of SNMPv3 too. A device with less room gets less."""
_MOST_PORTS = 4096
_TRIES = 2
READ_WITHIN_SECONDS = 60.0
"""For a whole reading: far less than a slot."""
_UP, _DOWN = 1, 2
_MOST_SWITCHES = 4096


class _Renumbered(Exception):
    """What was learned of the ports does not hold any more."""


@dataclass(frozen=True)
class _Question:
    """Some ports, and the objects that are asked for: the uptime, then the columns of each port."""

    indexes: Sequence[int]
    oids: Sequence[str]


@dataclass
class _Known:
    """What was learned of one switch: ifIndex to ifName, how many interfaces it told of then, and how to ask for them."""

    names: dict[int, str]
    interfaces: int
    questions: list[_Question] = field(default_factory=list)

    def __post_init__(self) -> None:
        indexes = sorted(self.names)
        starts = range(0, len(indexes), _PORTS_PER_QUESTION)
        self.questions = [_question(indexes[at : at + _PORTS_PER_QUESTION]) for at in starts]


def _question(indexes: Sequence[int]) -> _Question:
    return _Question(indexes, [UPTIME, *(f"{oid}.{index}" for index in indexes for oid in _COLUMNS)])


_learned: dict[str, _Known] = {}
"""By address. Nothing secret, and nothing that the next answer does not confirm."""


class Switch:
    """``address`` is ``host`` or ``host:port``. Nothing is sent before a method is called."""

    def __init__(
        self,
        address: str,
        login: Login,
        *,
        seconds: float = 3.0,
        read_within_seconds: float = READ_WITHIN_SECONDS,
        reach: Reach = ANYWHERE,
    ) -> None:
        self.address = address
        self._login = login
        self._seconds = seconds
        self._within = read_within_seconds
        self._reach = reach
        self._session: Any = None
        self._until: float | None = None

    @property
    def may_write(self) -> bool:
        return self._login.may_write

    def read(self) -> CounterReading:
        """All ports. Ends within READ_WITHIN_SECONDS, give or take one question.

        Raises Unreachable, CredentialsRejected (SNMPv3 only), and BadAnswer when names moved or the switch restarted while
        it was read.
        """
        self._until = time.monotonic() + self._within
        try:
            known = _learned.get(self.address)
            if known is not None:
                try:
                    return self._reading(known)
                except _Renumbered:
                    _learned.pop(self.address, None)
            reading = self._reading(self._learn())
        except _Renumbered:
            raise BadAnswer(f"the ports of {self.address} were numbered anew while they were read") from None
        finally:
            self._until = None
        return reading

    def uptime(self) -> int:
        """Its uptime in 1/100 s. Raises Unreachable."""
        return number_of(self._get([UPTIME]).get(UPTIME))

    def is_enabled(self, if_name: str) -> bool:
        """Raises NotFound when there is no port of that name."""
        return self._checked(if_name, self._index_of(if_name))

    def set_enabled(self, if_name: str, enabled: bool) -> None:
        """SET of ifAdminStatus, sent once. Raises Refused, CredentialsRejected, OutcomeUnknown, or the errors of reading."""
        index = self._index_of(if_name)
        host, port = self._endpoint()
        what = f"{if_name} of {self.address}"
        try:
            asyncio.run(
                set_number(
                    self._login,
                    host,
                    port,
                    f"{_ADMIN}.{index}",
                    _UP if enabled else _DOWN,
                    seconds=self._seconds,
                    what=what,
                )
            )
        except (pysnmp.error.PySnmpError, OSError):
            raise OutcomeUnknown(f"setting {what} broke off") from None

    def close(self) -> None:
        self._session = None

    # ------------------------------------------------------------ all ports

    def _learn(self) -> _Known:
        known = _Known(self._names(), number_of(self._get([_IF_NUMBER]).get(_IF_NUMBER)))
        while len(_learned) >= _MOST_SWITCHES:
            _learned.pop(next(iter(_learned)), None)
        _learned[self.address] = known
        return known

    def _reading(self, known: _Known) -> CounterReading:
        head = self._get([*identity.OIDS, _IF_NUMBER])
        taken_at = datetime.now(UTC)
        if UPTIME not in head:
            raise BadAnswer(
                f"the switch {self.address} does not tell its uptime: our community or user must be allowed to see sysUpTime"
            )
        if number_of(head.get(_IF_NUMBER)) != known.interfaces:
            raise _Renumbered
        uptimes = [number_of(head[UPTIME])]
        ports: list[PortCounter] = []
        waiting = list(reversed(known.questions))
        while waiting:
            question = waiting.pop()
            seen = self._get(question.oids)
            if UPTIME not in seen:
                waiting += reversed(self._smaller(known, question))
                continue
            ports += self._ports(question, known.names, seen, uptimes)
        if uptimes != sorted(uptimes):
            raise BadAnswer(f"the switch {self.address} restarted while it was read")
        return CounterReading(
            identity.device_of(head, self.address),
            taken_at,
            uptimes[0],
            tuple(ports),
            boots=number_of(head.get(identity.BOOTS)),
            engine_seconds=number_of(head.get(identity.ENGINE_SECONDS)),
        )

    def _smaller(self, known: _Known, question: _Question) -> list[_Question]:
        """An answer without anything means "too big". The smaller questions are remembered."""
        half = len(question.indexes) // 2
        if not half:
            raise BadAnswer(f"the switch {self.address} gives no answer about its ports")
        halves = [_question(question.indexes[:half]), _question(question.indexes[half:])]
        at = known.questions.index(question)
        known.questions[at : at + 1] = halves
        return halves

    def _ports(
        self, question: _Question, names: dict[int, str], seen: dict[str, Any], uptimes: list[int]
    ) -> list[PortCounter]:
        """``uptimes`` of the reading so far, its own first; those of what is asked here are added."""
        found = []
        asked = number_of(seen[UPTIME])
        uptimes.append(asked)
        values = [seen.get(oid) for oid in question.oids]
        for place, index in enumerate(question.indexes):
            start = 1 + place * len(_COLUMNS)
            name, octets_in, octets_out, megabits, jump, mac = values[start : start + len(_COLUMNS)]
            if text_of(name) != names[index]:
                raise _Renumbered
            bits, read = 64, asked
            if octets_in is None or octets_out is None:
                octets_in, octets_out, read = self._narrow(index, names[index])
                uptimes.append(read)
                bits = 32
            found.append(
                PortCounter(
                    names[index],
                    number_of(octets_in),
                    number_of(octets_out),
                    bits=bits,
                    speed_bps=number_of(megabits) * 1_000_000,
                    discontinuity=number_of(jump),
                    fingerprint=identity.mac_of(mac),
                    after_centiseconds=read - uptimes[0],
                )
            )
        return found

    def _narrow(self, index: int, name: str) -> tuple[Any, Any, int]:
        """The 32-bit counters of a device that has no others, with the name and the uptime beside them."""
        seen = self._get([UPTIME, f"{_NAME}.{index}", *(f"{oid}.{index}" for oid in _COLUMNS_32)])
        if text_of(seen.get(f"{_NAME}.{index}")) != name:
            raise _Renumbered
        octets_in, octets_out = (seen.get(f"{oid}.{index}") for oid in _COLUMNS_32)
        return octets_in, octets_out, number_of(seen.get(UPTIME))

    def _names(self) -> dict[int, str]:
        names: dict[int, str] = {}
        for oid, value in self._walk(_NAME):
            names[int(oid.rsplit(".", 1)[1])] = text_of(value)
            if len(names) > _MOST_PORTS:
                raise BadAnswer(f"the switch {self.address} names more than {_MOST_PORTS} ports")
        return names

    # ------------------------------------------------------------ one port

    def _index_of(self, if_name: str) -> int:
        indexes = [index for index, name in self._names().items() if name == if_name]
        if not indexes:
            raise NotFound(f"the switch {self.address} has no port named {if_name}")
        if len(indexes) > 1:
            raise BadAnswer(f"the switch {self.address} has several ports named {if_name}")
        return indexes[0]

    def _checked(self, if_name: str, index: int) -> bool:
        seen = self._get([f"{_NAME}.{index}", f"{_ADMIN}.{index}"])
        if text_of(seen.get(f"{_NAME}.{index}")) != if_name or f"{_ADMIN}.{index}" not in seen:
            raise BadAnswer(f"the ports of {self.address} were numbered anew while they were read")
        return bool(seen[f"{_ADMIN}.{index}"] != _DOWN)

    # ------------------------------------------------------------ questions

    def _get(self, oids: Sequence[str]) -> dict[str, Any]:
        found: dict[str, Any] = self._try(lambda session: session.get_many(oids))
        return found

    def _walk(self, oid: str) -> list[tuple[str, Any]]:
        found: list[tuple[str, Any]] = self._try(
            lambda session: list(islice(session.getbulk(oid), _MOST_PORTS + 1))
        )
        return found

    def _try(self, question: Callable[[Any], Any]) -> Any:
        """Asks twice: a datagram may be lost, and reading changes nothing."""
        for last in [False] * (_TRIES - 1) + [True]:
            if self._until is not None and time.monotonic() > self._until:
                raise Unreachable(f"the switch {self.address} is too slow to be read in {self._within:.0f} s")
            try:
                return question(self._opened())
            except (TimeoutError, OSError):
                self._session = None
                if last:
                    break
            except gufo.snmp.SnmpAuthError:
                self._session = None
                raise CredentialsRejected(
                    f"the switch {self.address} refuses the SNMPv3 user, its password or its algorithm"
                ) from None
            except (gufo.snmp.SnmpError, ValueError, RuntimeError):
                raise BadAnswer(f"the switch {self.address} gave an answer that makes no sense") from None
        raise Unreachable(f"the switch {self.address} does not answer: {self._login.silence}")

    def _opened(self) -> Any:
        if self._session is None:
            host, port = self._endpoint()
            self._session = self._login.session(host, port, self._seconds)
        return self._session

    def _endpoint(self) -> tuple[str, int]:
        try:
            host, port = split_host(self.address)
            address = _address_of(host)
            self._reach.check([address])
            return address, port or 161
        except OutOfReach:
            raise Unreachable(
                f"{self.address} leads into a private or reserved network, and nothing is sent there"
            ) from None
        except ValueError:
            raise Unreachable(f"{self.address} is no address of a switch") from None
        except OSError:
            raise Unreachable(f"the name {self.address} is not known") from None


def _address_of(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)[0][4][0])
