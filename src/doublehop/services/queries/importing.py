"""What an import would do, row by row, and nothing of it done. Only our own rows are read: no machine is asked."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from doublehop.fleet.matching import Clues, Match, matches
from doublehop.fleet.models import Server
from doublehop.fleet.queries import open_holds, why_withheld
from doublehop.organisations.actor import Actor, Duty
from doublehop.organisations.models import Client
from doublehop.organisations.queries import clients_visible_to, tokens_visible_to
from doublehop.organisations.refusals import BadInput, NotAllowed
from doublehop.services.importing import Export, Row, read
from doublehop.services.lifecycle import ServiceStatus
from doublehop.services.models import Product, Service
from doublehop.services.queries.catalogue import products_visible_to
from doublehop.services.queries.services import services_visible_to


class Verdict(StrEnum):
    CERTAIN = "certain"
    """One free machine, named by an identifier, and nothing speaks against it."""
    DOUBTFUL = "doubtful"
    """A machine that may be it: a person looks."""
    ATTACHED = "attached"
    """Its machine is in a service here that no billing system knows: the service can be made this one."""
    PRESENT = "present"
    """It is here already, as it should be."""
    CONFLICT = "conflict"
    """Two rows for one machine, or a machine that is somebody else's here."""
    MISSING = "missing"
    """No machine, no product, or no client to be found."""
    ENDED = "ended"
    """Terminated or cancelled where it comes from."""


MAY_BE_CHOSEN = frozenset({Verdict.CERTAIN, Verdict.DOUBTFUL, Verdict.ATTACHED})
HERE = {ServiceStatus.PENDING, ServiceStatus.ACTIVE, ServiceStatus.SUSPENDED}


@dataclass(frozen=True)
class ImportOptions:
    """``billing_system`` as its API token says it. ``products``: name in the export to name here; "" stands for all others."""

    billing_system: str
    products: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ImportLine:
    """``client`` and ``service`` None: they would be made."""

    row: Row
    verdict: Verdict
    reason: str
    server: Server | None = None
    product: Product | None = None
    client: Client | None = None
    service: Service | None = None

    @property
    def may_be_chosen(self) -> bool:
        return self.verdict in MAY_BE_CHOSEN


@dataclass(frozen=True)
class ImportPreview:
    """``mark`` names what was looked at: only that is carried out."""

    export: Export
    lines: tuple[ImportLine, ...]
    mark: str

    def of(self, verdict: Verdict) -> list[ImportLine]:
        return [line for line in self.lines if line.verdict is verdict]

    def counts(self) -> dict[str, int]:
        found = Counter(line.verdict for line in self.lines)
        return {**{verdict.value: found[verdict] for verdict in Verdict}, "bad": len(self.export.bad)}

    def unknown_products(self) -> list[str]:
        return sorted({line.row.product for line in self.lines if line.product is None and line.row.product})


def billing_systems(actor: Actor) -> list[str]:
    """Those that have an API token of the actor's organisation."""
    rows = tokens_visible_to(actor).filter(revoked_at__isnull=True).exclude(billing_system="").order_by()
    return sorted(set(rows.values_list("billing_system", flat=True)))


def preview_import(actor: Actor, content: bytes, options: ImportOptions) -> ImportPreview:
    """For staff who sell and operate. Raises BadInput (file, billing_system, products)."""
    if not (actor.is_staff and actor.has(Duty.SELL) and actor.has(Duty.OPERATE)):
        raise NotAllowed("Your role does not reach this. An owner or admin can do it.")
    name = options.billing_system
    if not name.strip() or len(name) > 80 or not name.isprintable():
        raise BadInput("Name the billing system, as its API token does.", field="billing_system")
    export = read(content)
    house = _House(actor, options)
    found = matches(actor, [house.clues_of(row) for row in export.rows])
    house.look_at(match.server for match in found if match.server is not None)
    lines = _once_each([house.line(row, match) for row, match in zip(export.rows, found, strict=True)])
    return ImportPreview(export, tuple(lines), _mark(content, options, lines))


def _once_each(lines: Sequence[ImportLine]) -> list[ImportLine]:
    """Two rows for one machine, or two of one id: neither is taken."""
    taken = Counter(
        line.server.pk for line in lines if line.server is not None and line.verdict in MAY_BE_CHOSEN
    )
    names = Counter(line.row.reference for line in lines)
    found = []
    for line in lines:
        if names[line.row.reference] > 1:
            why = f"{names[line.row.reference]} rows have the id {line.row.reference}."
        elif line.server is not None and line.verdict in MAY_BE_CHOSEN and taken[line.server.pk] > 1:
            why = f"{taken[line.server.pk]} rows name {line.server.label}."
        else:
            found.append(line)
            continue
        found.append(replace(line, verdict=Verdict.CONFLICT, reason=why))
    return found


