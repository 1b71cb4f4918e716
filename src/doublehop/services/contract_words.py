"""Contracts in words, the same for staff and clients."""

from decimal import Decimal
from fractions import Fraction

from doublehop.bandwidth.contract import Contract, Cut, Method, PeriodKind, Unit

METHODS = {
    Method.P95_MAX: "95th percentile, the larger of in and out",
    Method.P95_IN: "95th percentile of in",
    Method.P95_OUT: "95th percentile of out",
    Method.P95_SUM: "95th percentile of in and out together",
    Method.VOLUME_SUM: "Volume, in and out together",
    Method.VOLUME_IN: "Volume in",
    Method.VOLUME_OUT: "Volume out",
    Method.VOLUME_MAX: "Volume, the larger of in and out",
}
UNITS = {
    Unit.DECIMAL: "Decimal: Mbit/s, GB (1 GB = 1,000,000,000 octets)",
    Unit.BINARY: "Binary: Mibit/s, GiB (1 GiB = 1,073,741,824 octets)",
}
PERIODS = {
    PeriodKind.MONTH: "Calendar month",
    PeriodKind.ANNIVERSARY: "Month from a day",
    PeriodKind.ROLLING: "A number of days",
}
CUTS = {
    Cut.FLOOR: "Down: of 8,352 values 417 are left out",
    Cut.CEIL: "Up: of 8,352 values 418 are left out",
}


def number(value: Decimal | Fraction, digits: int = 3) -> str:
    """With thousands, and cut (never rounded up) after ``digits`` digits behind the point."""
    cut = Decimal(Fraction(value) * 10**digits // 1).scaleb(-digits)
    text = f"{cut:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def period_in_words(contract: Contract, *, has_anchor: bool = True) -> str:
    if contract.period is PeriodKind.MONTH:
        return f"calendar month, {contract.zone}"
    since = (
        f"from {contract.anchor.day} {contract.anchor:%b %Y}"
        if has_anchor
        else "from the first day of the service"
    )
    if contract.period is PeriodKind.ANNIVERSARY:
        return f"month {since}, {contract.zone}"
    return f"{contract.rolling_days} days each, {since}, {contract.zone}"


def included_in_words(contract: Contract) -> str:
    """What the price of the product covers; "not limited" where nothing is charged above it and nothing is named."""
    if not contract.included:
        return "nothing" if contract.price else "not limited"
    size, unit = contract.included, contract.unit_name
    if unit == "GB" and size >= 1000:
        size, unit = size / 1000, "TB"
    every = {
        PeriodKind.MONTH: "a month",
        PeriodKind.ANNIVERSARY: "a month",
        PeriodKind.ROLLING: f"in {contract.rolling_days} days",
    }
    included = f"{number(size)} {unit}" + (f" {every[contract.period]}" if contract.method.is_volume else "")
    return f"{included} included"


def offer_in_words(contract: Contract) -> str:
    """For who is about to buy: what is included, and what more of it costs."""
    if not contract.price:
        return included_in_words(contract)
    each = f"{number(contract.price, 6)} {contract.currency} for each {contract.unit_name}"
    return f"{included_in_words(contract)}, {each} above" if contract.included else each


def lines(contract: Contract, *, has_anchor: bool = True) -> list[tuple[str, str]]:
    """(what, how) of a contract, for lists and comparisons."""
    above = f"{number(contract.price, 6)} {contract.currency} for each {contract.unit_name}"
    said = [
        ("Counted by", METHODS[contract.method]),
        ("Period", period_in_words(contract, has_anchor=has_anchor)),
        ("Included", included_in_words(contract)),
        ("Above it", above if contract.price else "nothing is charged"),
        ("Services of a client", "added up for each 5 minutes" if contract.pooled else "each by itself"),
    ]
    if not contract.method.is_volume:
        said.insert(2, ("5 % that is no whole number", CUTS[contract.cut]))
    return said
