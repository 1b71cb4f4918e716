"""An upstream's own figures beside ours: only for its owner, and only days that both know."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.test import Client
from tests.cast import a_cast

from doublehop.bandwidth.models import Daily, Total, Wiring
from doublehop.bandwidth.queries import beside
from doublehop.bandwidth.slots import slot_of
from doublehop.bandwidth.tests.switch import Switch, permit
from doublehop.organisations.models import User

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)
GB = 10**9


@pytest.fixture
def cast():
    return a_cast()


@pytest.fixture
def server(cast):
    switch = Switch(cast.provider)
    Wiring.objects.create(
        port_id=switch.port.pk,
        upstream_id=switch.upstream.pk,
        server_id=switch.server.pk,
        since_slot=slot_of(NOON - 60 * DAY),
    )
    return switch.server


def counted(server, number, *, ours=None, theirs=None, slots=288, factor=1.0):
    """``ours`` and ``theirs`` are (GB in, GB out) of the day that many days ago."""
    start = datetime(2026, 11, 23, tzinfo=UTC) - number * DAY
    if ours:
        Daily.objects.create(
            port_id=server.ports.get().pk,
            day=start.date(),
            octets_in=ours[0] * GB,
            octets_out=ours[1] * GB,
            slots=slots,
            covered_ms=slots * 300_000,
        )
    if theirs:
        Total.objects.create(
            server_id=server.pk,
            start=start,
            end=start + DAY,
            octets_in=int(theirs[0] * GB * factor),
            octets_out=int(theirs[1] * GB * factor),
            source="Their Figures",
            unit="GB",
            read_at=NOON,
        )


def test_days_that_both_know_stand_side_by_side(cast, server):
    counted(server, 6, ours=(1, 9), theirs=(1, 10))
    counted(server, 7, ours=(1, 9), theirs=(1, 9), slots=200)
    counted(server, 8, theirs=(1, 9))
    counted(server, 9, ours=(1, 1), theirs=(1, 1), slots=144)
    seen = beside(cast.ines, server.pk, now=NOON)
    assert [row.day for row in seen.days] == [date(2026, 11, 17), date(2026, 11, 16), date(2026, 11, 14)]
    assert [(row.complete, row.is_odd) for row in seen.days] == [(True, True), (False, False), (False, False)]
    assert seen.difference == pytest.approx(10.0)
    assert (seen.source, seen.unit) == ("Their Figures", "GB")
    assert not seen.looks_like_other_units


@pytest.mark.parametrize("factor", [2**30 / 10**9, 10**9 / 2**30])
def test_binary_units_are_recognised(cast, server, factor):
    counted(server, 6, ours=(1, 9), theirs=(1, 9), factor=factor)
    seen = beside(cast.ines, server.pk, now=NOON)
    assert seen.looks_like_other_units
    assert not seen.looks_turned_round


def test_turned_directions_are_recognised(cast, server):
    counted(server, 6, ours=(1, 9), theirs=(9, 1))
    assert beside(cast.ines, server.pk, now=NOON).looks_turned_round


def test_nobody_but_the_owner_reads_them(cast, server):
    counted(server, 6, ours=(1, 9), theirs=(1, 10))
    permit(server, since=NOON - 300 * DAY, organisation=cast.alder, given_by=cast.provider)
    permit(server, since=NOON - 300 * DAY, client=cast.quillfeather, given_by=cast.alder)
    for actor in (cast.rosa, cast.mara):
        assert beside(actor, server.pk, now=NOON) is None


def test_the_page_says_what_differs(cast, server, monkeypatch):
    counted(server, 6, ours=(1, 9), theirs=(1, 10))
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOON)
    client = Client()
    client.force_login(User.objects.get(pk=cast.ines.user_id))
    text = client.get(f"/admin/servers/{server.pk}/bandwidth/").content.decode()
    assert "10.0 %</b> more" in text
    assert "Their Figures, in GB." in text
