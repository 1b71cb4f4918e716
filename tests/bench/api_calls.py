"""``python -m tests.bench.api_calls TOKEN SERVICE``: times calls of one installation in process; prints medians as JSON."""

import json
import statistics
import sys
import time
from datetime import timedelta

from django.db import connection
from django.test import Client
from django.utils import timezone

import doublehop.site.wsgi  # noqa: F401, as it is served
from tests.bench.pages import counting

ROUNDS = 200
FEW = 5


def main(token: str, service: str) -> dict[str, dict[str, float]]:
    program = Client(headers={"Authorization": f"Bearer {token}"})
    month = f"{timezone.now() - timedelta(days=30):%Y-%m-%dT%H:%M:%SZ}"
    calls = {
        "one service": (f"/services/{service}", ROUNDS),
        "a page of services": (f"/services?after={int(service) - 25}", ROUNDS),
        "a page of servers": ("/servers", ROUNDS),
        "a bandwidth month, hourly": (f"/services/{service}/bandwidth?start={month}", ROUNDS),
        "a bandwidth month, 5 min": (f"/services/{service}/bandwidth?start={month}&step=5m", FEW * 4),
        "usage of all services": ("/usage", FEW),
    }
    result = {}
    for name, (path, rounds) in calls.items():
        queries: list[str] = []
        with connection.execute_wrapper(counting(queries)):
            answer = program.get(f"/api/v1{path}")
        assert answer.status_code == 200, (path, answer.content)
        items = len(answer.json().get("items", answer.json().get("points", [1])))
        assert items, path
        times = []
        for _ in range(rounds):
            begin = time.perf_counter()
            program.get(f"/api/v1{path}")
            times.append((time.perf_counter() - begin) * 1000)
        p99 = sorted(times)[min(len(times) - 1, len(times) * 99 // 100)]
        result[name] = {"ms": statistics.median(times), "p99": p99, "queries": len(queries), "items": items}
    return result


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2])))
