"""The bandwidth card of a server whose upstream counts by itself: to its owner, to a reseller, to a client."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from tests.cast import a_cast
from tests.stage import JOBS, a_product, a_service, a_stage, run_jobs

from doublehop.bandwidth import totals
from doublehop.bandwidth.actions import note_fetch_failure
from doublehop.bandwidth.models import Total
from doublehop.driver_kit.conformance.world import Fault
from doublehop.fleet import actions as fleet
from doublehop.fleet.models import Permission
from doublehop.jobs.engine import Engine
from doublehop.jobs.models import Job
from doublehop.organisations.models import User
from doublehop.services import actions

pytestmark = pytest.mark.django_db
SOURCE = "Provider Figures"
SPANS = ("day", "month", "year")


@pytest.fixture
def house():
    """Northgate's machine without a port, allocated to Alder, in a service of Mara's for a hundred days."""
    cast = a_cast()
    stage = a_stage(cast.ines)
    stage.place.add("web", label="WEB", if_name="", parts=frozenset({"power", "traffic"}))
    fleet.ask_sync(cast.ines, stage.upstream.pk)
    run_jobs()
    web = stage.server("web")
    fleet.allocate(cast.ines, web.pk, cast.alder.pk)
    service = a_service(cast.rosa, cast.quillfeather.pk, a_product(cast.rosa), web)
    Permission.objects.update(since=timezone.now() - timedelta(days=100))
    return cast, stage, web, service


def fetch(web):
    totals.ask_all({})
    Engine(totals.JOBS).drain()
    Total.objects.filter(server_id=web.pk).update(source=SOURCE)


def signed_in(actor):
    client = Client()
    client.force_login(User.objects.get(pk=actor.user_id))
    return client


def words_of(client, address):
    answer = client.get(address)
    assert answer.status_code == 200, address
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def test_a_client_reads_its_days_in_neutral_words(house):
    cast, _, web, service = house
    fetch(web)
    mara = signed_in(cast.mara)
    for span in SPANS:
        text = words_of(mara, f"/servers/{service.pk}/?span={span}")
        assert "Bandwidth" in text
        for word in (SOURCE, "provider", "5-minute", "5 min", "percentile", "octets,"):
            assert word not in text
        data = mara.get(f"/servers/{service.pk}/bandwidth.json?span={span}").json()
        assert (data["unit"], data["provided"], data["p95"]) == ("GB", True, None)
        assert (
            SOURCE
            not in mara.get(f"/servers/{service.pk}/bandwidth.csv?span={span}&values=all").content.decode()
        )
    assert "There are only daily figures for this server." in words_of(
        mara, f"/servers/{service.pk}/?span=day"
    )
    year = words_of(mara, f"/servers/{service.pk}/?span=year")
    assert "Daily figures, in GB." in year
    days = mara.get(f"/servers/{service.pk}/bandwidth.json?span=year").json()["out"]
    assert sum(one is not None for one in days) == 99


def test_attaching_fetches_at_once(house):
    cast, _, web, service = house
    actions.detach(cast.rosa, service.pk)
    Total.objects.all().delete()
    actions.attach(cast.rosa, service.pk, web.pk)
    assert Job.objects.get(key=f"totals:server:{web.pk}").urgent
    Engine({**JOBS, **totals.JOBS}).drain()
    assert Total.objects.filter(server_id=web.pk).count() == 395


def test_the_owner_reads_whose_figures_they_are_and_what_went_wrong(house):
    cast, _, web, _ = house
    fetch(web)
    note_fetch_failure(web.pk, "no answer from 192.0.2.9.")
    ines, rosa = signed_in(cast.ines), signed_in(cast.rosa)
    address = f"/admin/servers/{web.pk}/bandwidth/?span=year"
    own = words_of(ines, address)
    assert f"Daily figures of the provider ({SOURCE}, in octets), shown in GB." in own
    assert "The last reading failed: no answer from 192.0.2.9." in own
    passed_on = words_of(rosa, address)
    assert "Daily figures, in GB." in passed_on
    for word in (SOURCE, "192.0.2.9", "memory"):
        assert word not in passed_on
    Total.objects.all().delete()
    assert "The last reading failed: no answer from 192.0.2.9." in words_of(ines, address)


def test_before_the_first_reading_the_card_says_what_comes(house):
    cast, stage, _, service = house
    stage.place.fault(Fault.UNREACHABLE, on="traffic.read", times=None, text="planted words")
    totals.ask_all({})
    Engine(totals.JOBS).drain()
    text = words_of(signed_in(cast.mara), f"/servers/{service.pk}/")
    assert "No figures for this time yet. New ones are fetched every hour." in text
    assert "planted words" not in text


def test_a_machine_that_nobody_counts_has_no_card(house):
    cast, stage, web, service = house
    stage.place.machines["web"].parts = frozenset({"power"})
    fleet.ask_sync(cast.ines, stage.upstream.pk)
    run_jobs()
    assert "bandwidth.json" not in signed_in(cast.mara).get(f"/servers/{service.pk}/").content.decode()
    text = words_of(signed_in(cast.ines), f"/admin/servers/{web.pk}/bandwidth/")
    assert "This server has no traffic counters" in text
