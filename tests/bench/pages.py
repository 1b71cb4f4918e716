"""``python -m tests.bench.pages SERVICE``: times the pages of one installation in process; prints medians and query counts."""

import json
import statistics
import sys
import time

import django

django.setup()

from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402

from doublehop.organisations.models import User  # noqa: E402

ROUNDS = 40


def counting(queries: list[str]):
    def wrapper(execute, sql, parameters, many, context):
        queries.append(sql)
        return execute(sql, parameters, many, context)

    return wrapper


def main(service: str) -> dict[str, dict[str, float]]:
    staff, client = Client(), Client()
    staff.force_login(User.objects.get(email="bea@bench.example"))
    client.force_login(User.objects.get(email="client@bench.example"))
    pages = {
        "service list": (staff, "/admin/services/"),
        "service page (staff)": (staff, f"/admin/services/{service}/"),
        "service page (client)": (client, None),
        "dashboard": (staff, "/admin/"),
        "my servers": (client, "/servers/"),
    }
    mine = json.loads(sys.argv[2])[0]
    result = {}
    for name, (browser, path) in pages.items():
        address = path or f"/servers/{mine}/"
        queries: list[str] = []
        with connection.execute_wrapper(counting(queries)):
            answer = browser.get(address, follow=True)
        assert answer.status_code == 200, (address, answer.status_code)
        times = []
        for _ in range(ROUNDS):
            begin = time.perf_counter()
            browser.get(
                answer.request["PATH_INFO"]
                + ("?" + answer.request["QUERY_STRING"] if answer.request["QUERY_STRING"] else "")
            )
            times.append((time.perf_counter() - begin) * 1000)
        result[name] = {"ms": statistics.median(times), "queries": len(queries)}
    return result


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
