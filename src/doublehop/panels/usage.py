"""The period that runs, for both panels: what is used, what it will come to, and the free burst time that is left."""

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from doublehop.bandwidth.contract import Contract, Method, Unit, period_of
from doublehop.organisations.actor import Actor
from doublehop.panels import words
from doublehop.panels.traffic import Mark, Terms
from doublehop.services.contract_words import METHODS, number
from doublehop.services.queries.outlook import Outlook, contract_now, outlook

_DIGITS = 1


@dataclass(frozen=True)
class UsageCard:
    """What ``parts/usage.html`` draws. The same words for staff and clients."""

    seen: Outlook
    alerts: str = ""
    """At which shares the client is told by mail, as its form has them."""
    alerts_url: str = ""
    """Where the client chooses them; empty: it is staff who look."""

    @property
    def period(self) -> str:
        return self.seen.usage.period.label

    @property
    def zone(self) -> str:
        return self.seen.usage.contract.zone

    @property
    def figures(self) -> list[tuple[str, str, str]]:
        """(number, unit, text) each, for ``parts/figures.html``."""
        usage, contract = self.seen.usage, self.seen.usage.contract
        if self._has_no_rate:
            sides = ((usage.reckoned.volume_out, "out"), (usage.reckoned.volume_in, "in"))
            return [(*words.split_octets(octets), f"{side} so far") for octets, side in sides]
        used, unit = _size(usage.reckoned.quantity, contract)
        told = "used so far" if contract.method.is_volume else "95th percentile of the whole period, so far"
        found = [(used, unit, told)]
        if usage.share is not None:
            included, unit = _size(Fraction(contract.included), contract)
            found.append((f"{number(usage.share * 100, 0)} %", "", f"of {included} {unit} that are included"))
        if self.seen.forecast is not None:
            likely, unit = _size(self.seen.forecast.likely, contract)
            found.append((likely, unit, f"forecast for {self._last_day}{self._verdict}"))
        if self.seen.burst is not None:
            burst = self.seen.burst
            found.append((_hours(burst.minutes), "", f"of {_hours(burst.allowed * 5)} burst time left"))
        elif contract.price and not contract.method.is_volume:
            found.append((words.money(usage.reckoned.amount, contract.currency), "", "so far"))
        return found

    @property
    def percent(self) -> float | None:
        """For the bar."""
        if self.seen.usage.share is None or self._has_no_rate:
            return None
        return float(self.seen.usage.share * 100)

    @property
    def sentences(self) -> list[str]:
        """What stands below the figures."""
        seen, usage, contract = self.seen, self.seen.usage, self.seen.usage.contract
        told = [f"{METHODS[contract.method]}."]
        if self._has_no_rate:
            told.append(
                "Of this server only daily or hourly figures are known: no rate can be made of them, and none is charged."
            )
            return told
        if len(usage.services) > 1:
            told.append(f"Added up over {', '.join(usage.services[:8])}.")
        if usage.reckoned.amount:
            told.append(
                f"Above what is included so far: {words.money(usage.reckoned.amount, contract.currency)}."
            )
        if seen.forecast is not None:
            told.append(self._forecast)
        elif seen.why_none:
            told.append(seen.why_none)
        if seen.burst is not None:
            told.append(self._burst)
        if not contract.method.is_volume and usage.until < usage.period.end:
            told.append(
                "Of the whole period means: time that is still to come counts as nothing until it is here."
            )
        if usage.reckoned.is_thin and usage.reckoned.coverage is not None:
            measured = number(usage.reckoned.coverage * 100, 1)
            told.append(
                f"Only {measured} % of the values were measured; those that are missing cost nothing."
            )
        return told

    @property
    def _has_no_rate(self) -> bool:
        """Counted by the day or hour, and charged by a rate."""
        return self.seen.usage.from_totals and not self.seen.usage.contract.method.is_volume

    @property
    def is_sample(self) -> bool:
        return self.seen.usage.sample_history

    @property
    def _last_day(self) -> str:
        last = self.seen.usage.period.end.astimezone(ZoneInfo(self.zone))
        return words.last_day(last)

    @property
    def _verdict(self) -> str:
        above = self.seen.will_be_above
        if above is None:
            return ", open whether above" if self.seen.usage.contract.included else ""
        return ", above" if above else ", within"

    @property
    def _forecast(self) -> str:
        made, contract = self.seen.forecast, self.seen.usage.contract
        if made is None:
            return ""
        low, high = (" ".join(_size(one, contract)) for one in (made.low, made.high))
        told = f"Forecast: {low} to {high} in nine of ten draws from {made.days} measured days"
        if self.seen.amounts is None or not contract.price or not self.seen.amounts[2]:
            return f"{told}."
        least, likely, most = (words.money(one, contract.currency) for one in self.seen.amounts)
        return f"{told}; that is about {likely} above what is included ({least} to {most})."

    @property
    def _burst(self) -> str:
        burst, contract = self.seen.burst, self.seen.usage.contract
        if burst is None:
            return ""
        commit = f"{number(contract.included)} {contract.unit_name}"
        if burst.slots:
            return f"So long the traffic may still be above {commit} in this period without costing more."
        return f"All free burst time of this period is used: the rate is above {commit} now, and what it is above is charged."


def _hours(minutes: int) -> str:
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes % 60 else f"{minutes // 60} h"


def _size(quantity: Fraction, contract: Contract) -> tuple[str, str]:
    """With thousands of GB as TB."""
    if contract.unit_name == "GB" and quantity >= 1000:
        return number(quantity / 1000, 2), "TB"
    return number(quantity, _DIGITS), contract.unit_name


def usage_card(actor: Actor, service: Any, *, alerts_url: str = "") -> UsageCard | None:
    """None without a contract. Raises NotHere."""
    seen = outlook(actor, service.pk)
    if seen is None:
        return None
    usual = service.product.alert_percents if service.product.alert_client else []
    chosen = usual if service.alert_percents is None else service.alert_percents
    has_share = seen.usage.share is not None
    return UsageCard(seen, ", ".join(str(one) for one in chosen), alerts_url if has_share else "")


def terms_of(actor: Actor, service_id: int | None, now: datetime) -> Terms:
    """What the chart of a service's machine takes from its contract; of none, the days of UTC and no mark."""
    contract = contract_now(actor, service_id, now=now) if service_id is not None else None
    if contract is None:
        return Terms()
    zone = ZoneInfo(contract.zone)
    # One machine of several that are added up says nothing about what is included for all of them.
    if not contract.included or contract.pooled:
        return Terms(zone)
    return Terms(zone, (_mark(contract, now),))


def _mark(contract: Contract, now: datetime) -> Mark:
    included = " ".join(_size(Fraction(contract.included), contract))
    if contract.method.is_volume:
        period = period_of(contract, now)
        size = 10**9 if contract.unit is Unit.DECIMAL else 2**30
        seconds = (period.end - period.start).total_seconds()
        evenly = float(contract.included) * size * 8 / seconds / 1_000_000
        both = ", in and out" if contract.method is Method.VOLUME_SUM else ""
        return Mark(
            evenly, "Mbit/s", f"{included}{both}, spread evenly: {evenly:.1f} Mbit/s", f"{included}, evenly"
        )
    scale = 1.0 if contract.unit is Unit.DECIMAL else 2**20 / 10**6
    return Mark(float(contract.included) * scale, "Mbit/s", f"Included: {included}", included)
