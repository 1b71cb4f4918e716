"""The only door to drivers. No web thread passes it (import-linter); jobs do.

Reading: ``with reading(upstream_id) as upstream``. Acting: ``send(server_id, command, mark_sent=...)``, which opens the
upstream, asks the machine who it is, lets the caller commit "sent", and only then sends. Above the door there are two
outcomes besides success: :class:`NotSent` (certain that nothing happened) and :class:`Unsure` (it may have).
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, TypeVar

import structlog
from django.conf import settings as house
from django.utils.crypto import salted_hmac

from doublehop.driver_kit import errors, registry
from doublehop.driver_kit.contract import (
    PRICE_CHANGED,
    PowerState,
    Price,
    SupplyReceipt,
    SupplyStatus,
    Ticket,
    TicketState,
    TicketStatus,
    Upstream,
    Values,
)
from doublehop.driver_kit.contract import Server as OpenServer
from doublehop.fleet import identity, rests
from doublehop.fleet.actions import note_failure, note_rest, note_success
from doublehop.fleet.models import Server
from doublehop.fleet.models import Upstream as UpstreamRow
from doublehop.organisations import vault
from doublehop.organisations.installation import AWAITS_CONFIRMATION, in_quarantine

log = structlog.get_logger(__name__)
_T = TypeVar("_T")


NO_MACHINE = ""
"""Stands for the external id of no server: the upstream alone is of interest."""


class NotSent(Exception):
    """Nothing happened at the machine. ``retry``: trying again may help. ``text`` is for staff."""

    def __init__(
        self, code: str, text: str, *, retry: bool = False, retry_at: datetime | None = None
    ) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.retry = retry
        self.retry_at = retry_at


class Unsure(Exception):
    """It may have happened. ``text`` is for staff. ``ticket``: what can be followed up later to learn whether it did."""

    def __init__(self, code: str, text: str, *, ticket: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.ticket = ticket


class Command(StrEnum):
    """Every call that changes something at a machine."""

    RESET_GRACEFUL = "reset_graceful"
    RESET_HARD = "reset_hard"
    POWER_ON = "power_on"
    POWER_OFF_GRACEFUL = "power_off_graceful"
    POWER_OFF_HARD = "power_off_hard"
    PORT_OFF = "port_off"
    PORT_ON = "port_on"
    SUSPEND = "suspend"
    UNSUSPEND = "unsuspend"
    PERMISSION_OFF = "permission_off"
    PERMISSION_ON = "permission_on"
    SET_RDNS = "set_rdns"
    NULL_ROUTE_ON = "null_route_on"
    NULL_ROUTE_OFF = "null_route_off"
    RESCUE_START = "rescue_start"
    RESCUE_STOP = "rescue_stop"


Arguments = Mapping[str, str]
"""What a command needs besides the machine: of SUSPEND "reason", of SET_RDNS "address" and "name", of null routes "address"."""
NONE: Arguments = MappingProxyType({})

_PART: dict[Command, str] = {
    Command.RESET_GRACEFUL: "power",
    Command.RESET_HARD: "power",
    Command.POWER_ON: "power_switch",
    Command.POWER_OFF_GRACEFUL: "power_switch",
    Command.POWER_OFF_HARD: "power_switch",
    Command.PORT_OFF: "port",
    Command.PORT_ON: "port",
    Command.SUSPEND: "suspension",
    Command.UNSUSPEND: "suspension",
    Command.PERMISSION_OFF: "access",
    Command.PERMISSION_ON: "access",
    Command.SET_RDNS: "rdns",
    Command.NULL_ROUTE_ON: "null_route",
    Command.NULL_ROUTE_OFF: "null_route",
    Command.RESCUE_START: "rescue",
    Command.RESCUE_STOP: "rescue",
}
_CALL: dict[Command, Callable[[Any, Arguments], Ticket]] = {
    Command.RESET_GRACEFUL: lambda power, _: power.reset(graceful=True),
    Command.RESET_HARD: lambda power, _: power.reset(graceful=False),
    Command.POWER_ON: lambda power, _: power.on(),
    Command.POWER_OFF_GRACEFUL: lambda power, _: power.off(graceful=True),
    Command.POWER_OFF_HARD: lambda power, _: power.off(graceful=False),
    Command.PORT_OFF: lambda port, _: port.set_enabled(False),
    Command.PORT_ON: lambda port, _: port.set_enabled(True),
    Command.SUSPEND: lambda suspension, given: suspension.suspend(given.get("reason", "")),
    Command.UNSUSPEND: lambda suspension, _: suspension.unsuspend(),
    Command.PERMISSION_OFF: lambda access, _: access.set_permitted(False),
    Command.PERMISSION_ON: lambda access, _: access.set_permitted(True),
    Command.SET_RDNS: lambda rdns, given: rdns.set(given["address"], given["name"]),
    Command.NULL_ROUTE_ON: lambda null_route, given: null_route.set(given["address"], True),
    Command.NULL_ROUTE_OFF: lambda null_route, given: null_route.set(given["address"], False),
    Command.RESCUE_START: lambda rescue, _: rescue.start(),
    Command.RESCUE_STOP: lambda rescue, _: rescue.stop(),
}


@contextmanager
def reading(
    upstream_id: int,
    *,
    only: str | None = None,
    attempt: rests.Attempt = rests.Attempt.USUAL,
    row: UpstreamRow | None = None,
) -> Iterator[Upstream]:
    """An opened upstream for calls that change nothing. Driver errors pass through, after they were noted on the row.

    ``only`` names the one external id that is of interest, so that a large rack need not open every secret; NO_MACHINE is none.
    ``row`` is the upstream's own, for whoever has read many of them together a moment ago.
    Raises LoginRests or AccountRests, without a call, while the upstream is left in peace.
    """
    row = row or UpstreamRow.objects.select_related("organisation").get(pk=upstream_id)
    peace = rests.why_left_in_peace(row, attempt)
    if peace is not None:
        raise peace
    upstream = _open(row, only)
    try:
        yield upstream
    except errors.UpstreamError as error:
        _note(row, error)
        raise
    finally:
        upstream.close()


def send(
    server_id: int,
    command: Command,
    *,
    mark_sent: Callable[[], None],
    arguments: Arguments = NONE,
    instruction: str = "",
) -> Ticket:
    """Sends one mutating call, to the machine that was attached and to no other.

    ``instruction`` names this sending: never the same for two, always the same for one. An upstream that knows such names
    does not act twice under one.
    ``mark_sent`` runs after every check and directly before the call; it must commit, or raise to stop the sending.
    Raises NotSent when certain that nothing happened, Unsure otherwise.
    """
    row = Server.objects.select_related("upstream__organisation").get(pk=server_id)
    _guard(row)
    upstream = _open_to_act(row.upstream, row.external_id, instruction)
    try:
        server = upstream.server(row.external_id)
        part = _part(server, _PART[command])
        _prove_identity(row, server)
        mark_sent()
        return _send(part, command, arguments, row)
    finally:
        upstream.close()


def place_order(
    row: UpstreamRow,
    offer_id: str,
    *,
    price: Price,
    hostname: str,
    note: str,
    key: str,
    mark_sent: Callable[[str], None],
) -> SupplyReceipt:
    """Orders a server at an upstream. Safe to repeat under the same ``key`` with the same login (``login_of``).

    ``mark_sent`` gets that login, and is otherwise as that of ``send``. Raises NotSent when certain that nothing was ordered
    by this sending, Unsure otherwise.
    """
    _guard_acting(row)
    _guard_peace(row)
    upstream = _open_to_act(row, NO_MACHINE, "")
    try:
        if upstream.ordering is None:
            raise NotSent("not_offered", "nothing can be ordered there any more")
        mark_sent(login_of(row))
        try:
            receipt = upstream.ordering.order(offer_id, price=price, hostname=hostname, note=note, key=key)
        except errors.UpstreamError as error:
            raise _as_outcome(row, error) from error
    finally:
        upstream.close()
    note_success(row.pk)
    return receipt


def withdraw_order(row: UpstreamRow, order_id: str) -> None:
    """May be repeated. Raises as ``place_order``; what came of it is read by ``look_at_order``."""
    _guard_acting(row)
    _guard_peace(row)
    upstream = _open_to_act(row, NO_MACHINE, "")
    try:
        if upstream.ordering is None:
            raise NotSent("not_offered", "nothing can be ordered there any more")
        upstream.ordering.withdraw(order_id)
    except errors.UpstreamError as error:
        raise _as_outcome(row, error) from error
    finally:
        upstream.close()


def look_at_order(row: UpstreamRow, order_id: str) -> SupplyStatus | None:
    """None when it cannot be asked any more. Raises driver errors, as every reading."""
    with reading(row.pk, only=NO_MACHINE) as upstream:
        return upstream.ordering.look(order_id) if upstream.ordering is not None else None


def login_of(row: UpstreamRow) -> str:
    """A digest that is another one where the endpoint or a secret is another. Raises VaultClosed."""
    secrets = vault.unseal(row.sealed_secrets, row="upstream")
    told = json.dumps(
        [row.endpoint, row.account, {name: one.reveal() for name, one in secrets.items()}], sort_keys=True
    )
    return salted_hmac("doublehop.fleet.login", told, algorithm="sha256").hexdigest()


def follow_up(server_id: int, command: Command, ticket: Ticket) -> TicketStatus:
    """How an accepted call stands. Raises driver errors: a failed question says nothing about the answer."""
    row = Server.objects.select_related("upstream").get(pk=server_id)
    with reading(row.upstream_id, only=row.external_id) as upstream:
        part: Any = getattr(upstream.server(row.external_id), _PART[command])
        if part is None:
            return TicketStatus(TicketState.PENDING, "this machine does not offer that any more")
        status: TicketStatus = part.follow_up(ticket)
        return status


def read_power(server_id: int) -> PowerState | None:
    """What the machine says now; None when it does not say. Raises driver errors, as every reading below."""
    return _read(server_id, "power", lambda power: power.state())


def read_port(server_id: int) -> bool | None:
    return _read(server_id, "port", lambda port: port.is_enabled())


def read_suspension(server_id: int) -> bool | None:
    return _read(server_id, "suspension", lambda suspension: suspension.is_suspended())


def read_suspension_asked(server_id: int) -> bool | None:
    """Also one that waits over there, or did not succeed: nobody must carry it out after it was lifted here."""
    return _read(server_id, "suspension", lambda suspension: suspension.is_asked())


def read_access(server_id: int) -> bool | None:
    """Whether the login that works for us may use the machine."""
    return _read(server_id, "access", lambda access: access.is_permitted())


def read_rescue(server_id: int) -> bool | None:
    return _read(server_id, "rescue", lambda rescue: rescue.is_active())


def read_rdns(server_id: int) -> Mapping[str, str] | None:
    """Names by address."""
    return _read(server_id, "rdns", lambda rdns: rdns.read())


def read_null_routes(server_id: int) -> Collection[str] | None:
    """The addresses whose traffic is dropped."""
    return _read(server_id, "null_route", lambda null_route: null_route.read())


def _read(server_id: int, part: str, question: Callable[[Any], _T]) -> _T | None:
    row = Server.objects.get(pk=server_id)
    with reading(row.upstream_id, only=row.external_id) as upstream:
        found = getattr(upstream.server(row.external_id), part)
        return question(found) if found is not None else None


def has_machine_logins(row: UpstreamRow) -> bool:
    """Own machines have a login each: one that is refused says nothing about the others."""
    return bool(registry.load(row.driver).server_settings)


def waits_for_login(server_id: int) -> bool:
    """The login of the account was refused: nothing is sent until somebody mends it, and then it can go on."""
    return rests.is_refused(UpstreamRow.objects.get(servers=server_id))


def _note(row: UpstreamRow, error: errors.UpstreamError) -> None:
    """A single server that is unreachable or unknown says nothing about the whole upstream, nor does one with its own login."""
    if has_machine_logins(row):
        return
    if isinstance(error, errors.CredentialsRejected):
        note_failure(row.pk, error.code, error.text)
    elif isinstance(error, errors.Busy) and error.rests and error.retry_at is not None:
        note_rest(row.pk, error.retry_at)


def _open(row: UpstreamRow, only: str | None = None, instruction: str = "") -> Upstream:
    driver = registry.load(row.driver)
    learned = {f"learned_{name}": text for name, text in row.learned.items()}
    secrets = vault.unseal(row.sealed_secrets, row="upstream")
    settings: Values = {**row.settings, **learned, "instruction": instruction, **secrets, **_reach(row)}
    servers: dict[str, Values] = {}
    if driver.server_settings and only != NO_MACHINE:
        records = row.servers.all() if only is None else row.servers.filter(external_id=only)
        for external_id, public, sealed in records.values_list("external_id", "settings", "sealed_secrets"):
            servers[external_id] = {**public, **vault.unseal(sealed, row="server")}
    return driver.open(settings, servers)


def _reach(row: UpstreamRow) -> Values:
    """Whoever runs the installation knows its networks. In the hands of a reseller an address would be a way into them."""
    is_operators = row.organisation.parent_id is None
    return {} if is_operators else {"reach": house.DOUBLEHOP_UPSTREAM_NETWORKS}


def _guard(row: Server) -> None:
    _guard_acting(row.upstream)
    if row.missing_since is not None:
        raise NotSent("missing", f"{row.label} is not listed any more")
    _guard_peace(row.upstream)


def _guard_acting(row: UpstreamRow) -> None:
    if in_quarantine():
        raise NotSent("restored", AWAITS_CONFIRMATION, retry=True)
    if not row.armed:
        raise NotSent("observe_only", "its upstream is set to observe only; arm it to act")


def _guard_peace(row: UpstreamRow) -> None:
    peace = rests.why_left_in_peace(row)
    if peace is not None:
        raise _not_sent(peace)


def _open_to_act(row: UpstreamRow, external_id: str, instruction: str) -> Upstream:
    try:
        return _open(row, external_id, instruction)
    except (vault.VaultClosed, errors.UpstreamError) as error:
        raise NotSent("settings", f"the settings of its upstream cannot be used: {error}") from error


def _part(server: OpenServer, name: str) -> object:
    part: object = getattr(server, name)
    if part is None:
        raise NotSent("not_offered", "this machine does not offer that")
    return part


def _prove_identity(row: Server, server: OpenServer) -> None:
    try:
        seen = server.identify()
    except errors.UpstreamError as error:
        _note(row.upstream, error)
        raise _not_sent(error) from error
    recorded = row.recorded_identity or identity.record(
        row.external_id, row.primary_address, identity.stored(row.identifiers)
    )
    verdict = identity.compare(recorded, row.external_id, row.primary_address, seen)
    if not verdict.same:
        log.error("wrong machine", server=row.pk, verdict=verdict.sentence)
        raise NotSent("wrong_machine", f"not the machine that was attached: {verdict.sentence}")


def _send(part: object, command: Command, arguments: Arguments, row: Server) -> Ticket:
    try:
        ticket = _CALL[command](part, arguments)
    except errors.UpstreamError as error:
        _note(row.upstream, error)
        if error.sent:
            raise Unsure(error.code, error.text, ticket=getattr(error, "ticket", "")) from error
        raise _not_sent(error) from error
    except Exception as error:
        log.exception("a driver broke its contract", server=row.pk, command=command)
        raise Unsure("driver_fault", f"our own code failed after sending: {type(error).__name__}") from error
    note_success(row.upstream_id)
    return ticket


def _as_outcome(row: UpstreamRow, error: errors.UpstreamError) -> NotSent | Unsure:
    _note(row, error)
    if error.sent:
        return Unsure(error.code, error.text)
    return NotSent(PRICE_CHANGED, error.text) if error.problem == PRICE_CHANGED else _not_sent(error)


def _not_sent(error: errors.UpstreamError) -> NotSent:
    if isinstance(error, errors.Busy):
        return NotSent(error.code, error.text, retry=True, retry_at=error.retry_at)
    # An answer that makes no sense to a question that changes nothing: asking again is safe.
    retry = isinstance(error, errors.Unreachable | errors.BadAnswer)
    return NotSent(error.code, error.text, retry=retry)
