"""Failed attempts, counted by credential and source together: a stranger elsewhere cannot lock anybody out.

Counted in Django's default cache, which belongs to one process: several web processes count each for itself.
"""

from dataclasses import dataclass

from django.core.cache import cache
from django.utils.crypto import salted_hmac

WINDOW_SECONDS = 300
MOST_BY_CREDENTIAL = 10
"""Failures of one credential from one source within the window."""
MOST_BY_SOURCE = 60
"""Failures of one source with whichever credentials: guessing through a list of names ends as well."""


@dataclass(frozen=True)
class Attempts:
    """``credential`` is what was typed as a name, ``source`` the visitor's address; neither is kept in plain."""

    credential: str
    source: str

    def seconds_to_wait(self) -> int:
        """0 when another attempt may be made."""
        credential, source = cache.get(self._both, 0), cache.get(self._source, 0) if self.source else 0
        return WINDOW_SECONDS if credential >= MOST_BY_CREDENTIAL or source >= MOST_BY_SOURCE else 0

    def failed(self) -> bool:
        """Counts one; True for the one that closed the door."""
        count = _count(self._both)
        if self.source:
            _count(self._source)
        return count == MOST_BY_CREDENTIAL

    @property
    def _both(self) -> str:
        return _key(f"{self.source}\0{self.credential}")

    @property
    def _source(self) -> str:
        return _key(self.source)


def _key(text: str) -> str:
    return "attempts:" + salted_hmac("doublehop.organisations.throttle", text, algorithm="sha256").hexdigest()


def _count(key: str) -> int:
    cache.add(key, 0, WINDOW_SECONDS)
    try:
        return cache.incr(key)
    except ValueError:  # it ran out between the two lines
        cache.set(key, 1, WINDOW_SECONDS)
        return 1
