"""``python -m tests.bench.storm ADDRESS KIND PER_SECOND``: wrong passwords at that pace, each few from another address of this
machine, so that no source is told to wait. Ends with a line from stdin; prints how many were answered how."""

import http.client
import json
import secrets
import sys
import threading
import time
from collections import Counter
from itertools import count
from urllib.parse import urlsplit

from tests.bench.asking import basic, leap

THREADS = 12
FROM_ONE_SOURCE = 8
WRONG = {"api_key": "no", "password": "no"}


def _source(number: int) -> str:
    """An address of this machine for each number: all of 127.0.0.0/8 is."""
    return f"127.{number >> 16 & 127}.{number >> 8 & 255}.{number & 255}"


def main(address: str, kind: str, per_second: float) -> dict[str, int]:
    place, stop, answered = urlsplit(address), threading.Event(), Counter[str]()
    numbers = count(secrets.randbelow(2**20) * FROM_ONE_SOURCE)

    def attempts() -> None:
        while not stop.is_set():
            begin, number = time.monotonic(), next(numbers)
            source = _source(number // FROM_ONE_SOURCE)
            call = http.client.HTTPConnection(
                place.hostname or "", place.port, timeout=60, source_address=(source, 0)
            )
            try:
                if kind == "tandem":
                    login = {"Authorization": basic("noc@bench.example", f"wrong-{number}")}
                    call.request("GET", "/dropzone/server/list", headers=login)
                else:
                    call.request("GET", leap({"user": "reseller-10", **WRONG}, "listServers"))
                answered[str(call.getresponse().status)] += 1
            except OSError:
                answered["cut"] += 1
            finally:
                call.close()
            stop.wait(max(0.0, THREADS / per_second - (time.monotonic() - begin)))

    threads = [threading.Thread(target=attempts) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    sys.stdin.readline()
    stop.set()
    for thread in threads:
        thread.join()
    return dict(answered)


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], float(sys.argv[3]))))
