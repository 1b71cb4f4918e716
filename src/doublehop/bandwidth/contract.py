"""How traffic is charged: a frozen value, and the periods that follow from it. Pure: no database, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from zoneinfo import ZoneInfo

from doublehop.bandwidth.slots import SLOT_MS, to_ms

DEFAULT_ROLLING_DAYS = 30


class Method(StrEnum):
    """``max`` is the larger of the two directions' own figures; ``sum`` adds the directions slot by slot first."""

    P95_IN = "p95_in"
    P95_OUT = "p95_out"
    P95_MAX = "p95_max"
    P95_SUM = "p95_sum"
    VOLUME_IN = "volume_in"
    VOLUME_OUT = "volume_out"
    VOLUME_SUM = "volume_sum"
    VOLUME_MAX = "volume_max"

    @property
    def is_volume(self) -> bool:
        return self.value.startswith("volume")


class Unit(StrEnum):
    """Decimal: 1 Mbit = 10^6 bits, 1 GB = 10^9 octets. Binary: 1 Mibit = 2^20 bits, 1 GiB = 2^30 octets."""

    DECIMAL = "decimal"
    BINARY = "binary"


class PeriodKind(StrEnum):
    MONTH = "month"
    ANNIVERSARY = "anniversary"
    ROLLING = "rolling"


class Cut(StrEnum):
    """Where 5 % of the slots is not a whole number: floor leaves out the fewer, ceil the more (kinder to who pays)."""

    FLOOR = "floor"
    CEIL = "ceil"


@dataclass(frozen=True)
class Contract:
    """``commit`` in Mbit/s (binary: Mibit/s) for a 95th, ``allowance`` in GB (GiB) for a volume; None: nothing is included.

    ``price`` is for each of these units above, in ``currency`` (ISO 4217). ``anchor`` is the day from which anniversary
    and rolling periods are counted; months do not look at it. ``zone`` is an IANA name: a period begins at its midnight.
    """

    method: Method = Method.P95_MAX
    unit: Unit = Unit.DECIMAL
    period: PeriodKind = PeriodKind.MONTH
    zone: str = "UTC"
    anchor: date = date(2000, 1, 1)
    rolling_days: int = DEFAULT_ROLLING_DAYS
    commit: Decimal | None = None
    allowance: Decimal | None = None
    price: Decimal = Decimal(0)
    currency: str = "USD"
    cut: Cut = Cut.FLOOR
    pooled: bool = False

    @property
    def included(self) -> Decimal:
        """What is paid for already, in the unit of the quantity."""
        return (self.allowance if self.method.is_volume else self.commit) or Decimal(0)

    @property
    def unit_name(self) -> str:
        if self.method.is_volume:
            return "GB" if self.unit is Unit.DECIMAL else "GiB"
        return "Mbit/s" if self.unit is Unit.DECIMAL else "Mibit/s"


@dataclass(frozen=True)
class Period:
    """From ``start`` to ``end`` (UTC, not included); ``first`` to ``end_slot`` (not included) in slots."""

    start: datetime
    end: datetime
    first: int
    end_slot: int
    label: str

    @property
    def slots(self) -> int:
        """N: fixed by the calendar, whatever was measured."""
        return self.end_slot - self.first


def period_of(contract: Contract, moment: datetime) -> Period:
    """The period of ``contract`` that holds ``moment`` (an aware datetime)."""
    zone = ZoneInfo(contract.zone)
    day = moment.astimezone(zone).date()
    if contract.period is PeriodKind.ROLLING:
        days = timedelta(days=contract.rolling_days)
        first = contract.anchor + (day - contract.anchor) // days * days
        return _period(first, first + days, zone, "")
    if contract.period is PeriodKind.ANNIVERSARY:
        months = day.year * 12 + day.month - 1
        if day < _on_day(months, contract.anchor.day):
            months -= 1
        return _period(
            _on_day(months, contract.anchor.day), _on_day(months + 1, contract.anchor.day), zone, ""
        )
    months = day.year * 12 + day.month - 1
    return _period(_on_day(months, 1), _on_day(months + 1, 1), zone, f"{day:%B %Y}")


def period_after(contract: Contract, period: Period) -> Period:
    return period_of(contract, period.end)


def period_before(contract: Contract, period: Period) -> Period:
    return period_of(contract, period.start - timedelta(seconds=1))


def _on_day(months: int, day: int) -> date:
    """That day of the month (counted from the year 0), or its last day where it is shorter. Later months are not shortened."""
    year, month = divmod(months, 12)
    following = date(year + month // 11, (month + 1) % 12 + 1, 1)
    return min(date(year, month + 1, 1) + timedelta(days=day - 1), following - timedelta(days=1))


def _period(first: date, end: date, zone: ZoneInfo, label: str) -> Period:
    start, until = _midnight(first, zone), _midnight(end, zone)
    last = end - timedelta(days=1)
    named = label or f"{first.day} {first:%b %Y} to {last.day} {last:%b %Y}"
    return Period(start, until, _slot_from(start), _slot_from(until), named)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first moment of the day; where summer time skips midnight, the moment of the change."""
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)


def _slot_from(moment: datetime) -> int:
    """The first slot that begins at or after ``moment``; every zone of today is on the grid."""
    return -(-to_ms(moment) // SLOT_MS)


# ---------------------------------------------------------------- as plain values


def values_of(contract: Contract) -> dict[str, str | int | bool | None]:
    """For JSON: decimals and dates as text, so that nothing is lost."""
    return {
        "method": contract.method.value,
        "unit": contract.unit.value,
        "period": contract.period.value,
        "zone": contract.zone,
        "anchor": contract.anchor.isoformat(),
        "rolling_days": contract.rolling_days,
        "commit": None if contract.commit is None else str(contract.commit),
        "allowance": None if contract.allowance is None else str(contract.allowance),
        "price": str(contract.price),
        "currency": contract.currency,
        "cut": contract.cut.value,
        "pooled": contract.pooled,
    }


def contract_of(values: Mapping[str, str | int | bool | None]) -> Contract:
    """What ``values_of`` wrote. Raises KeyError, ValueError or InvalidOperation for anything else."""
    commit, allowance = values["commit"], values["allowance"]
    return Contract(
        Method(str(values["method"])),
        Unit(str(values["unit"])),
        PeriodKind(str(values["period"])),
        str(values["zone"]),
        date.fromisoformat(str(values["anchor"])),
        int(values["rolling_days"] or 0),
        None if commit is None else Decimal(commit),
        None if allowance is None else Decimal(allowance),
        Decimal(str(values["price"])),
        str(values["currency"]),
        Cut(str(values["cut"])),
        bool(values["pooled"]),
    )
