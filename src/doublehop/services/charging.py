"""Whose octets are charged together, in which period, by which contract. Reads rows, writes none."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db.models import QuerySet

from doublehop.bandwidth.contract import Contract, Period, contract_of, period_of
from doublehop.bandwidth.figures import DAY, HOUR, Piece, place_of
from doublehop.bandwidth.queries.metered import Metered, OutsideSlots, Window, metered, totals_of, whole_days
from doublehop.bandwidth.reckoning import Hours, Reckoned, reckon
from doublehop.bandwidth.slots import SLOT_MS, to_ms
from doublehop.services.models import (
    Attachment,
    ContractVersion,
    EarlierProduct,
    Product,
    Service,
    Statement,
)

MOST_PERIODS = 600
"""Fifty years of months: what waits longer is not waiting, it is wrong."""


@dataclass(frozen=True)
class Subject:
    """What one statement is about: a service, or (``service`` None) all services of a client on a pooled product."""

    service: Service | None
    members: tuple[Service, ...]
    product: Product
    versions: tuple[ContractVersion, ...]
    """In the order in which they come into force."""
    windows: tuple[Window, ...]
    closed_until: datetime | None

    @property
    def first_day(self) -> datetime:
        return min(one.activated_at or one.created_at for one in self.members)

    def contract_at(self, moment: datetime) -> Contract | None:
        """The one in force; None before the first."""
        held = self._held(moment)
        return with_anchor(held, self.first_day) if held is not None and held.values else None

    def product_at(self, moment: datetime) -> Product:
        """Of whose contract it is charged: the earlier one where the service became another product since."""
        held = self._held(moment)
        return self.product if held is None or held.product_id == self.product.pk else held.product

    def _held(self, moment: datetime) -> ContractVersion | None:
        return next((one for one in reversed(self.versions) if one.in_force_from <= moment), None)


@dataclass(frozen=True)
class Span:
    """A period as it concerns one subject: counted from where nothing was charged before and a contract was in force."""

    contract: Contract
    period: Period
    counted_from: datetime


@dataclass(frozen=True)
class Count:
    """What was counted. ``metered`` is None where only an upstream's totals were used; a volume may be of both."""

    reckoned: Reckoned
    sample_history: bool
    metered: Metered | None
    totals: tuple[Piece, ...] = ()
    totals_expected: tuple[tuple[datetime, datetime], ...] = ()
    """The whole days of a closed period that the totals should cover."""
    bare: tuple[Window, ...] = ()
    """Of machines of which no port is known."""


def with_anchor(version: ContractVersion, first_day: datetime) -> Contract:
    values = version.values
    local = first_day.astimezone(ZoneInfo(values["zone"])).date()
    return contract_of({**values, "anchor": values["anchor"] or local.isoformat()})


def is_pooled(versions: Sequence[ContractVersion]) -> bool:
    """It is the same in all versions of a product."""
    return bool(versions) and bool(versions[0].values["pooled"])


def subject_of(service: Service) -> Subject | None:
    """The subject that a service is charged in; None without a contract."""
    found = subjects(Service.objects.filter(client=service.client_id, product=service.product_id))
    return next((one for one in found if service.pk in {member.pk for member in one.members}), None)


def subject_of_statement(statement: Statement) -> Subject:
    """Whom it is about, with the windows of today, whatever product the service has become. The contract is the statement's."""
    services = Service.objects.select_related("client", "organisation").order_by("pk")
    if statement.service_id is None:
        rows = list(services.filter(client=statement.client_id, product=statement.product_id))
    else:
        rows = list(services.filter(pk=statement.service_id))
    windows = _windows({row.pk for row in rows})
    members = tuple(row for row in rows if row.pk in windows)
    together = tuple(window for member in members for window in windows[member.pk])
    return Subject(statement.service, members, statement.product, (), together, statement.end)


def subjects(services: QuerySet[Service]) -> Iterator[Subject]:
    """Of services that ever had a machine, on a product with a contract or coming from one. A handful of queries, however many
    there are.

    Of a pooled product ``services`` must hold all of a client's.
    """
    rows = list(services.select_related("product", "client", "organisation").order_by("pk"))
    earlier = _earlier({row.pk for row in rows})
    versions = _versions(
        {row.product_id for row in rows} | {one for was in earlier.values() for one, _ in was}
    )
    windows = _windows({row.pk for row in rows})
    closed, pools_closed = _closed_until(rows)
    pools: dict[tuple[int, int], list[Service]] = {}
    for row in rows:
        held = versions.get(row.product_id, ())
        if row.pk not in windows:
            continue
        if is_pooled(held):
            pools.setdefault((row.client_id, row.product_id), []).append(row)
            continue
        held = _one_after_another(earlier.get(row.pk, []), row.product_id, versions)
        if any(one.values for one in held):
            yield Subject(row, (row,), row.product, held, tuple(windows[row.pk]), closed.get(row.pk))
    for pool, members in pools.items():
        product = members[0].product
        together = tuple(window for member in members for window in windows[member.pk])
        yield Subject(None, tuple(members), product, versions[product.pk], together, pools_closed.get(pool))


def _versions(product_ids: set[int]) -> dict[int, tuple[ContractVersion, ...]]:
    found: dict[int, tuple[ContractVersion, ...]] = {}
    for row in ContractVersion.objects.filter(product__in=product_ids).order_by("in_force_from", "pk"):
        found[row.product_id] = (*found.get(row.product_id, ()), row)
    return found


