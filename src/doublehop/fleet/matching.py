"""Which machine somebody means who knows it by what stands in another system's list: serial, MAC, address, its id upstream.

Everything but a hostname counts as an identifier. What an upstream calls a server names it only within that upstream, and a
received server is known to its receiver by the id that it has here. Both are often small numbers that another list uses for
something else: alone they prove nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from doublehop.fleet.models import Address, IdentifierRow, Server
from doublehop.fleet.queries import sellable_servers
from doublehop.organisations.actor import Actor

KINDS = {
    "serial": "serial",
    "recorded_serial": "serial",
    "mac": "mac",
    "recorded_mac": "mac",
    "system_uuid": "uuid",
}
"""What identifiers of drivers are called among the clues."""
OF_ITSELF = ("serial", "mac", "uuid", "address")
"""What a machine has by itself, whoever lists it."""


@dataclass(frozen=True)
class Clues:
    """Values in small letters. ``through``: only servers of this upstream go by ``upstream_id``."""

    serial: tuple[str, ...] = ()
    mac: tuple[str, ...] = ()
    uuid: tuple[str, ...] = ()
    address: tuple[str, ...] = ()
    upstream_id: tuple[str, ...] = ()
    hostname: str = ""
    through: int | None = None


@dataclass(frozen=True)
class Match:
    """``server`` None: no machine, or several. ``proven``: by an identifier, and none speaks against it; if by the id upstream,
    then something else that the machine shows says so too."""

    server: Server | None
    proven: bool
    sentence: str


@dataclass
class _Index:
    """Server ids by (clue, value), and what each server shows of each clue."""

    by: defaultdict[tuple[str, str], set[int]] = field(default_factory=lambda: defaultdict(set))
    shown: defaultdict[tuple[int, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    upstream_of: dict[int, int] = field(default_factory=dict)

    def add(self, server_id: int, clue: str, value: str) -> None:
        if value:
            self.by[clue, value.lower()].add(server_id)
            self.shown[server_id, clue].add(value.lower())


def matches(actor: Actor, wanted: Sequence[Clues]) -> list[Match]:
    """One for each, in order. Among the servers that the actor's organisation may put into its services, attached ones too."""
    if not wanted:
        return []
    index = _index(actor)
    found = [_candidates(index, clues) for clues in wanted]
    ids = {pk for by, named in found for pk in (*by, *named)}
    rows = _rows(actor, ids)
    return [_match(index, clues, by, named, rows) for clues, (by, named) in zip(wanted, found, strict=True)]


def _index(actor: Actor) -> _Index:
    """One look at each table: a list names many machines, and in spellings of its own."""
    index = _Index()
    mine = sellable_servers(actor).order_by()
    columns = ("pk", "upstream_id", "upstream__organisation_id", "external_id", "hostname", "primary_address")
    for pk, upstream_id, owner_id, external_id, hostname, address in mine.values_list(*columns).iterator():
        index.upstream_of[pk] = upstream_id
        index.add(pk, "upstream_id", external_id if owner_id == actor.organisation_id else str(pk))
        index.add(pk, "hostname", hostname)
        index.add(pk, "address", address)
    for pk, value in (
        Address.objects.filter(server__in=mine.values("pk")).values_list("server_id", "address").iterator()
    ):
        index.add(pk, "address", value)
    rows = IdentifierRow.objects.filter(server__in=mine.values("pk"), kind__in=KINDS)
    for pk, kind, value in rows.values_list("server_id", "kind", "value").iterator():
        index.add(pk, KINDS[kind], value)
    return index


def _candidates(index: _Index, clues: Clues) -> tuple[dict[int, list[str]], set[int]]:
    """({server id: what names it}, ids of those that only share the hostname)."""
    by: defaultdict[int, list[str]] = defaultdict(list)
    for clue in OF_ITSELF:
        for value in getattr(clues, clue):
            for pk in index.by.get((clue, value), ()):
                by[pk].append(f"{clue} {value}")
    for value in clues.upstream_id:
        called = index.by.get(("upstream_id", value.lower()), set())
        if clues.through is not None:
            called = {pk for pk in called if index.upstream_of[pk] == clues.through}
        # Two upstreams may call two machines the same: what else is known decides between them.
        for pk in called & by.keys() or called:
            by[pk].append(f"id {value}")
    named = index.by.get(("hostname", clues.hostname.lower()), set()) if clues.hostname else set()
    return dict(by), set(named)


def _rows(actor: Actor, ids: Iterable[int]) -> dict[int, Server]:
    wanted = sorted(ids)
    rows: dict[int, Server] = {}
    for at in range(0, len(wanted), 500):
        some = sellable_servers(actor).filter(pk__in=wanted[at : at + 500])
        rows |= {row.pk: row for row in some}
    return rows


def _match(
    index: _Index, clues: Clues, by: Mapping[int, list[str]], named: set[int], rows: Mapping[int, Server]
) -> Match:
    if len(by) > 1:
        told = "; ".join(
            f"{', '.join(what)}: {rows[pk].label}" for pk, what in sorted(by.items()) if pk in rows
        )
        return Match(None, False, f"Its identifiers name several machines ({told}).")
    if by:
        ((pk, what),) = by.items()
        against = _against(index, clues, pk, OF_ITSELF)
        if against:
            return Match(rows[pk], False, f"By {', '.join(what)}, but {against}.")
        if not _agrees(index, clues, pk):
            against = _against(index, clues, pk, ("hostname",))
            return Match(
                rows[pk], False, f"By {', '.join(what)} alone{', and ' + against if against else ''}."
            )
        return Match(rows[pk], True, f"By {', '.join(what)}.")
    if len(named) == 1:
        (pk,) = named
        against = _against(index, clues, pk, OF_ITSELF)
        return Match(rows[pk], False, f"By its hostname alone{', and ' + against if against else ''}.")
    if named:
        return Match(
            None, False, f"{len(named)} machines are called {clues.hostname}, and nothing else names one."
        )
    return Match(None, False, "No machine here has any of its identifiers.")


def _agrees(index: _Index, clues: Clues, pk: int) -> bool:
    """Beside an id, one thing that the machine itself shows."""
    return any(
        index.shown.get((pk, clue), set()).intersection(_said(clues, clue))
        for clue in (*OF_ITSELF, "hostname")
    )


def _against(index: _Index, clues: Clues, pk: int, asked: Sequence[str]) -> str:
    """What the machine shows otherwise. What it does not show at all says nothing."""
    for clue in asked:
        said, shown = _said(clues, clue), index.shown.get((pk, clue), set())
        if said and shown and not said & shown:
            return f"its {clue} is {', '.join(sorted(shown)[:3])} and not {', '.join(sorted(said)[:3])}"
    return ""


def _said(clues: Clues, clue: str) -> set[str]:
    if clue == "hostname":
        return {clues.hostname.lower()} if clues.hostname else set()
    return set(getattr(clues, clue))
