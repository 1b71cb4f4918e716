"""The plain values that this driver's files pass to one another, and what both APIs must be able to say."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from doublehop.driver_kit.contract import PowerState, Values
from doublehop.driver_kit.secret import Secret

LEAP = "leap"
DROPZONE = "dropzone"
TANDEM = "tandem"
"""Names of the three ways in: the LEAP account over LEAP and over Dropzone, the Tandem user over Dropzone."""

BY_US = "doublehop"
"""Who announces extensions whose shapes we know."""


@dataclass(frozen=True)
class Logins:
    """The settings, typed. ``api`` is "auto", "leap" or "dropzone"; ``bandwidth_unit`` holds for figures that name none."""

    endpoint: str
    leap_username: str
    leap_password: Secret
    tandem_username: str
    tandem_password: Secret
    api_key: Secret
    pin: Secret
    api: str
    bandwidth_unit: str

    @classmethod
    def of(cls, settings: Values) -> "Logins":
        return cls(
            endpoint=_text(settings, "endpoint"),
            leap_username=_text(settings, "leap_username"),
            leap_password=_secret(settings, "leap_password"),
            tandem_username=_text(settings, "tandem_username"),
            tandem_password=_secret(settings, "tandem_password"),
            api_key=_secret(settings, "api_key"),
            pin=_secret(settings, "pin"),
            api=_text(settings, "api") or "auto",
            bandwidth_unit=_text(settings, "bandwidth_unit") or "GB",
        )

    @property
    def secrets(self) -> tuple[Secret, ...]:
        return (self.leap_password, self.tandem_password, self.api_key, self.pin)


def _text(settings: Values, name: str) -> str:
    value = settings.get(name, "")
    return value if isinstance(value, str) else ""


def _secret(settings: Values, name: str) -> Secret:
    value = settings.get(name)
    return value if isinstance(value, Secret) else Secret("")


@dataclass(frozen=True)
class Extensions:
    """What the other side announces beyond the two old APIs. Without ``by`` it announces nothing."""

    by: str = ""
    commands: frozenset[str] = frozenset()
    bandwidth_unit: str = ""

    @property
    def ours(self) -> bool:
        return self.by == BY_US

    def has(self, command: str) -> bool:
        return self.ours and command in self.commands

    def spell(self) -> str:
        """One line that :meth:`read` understands."""
        return " ".join((self.by, self.bandwidth_unit or "-", *sorted(self.commands))) if self.by else ""

    @classmethod
    def read(cls, text: str) -> "Extensions":
        by, unit, *commands = (*text.split(), "", "")[:2] + tuple(text.split()[2:])
        return cls(by, frozenset(commands), "" if unit == "-" else unit)


NO_EXTENSIONS = Extensions()


@dataclass(frozen=True)
class Line:
    """One server as a list or its details show it. ``suspended`` is None where the other side does not say."""

    id: str
    hostname: str = ""
    address: str = ""
    status: str = ""
    kind: str = ""
    suspended: bool | None = None

    @property
    def power(self) -> PowerState:
        word = self.status.strip().lower()
        return next(
            (state for state, spelled in _POWER.items() if spelled.fullmatch(word)), PowerState.UNKNOWN
        )

    @property
    def is_virtual(self) -> bool:
        """A "vmnode" is the machine below: it is not virtual."""
        return self.kind.strip().lower() == "vm"

    @property
    def in_rescue(self) -> bool:
        return self.status.strip().lower() == "rescue"


# "online" and "rescue" were seen; of the others it is only known that they are not "online".
_POWER = {
    PowerState.ON: re.compile(r"online|on|up|running|active|rescue"),
    PowerState.OFF: re.compile(r"offline|off|down|stopped|halted|shut ?down|powered ?off"),
    PowerState.RESTARTING: re.compile(r"re-?boot(ing)?|re-?start(ing)?|booting|starting"),
}


@dataclass(frozen=True)
class TandemUser:
    """``servers`` is None where it cannot be read which servers the user may reach."""

    id: str
    email: str
    name: str
    servers: frozenset[str] | None


@dataclass(frozen=True)
class Day:
    """Figures of one day as they came, as texts. ``sample``: the other side says that it made them up."""

    start: datetime
    coming: str
    going: str
    sample: bool = False


@dataclass(frozen=True)
class Figures:
    """``unit`` is the one that the answer names, if any."""

    days: Sequence[Day]
    unit: str = ""


@dataclass(frozen=True)
class Receipt:
    """What a change answered: the other side's operation reference, if it gave one."""

    operation: str = ""


class Api(Protocol):
    """One login at one API. Raises the errors of the contract; a change is sent once."""

    way: str
    extensions: Extensions

    @property
    def reboots_by_kind(self) -> bool:
        """Whether a VM is rebooted by another command than a machine."""
        ...

    def servers(self) -> Mapping[str, Line]: ...
    def details(self, external_id: str) -> Line:
        """Only where extensions are announced: elsewhere this command was broken."""
        ...

    def addresses(self, external_id: str) -> tuple[str, ...]: ...
    def names(self, external_id: str) -> dict[str, str]:
        """Address to name, without a final dot."""
        ...

    def set_name(self, external_id: str, address: str, name: str) -> Receipt: ...
    def figures(self, external_id: str, start: datetime, end: datetime) -> Figures: ...
    def reboot(self, line: Line) -> Receipt: ...
    def tandem_users(self) -> tuple[TandemUser, ...]: ...
    def permit(self, user: TandemUser, external_id: str, permitted: bool) -> Receipt: ...
    def can(self, extension: str) -> bool:
        """Whether "suspension", "operation" or "login" is announced."""
        ...

    def suspend(self, external_id: str, reason: str) -> Receipt: ...
    def unsuspend(self, external_id: str) -> Receipt: ...
    def operation(self, reference: str) -> str:
        """held, queued, running, done, failed, unknown or cancelled; empty where the answer does not say."""
        ...

    def username(self, external_id: str) -> str: ...


Document = dict[str, Any]