def _mark(content: bytes, options: ImportOptions, lines: Sequence[ImportLine]) -> str:
    told = [
        hashlib.sha256(content).hexdigest(),
        options.billing_system,
        *(
            [
                line.row.line,
                line.verdict,
                line.reason,
                *(row.pk if row is not None else None for row in _rows(line)),
            ]
            for line in lines
        ),
    ]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def _rows(line: ImportLine) -> tuple[Server | Product | Client | Service | None, ...]:
    return line.server, line.product, line.client, line.service


class _House:
    """What is here already, read once."""

    def __init__(self, actor: Actor, options: ImportOptions) -> None:
        self.system = options.billing_system
        self.renamed = {name.strip().casefold(): here.strip() for name, here in options.products.items()}
        self.products: defaultdict[str, list[Product]] = defaultdict(list)
        for product in products_visible_to(actor):
            self.products[product.name.casefold()].append(product)
        for here in sorted(self.renamed.values()):
            if len(self._called(here)) != 1:
                raise BadInput(self._not_one(here), field="products")
        services = list(
            services_visible_to(actor)
            .select_related("client", "product", "server")
            .filter(status__in=HERE)
            .order_by("pk")
        )
        self.by_reference = {row.billing_reference: row for row in services if self._is_ours(row)}
        self.by_server = {row.server_id: row for row in services if row.server_id is not None}
        self.by_number = {row.number: row for row in services}
        self.by_id = {row.pk: row for row in services}
        self._clients(actor)
        self.held: set[int] = set()

    def look_at(self, servers: Iterable[Server]) -> None:
        """Which of them somebody suspended."""
        self.held = set(open_holds({row.pk for row in servers}).values_list("server_id", flat=True))

    def _is_ours(self, row: Service) -> bool:
        return bool(row.billing_reference) and row.billed_by == self.system

    def _clients(self, actor: Actor) -> None:
        mine = list(clients_visible_to(actor).order_by("pk"))
        self.client_by_reference = {
            row.billing_reference: row
            for row in mine
            if row.billing_reference and row.billed_by == self.system
        }
        unclaimed = [row for row in mine if not row.billed_by or row.billed_by == self.system]
        emails = Counter(row.email.casefold() for row in unclaimed if row.email)
        names = Counter(row.name.casefold() for row in unclaimed)
        self.client_by_email = {
            row.email.casefold(): row for row in unclaimed if emails[row.email.casefold()] == 1
        }
        self.client_by_name = {
            row.name.casefold(): row for row in unclaimed if names[row.name.casefold()] == 1
        }

    def product_of(self, row: Row) -> Product | None:
        """None too where several are called so: they may differ in price and rights, and nobody guesses."""
        found = self._called(self._product_name(row))
        return found[0] if len(found) == 1 else None

    def _product_name(self, row: Row) -> str:
        name = row.product.casefold()
        return self.renamed.get(name) or (row.product if self._called(name) else self.renamed.get("", ""))

    def _called(self, name: str) -> Sequence[Product]:
        return self.products.get(name.casefold(), ()) if name else ()

    def _not_one(self, name: str) -> str:
        if several := len(self._called(name)):
            return f"{several} products here are called {name[:120]}. Rename all but one."
        return f"No product here is called {name[:120]}."

    def client_of(self, row: Row) -> Client | None:
        """By the other system's own id; else by an e-mail address, or a name, that only one has and nobody else claims."""
        if known := self.client_by_reference.get(row.client_reference):
            return known
        found = self.client_by_email.get(row.email.casefold()) if row.email else None
        if found is None and not row.email:
            found = self.client_by_name.get(row.client_name.casefold())
        if found is not None and row.client_reference and found.billing_reference:
            return None  # it is another client of that system, who has the same address
        return found

    def clues_of(self, row: Row) -> Clues:
        product = self.product_of(row)
        return Clues(
            serial=row.serial,
            mac=row.mac,
            uuid=row.system_uuid,
            address=row.addresses,
            upstream_id=row.upstream_id,
            hostname=row.hostname,
            through=product.upstream_id if product is not None else None,
        )

    def line(self, row: Row, match: Match) -> ImportLine:
        line = ImportLine(
            row,
            Verdict.MISSING,
            "",
            match.server,
            self.product_of(row),
            self.client_of(row),
            self._named(row),
        )
        if row.has_ended:
            return replace(line, verdict=Verdict.ENDED, reason=f"It is {row.status} there.", server=None)
        if known := self.by_reference.get(row.reference):
            return self._known(
                replace(line, service=known, client=known.client, product=known.product), match
            )
        holder = self.by_server.get(match.server.pk) if match.server is not None else None
        if line.service is not None:
            return self._bound(line, line.service, holder, match)
        return self._held(line, holder, match) if holder is not None else self._new(line, match)

    def _bound(self, line: ImportLine, service: Service, holder: Service | None, match: Match) -> ImportLine:
        """The export itself names a service here."""
        if (
            match.server is not None
            and service.server_id is not None
            and match.server.pk != service.server_id
        ):
            told = f"It names {service} with {service.server}, and its identifiers {match.server.label}."
            return replace(line, verdict=Verdict.CONFLICT, reason=told)
        if holder is not None and holder.pk != service.pk:
            return self._held(line, holder, match)
        if service.server_id is not None or service.billing_reference:
            return self._held(line, service, match)
        return self._new(replace(line, product=service.product, client=service.client), match)

    def _named(self, row: Row) -> Service | None:
        """By its number; else by the id that the API gives it, which is another count."""
        for text, plain in ((row.service, self.by_number), (row.service_id, self.by_id)):
            digits = text.upper().removeprefix("S-")
            if digits.isascii() and digits.isdigit() and len(digits) < 10:
                rows = plain if digits == text else self.by_number
                return rows.get(int(digits))
        return None

    def _known(self, line: ImportLine, match: Match) -> ImportLine:
        service = line.service
        assert service is not None  # noqa: S101  by whom it was called
        if service.server_id is None:
            return self._new(line, match)
        if match.server is None or match.server.pk == service.server_id:
            return replace(
                line, verdict=Verdict.PRESENT, reason=f"It is {service} here.", server=service.server
            )
        told = f"It is {service} here, with {service.server}; by the export it is {match.server.label}."
        return replace(line, verdict=Verdict.CONFLICT, reason=told)

    def _held(self, line: ImportLine, holder: Service, match: Match) -> ImportLine:
        line = replace(line, service=holder, product=holder.product, server=holder.server)
        what = (
            f"{holder.server.label if holder.server else 'It'} is in {holder} of {holder.client.name} already"
        )
        if holder.billing_reference or holder.billed_by not in ("", self.system):
            other = f", as {holder.billing_reference} of {holder.billed_by or 'no billing system'}"
            return replace(
                line, verdict=Verdict.CONFLICT, reason=f"{what}{other if holder.billing_reference else ''}."
            )
        if line.client is not None and line.client.pk != holder.client_id:
            return replace(
                line, verdict=Verdict.CONFLICT, reason=f"{what}, and the export says {line.client.name}."
            )
        if holder.client.billing_reference not in ("", line.row.client_reference):
            return replace(line, verdict=Verdict.CONFLICT, reason=f"{what}, who is another client there.")
        sure = "" if match.proven or self._named(line.row) is not None else f" {match.sentence}"
        return replace(
            line, verdict=Verdict.ATTACHED, reason=f"{what}: it becomes that one.{sure}", client=holder.client
        )

    def _new(self, line: ImportLine, match: Match) -> ImportLine:
        row, server = line.row, match.server
        if line.product is None:
            named = self._product_name(row) or row.product
            return replace(line, reason=self._not_one(named) if named else "It names no product.")
        if line.client is None and not row.client_name and not row.email:
            return replace(line, reason="It names no client.")
        if server is None:
            several = match.sentence.startswith("Its identifiers")
            return replace(
                line, verdict=Verdict.CONFLICT if several else Verdict.MISSING, reason=match.sentence
            )
        if why := self._not_free(server, line.product):
            return replace(line, verdict=Verdict.CONFLICT, reason=why)
        if row.status not in ("active", ""):
            told = f"It is {row.status} there, and would be attached as active. {match.sentence}"
            return replace(line, verdict=Verdict.DOUBTFUL, reason=told)
        verdict = Verdict.CERTAIN if match.proven else Verdict.DOUBTFUL
        return replace(line, verdict=verdict, reason=match.sentence)

    def _not_free(self, server: Server, product: Product) -> str:
        if product.upstream_id is not None and server.upstream_id != product.upstream_id:
            return f"{server.label} comes through another login than {product.name}."
        if server.missing_since is not None:
            return f"{server.label} is not listed any more."
        if server.withheld_since is not None:
            return why_withheld(server)
        if server.recorded_identity is not None:
            return f"{server.label} is attached already."
        return f"{server.label} is suspended here. Unsuspend it first." if server.pk in self.held else ""
