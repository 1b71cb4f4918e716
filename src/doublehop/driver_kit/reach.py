"""How far an upstream may reach: anywhere, or only past the networks of whoever runs the installation.

An address in the hands of a reseller would otherwise be a way into those networks. Every address that a name has is checked,
and what is connected to is what was checked.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from doublehop.driver_kit.contract import Values

_CARRIERS = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))
"""IPv4 in IPv6 beyond what ``ipaddress`` unpacks (NAT64)."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class OutOfReach(Exception):
    """It leads into a private or reserved network that was not opened. Nothing was sent."""


@dataclass(frozen=True)
class Reach:
    """``networks``: what may be reached besides public addresses. None: everything may."""

    networks: tuple[str, ...] | None = None

    def check(self, addresses: Iterable[str]) -> None:
        """All of them, so that a name cannot hide a forbidden address behind a fine one. Raises OutOfReach."""
        if self.networks is None:
            return
        for address in map(unpacked, addresses):
            if not is_within(address, self.networks) and not is_public(address):
                raise OutOfReach


ANYWHERE = Reach()


def reach_of(settings: Values) -> Reach:
    """As whoever opens the upstream has put it among the settings."""
    networks = settings.get("reach")
    if isinstance(networks, Sequence) and not isinstance(networks, str):
        return Reach(tuple(networks))
    return ANYWHERE


def is_within(address: Address, networks: Iterable[str]) -> bool:
    return any(address in ipaddress.ip_network(network) for network in networks)


def is_public(address: Address) -> bool:
    # Site-local addresses (fec0::/10) are retired, and counted as global by ``ipaddress``.
    is_site_local = isinstance(address, ipaddress.IPv6Address) and address.is_site_local
    is_special = address.is_multicast or address.is_reserved or address.is_unspecified
    return address.is_global and not is_site_local and not is_special


def unpacked(text: str) -> Address:
    """The IPv4 address that an IPv6 address stands for, if it does."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
    if inner is None and (
        any(address in network for network in _CARRIERS) or (int(address) >> 32 == 0 and int(address) > 1)
    ):
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return inner or address
