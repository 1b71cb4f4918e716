"""One POST to an address that somebody else chose: only to places that may be asked, once, within one time limit.

The name is looked up at each attempt, every address it has is checked, and the connection goes to exactly what was checked, with
the name in Host and in TLS. Redirects are not followed: they would lead past the check.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

import httpcore
from django.conf import settings

from doublehop.driver_kit.reach import is_public, is_within, unpacked
from doublehop.driver_kit.transport import tls_context
from doublehop.driver_kit.wire import DeadlinePassed, Wire
from doublehop.organisations.refusals import BadInput

TOTAL_SECONDS = 15.0
"""Name lookup, connect, TLS, writing, and the whole of what is read."""
MOST_READ = 2_048
"""Octets of an answer. The rest is not waited for."""
LONGEST_URL = 500


class NotAllowedThere(Exception):
    """The sentence says which rule forbids it. Nothing was sent."""


class NoAnswer(Exception):
    """Not reached, too late, or broken off. It may have arrived."""


@dataclass(frozen=True)
class Answer:
    """``text``: the first signs of the body, fit to be shown."""

    status: int
    text: str


def check_url(text: str, *, is_operators: bool) -> str:
    """What can be known without looking the name up. Raises BadInput."""
    text = text.strip()
    try:
        parts, port = urlsplit(text), urlsplit(text).port
    except ValueError:
        raise BadInput(
            "This is no address. Write one such as https://hooks.example.org/doublehop.", field="url"
        ) from None
    host = parts.hostname or ""
    plain = all(" " < sign < "\x7f" for sign in text) and "\\" not in text
    if (
        parts.scheme not in {"https", "http"}
        or not host
        or not plain
        or len(text) > LONGEST_URL
        or parts.fragment
    ):
        raise BadInput("Write an address such as https://hooks.example.org/doublehop.", field="url")
    if "@" in parts.netloc:
        raise BadInput("No user and password in the address: the signature proves who sends.", field="url")
    networks = networks_for(is_operators=is_operators)
    if not networks and (parts.scheme != "https" or (port or 443) != 443):
        raise BadInput(
            "The address must begin with https:// and use port 443.", code="address_not_allowed", field="url"
        )
    try:
        check_addresses(parts, [str(ipaddress.ip_address(host))], networks)
    except ValueError:
        pass  # a name: looked up, and checked, at each delivery
    except NotAllowedThere as error:
        raise BadInput(str(error), code="address_not_allowed", field="url") from None
    return text


def networks_for(*, is_operators: bool) -> Sequence[str]:
    """Beyond the public ones. What the operator opens of its own is open to its own webhooks: in the hands of anybody else,
    down to a client, it would be a way into its networks."""
    opened: Sequence[str] = settings.DOUBLEHOP_WEBHOOK_NETWORKS
    return opened if is_operators else ()


def check_addresses(parts: SplitResult, addresses: Sequence[str], networks: Sequence[str]) -> None:
    """All of them, so that a name cannot hide a forbidden address behind a fine one. Raises NotAllowedThere."""
    for address in map(unpacked, addresses):
        if is_within(address, networks):
            continue
        if not is_public(address):
            raise NotAllowedThere("It leads into a private or reserved network, and nothing is sent there.")
        if parts.scheme != "https" or (parts.port or 443) != 443:
            raise NotAllowedThere("Outside of our own networks only https:// on port 443 is used.")


class CheckedWire(Wire):
    """Connects only to addresses that were checked, the very ones that the lookup gave."""

    def __init__(self, parts: SplitResult, networks: Sequence[str]) -> None:
        super().__init__(pin="", loopback_only=False)
        self._parts, self._networks = parts, networks

    def check_addresses(self, addresses: list[str]) -> None:
        check_addresses(self._parts, addresses, self._networks)


def post(url: str, headers: Mapping[str, str], body: bytes, *, is_operators: bool) -> Answer:
    """Raises NotAllowedThere and NoAnswer. No proxy of the environment is used."""
    parts = urlsplit(url)
    wire = CheckedWire(parts, networks_for(is_operators=is_operators))
    wire.begin(TOTAL_SECONDS)
    sent = {"Host": parts.netloc, "User-Agent": "webhooks/1", "Connection": "close", **headers}
    try:
        with (
            httpcore.ConnectionPool(
                tls_context(verify=True), max_keepalive_connections=0, network_backend=wire
            ) as pool,
            pool.stream("POST", url, headers=list(sent.items()), content=body) as response,
        ):
            return Answer(response.status, _beginning(response))
    except DeadlinePassed:
        raise NoAnswer(f"No whole answer within {TOTAL_SECONDS:.0f} s.") from None
    except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
        raise NoAnswer(f"It cannot be reached: {str(error)[:150] or 'no connection'}.") from None
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
        raise NoAnswer(f"The connection broke off: {type(error).__name__}.") from None


def _beginning(response: httpcore.Response) -> str:
    """The status counts, whatever becomes of the body."""
    read = b""
    try:
        for piece in response.iter_stream():
            read += piece
            if len(read) >= MOST_READ:
                break
    except (
        DeadlinePassed,
        httpcore.TimeoutException,
        httpcore.NetworkError,
        httpcore.ProtocolError,
        OSError,
    ):
        pass
    text = read[:MOST_READ].decode(errors="replace")
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