def _earlier(service_ids: set[int]) -> dict[int, list[tuple[int, datetime]]]:
    """By service: (product, until when its contract charged), in the order of the changes."""
    found: dict[int, list[tuple[int, datetime]]] = {}
    rows = EarlierProduct.objects.order_by("pk")
    if len(service_ids) < 1000:
        rows = rows.filter(service__in=service_ids)
    for service_id, product_id, until in rows.values_list("service_id", "product_id", "charged_until"):
        found.setdefault(service_id, []).append((product_id, until))
    return found


def _one_after_another(
    earlier: Sequence[tuple[int, datetime]],
    product_id: int,
    versions: Mapping[int, tuple[ContractVersion, ...]],
) -> tuple[ContractVersion, ...]:
    """The contracts of all products that the service was, each within its time."""
    joined: list[ContractVersion] = []
    begin: datetime | None = None
    for one, until in (*earlier, (product_id, None)):
        own = versions.get(one, ())
        if begin is None:
            joined += [row for row in own if until is None or row.in_force_from < until]
        elif until is None or until > begin:
            held = [row for row in own if row.in_force_from <= begin]
            # Without a contract then nothing is charged: the one before must not go on.
            values = held[-1].values if held else {}
            joined.append(ContractVersion(product_id=one, values=values, in_force_from=begin))
            joined += [
                row
                for row in own
                if row.in_force_from > begin and (until is None or row.in_force_from < until)
            ]
        if until is not None:
            begin = until if begin is None else max(begin, until)
    return tuple(joined)


def _windows(service_ids: set[int]) -> dict[int, list[Window]]:
    found: dict[int, list[Window]] = {}
    rows = Attachment.objects.order_by("since", "pk")
    if len(service_ids) < 1000:
        rows = rows.filter(service__in=service_ids)
    for service_id, server_id, since, until in rows.values_list("service_id", "server_id", "since", "until"):
        if service_id in service_ids:
            found.setdefault(service_id, []).append(Window(server_id, since, until))
    return found


def _closed_until(
    rows: Sequence[Service],
) -> tuple[dict[int, datetime], dict[tuple[int, int], datetime]]:
    """By service whatever product it was then; of a pool by client and product."""
    single: dict[int, datetime] = {}
    pooled: dict[tuple[int, int], datetime] = {}
    houses = {row.organisation_id for row in rows}
    statements = Statement.objects.filter(organisation__in=houses).order_by("end")
    if len(rows) < 1000:
        statements = statements.filter(client__in={row.client_id for row in rows})
    for service_id, client_id, product_id, end in statements.values_list(
        "service_id", "client_id", "product_id", "end"
    ):
        if service_id is None:
            pooled[client_id, product_id] = end
        else:
            single[service_id] = end
    return single, pooled


# ---------------------------------------------------------------- periods


def spans(subject: Subject, until: datetime) -> Iterator[Span]:
    """The periods that are not closed yet and begin by ``until``, oldest first; those without a machine are left out."""
    charged_until = max(
        subject.versions[0].in_force_from, subject.closed_until or subject.versions[0].in_force_from
    )
    for _ in range(MOST_PERIODS):
        begins = _next_held(subject.windows, charged_until)
        if begins is None or begins > until:
            return
        contract = subject.contract_at(begins)
        if contract is None:
            coming = [
                one.in_force_from for one in subject.versions if one.values and one.in_force_from > begins
            ]
            if not coming:
                return
            charged_until = coming[0]
            continue
        period = period_of(contract, begins)
        yield Span(contract, period, max(period.start, charged_until))
        charged_until = period.end


def _next_held(windows: Sequence[Window], moment: datetime) -> datetime | None:
    """The first moment from ``moment`` on at which there is a machine."""
    coming = [
        max(one.since, moment)
        for one in windows
        if one.until is None or (one.until > moment and one.until > one.since)
    ]
    return min(coming, default=None)


# ---------------------------------------------------------------- counting


def count(subject: Subject, span: Span, *, horizon: int | None = None) -> Count:
    """``horizon``: the slot after the last one that is looked at, of a period that still runs.

    Machines of which no port is known have what their upstream counted; a 95th is made of slots alone wherever there are any.
    """
    first = max(span.period.first, -(-to_ms(span.counted_from) // SLOT_MS))
    end = span.period.end_slot if horizon is None else max(first, min(span.period.end_slot, horizon))
    found = metered(subject.windows, first, end)
    start, bare = max(span.period.start, span.counted_from), found.bare
    pieces: tuple[Piece, ...] = ()
    if not found.is_wired or span.contract.method.is_volume:
        pieces = tuple(totals_of(bare, start, span.period.end))
    expected: tuple[tuple[datetime, datetime], ...] = ()
    if pieces:
        # What an upstream counted is not missing from the slots.
        found = metered([one for one in subject.windows if one not in bare], first, end)
        expected = tuple(whole_days(bare, start, span.period.end)) if horizon is None else ()
    made_up = bool((found.made_up & found.slots.measured).any()) or any(one.sample_history for one in pieces)
    of_no_slot: tuple[OutsideSlots | Piece, ...] = (*found.outside, *pieces)
    reckoned = reckon(
        span.contract,
        span.period,
        found.slots,
        (sum(one.octets_in for one in of_no_slot), sum(one.octets_out for one in of_no_slot)),
        hours=Hours(
            _hours(end - start for start, end in expected),
            _hours(one.counted for one in pieces if _is_due(one, expected)),
        ),
        sample_history=made_up,
    )
    return Count(reckoned, made_up, found if found.is_wired or not pieces else None, pieces, expected, bare)


def _is_due(piece: Piece, expected: Sequence[tuple[datetime, datetime]]) -> bool:
    """It was over when it was read, and its middle lies in a day that should be there."""
    day = place_of(piece, DAY)
    return piece.is_over and any(start <= day < end for start, end in expected)


def _hours(times: Iterable[timedelta]) -> int:
    return sum(times, timedelta(0)) // HOUR
