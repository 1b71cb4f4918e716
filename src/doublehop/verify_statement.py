"""Recomputes the figures of an exported bandwidth statement from its own slots, and says line by line what agrees.

    python3 verify_statement.py FILE        (FILE: the statement as JSON or CSV)

Stands alone: Python 3.9 or newer and nothing else, one file, no network. Whoever bills has no part in it. Exit code: 0 everything agrees, 1 something differs, 2 the file is no statement.

How it counts: a slot is 5 minutes. What was not measured is zero, and the number of slots is that of the whole period.
For a 95th percentile the slots are ranked from the highest; 5 % of them (down or up to a whole number, as the contract
says) are left out, and the next one decides. Money is cut to the smallest coin, never rounded up.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path

SLOT_SECONDS = 300
EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
SECOND = timedelta(seconds=1)
STATES = ("none", "measured", "part", "missing", "made_up")
METHODS = ("p95_in", "p95_out", "p95_max", "p95_sum", "volume_in", "volume_out", "volume_sum", "volume_max")
LARGEST_FILE = 64 * 1024 * 1024
LONGEST_DAYS = 400
DIGITS = {
    **dict.fromkeys(
        ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV"), 0
    ),
    **dict.fromkeys(("XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}
"""Of currencies that do not have two digits behind the point (ISO 4217)."""


class NoStatement(Exception):
    """The file cannot be read as a statement; the text says why."""


class Statement:
    """``values`` by dotted name, as text (empty: none); ``slots`` are (start in seconds since 1970, in, out, state)."""

    def __init__(self, values: dict[str, str], slots: list[tuple[int, int, int, str]]) -> None:
        self.values = values
        self.slots = slots

    def text(self, name: str) -> str:
        if name not in self.values:
            raise NoStatement(f"{name} is missing")
        return self.values[name]

    def number(self, name: str) -> int:
        return whole(self.text(name), name)

    def moment(self, name: str) -> int:
        return moment(self.text(name), name)

    def fraction(self, name: str) -> Fraction:
        try:
            return Fraction(self.text(name) or "0")
        except (ValueError, ZeroDivisionError):
            raise NoStatement(f"{name} is no number: {self.text(name)[:60]!r}") from None

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        if self.text(name) not in allowed:
            raise NoStatement(f"{name} is {self.text(name)[:60]!r}, not one of: {', '.join(allowed)}")
        return self.text(name)

    def spans(self, name: str) -> list[tuple[int, int]]:
        """(start, end) of a numbered list."""
        found: list[tuple[int, int]] = []
        while f"{name}.{len(found)}.start" in self.values:
            at = f"{name}.{len(found)}"
            found.append((self.moment(f"{at}.start"), self.moment(f"{at}.end")))
        return found

    def pieces(self, name: str) -> list[tuple[int, int, int, int]]:
        """(start, end, in, out) of a numbered list."""
        return [
            (start, end, self.number(f"{name}.{place}.in"), self.number(f"{name}.{place}.out"))
            for place, (start, end) in enumerate(self.spans(name))
        ]


# ---------------------------------------------------------------- reading


def read(text: str) -> Statement:
    """A statement from JSON or CSV. Raises NoStatement."""
    statement = _from_json(text) if text.lstrip("\ufeff \t\r\n").startswith("{") else _from_csv(text)
    if statement.values.get("format") != "bandwidth-statement":
        raise NoStatement("this is no bandwidth statement: the line format bandwidth-statement is missing")
    if statement.text("version") not in ("1", "2", "3"):
        raise NoStatement(
            f"version {statement.text('version')[:20]} of the format is not known here, only 1 to 3"
        )
    return statement


def _from_json(text: str) -> Statement:
    try:
        whole_file = json.loads(text.lstrip("\ufeff"))
    except (ValueError, RecursionError):
        raise NoStatement("the JSON is damaged") from None
    rows = whole_file.pop("slots", None)
    if not isinstance(rows, list):
        raise NoStatement("the list of slots is missing")
    values: dict[str, str] = {}
    _flatten(whole_file, "", values)
    return Statement(values, [_slot(row, number) for number, row in enumerate(rows, 1)])


def _flatten(value: object, name: str, into: dict[str, str]) -> None:
    if name.count(".") > 6:
        raise NoStatement("the JSON is nested too deeply")
    if isinstance(value, (dict, list)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            _flatten(inner, f"{name}.{key}" if name else str(key), into)
    elif value is None:
        into[name] = ""
    else:
        into[name] = str(value).lower() if isinstance(value, bool) else str(value)


def _from_csv(text: str) -> Statement:
    values: dict[str, str] = {}
    slots: list[tuple[int, int, int, str]] = []
    in_table = False
    try:
        for number, row in enumerate(csv.reader(io.StringIO(text.lstrip("\ufeff"))), 1):
            if in_table and row:
                slots.append(_slot(row, number))
            elif row == ["start", "in", "out", "state"]:
                in_table = True
            elif len(row) == 2:
                values[row[0]] = row[1]
            elif row and not values:
                break
            elif row:
                raise NoStatement(f"line {number} has {len(row)} columns, 2 were expected")
    except csv.Error as error:
        raise NoStatement(f"the CSV is damaged: {error}") from None
    if not in_table:
        raise NoStatement("this is neither a JSON nor a CSV statement: the table of slots is missing")
    return Statement(values, slots)


def _slot(row: object, number: int) -> tuple[int, int, int, str]:
    if not isinstance(row, (list, tuple)) or len(row) != 4:
        raise NoStatement(f"slot or line {number} is not: start, in, out, state")
    start, inward, out, state = (str(one) for one in row)
    if state not in STATES:
        raise NoStatement(f"slot or line {number}: the state {state[:20]!r} is not known")
    place = f"slot or line {number}"
    return moment(start, place), whole(inward, place), whole(out, place), state


def whole(text: str, name: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 30:
        raise NoStatement(f"{name} is no whole number: {text[:60]!r}")
    return int(text)


def moment(text: str, name: str) -> int:
    """Seconds since 1970."""
    try:
        if len(text) != 20 or not text.endswith("Z"):
            raise ValueError
        return (datetime.fromisoformat(f"{text[:-1]}+00:00") - EPOCH) // SECOND
    except ValueError:
        raise NoStatement(f"{name} is no time such as 2026-11-01T00:00:00Z: {text[:60]!r}") from None


# ---------------------------------------------------------------- counting


def verify(statement: Statement) -> list[tuple[str, str, str]]:
    """(name, computed, stated) of each figure. Raises NoStatement."""
    start, end = statement.moment("period.start"), statement.moment("period.end")
    if not 0 < end - start <= LONGEST_DAYS * 86400:
        raise NoStatement("the period does not end after it begins, or is longer than a year")
    computed: dict[str, str] = {"slots": str((end - start) // SLOT_SECONDS)}
    if statement.choice("source", ("slots", "totals")) == "slots":
        _check_slots(statement, start, end, computed)
        octets = [(inward, out) for _, inward, out, _ in statement.slots]
    else:
        if statement.slots:
            raise NoStatement("it is made from totals, and has slots nevertheless")
        octets = []
        computed |= {"slots_expected": "0", "slots_measured": "0"}
    outside = statement.pieces("outside_slots") + statement.pieces("totals")
    if statement.text("version") != "1":
        _count_hours(statement, computed)
    inside = sum(start <= since < until <= end for since, until, _, _ in outside)
    computed["outside_slots within the period"] = str(inside)
    volumes = (
        sum(one[0] for one in octets) + sum(one[2] for one in outside),
        sum(one[1] for one in octets) + sum(one[3] for one in outside),
    )
    _count(statement, octets, volumes, (end - start) // SLOT_SECONDS, computed)
    stated = {"outside_slots within the period": str(len(outside)), **_stated_slots(statement)}
    return [
        (name, value, stated[name] if name in stated else statement.text(f"figures.{name}"))
        for name, value in computed.items()
    ]


def _check_slots(statement: Statement, start: int, end: int, computed: dict[str, str]) -> None:
    places = [one[0] for one in statement.slots]
    gapless = places == list(range(start, end, SLOT_SECONDS))
    computed["one slot for each 5 minutes"] = "yes" if gapless else "no"
    zero = all(not one[1] and not one[2] for one in statement.slots if one[3] in ("none", "missing"))
    computed["what was not measured is zero"] = "yes" if zero else "no"
    counted_from = statement.moment("counted_from")
    early = any(one[3] != "none" for one in statement.slots if one[0] < counted_from)
    computed["nothing from before it is counted from"] = "no" if early else "yes"
    made_up = any(one[3] == "made_up" for one in statement.slots)
    computed["sample history"] = "true" if made_up else "false"
    computed["slots_expected"] = str(sum(one[3] != "none" for one in statement.slots))
    computed["slots_measured"] = str(sum(one[3] in ("measured", "made_up") for one in statement.slots))


def _count_hours(statement: Statement, computed: dict[str, str]) -> None:
    """Of totals: those whose middle lies in a day that was to be counted, and that were over when they were read."""
    expected = statement.spans("totals_expected")
    counted = 0
    for place, (start, end) in enumerate(statement.spans("totals")):
        is_complete = statement.choice(f"totals.{place}.complete", ("true", "false")) == "true"
        if is_complete and any(2 * since <= start + end < 2 * until for since, until in expected):
            told = statement.text("version") != "2"
            counted += statement.number(f"totals.{place}.counted_seconds") if told else end - start
    computed["hours_expected"] = str(sum(end - start for start, end in expected) // 3600)
    computed["hours_counted"] = str(counted // 3600)


def _stated_slots(statement: Statement) -> dict[str, str]:
    return {
        "one slot for each 5 minutes": "yes",
        "what was not measured is zero": "yes",
        "nothing from before it is counted from": "yes",
        "sample history": statement.choice("sample_history", ("true", "false")),
    }


def _count(
    statement: Statement,
    octets: list[tuple[int, int]],
    volumes: tuple[int, int],
    slots: int,
    computed: dict[str, str],
) -> None:
    method = statement.choice("contract.method", METHODS)
    is_volume = method.startswith("volume")
    up = statement.choice("contract.cut", ("floor", "ceil")) == "ceil"
    left_out = (slots * 5 + (99 if up else 0)) // 100
    sides = {
        "in": [one[0] for one in octets],
        "out": [one[1] for one in octets],
        "sum": [one[0] + one[1] for one in octets],
    }
    p95 = {name: _after(side, left_out) for name, side in sides.items()}
    computed |= {"volume_in": str(volumes[0]), "volume_out": str(volumes[1])}
    computed |= {f"p95_{name}": str(value) for name, value in p95.items()}
    figures = {"in": volumes[0], "out": volumes[1], "sum": sum(volumes)} if is_volume else p95
    wanted = method.split("_")[1]
    direction = ("in" if figures["in"] >= figures["out"] else "out") if wanted == "max" else wanted
    binary = statement.choice("contract.unit", ("decimal", "binary")) == "binary"
    if is_volume:
        computed |= {"discard": "0", "discarded": "0", "lowest_discarded": "", "deciding_slot": ""}
        quantity = Fraction(figures[direction], 2**30 if binary else 10**9)
    else:
        _rank(statement, sides[direction], left_out, computed)
        quantity = Fraction(figures[direction] * 8, SLOT_SECONDS * (2**20 if binary else 10**6))
    computed |= {"direction": direction, "quantity": str(quantity)}
    _charge(statement, quantity, is_volume, computed)


def _after(side: list[int], left_out: int) -> int:
    """The next one after the ``left_out`` highest; zero where there are no more."""
    ranked = sorted(side, reverse=True)
    return ranked[left_out] if left_out < len(ranked) else 0


def _rank(statement: Statement, side: list[int], left_out: int, computed: dict[str, str]) -> None:
    """Of equal slots the earlier are left out first."""
    order = sorted(range(len(side)), key=lambda place: (-side[place], place))
    top = [side[place] for place in order[:left_out] if side[place]]
    deciding = ""
    if left_out < len(order) and side[order[left_out]]:
        deciding = f"{EPOCH + statement.slots[order[left_out]][0] * SECOND:%Y-%m-%dT%H:%M:%SZ}"
    computed |= {
        "discard": str(left_out),
        "discarded": str(len(top)),
        "lowest_discarded": str(top[-1]) if top else "",
        "deciding_slot": deciding,
    }


def _charge(statement: Statement, quantity: Fraction, is_volume: bool, computed: dict[str, str]) -> None:
    included = statement.fraction("contract.allowance" if is_volume else "contract.commit")
    over = max(Fraction(0), quantity - included)
    made_up = statement.choice("sample_history", ("true", "false")) == "true"
    owed = Fraction(0) if made_up else over * statement.fraction("contract.price")
    digits = DIGITS.get(statement.text("contract.currency").upper(), 2)
    coins = owed * 10**digits // 1
    text = str(coins).rjust(digits + 1, "0")
    computed |= {
        "over": str(over),
        "amount": f"{text[:-digits]}.{text[-digits:]}" if digits else text,
    }


# ---------------------------------------------------------------- saying so


def report(statement: Statement, lines: list[tuple[str, str, str]]) -> list[str]:
    """What is printed, line by line."""
    unit = "GB" if statement.text("contract.method").startswith("volume") else "Mbit/s"
    if statement.text("contract.unit") == "binary":
        unit = unit.replace("GB", "GiB").replace("Mbit", "Mibit")
    names = {
        "quantity": f"quantity ({unit}, exact)",
        "over": f"above what is included ({unit})",
        "amount": f"amount ({statement.text('contract.currency')})",
        "p95_in": "p95_in (octets in 5 minutes)",
        "p95_out": "p95_out (octets in 5 minutes)",
        "p95_sum": "p95_sum (octets in 5 minutes)",
    }
    said = [
        f"Statement {statement.values.get('statement', '')} for {statement.values.get('client', '')}: "
        f"{statement.values.get('period.label', '')}",
        f"Contract: {statement.text('contract.method')}, {statement.text('contract.unit')}, 5 % cut "
        f"{'up' if statement.text('contract.cut') == 'ceil' else 'down'}",
        "",
        f"{'figure':<40} {'computed':>26} {'stated':>26}",
    ]
    for name, computed, stated in lines:
        verdict = "equal" if computed == stated else "DIFFERS"
        said.append(f"{names.get(name, name):<40} {computed or '-':>26} {stated or '-':>26}  {verdict}")
    differs = sum(computed != stated for _, computed, stated in lines)
    said.append("")
    if not differs:
        said.append(f"All {len(lines)} figures agree with the slots in this file.")
    else:
        said.append(
            f"{differs} of {len(lines)} figures differ. This statement does not follow from its slots."
        )
    return ["".join(sign if sign.isprintable() else "?" for sign in line) for line in said]


def main(arguments: list[str] | None = None) -> int:
    """0 everything agrees, 1 something differs, 2 no statement."""
    given = sys.argv[1:] if arguments is None else arguments
    if len(given) != 1 or given[0] in ("-h", "--help"):
        print("Usage: verify_statement.py FILE (a bandwidth statement as JSON or CSV)", file=sys.stderr)
        return 2
    try:
        with Path(given[0]).open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
        if len(data) > LARGEST_FILE:
            raise NoStatement("the file is larger than any statement")
        statement = read(data.decode("utf-8"))
        lines = verify(statement)
    except (NoStatement, OSError) as error:
        reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        print(f"{given[0]}: {reason}", file=sys.stderr)
        return 2
    except UnicodeDecodeError:
        print(f"{given[0]}: this is no text in UTF-8", file=sys.stderr)
        return 2
    print("\n".join(report(statement, lines)))
    return 1 if any(computed != stated for _, computed, stated in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
