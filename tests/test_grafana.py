"""The dashboards ask for what is there: every question runs on the real tables, so none of them can rot."""

import json
from datetime import date
from pathlib import Path

import pytest
from django.db import connection

from doublehop.bandwidth.models import Daily
from doublehop.fleet.models import Port, Server, Upstream
from tests.cast import a_cast

FOLDER = Path(__file__).parent.parent / "ops" / "grafana"
DASHBOARDS = sorted(FOLDER.glob("*.json"))
GB = 10**9


def questions(path):
    for panel in json.loads(path.read_text())["panels"]:
        (target,) = panel["targets"]
        sql = target.get("rawSql") or target["queryText"]
        dates = {"${__from:date:YYYY-MM-DD}": "2026-11-01", "${__to:date:YYYY-MM-DD}": "2026-11-30"}
        for name, text in dates.items():
            assert name in sql, panel["title"]
            sql = sql.replace(name, text)
        yield panel["title"], sql


def asked(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@pytest.mark.django_db
@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_panel_finds_its_columns_and_counts_right(path):
    if connection.vendor != "sqlite" and "sqlite" in path.stem:
        pytest.skip("questions of SQLite's own")
    upstream = Upstream.objects.create(organisation=a_cast().provider, name="Rack", driver="memory")
    server = Server.objects.create(upstream=upstream, external_id="web", label="WEB")
    port = Port.objects.create(upstream=upstream, server=server, if_name="eth1")
    day = {"octets_in": GB, "octets_out": 3 * GB, "max_in": 30, "max_out": 300, "slots": 144}
    Daily.objects.create(port_id=port.pk, day=date(2026, 11, 3), covered_ms=8_000_000, **day)
    Daily.objects.create(port_id=port.pk, day=date(2026, 12, 1), covered_ms=8_000_000, **day)
    found = {title: asked(sql) for title, sql in questions(path)}
    assert len(found) == 5
    assert {title: len(rows) for title, rows in found.items()} == dict.fromkeys(found, 1)
    (volume,), (rate,) = found["Volume by day"], found["Average rate by day"]
    assert (volume["out"], volume["in"], float(rate["out"])) == (3 * GB, GB, 3_000_000)
    assert float(found["Highest 5 minutes by day"][0]["out"]) == 8
    assert float(found["Measured by day"][0]["measured"]) == 0.5
    (top,) = found["Ports with most traffic"]
    assert (top["port"], top["server"], top["out"], top["days"]) == ("eth1", "WEB", 3 * GB, 1)


def test_there_is_one_for_each_database():
    assert [path.stem for path in DASHBOARDS] == ["bandwidth-postgresql", "bandwidth-sqlite"]
    assert len({json.loads(path.read_text())["uid"] for path in DASHBOARDS}) == 2
