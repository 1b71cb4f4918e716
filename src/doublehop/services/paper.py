"""A statement as it is kept and as it is exported: a document that explains itself, and its own slots.

The format is described in docs/statement-format.md; ``doublehop.verify_statement`` reads it without knowing this code.
"""

import csv
import io
import json
import zlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from doublehop.bandwidth.contract import values_of
from doublehop.bandwidth.queries.metered import Metered
from doublehop.bandwidth.reckoning import Reckoned
from doublehop.bandwidth.slots import from_ms, slot_of, start_of, to_ms
from doublehop.organisations import texts
from doublehop.services.charging import Count, Span, Subject

FORMAT = "bandwidth-statement"
VERSION = 3
STATES = ("none", "measured", "part", "missing", "made_up")
"""Of a slot: no machine of the service; every port of every machine; only a part of it; nothing; sample history."""
_NONE, _MEASURED, _PART, _MISSING, _MADE_UP = range(len(STATES))
TABLE_HEAD = ("start", "in", "out", "state")


def document_of(subject: Subject, span: Span, counted: Count, *, seller: str) -> dict[str, Any]:
    """Everything but the slots. Nothing in it names an upstream; ``seller`` is the name of a brand."""
    one = subject.members[0]
    outside = counted.metered.outside if counted.metered else ()
    return {
        "format": FORMAT,
        "version": VERSION,
        "organisation": seller,
        "client": one.client.name,
        "product": subject.product_at(span.counted_from).name,
        "services": [str(member) for member in subject.members],
        "contract": values_of(span.contract),
        "period": {
            "label": span.period.label,
            "start": _moment(to_ms(span.period.start)),
            "end": _moment(to_ms(span.period.end)),
        },
        "counted_from": _moment(to_ms(span.counted_from)),
        "source": "totals" if counted.metered is None else "slots",
        "sample_history": counted.sample_history,
        "outside_slots": [
            {
                "start": _slot(gap.first),
                "end": _slot(gap.end),
                "in": gap.octets_in,
                "out": gap.octets_out,
            }
            for gap in outside
        ],
        "totals": [
            {
                "start": _moment(to_ms(piece.start)),
                "end": _moment(to_ms(piece.end)),
                "in": piece.octets_in,
                "out": piece.octets_out,
                "complete": piece.is_over,
                "counted_seconds": int(piece.counted.total_seconds()),
            }
            for piece in counted.totals
        ],
        "totals_expected": [
            {"start": _moment(to_ms(start)), "end": _moment(to_ms(end))}
            for start, end in counted.totals_expected
        ],
        "figures": figures_of(counted.reckoned),
    }


def figures_of(reckoned: Reckoned) -> dict[str, Any]:
    """Exact: octets and octets per slot as integers, quantities as fractions such as "2592/25", money as text."""
    return {
        "slots": reckoned.slots,
        "slots_expected": reckoned.expected,
        "slots_measured": reckoned.measured,
        "hours_expected": reckoned.hours.expected,
        "hours_counted": reckoned.hours.counted,
        "volume_in": reckoned.volume_in,
        "volume_out": reckoned.volume_out,
        "p95_in": reckoned.p95_in,
        "p95_out": reckoned.p95_out,
        "p95_sum": reckoned.p95_sum,
        "discard": reckoned.discard,
        "discarded": reckoned.discarded,
        "lowest_discarded": reckoned.lowest_discarded,
        "deciding_slot": None if reckoned.deciding_slot is None else _slot(reckoned.deciding_slot),
        "direction": reckoned.direction,
        "quantity": str(reckoned.quantity),
        "over": str(reckoned.over),
        "amount": str(reckoned.amount),
    }


# ---------------------------------------------------------------- slots


def pack(found: Metered | None, first: int, slots: int) -> bytes:
    """All ``slots`` of a period from ``first`` on, whatever part of it was looked at. Totals have none."""
    if found is None:
        return b""
    place = slice(found.slots.first - first, found.slots.first - first + found.slots.expected.size)
    octets_in, octets_out = np.zeros(slots, dtype="<i8"), np.zeros(slots, dtype="<i8")
    states = np.zeros(slots, dtype=np.uint8)
    octets_in[place], octets_out[place] = found.slots.octets_in, found.slots.octets_out
    states[place] = _states(found)
    # Bytes of the same weight beside each other press well; level 1 is nearly as small as 9 and ten times as quick.
    planes = [np.ascontiguousarray(one.view(np.uint8).reshape(-1, 8).T) for one in (octets_in, octets_out)]
    return zlib.compress(b"".join([*(plane.tobytes() for plane in planes), states.tobytes()]), 1)


def unpack(data: bytes | memoryview) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]:
    """(octets in, octets out, index of the state) of each slot."""
    if not data:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint8)
    raw = np.frombuffer(zlib.decompress(data), dtype=np.uint8)
    size = raw.size // 17
    planes = [raw[start : start + 8 * size].reshape(8, size) for start in (0, 8 * size)]
    octets_in, octets_out = (
        np.ascontiguousarray(plane.T).view("<i8").reshape(-1).astype(np.int64) for plane in planes
    )
    return octets_in, octets_out, raw[16 * size :]


def _states(found: Metered) -> NDArray[np.uint8]:
    known = (found.slots.octets_in > 0) | (found.slots.octets_out > 0)
    states = np.where(found.slots.expected, np.where(known, _PART, _MISSING), _NONE)
    states = np.where(found.slots.measured, np.where(found.made_up, _MADE_UP, _MEASURED), states)
    return states.astype(np.uint8)


# ---------------------------------------------------------------- exports


def as_json(name: str, document: Mapping[str, Any], slots: bytes | memoryview) -> str:
    """``name`` is the statement's, such as T-12. One slot a line."""
    head = json.dumps({"statement": name, **document}, indent=1, ensure_ascii=False)
    lines = ",\n".join(json.dumps(row) for row in _rows(document, slots))
    return f'{head[:-2]},\n "slots": [\n{lines}\n]\n}}\n'


def as_csv(name: str, document: Mapping[str, Any], slots: bytes | memoryview) -> str:
    """The document as (name, value) lines, an empty line, and a table of the slots."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\r\n")
    table.writerow(("statement", name))
    table.writerows(_flat(document))
    table.writerow(())
    table.writerow(TABLE_HEAD)
    table.writerows(_rows(document, slots))
    return text.getvalue()


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _flat(inner, f"{name}.{number}")
    else:
        text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        # No figure begins like a formula: none is below zero. Names may.
        yield name, texts.cell(text)


def _rows(document: Mapping[str, Any], slots: bytes | memoryview) -> Iterator[tuple[str, int, int, str]]:
    octets_in, octets_out, states = unpack(slots)
    first = slot_of(datetime.fromisoformat(document["period"]["start"]))
    for place, (inward, out, state) in enumerate(
        zip(octets_in.tolist(), octets_out.tolist(), states.tolist(), strict=True)
    ):
        yield _slot(first + place), inward, out, STATES[state]


def _slot(slot: int) -> str:
    return f"{start_of(slot):%Y-%m-%dT%H:%M:%SZ}"


def _moment(moment_ms: int) -> str:
    """In UTC, to the second."""
    return f"{from_ms(moment_ms):%Y-%m-%dT%H:%M:%SZ}"
