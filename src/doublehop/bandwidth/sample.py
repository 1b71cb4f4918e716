"""A made-up history for the box: plausible, the same at every run, never billed. Pure numpy."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from doublehop.bandwidth.slots import SLOT_MS, SLOT_SECONDS, SLOTS_PER_DAY
from doublehop.bandwidth.store import RECORD, Series

GAP_DAYS_BEFORE_END = 5
GAP_STARTS = 272
GAP_SLOTS = 67
"""From 22:40 for five and a half hours nothing was measured, so that a gap can be seen."""


@dataclass(frozen=True)
class Day:
    """The columns of a daily row, and the first slot of the day."""

    slot: int
    columns: dict[str, int]


def series(seed: str, first: int, end: int) -> Series:
    """Days and nights, weekends, a slow growth, short bursts, a nightly backup into the server, one gap."""
    chance = np.random.default_rng(crc32(seed.encode()))
    slots = np.arange(first, end, dtype=np.int64)
    hour = slots % SLOTS_PER_DAY / 12
    weekend = (slots // SLOTS_PER_DAY + 3) % 7 >= 5
    peak = chance.uniform(35, 120)
    tide = 0.25 + 0.75 * np.exp(-(((hour - chance.uniform(13, 19) + 12) % 24 - 12) ** 2) / 30)
    wave = tide * np.where(weekend, chance.uniform(0.55, 0.8), 1) * np.linspace(0.7, 1.05, slots.size)
    noise = np.exp(_drift(chance, slots.size) * 0.2)
    bursts = np.repeat(chance.random(slots.size // 3 + 1) < 0.006, 3)[: slots.size] * chance.uniform(0.5, 1.6)
    out = peak * (wave * noise + bursts)
    backup = (hour >= 2) & (hour < 2.75)
    inward = out * chance.uniform(0.12, 0.3) + backup * chance.uniform(10, 40)
    measured = np.ones(slots.size, dtype=bool)
    gap = (end // SLOTS_PER_DAY - GAP_DAYS_BEFORE_END) * SLOTS_PER_DAY + GAP_STARTS - first
    measured[max(gap, 0) : max(gap + GAP_SLOTS, 0)] = False
    per_slot = 1_000_000 / 8 * SLOT_SECONDS
    return Series(
        first,
        (inward * per_slot * measured).astype(np.int64),
        (out * per_slot * measured).astype(np.int64),
        measured,
    )


def _drift(chance: np.random.Generator, size: int) -> NDArray[np.float64]:
    """Noise that remembers about an hour: a running mean of white noise, of unit width."""
    width = 12
    white = chance.standard_normal(size + width - 1)
    total = np.concatenate(([0.0], np.cumsum(white)))
    drift: NDArray[np.float64] = (total[width:] - total[:-width]) / np.sqrt(width)
    return drift


def by_day(one: Series) -> Iterator[Day]:
    """``one.first`` is the first slot of a day; the last day may be short."""
    for start in range(0, one.measured.size, SLOTS_PER_DAY):
        piece = slice(start, start + SLOTS_PER_DAY)
        inward, out, count = one.octets_in[piece], one.octets_out[piece], int(one.measured[piece].sum())
        yield Day(
            one.first + start,
            {
                "octets_in": int(inward.sum()),
                "octets_out": int(out.sum()),
                "max_in": int(inward.max()),
                "max_out": int(out.max()),
                "slots": count,
                "covered_ms": count * SLOT_MS,
            },
        )


def records(series_of: Mapping[int, Series], first: int) -> Iterator[tuple[int, bytes]]:
    """Packed blocks from slot ``first`` on, of ports whose series begin together; slots of the gap have none."""
    one = next(iter(series_of.values()))
    skip = first - one.first
    table = np.zeros((one.measured.size - skip, len(series_of)), dtype=RECORD)
    for column, port_id in enumerate(sorted(series_of)):
        table["port"][:, column] = port_id
        table["octets_in"][:, column] = series_of[port_id].octets_in[skip:]
        table["octets_out"][:, column] = series_of[port_id].octets_out[skip:]
    for row in np.flatnonzero(one.measured[skip:]):
        yield first + int(row), table[row].tobytes()
