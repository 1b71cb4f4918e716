"""One line per step: what, and how long it took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

STEPS = 7
"""The first two (Python itself) are made by bin/bootstrap.py, which needs nothing but Python."""


@contextmanager
def step(number: int, text: str) -> Iterator[None]:
    begin = time.monotonic()
    print(f"{number}/{STEPS} {text} ... ", end="", flush=True)
    try:
        yield
    except BaseException:
        print(flush=True)
        raise
    print(f"{time.monotonic() - begin:.0f} s", flush=True)
