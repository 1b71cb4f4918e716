"""``Prefer: wait=N`` (RFC 7240): an answer that waits, for a few seconds, until an operation has ended.

A thread that waits is one that answers nobody else, so of a process's threads at most a quarter ever do. Whoever comes beyond
that is answered at once, without ``Preference-Applied``.
"""

import re
import threading
import time

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from doublehop.organisations.actor import Actor
from doublehop.services import queries
from doublehop.services.lifecycle import OPEN_STATES

LONGEST_SECONDS = 10
LOOK_EVERY_SECONDS = 0.25
MOST_WAITING = max(1, settings.WEB_THREADS // 4)
_places = threading.BoundedSemaphore(MOST_WAITING)


def seconds_preferred(request: HttpRequest) -> int:
    found = re.search(r"(?:^|[\s,;])wait\s*=\s*(\d{1,6})", request.headers.get("Prefer", ""))
    return min(int(found.group(1)), LONGEST_SECONDS) if found else 0


def wait_for(request: HttpRequest, response: HttpResponse, actor: Actor, reference: str) -> None:
    """Until it is neither queued nor running any more, or the time is up. What is held or unknown waits for a person."""
    seconds = seconds_preferred(request)
    if not seconds or not _places.acquire(blocking=False):
        return
    try:
        until = time.monotonic() + seconds
        while queries.operation(actor, reference).state in OPEN_STATES and time.monotonic() < until:
            time.sleep(LOOK_EVERY_SECONDS)
    finally:
        _places.release()
    response["Preference-Applied"] = f"wait={seconds}"
