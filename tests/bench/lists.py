"""``python -m tests.bench.lists LOGINS``: the two lists of servers, in process; prints medians, octets and query counts."""

import json
import statistics
import sys
import time

import django

django.setup()

from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402

from tests.bench.asking import basic, leap  # noqa: E402
from tests.bench.pages import counting  # noqa: E402

ROUNDS = 7


def main(logins: dict[str, dict[str, str]]) -> dict[str, dict[str, dict[str, float]]]:
    browser = Client()
    result: dict[str, dict[str, dict[str, float]]] = {}
    for size, login in logins.items():
        told = {"HTTP_AUTHORIZATION": basic(login["user"], login["password"])}
        calls = {
            "/server/list": ("/dropzone/server/list", told),
            "listServers": (leap(login, "listServers"), {}),
        }
        for name, (path, headers) in calls.items():
            queries: list[str] = []
            browser.get(path, **headers)
            with connection.execute_wrapper(counting(queries)):
                answer = browser.get(path, **headers)
            assert answer.status_code == 200, answer.content
            times = []
            for _ in range(ROUNDS):
                begin = time.perf_counter()
                browser.get(path, **headers)
                times.append((time.perf_counter() - begin) * 1000)
            figures = {"ms": statistics.median(times), "queries": len(queries), "octets": len(answer.content)}
            result.setdefault(name, {})[size] = figures
    return result


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
