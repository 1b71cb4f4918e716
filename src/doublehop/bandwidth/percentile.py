"""The 95th percentile: nearest rank over a fixed number of slots, in which an unknown slot counts as zero.

So it is never above the truth: no order statistic falls when a value rises.
"""

import numpy as np
from numpy.typing import NDArray


def ninety_fifth(octets: NDArray[np.int64], slots: int, discard: int | None = None) -> int:
    """The largest of ``slots`` values after the top ``discard`` (None: floor of 5 %) are left out; no value is zero.

    ``octets`` holds the measured slots, at most ``slots`` of them. Answers in octets per slot.
    """
    left_out = slots * 5 // 100 if discard is None else discard
    if left_out >= octets.size:
        return 0
    place = octets.size - 1 - left_out
    return int(np.partition(octets, place)[place])
