"""Users without a service: exactly the permitted servers, exactly the allowed actions, under the brand."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone
from tests.stage import ask, run_jobs

from doublehop.bandwidth import actions as bandwidth
from doublehop.driver_kit.conformance.world import Fault
from doublehop.fleet import actions as fleet
from doublehop.fleet.actions.tandem import end_tandem_user
from doublehop.fleet.models import Permission, Server
from doublehop.panels.client.tests.conftest import TANDEM_PASSWORD
from doublehop.panels.client.tests.pages import text_of
from doublehop.services import actions
from doublehop.services.lifecycle import OperationKind
from doublehop.services.models import Operation

pytestmark = pytest.mark.django_db


@pytest.fixture
def tove(house):
    return house.browser(house.guest("Tove Berg", house.web))


@pytest.fixture
def page(house):
    return f"/machines/{house.web.pk}/"


def press(browser, page, kind="reboot", **values):
    return browser.post(f"{page}do/", {"kind": kind, "key": str(uuid4()), **values})


def test_the_way_in_leads_to_the_permitted_servers(house):
    house.guest("Tove Berg", house.web)
    browser = Client()
    answer = browser.post(
        "/sign-in/", {"login": "tove@elsewhere.example", "password": TANDEM_PASSWORD}, follow=True
    )
    assert answer.redirect_chain[-1][0] == "/machines/"
    html = answer.content.decode()
    assert "web1.example.org" in html
    assert "Alder Hosting" in html
    assert "spare" not in html
    assert "Orders" not in html


def test_each_kind_of_person_has_its_own_pages(house, tove, mara, page):
    for address in ("/servers/", f"/servers/{house.service.pk}/", "/orders/", "/orders/new/", "/admin/"):
        assert tove.get(address).status_code == 404, address
    rosa = house.browser(house.cast.rosa)
    for browser in (mara, rosa):
        assert browser.get("/machines/").status_code == 404
        assert browser.get(page).status_code == 404
        assert press(browser, page).status_code == 404
    assert not Operation.objects.exists()


def test_the_list_shows_state_and_age_and_says_when_it_is_empty(house, tove):
    html = text_of(tove, "/machines/")
    assert "dh-pill dh-on" in html
    assert "s ago" in html
    nobody = house.browser(house.guest("Nils Aas"))
    assert "permission on no server" in text_of(nobody, "/machines/")


def test_the_list_asks_as_much_for_many_as_for_few(house, django_assert_max_num_queries):
    more = house.stage.machines(*(f"more{number}" for number in range(28)))
    for server in more:
        fleet.allocate(house.cast.ines, server.pk, house.cast.alder.pk)
    few = house.browser(house.guest("Few Servers", *more[:2]))
    many = house.browser(house.guest("Many Servers", *more))

    def count(browser):
        with django_assert_max_num_queries(30) as seen:
            browser.get("/machines/")
        return len(seen)

    assert count(many) == count(few)
    html = text_of(many, "/machines/")
    assert html.count("<article") == 25
    further = html.split('rel="next" href="')[1].split('"')[0]
    assert text_of(many, f"/machines/{further}").count("<article") == 3


def test_one_server_shows_state_addresses_and_buttons(house, tove, page):
    html = text_of(tove, page)
    assert "<h1>web1.example.org</h1>" in html
    assert house.web.primary_address in html
    assert 'data-dialog="d-reboot"' in html
    assert "Quillfeather" not in html, "whose service it is in is nobody's business here"
    assert "Dedicated M" not in html


def test_the_username_is_a_right_like_others(house, page):
    without = house.browser(house.guest("Tove Berg", house.web))
    having = house.browser(house.guest("Una Dahl", house.web, rights=("view", "credentials")))
    for part in ("", "live/"):
        assert "root" not in text_of(without, f"{page}{part}")
        assert '<b class="dh-strong">root</b>' in text_of(having, f"{page}{part}")


def test_without_a_right_there_is_no_button_and_no_way_around_it(house, page):
    una = house.browser(house.guest("Una Dahl", house.web, rights=("view",)))
    html = text_of(una, page)
    assert "<dialog" not in html.replace('<dialog id="dh-keys"', "")
    assert "Change" not in html
    assert "bandwidth" not in html.lower()
    assert una.get(f"{page}bandwidth/").status_code == 404
    assert una.get(f"{page}bandwidth.json").status_code == 404
    assert una.get(f"{page}bandwidth.csv").status_code == 404
    for kind in (
        "reboot",
        "power_off",
        "power_on",
        "rescue_start",
        "rescue_stop",
        "suspend",
        "unsuspend",
        "",
    ):
        answer = press(una, page, kind)
        assert answer.status_code in {302, 404}, kind
    una.post(f"{page}rdns/", {"address": house.web.primary_address, "name": "a.example", "key": str(uuid4())})
    assert not Operation.objects.exists()


def test_a_reboot_happens_once_and_stands_in_the_history(house, tove, page):
    key = str(uuid4())
    for _ in range(2):
        assert tove.post(f"{page}do/", {"kind": "reboot", "key": key}).status_code == 302
    assert Operation.objects.count() == 1
    run_jobs()
    resets = [what for what in house.stage.place.effects("web1") if "reset" in what]
    assert len(resets) == 1
    html = text_of(tove, page)
    assert "You (Tove Berg)" in html
    assert Operation.objects.get().reference in html


def test_what_waits_is_taken_back_by_who_asked(house, tove, page):
    una = house.browser(house.guest("Una Dahl", house.web))
    press(tove, page)
    reference = Operation.objects.get().reference
    assert "Take it back" not in text_of(una, page)
    assert una.post(f"{page}take-back/", {"reference": reference}).status_code == 404
    assert "Take it back" in text_of(tove, page)
    tove.post(f"{page}take-back/", {"reference": reference})
    assert Operation.objects.get().state == "cancelled"


def test_two_of_one_reseller_see_only_their_own(house, tove):
    una = house.browser(house.guest("Una Dahl", house.spare))
    assert "spare.example.org" in text_of(una, "/machines/")
    assert "web1" not in text_of(una, "/machines/")
    for address in ("", "live/", "bandwidth/", "bandwidth.json", "bandwidth.csv"):
        assert una.get(f"/machines/{house.web.pk}/{address}").status_code == 404
    for address in ("do/", "take-back/", "read-again/", "rdns/"):
        values = {"kind": "reboot", "key": str(uuid4()), "reference": "AAA-AAA"}
        assert una.post(f"/machines/{house.web.pk}/{address}", values).status_code == 404
    operation = ask(house.cast.rosa, OperationKind.REBOOT, house.service)
    assert "No reference" in text_of(una, f"/help/?reference={operation.reference}")
    assert "Reboot asked for" in text_of(tove, f"/help/?reference={operation.reference}")
    assert f"/machines/{house.web.pk}/" in text_of(tove, f"/help/?reference={operation.reference}")


def test_what_was_done_before_the_permission_is_not_theirs_to_read(house):
    operation = ask(house.cast.rosa, OperationKind.REFRESH_ADDRESSES, house.service)
    run_jobs()
    tove = house.browser(house.guest("Tove Berg", house.web))
    assert operation.reference not in text_of(tove, f"/machines/{house.web.pk}/")


def test_a_permission_taken_away_is_gone_with_the_next_click(house, tove, page):
    Permission.objects.filter(tandem_user__isnull=False).update(until=timezone.now())
    assert tove.get(page).status_code == 404
    assert tove.get(f"{page}live/").status_code == 404
    assert "web1" not in text_of(tove, "/machines/")


def test_an_ended_user_is_out_at_once(house, page):
    guest = house.guest("Tove Berg", house.web)
    browser = house.browser(guest)
    assert browser.get(page).status_code == 200
    end_tandem_user(house.cast.rosa, guest.tandem_user_id)
    for address in ("/machines/", page, f"{page}live/", "/help/"):
        answer = browser.get(address)
        assert answer.status_code == 302, address
        assert answer["Location"].startswith("/sign-in/")
    assert press(browser, page).status_code == 302
    assert not Operation.objects.exists()
    again = Client().post("/sign-in/", {"login": "tove@elsewhere.example", "password": TANDEM_PASSWORD})
    assert "do not match" in again.content.decode()


def test_a_change_at_the_machine_reaches_the_open_page(house, tove, page):
    first = tove.get(f"{page}live/")
    assert 'id="s-state"' in first.content.decode()
    assert Server.objects.get(pk=house.web.pk).watched_until > timezone.now()
    assert tove.get(f"{page}live/", headers={"If-None-Match": first["ETag"]}).status_code == 304
    Server.objects.filter(pk=house.web.pk).update(power_state="off")
    whole = tove.get(f"{page}live/", headers={"If-None-Match": first["ETag"]}).content.decode()
    assert ">Off</span>" in whole
    assert "Power on…" in whole


def test_a_suspension_reads_neutral_unless_it_was_written_for_who_uses_the_server(house, tove, page):
    ask(house.cast.rosa, OperationKind.SUSPEND, house.service, client_text="Pay invoice 1187.")
    for address in ("/machines/", page):
        html = text_of(tove, address)
        assert "Suspended since" in html
        assert "Pay invoice" not in html, "that is between the client and the brand"
        assert "Ask our staff" in html
    una = house.browser(house.guest("Una Dahl", house.spare))
    actions.request(
        house.cast.rosa,
        OperationKind.SUSPEND,
        server_id=house.spare.pk,
        idempotency_key="spam",
        reason="spam",
        client_text="Answer the report of 21 November.",
    )
    assert "Answer the report of 21 November." in text_of(una, f"/machines/{house.spare.pk}/")


def test_an_unknown_outcome_names_no_cause(house, tove, page):
    house.stage.place.fault(Fault.UNKNOWN_AFTER_ACTING, on="power.reset", text="the controller said so")
    press(tove, page, graceful="no")
    run_jobs()
    html = text_of(tove, page)
    assert "Reboot unknown" in html
    assert "the controller" not in html
    assert 'id="s-reboot" aria-disabled="true"' in html


def test_bandwidth_is_shown_for_the_time_of_the_permission(house, tove, page):
    since = timezone.now() - timedelta(days=10)
    Permission.objects.update(since=since)
    bandwidth.write_sample_history(house.stage.upstream.pk, days=40, raw_days=35)
    html = text_of(tove, f"{page}bandwidth/?span=month")
    assert "Bandwidth of web1.example.org" in html
    assert f"You have permission on this server since {since.day} {since:%b %Y}" in html
    assert tove.get(f"{page}bandwidth.json?span=month").json()["unit"] == "Mbit/s"
    lines = tove.get(f"{page}bandwidth.csv?span=year").content.decode().splitlines()
    assert lines[0].startswith("Period (UTC)")
    assert 1 <= len(lines) - 1 <= 2, "ten days touch two months at most"


def test_a_server_without_name_or_address_is_never_called_by_our_label(house, tove):
    Server.objects.filter(pk=house.web.pk).update(hostname="", primary_address="", label="NORTHGATE-7")
    html = text_of(tove, "/machines/")
    assert "NORTHGATE" not in html
    assert f"Server {house.web.pk}" in html
