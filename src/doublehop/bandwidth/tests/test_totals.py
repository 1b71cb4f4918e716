"""Figures that upstreams count by themselves: fetched, kept, read again."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone
from tests.cast import a_cast
from tests.stage import run_jobs

from doublehop.bandwidth import totals
from doublehop.bandwidth.actions import ask_totals
from doublehop.bandwidth.models import Fetching, Total
from doublehop.bandwidth.tests.provider import DAY, GB, NOON, Provider, day, midnight, write
from doublehop.driver_kit.conformance.world import Fault
from doublehop.fleet.models import Server, Upstream
from doublehop.jobs.engine import Engine
from doublehop.jobs.models import Job

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
OLDEST = midnight(NOON) - totals.HISTORY


@pytest.fixture
def provider(monkeypatch):
    return Provider(monkeypatch, a_cast().ines)


def test_the_newest_days_come_first_and_then_the_history_in_bites(provider):
    (web,) = provider.machines("web")
    provider.run()
    spans = provider.spans_asked("web")
    assert spans[0] == (-30, 0.5)
    assert spans[1] == (-60, -29)
    assert spans[-1][0] == -395
    assert all(end - start <= 31 for start, end in spans)
    assert [start for start, _ in spans] == sorted((start for start, _ in spans), reverse=True)
    rows = list(Total.objects.order_by("start"))
    assert len(rows) == 396
    assert (rows[0].start, rows[-1].start) == (OLDEST, midnight(NOON))
    assert (rows[0].octets_in, rows[0].octets_out) == (1_250_000 * 86400, 125_000 * 86400)
    assert (rows[0].source, rows[0].unit, rows[0].read_at, rows[0].server_id) == (
        "memory",
        "octets",
        NOON,
        web.pk,
    )
    fetching = Fetching.objects.get()
    assert (fetching.read_until, fetching.read_at, fetching.failure_text) == (OLDEST, NOON, "")


def test_once_fetched_back_only_the_last_days_are_read_again(provider):
    provider.machines("web")
    provider.run()
    provider.asked.clear()
    before = dict(Total.objects.values_list("pk", "octets_out"))
    provider.now += 2 * HOUR
    provider.run()
    assert provider.spans_asked("web") == [(-3, 14 / 24)]
    after = dict(Total.objects.values_list("pk", "octets_out"))
    assert set(after) == set(before)
    assert [(before[pk], after[pk]) for pk in after if before[pk] != after[pk]] == [(12 * GB, 14 * GB)]


def test_a_day_grows_until_it_is_over_and_a_correction_is_taken(provider):
    provider.machines("web")
    provider.run()
    today = Total.objects.get(start=midnight(NOON))
    assert (today.octets_out, today.end) == (12 * GB, midnight(NOON) + DAY)
    provider.now += DAY
    provider.stage.place.machines["web"].in_octets_per_second = 1_000_000
    provider.run()
    today.refresh_from_db()
    assert today.octets_out == 86400 * 1_000_000
    assert today.read_at == provider.now
    assert Total.objects.filter(octets_out=86400 * 1_000_000).count() == 4
    assert Total.objects.count() == 397


def test_a_round_follows_an_hour_later_and_not_at_once(provider):
    provider.machines("web")
    provider.run()
    provider.asked.clear()
    provider.now += timedelta(minutes=20)
    provider.run()
    assert provider.asked == []


def test_after_a_long_time_away_everything_since_is_read_in_bites(provider):
    provider.machines("web")
    provider.run()
    provider.asked.clear()
    provider.now += 70 * DAY
    provider.run()
    assert provider.spans_asked("web") == [(-3, 28), (28, 59), (59, 70.5)]
    assert Total.objects.count() == 396 + 70


def test_a_crash_loses_one_bite_at_most(provider):
    provider.machines("web")
    totals.ask_all({})
    totals.fetch({"upstream_id": provider.stage.upstream.pk})
    totals.fetch({"upstream_id": provider.stage.upstream.pk})
    # The worker ends here; another one begins with what the rows say.
    first = provider.spans_asked("web")
    assert len(first) == 3
    provider.asked.clear()
    Engine(totals.JOBS).drain()
    assert provider.spans_asked("web")[0][1] == first[-1][0] + 1
    assert Total.objects.count() == 396


def test_the_same_answer_again_changes_nothing(provider):
    (web,) = provider.machines("web")
    for _ in range(2):
        write(web, day(2), day(1))
    assert Total.objects.count() == 2
    rows = list(Total.objects.values())
    write(web, day(2), day(1))
    assert list(Total.objects.values()) == rows


def test_an_older_answer_does_not_overwrite_a_newer_one(provider):
    (web,) = provider.machines("web")
    write(web, day(0, octets_out=9 * GB), read_at=NOON)
    write(web, day(0, octets_out=5 * GB), read_at=NOON - HOUR)
    assert Total.objects.get().octets_out == 9 * GB
    assert Fetching.objects.get().read_at == NOON


def test_days_that_are_given_by_the_hour_now_are_not_counted_twice(provider):
    (web,) = provider.machines("web")
    write(web, day(2), day(1))
    start = midnight(NOON) - DAY
    hours = [
        replace(day(1, octets_out=GB), start=start + n * HOUR, end=start + (n + 1) * HOUR) for n in range(24)
    ]
    write(web, *hours, read_at=NOON + HOUR)
    assert Total.objects.count() == 25
    write(web, day(2), day(1), read_at=NOON + 2 * HOUR)
    assert Total.objects.count() == 2


def test_figures_that_cannot_be_are_left_out(provider):
    (web,) = provider.machines("web")
    write(
        web,
        day(5),
        day(4, octets_out=-1),
        day(3, octets_in=1 << 63),
        day(2, length=-DAY),
        day(1, length=30 * DAY),
        day(-3),
    )
    assert [row.start for row in Total.objects.all()] == [day(5).start]


# ---------------------------------------------------------------- when it goes wrong


def test_a_server_that_fails_is_noted_and_holds_up_no_other(provider):
    web, data, mail = provider.machines("web", "data", "mail")
    provider.stage.place.fault(
        Fault.UNREACHABLE, on="traffic.read", machine="data", times=None, text="no answer from 192.0.2.9"
    )
    provider.run()
    assert {row.server_id for row in Total.objects.all()} == {web.pk, mail.pk}
    failed = Fetching.objects.get(pk=data.pk)
    assert (failed.failed_at, failed.failure_text) == (NOON, "no answer from 192.0.2.9")
    assert (failed.read_at, failed.read_until) == (None, None)
    assert len(provider.spans_asked("data")) == 1
    provider.stage.place.clear_faults()
    provider.now += HOUR
    provider.run()
    failed.refresh_from_db()
    assert (failed.failed_at, failed.failure_text, failed.read_at) == (None, "", provider.now)
    assert Total.objects.filter(server_id=data.pk).count() == 396


def test_a_failure_leaves_what_was_read(provider):
    (web,) = provider.machines("web")
    provider.run()
    provider.stage.place.fault(Fault.BAD_ANSWER, on="traffic.read")
    provider.now += HOUR
    provider.run()
    assert Total.objects.count() == 396
    fetching = Fetching.objects.get(pk=web.pk)
    assert (fetching.read_at, fetching.failed_at) == (NOON, provider.now)


def test_our_own_fault_in_one_driver_call_is_noted_like_theirs(provider, monkeypatch):
    web, data = provider.machines("web", "data")
    read = provider.traffic.read

    def broken(part, start, end):
        if part._id == "web":
            raise KeyError("dailyusage")
        return read(part, start, end)

    monkeypatch.setattr(provider.traffic, "read", broken)
    provider.run()
    assert Fetching.objects.get(pk=web.pk).failure_text == "our own code failed: KeyError"
    assert Total.objects.filter(server_id=data.pk).count() == 396


def test_when_the_login_is_refused_nobody_asks_on(provider):
    provider.machines("web", "data")
    provider.stage.place.fault(Fault.CREDENTIALS, on="traffic.read", times=None)
    provider.run()
    assert len(provider.asked) == 1
    assert Upstream.objects.get().failure_code == "credentials_rejected"
    provider.now += timedelta(minutes=5)
    provider.run()
    ask_totals(Server.objects.get(external_id="data").pk)
    Engine(totals.JOBS).drain()
    assert len(provider.asked) == 1
    assert not Job.objects.exclude(lane="mail").exists()


def test_an_upstream_that_asks_for_patience_gets_it_until_the_next_round(provider):
    provider.machines("web", "data")
    provider.stage.place.fault(Fault.BUSY, on="traffic.read", times=1, seconds=30)
    provider.run()
    assert len(provider.asked) == 1
    provider.now += HOUR
    provider.run()
    assert len(provider.asked) == 1, "the clock on the wall says that it still rests"
    Upstream.objects.update(rests_until=timezone.now())
    provider.run()
    assert Total.objects.count() == 2 * 396


def test_an_upstream_that_is_away_is_not_tried_a_hundred_times(provider):
    provider.machines(*[f"m{n}" for n in range(6)])
    provider.stage.place.fault(Fault.UNREACHABLE, on="traffic.read", times=None)
    provider.run()
    assert [name for name, _, _ in provider.asked] == ["m0", "m1", "m2"]
    provider.now += HOUR
    provider.run()
    assert [name for name, _, _ in provider.asked[3:]] == ["m3", "m4", "m5"]


def test_a_history_that_the_upstream_refuses_is_passed_over(provider, monkeypatch):
    (web,) = provider.machines("web")
    read = provider.traffic.read

    def only_new(part, start, end):
        if start < NOON - 40 * DAY:
            provider.stage.place.fault(Fault.REFUSED, on="traffic.read")
        return read(part, start, end)

    monkeypatch.setattr(provider.traffic, "read", only_new)
    provider.run()
    assert Total.objects.count() == 31
    fetching = Fetching.objects.get(pk=web.pk)
    assert (fetching.read_until, fetching.failed_at) == (OLDEST, None)
    provider.asked.clear()
    provider.now += HOUR
    provider.run()
    assert len(provider.asked) == 1


# ---------------------------------------------------------------- who is asked


def test_only_listed_machines_that_count(provider):
    provider.machines("web", "gone")
    provider.stage.place.add("plain", if_name="", parts=frozenset({"power"}))
    del provider.stage.place.machines["gone"]
    provider.machines()
    provider.run()
    assert {name for name, _, _ in provider.asked} == {"web"}
    assert Server.objects.get(external_id="gone").missing_since


def test_attaching_asks_at_once_whatever_failed_before(provider):
    (web,) = provider.machines("web")
    provider.stage.place.fault(Fault.UNREACHABLE, on="traffic.read")
    provider.run()
    ask_totals(web.pk)
    job = Job.objects.get()
    assert (job.urgent, job.lane) == (True, f"upstream:{web.upstream_id}:totals")
    Engine(totals.JOBS).drain()
    assert Total.objects.count() == 396
    assert not Job.objects.exists()


def test_asking_for_what_does_not_count_rings_for_nothing(provider):
    provider.stage.place.add("plain", if_name="", parts=frozenset({"power"}))
    provider.machines()
    run_jobs()
    ask_totals(Server.objects.get(external_id="plain").pk)
    ask_totals(987654)
    assert not Job.objects.exists()
    totals.fetch_server({"server_id": 987654})
    totals.fetch({"upstream_id": 987654})
    assert not Fetching.objects.exists()
