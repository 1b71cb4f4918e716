"""A bandwidth statement for people, the same in both panels: figures, how they were counted, downloads."""

from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from doublehop import verify_statement
from doublehop.bandwidth.contract import Contract, Method
from doublehop.bandwidth.reckoning import gigabytes, mbits
from doublehop.organisations.actor import Actor
from doublehop.panels import words
from doublehop.services import contract_words
from doublehop.services.contract_words import number
from doublehop.services.queries import statements as queries

VERIFIER = "verify_statement.py"
_SIDES = {"in": "in", "out": "out", "sum": "in and out together"}


@dataclass(frozen=True)
class Line:
    """One statement in a list."""

    row: Any
    quantity: str
    owed: str
    coverage: str
    """"99.4 %"; empty where nothing could be measured in slots."""


@dataclass(frozen=True)
class Sheet:
    """One statement; ``figures`` for parts/figures.html, ``details`` and ``contract`` as (what, how)."""

    row: Any
    owed: str
    figures: tuple[tuple[str, str, str], ...]
    counted: tuple[str, ...]
    """Sentences: how it was counted."""
    details: tuple[tuple[str, str], ...]
    contract: tuple[tuple[str, str], ...]
    adjustments: tuple[tuple[Any, str], ...]
    verifier: str = VERIFIER


def line_of(row: Any) -> Line:
    found = queries.figures_of(row)
    coverage = found.coverage
    return Line(
        row,
        f"{number(found.quantity)} {found.contract.unit_name}",
        words.money(queries.owed(row), row.currency),
        "" if coverage is None else f"{number(coverage * 100, 1)} %",
    )


def sheet_of(row: Any) -> Sheet:
    found = queries.figures_of(row)
    contract = found.contract
    included = contract_words.included_in_words(contract)
    unit = contract.unit_name
    figures = [
        (number(found.quantity), unit, _SIDES[found.stated["direction"]]),
        (number(Fraction(contract.included)), unit, "included"),
        (number(found.over), unit, "above it"),
    ]
    if found.coverage is not None:
        figures.append((number(found.coverage * 100, 1), "%", "of it measured"))
    return Sheet(
        row,
        words.money(queries.owed(row), row.currency),
        tuple(figures),
        _counted(contract, row, found),
        _details(contract, row, found),
        tuple(
            (what, included if what == "Included" else how) for what, how in contract_words.lines(contract)
        ),
        tuple((one, words.money(one.amount, row.currency)) for one in queries.adjustments_of(row)),
    )


def _counted(contract: Contract, row: Any, found: queries.Figures) -> tuple[str, ...]:
    """In plain words, for whoever pays."""
    stated = found.stated
    totals = len(row.document["totals"])
    if row.source == "totals":
        said = [
            f"Counted by day or hour: the {totals} figures that lie wholly within the period are added up."
        ]
        if not contract.method.is_volume:
            said.append("A 95th percentile cannot be known from such figures, so nothing is charged.")
    elif contract.method.is_volume:
        said = ["Every 5 minutes the octets in and out are counted, and all of them are added up."]
        if totals:
            said.append(
                f"Machines that are counted by day or hour add the {totals} figures that lie wholly within the period."
            )
    else:
        said = [
            f"Every 5 minutes the octets in and out are counted: {stated['slots']:,} values for {row.label}.",
            f"The highest 5 % ({stated['discard']:,} values) are left out, and the next one decides.",
        ]
        if contract.method is Method.P95_MAX:
            said.append("In and out are ranked each by itself, and the larger of the two counts.")
        elif contract.method is Method.P95_SUM:
            said.append("In and out are added for each 5 minutes before they are ranked.")
    if contract.pooled:
        said.append("The services are added up for each 5 minutes first.")
    if row.source == "slots":
        said.append(
            "What was not measured counts as zero. The minutes about a server's coming and going count for nobody."
        )
    said.append("The amount is cut to the smallest coin, never rounded up.")
    if row.sample_history:
        said.append("A part of it is sample history, made up for a demonstration: nothing is charged.")
    return tuple(said)


def _details(contract: Contract, row: Any, found: queries.Figures) -> tuple[tuple[str, str], ...]:
    stated = found.stated
    said = [("Period", f"{_at(row.start)} to {_at(row.end)} UTC")]
    counted_from = datetime.fromisoformat(row.document["counted_from"])
    if counted_from > row.start:
        said.append(("Counted from", f"{_at(counted_from)} UTC"))
    said += [("Volume in", _volume(stated["volume_in"])), ("Volume out", _volume(stated["volume_out"]))]
    if row.source == "slots":
        said += [
            ("5-minute values", f"{stated['slots']:,}"),
            ("With a server", f"{stated['slots_expected']:,}"),
            ("Measured", f"{stated['slots_measured']:,}"),
        ]
    if stated.get("hours_expected"):
        said.append(
            ("Counted by day or hour", f"{stated['hours_counted']:,} of {stated['hours_expected']:,} hours")
        )
    if not contract.method.is_volume and row.source == "slots":
        said += [
            ("95th of in", _rate(stated["p95_in"], contract)),
            ("95th of out", _rate(stated["p95_out"], contract)),
            ("95th of both", _rate(stated["p95_sum"], contract)),
            ("Left out at the top", f"{stated['discarded']:,} of {stated['discard']:,} that may be"),
        ]
        if stated["lowest_discarded"] is not None:
            said.append(("The lowest of them", _rate(stated["lowest_discarded"], contract)))
        if stated["deciding_slot"]:
            deciding = datetime.fromisoformat(stated["deciding_slot"])
            said.append(("Decided by", f"{_at(deciding)} UTC"))
    return tuple(said)


def _at(moment: datetime) -> str:
    here = moment.astimezone(UTC)
    return f"{words.day(here.date())}, {here:%H:%M}"


def _volume(octets: int) -> str:
    return f"{number(gigabytes(octets))} GB"


def _rate(octets: int, contract: Contract) -> str:
    return f"{number(mbits(octets, contract.unit))} {'Mbit/s' if contract.unit == 'decimal' else 'Mibit/s'}"


# ---------------------------------------------------------------- files


def as_file(request: HttpRequest, actor: Actor, statement_id: int, *, as_json: bool) -> HttpResponse:
    """``?adjustment=`` asks for the later look of one. Raises NotHere."""
    asked = request.GET.get("adjustment", "")
    adjustment_id = int(asked[:18]) if asked.isascii() and asked.isdigit() else None
    file = queries.download(actor, statement_id, as_json=as_json, adjustment_id=adjustment_id)
    kind = "application/json" if as_json else "text/csv; charset=utf-8"
    return _attached(file.text.encode(), kind, file.file_name)


def verifier_file() -> HttpResponse:
    """The program that recomputes a statement, for whoever was charged."""
    return _attached(Path(verify_statement.__file__).read_bytes(), "text/x-python; charset=utf-8", VERIFIER)


def _attached(data: bytes, kind: str, name: str) -> HttpResponse:
    answer = HttpResponse(data, content_type=kind)
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def months() -> list[tuple[str, str]]:
    """The last thirteen, newest first, as (2026-11, November 2026)."""
    today = timezone.now().date()
    place = today.year * 12 + today.month - 1
    return [
        (f"{one // 12}-{one % 12 + 1:02}", f"{datetime(one // 12, one % 12 + 1, 1, tzinfo=UTC):%B %Y}")
        for one in range(place, place - 13, -1)
    ]
