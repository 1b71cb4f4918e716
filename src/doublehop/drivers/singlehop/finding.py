"""Where LEAP and Dropzone answer, from an address that may be the host, one of the two, or something above them."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from doublehop.driver_kit.contract import Values
from doublehop.driver_kit.errors import (
    BadAnswer,
    Busy,
    CredentialsRejected,
    Refused,
    Unreachable,
    UpstreamError,
)
from doublehop.drivers.singlehop.doors import Doors, origin_of
from doublehop.drivers.singlehop.words import DROPZONE, LEAP, NO_EXTENSIONS, Extensions, Logins

_SISTERS = {
    "https://leap.singlehop.com": "https://dropzone.singlehop.com",
    "https://dropzone.singlehop.com": "https://leap.singlehop.com",
}
"""The one place where the two had a host each."""


@dataclass(frozen=True)
class Found:
    """Addresses of the two APIs, empty for one that is not there, and what each announces."""

    leap: str = ""
    dropzone: str = ""
    leap_extensions: Extensions = NO_EXTENSIONS
    dropzone_extensions: Extensions = NO_EXTENSIONS
    tandem_signs_in: bool = True
    """Whether Dropzone lets the Tandem user in by its own login."""

    def spell(self) -> dict[str, str]:
        """What is worth keeping, as texts; without secrets."""
        return {
            "api": "both" if self.leap and self.dropzone else (LEAP if self.leap else DROPZONE),
            "leap": self.leap,
            "dropzone": self.dropzone,
            "leap_extensions": self.leap_extensions.spell(),
            "dropzone_extensions": self.dropzone_extensions.spell(),
            "tandem_signs_in": "yes" if self.tandem_signs_in else "no",
        }

    @classmethod
    def read(cls, settings: Values) -> "Found | None":
        """What an earlier test learned; None when nothing was."""
        kept = {name: str(settings.get(f"learned_{name}", "")) for name in cls().spell()}
        if not kept["leap"] and not kept["dropzone"]:
            return None
        return cls(
            kept["leap"],
            kept["dropzone"],
            Extensions.read(kept["leap_extensions"]),
            Extensions.read(kept["dropzone_extensions"]),
            kept["tandem_signs_in"] != "no",
        )


class Verdict(IntEnum):
    ABSENT = 0
    GATE = 1
    """Something wants a login, in no words of the API: it may stand before anything."""
    REFUSED = 2
    """The API itself says no to the login."""
    ACCEPTED = 3


@dataclass(frozen=True)
class Probe:
    address: str
    verdict: Verdict
    extensions: Extensions = NO_EXTENSIONS
    error: UpstreamError | None = None


@dataclass(frozen=True)
class Finding:
    found: Found
    refused: Mapping[str, str] = field(default_factory=dict)
    """The API that does not accept the LEAP login, and in which words."""


def addresses_from(endpoint: str) -> tuple[list[str], list[str]]:
    """(where LEAP's page may be, where Dropzone may begin), the likeliest first."""
    given = endpoint.rstrip("/")
    if given.endswith("/api.php"):
        above = given.removesuffix("/api.php")
        root = above.removesuffix("/leap")
        return [given], _unique(f"{root}/dropzone", _sister(root), root)
    if given.endswith("/dropzone"):
        root = given.removesuffix("/dropzone")
        return _pages(root), [given]
    if given.endswith("/leap"):
        root = given.removesuffix("/leap")
        return [f"{given}/api.php"], [f"{root}/dropzone"]
    return _pages(given), _unique(f"{given}/dropzone", _sister(given), given)


def _pages(root: str) -> list[str]:
    sister = _sister(root)
    return _unique(f"{root}/leap/api.php", f"{root}/api.php", f"{sister}/api.php" if sister else "")


def _sister(root: str) -> str:
    return _SISTERS.get(origin_of(root), "")


def _unique(*found: str) -> list[str]:
    return [one for one in dict.fromkeys(found) if one]


def find(logins: Logins, doors: Doors) -> Finding:
    """Asks until each API is found or every address was tried. Both are used where both are there.

    Raises Unreachable and Busy at once, the most telling error where nothing answers as either.
    """
    pages, roots = addresses_from(logins.endpoint)
    probes: dict[str, Probe] = {}
    if logins.api != DROPZONE:
        probes[LEAP] = _best(pages, lambda address: _probe_leap(doors, address))
    if logins.api != LEAP:
        probes[DROPZONE] = _best(roots, lambda address: _probe_dropzone(doors, address))
    _explain_away(probes)
    bar = Verdict.REFUSED if any(p.verdict > Verdict.GATE for p in probes.values()) else Verdict.GATE
    there = {api: probe for api, probe in probes.items() if probe.verdict >= bar}
    if not there:
        error = next(probe.error for probe in probes.values())
        said = f": {error.text}" if error else ""
        raise BadAnswer(f"neither LEAP nor Dropzone answers at this address{said}")
    nowhere = Probe("", Verdict.ABSENT)
    leap, dropzone = there.get(LEAP, nowhere), there.get(DROPZONE, nowhere)
    return Finding(
        Found(leap.address, dropzone.address, leap.extensions, dropzone.extensions),
        {api: probe.error.text for api, probe in there.items() if probe.error is not None},
    )


def _explain_away(probes: dict[str, Probe]) -> None:
    """Dropzone wants its login before it looks where one goes: a refusal from below it is its own, not one of LEAP."""
    leap, dropzone = probes.get(LEAP), probes.get(DROPZONE)
    if leap is None or dropzone is None or dropzone.verdict is not Verdict.ACCEPTED:
        return
    if leap.verdict is Verdict.REFUSED and leap.address.startswith(f"{dropzone.address}/"):
        probes[LEAP] = Probe(leap.address, Verdict.ABSENT, error=leap.error)


def _best(addresses: Iterable[str], probe: Callable[[str], Probe]) -> Probe:
    best: Probe | None = None
    for address in addresses:
        seen = probe(address)
        if best is None or seen.verdict > best.verdict:
            best = seen
        if best.verdict is Verdict.ACCEPTED:
            break
    return best or Probe("", Verdict.ABSENT)


def _probe_leap(doors: Doors, address: str) -> Probe:
    try:
        extensions = doors.leap(address, NO_EXTENSIONS).account()
    except UpstreamError as error:
        return _not_accepted(address, error)
    return Probe(address, Verdict.ACCEPTED, extensions)


def _probe_dropzone(doors: Doors, address: str) -> Probe:
    api = doors.dropzone(address, DROPZONE, NO_EXTENSIONS)
    try:
        api.servers()
        extensions = api.announced()
    except UpstreamError as error:
        return _not_accepted(address, error)
    return Probe(address, Verdict.ACCEPTED, extensions)


def _not_accepted(address: str, error: UpstreamError) -> Probe:
    if isinstance(error, Unreachable | Busy):
        raise error
    verdict = Verdict.ABSENT
    bare = re.fullmatch(r"answered \d+", error.text)
    if isinstance(error, CredentialsRejected):
        verdict = Verdict.GATE if bare else Verdict.REFUSED
    elif isinstance(error, Refused) and not error.text.startswith("answered "):
        verdict = Verdict.REFUSED
    return Probe(address, verdict, error=error)
