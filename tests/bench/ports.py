"""Traffic that never flowed, the same for the same seed: what the stores of octets are measured with.

Ports of 100 Mbit/s to 25 Gbit/s whose use is lognormal, with days, weeks, noise that remembers, spikes of a quarter of an hour,
lost polls and outages (0.9 % of all slots), and one port in twenty idle. Counter wraps and resets are not in it: they are decoded before
anything is stored.
"""

import numpy as np
from numpy.typing import NDArray

SLOTS = 288
SPEEDS = (100e6, 1e9, 10e9, 25e9)
SPREAD = (0.1, 0.5, 0.3, 0.1)
SEED = 20261123


def slots_of(port: int, days: int, start: int = 20_000) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(octets in and out, of shape (slots, 2); whether measured) of one port for ``days`` days from day ``start`` on."""
    chance = np.random.default_rng((SEED, port))
    count = days * SLOTS
    measured = _measured(chance, count)
    if chance.random() < 0.05:
        return np.zeros((count, 2), dtype=np.int64), measured
    speed = chance.choice(SPEEDS, p=SPREAD)
    mean = min(0.6, chance.lognormal(np.log(0.03), 1.2)) * speed
    hour = np.arange(count) % SLOTS / 12
    weekday = (start + np.arange(count) // SLOTS + 3) % 7
    tide = 1 + 0.6 * np.cos((hour - chance.uniform(12, 22)) / 24 * 2 * np.pi)
    week = np.where(weekday >= 5, chance.uniform(0.5, 1.1), 1.0)
    spikes = np.repeat(chance.random(count // 3 + 1) < 0.01, 3)[:count] * chance.lognormal(1, 0.5)
    shape = mean * tide * week * (np.exp(_remembering(chance, count) * 0.35) + spikes)
    share = chance.uniform(0.05, 0.6) * np.exp(_remembering(chance, count) * 0.2)
    rates = np.stack([shape * share, shape], axis=1)
    if chance.random() < 0.3:
        rates = rates[:, ::-1]
    octets = (np.minimum(rates, speed) / 8 * 300).astype(np.int64)
    octets[~measured] = 0
    return octets, measured


def _measured(chance: np.random.Generator, count: int) -> NDArray[np.bool_]:
    measured = chance.random(count) >= 0.005
    for _ in range(chance.poisson(count / (30 * SLOTS))):
        begin = int(chance.integers(count))
        measured[begin : begin + int(chance.integers(6, 64))] = False
    return measured


def _remembering(chance: np.random.Generator, count: int, width: int = 12) -> NDArray[np.float64]:
    """A running mean of white noise, of unit width: an hour is remembered; and a little that is not."""
    total = np.concatenate(([0.0], np.cumsum(chance.standard_normal(count + width - 1))))
    return np.asarray((total[width:] - total[:-width]) / np.sqrt(width) + 0.3 * chance.standard_normal(count))
