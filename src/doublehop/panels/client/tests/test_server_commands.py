"""Names of addresses, the rescue system and the page of bandwidth: on a client's server, and for users without a service."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone
from tests.stage import ask, run_all_jobs, run_jobs

from doublehop.bandwidth import actions as bandwidth
from doublehop.fleet.models import Permission, Server
from doublehop.panels.client.tests.pages import text_of
from doublehop.services.lifecycle import OperationKind
from doublehop.services.models import Operation, Service

pytestmark = pytest.mark.django_db
HOSTILE = "<b>evil</b>.example.org"


@pytest.fixture(params=["service", "machine"])
def visitor(request, house):
    """(browser, address of the server's page), of a client and of a Tandem user with the right to rescue."""
    rights = ["view", "power", "rescue", "rdns", "credentials", "bandwidth"]
    if request.param == "service":
        Permission.objects.filter(client__isnull=False).update(rights=rights)
        return house.browser(house.cast.mara), f"/servers/{house.service.pk}/"
    guest = house.guest("Tove Berg", house.web, rights=tuple(rights))
    return house.browser(guest), f"/machines/{house.web.pk}/"


def name_it(visitor, house, name, **more):
    browser, page = visitor
    values = {"address": house.web.primary_address, "name": name, "key": uuid4().hex, **more}
    return browser.post(f"{page}rdns/", values)


def test_a_name_is_set_shown_on_its_way_and_offered_back(visitor, house):
    browser, page = visitor
    address = house.web.primary_address
    assert f"Reverse DNS of {address}" in text_of(browser, page)
    assert name_it(visitor, house, "Mail.Example.org.").status_code == 302
    html = text_of(browser, page)
    assert "being set to" in html
    assert "mail.example.org" in html
    assert "was not set" in html
    assert "Remove the name again" in html
    assert "Remove the name again" not in text_of(browser, page), "offered once, right after the change"
    run_all_jobs()
    named = [what for what in house.stage.place.effects("web1") if "mail.example.org" in what]
    assert len(named) == 1
    html = text_of(browser, page)
    assert f"Reverse DNS of {address} set to mail.example.org." in html
    assert "being set to" not in html
    name_it(visitor, house, "www.example.org")
    html = text_of(browser, page)
    assert "Set the old name again" in html
    hidden = re.search(
        r'name="name" value="([^"]+)"><div class="dh-acts"><button class="btn btn-sm">Set', html
    )
    assert hidden is not None
    assert hidden[1] == "mail.example.org"
    name_it(visitor, house, hidden[1])
    run_all_jobs()
    assert house.web.addresses.get(address=address).rdns == "mail.example.org"


def test_a_form_sent_twice_sets_once(visitor, house):
    key = uuid4().hex
    for _ in range(2):
        name_it(visitor, house, "mail.example.org", key=key)
    assert Operation.objects.count() == 1


@pytest.mark.parametrize("name", ["no spaces here", HOSTILE, "x" * 300, "alone", "-.-", "münchen.example"])
def test_a_bad_name_is_told_at_its_field_and_nothing_is_sent(visitor, house, name):
    answer = name_it(visitor, house, name)
    html = answer.content.decode()
    assert answer.status_code == 422
    assert "Write a host name such as" in html
    assert 'aria-invalid="true"' in html
    assert "<b>evil" not in html
    assert not Operation.objects.exists()


def test_a_foreign_address_has_no_name_to_set(visitor, house):
    browser, page = visitor
    foreign = house.foreign.primary_address
    answer = browser.post(
        f"{page}rdns/", {"address": foreign, "name": "a.example.org", "key": "k"}, follow=True
    )
    assert "This is not an address of the server." in answer.content.decode()
    assert browser.post(f"{page}rdns/", {}).status_code in {302, 422}
    assert not Operation.objects.exists()


def test_a_whole_network_and_a_machine_without_names_offer_nothing(visitor, house):
    browser, page = visitor
    house.web.addresses.update(address="2001:db8:24::/64")
    assert "Change<span" not in text_of(browser, page)
    Server.objects.filter(pk=house.web.pk).update(capabilities=["power"])
    html = text_of(browser, page)
    assert "Change<span" not in html
    assert "Rescue" not in html
    name_it(visitor, house, "mail.example.org")
    assert not Operation.objects.exists()


def test_rescue_is_started_and_left_from_the_page(visitor, house):
    browser, page = visitor
    html = text_of(browser, page)
    assert "Rescue system…" in html
    assert "Leave rescue…" not in html
    browser.post(f"{page}do/", {"kind": "rescue_start", "key": "start"})
    assert "Rescue system asked" in text_of(browser, page)
    run_all_jobs()
    assert [what for what in house.stage.place.effects("web1") if "rescue" in what] == ["rescue.start"]
    html = text_of(browser, page)
    assert "The rescue system runs" in html
    assert 'data-dialog="d-rescue-stop"' in html
    assert "Rescue system…" not in html
    live = browser.get(f"{page}live/").content.decode()
    assert "The rescue system runs" in live
    browser.post(f"{page}do/", {"kind": "rescue_stop", "key": "stop"})
    run_all_jobs()
    html = text_of(browser, page)
    assert "Rescue system…" in html
    assert "The installed system runs again." in html


def test_without_the_right_there_is_no_rescue(house, mara):
    page = f"/servers/{house.service.pk}/"
    Server.objects.filter(pk=house.web.pk).update(rescue_active=True)
    html = text_of(mara, page)
    assert "rescue" not in html.lower()
    mara.post(f"{page}do/", {"kind": "rescue_start", "key": "k"})
    assert not Operation.objects.exists()


def test_a_suspended_server_keeps_its_names_and_refuses_the_rescue(visitor, house):
    browser, page = visitor
    ask(house.cast.rosa, OperationKind.SUSPEND, house.service)
    run_jobs()
    html = text_of(browser, page)
    assert 'id="s-rescue-start" aria-disabled="true"' in html
    browser.post(f"{page}do/", {"kind": "rescue_start", "key": "k"})
    assert not Operation.objects.filter(kind="rescue_start").exists()


def test_the_page_of_bandwidth_covers_the_time_it_was_theirs(house, mara):
    since = timezone.now() - timedelta(days=20)
    Permission.objects.update(since=since)
    bandwidth.write_sample_history(house.stage.upstream.pk, days=60, raw_days=35)
    page = f"/servers/{house.service.pk}/"
    assert f"{page}bandwidth/" in text_of(mara, page)
    for span in ("day", "month", "year", "nonsense"):
        html = text_of(mara, f"{page}bandwidth/?span={span}")
        assert f"This server is yours since {since.day} {since:%b %Y}" in html
        assert '<details class="dh-fold" open>' in html
        assert "Download CSV" in html
        assert "sample history" in html
    lines = mara.get(f"{page}bandwidth.csv?span=year").content.decode().splitlines()
    assert 1 <= len(lines) - 1 <= 2, "twenty days touch two months at most"


def test_there_is_no_page_of_bandwidth_without_right_or_server(house, mara):
    page = f"/servers/{house.service.pk}/bandwidth/"
    Permission.objects.filter(client__isnull=False).update(rights=["view"])
    assert mara.get(page).status_code == 404
    Permission.objects.filter(client__isnull=False).update(rights=["view", "bandwidth"])
    assert mara.get(page).status_code == 200
    Service.objects.filter(pk=house.service.pk).update(server=None, status="terminated")
    assert mara.get(page).status_code == 404


def test_a_username_that_no_machine_says_is_the_usual_one_and_said_so(house, mara):
    page = f"/servers/{house.service.pk}/"
    Server.objects.filter(pk=house.web.pk).update(username="")
    assert "as usual; the machine does not say it" in text_of(mara, page)
    Server.objects.filter(pk=house.web.pk).update(username="admin", username_read_at=timezone.now())
    html = text_of(mara, f"{page}live/")
    assert '<b class="dh-strong">admin</b>' in html
    assert "read 0 s ago" in html
    Service.objects.filter(pk=house.service.pk).update(username="mara")
    assert '<b class="dh-strong">mara</b>' in text_of(mara, page)
