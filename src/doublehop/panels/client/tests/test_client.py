"""The client panel: what a client sees and presses, and what is not there for them."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone
from tests.stage import a_service, ask, run_jobs

from doublehop.bandwidth import actions as bandwidth
from doublehop.fleet.models import Permission, Server
from doublehop.organisations.models import User
from doublehop.panels.client.tests.pages import text_of
from doublehop.services.lifecycle import OperationKind
from doublehop.services.models import Operation, Service

pytestmark = pytest.mark.django_db
HOSTILE = "<script>alert(1)</script>"


def test_my_servers_shows_each_with_its_state_and_age(house, mara):
    html = text_of(mara, "/servers/")
    assert "web1.example.org" in html
    assert "dh-pill dh-on" in html
    assert "s ago" in html
    assert "Alder Hosting" in html
    assert "foreign" not in html


def test_a_machine_without_a_name_of_its_own_goes_by_the_one_that_was_ordered(house, mara):
    Server.objects.filter(pk=house.web.pk).update(hostname="")
    Service.objects.filter(pk=house.service.pk).update(ordered_hostname="shop.example.org")
    assert "<h1>shop.example.org</h1>" in text_of(mara, f"/servers/{house.service.pk}/")


def test_one_server_shows_hostname_username_and_addresses(house, mara):
    html = text_of(mara, f"/servers/{house.service.pk}/")
    assert "<h1>web1.example.org</h1>" in html
    assert '<b class="dh-strong">root</b>' in html
    assert house.web.primary_address in html
    assert 'data-dialog="d-reboot"' in html
    assert 'data-copy="' in html
    assert "Power on" not in html.split("<dialog")[0]


def test_foreign_things_are_not_there(house, mara):
    for address in ("", "live/", "bandwidth.json", "bandwidth.csv"):
        assert mara.get(f"/servers/{house.other.pk}/{address}").status_code == 404
    for address in ("do/", "take-back/", "read-again/"):
        values = {"kind": "reboot", "key": str(uuid4()), "reference": "AAA-AAA"}
        assert mara.post(f"/servers/{house.other.pk}/{address}", values).status_code == 404
    assert not Operation.objects.exists()


def test_staff_have_no_client_pages_and_are_told_nothing(house):
    rosa = house.browser(house.cast.rosa)
    assert rosa.get("/servers/").status_code == 404
    assert rosa.get(f"/servers/{house.service.pk}/").status_code == 404
    assert rosa.get("/")["Location"] == "/admin/"


def test_a_form_sent_twice_reboots_once(house, mara):
    values = {"kind": "reboot", "graceful": "no", "key": str(uuid4())}
    for _ in range(2):
        answer = mara.post(f"/servers/{house.service.pk}/do/", values)
        assert answer.status_code == 302
    operation = Operation.objects.get()
    assert (operation.kind, operation.graceful) == ("reboot", False)
    html = text_of(mara, f"/servers/{house.service.pk}/")
    assert "Reboot asked" in html
    assert operation.reference in html
    assert "You (Mara Quill)" in html


def test_a_second_reboot_is_refused_in_words_on_the_page(house, mara):
    address = f"/servers/{house.service.pk}/"
    mara.post(f"{address}do/", {"kind": "reboot", "key": str(uuid4())})
    answer = mara.post(f"{address}do/", {"kind": "reboot", "key": str(uuid4())}, follow=True)
    html = answer.content.decode()
    assert Operation.objects.count() == 1
    assert "already running" in html
    assert 'id="dh-notice" role="alert"><div class="dh-note dh-failed">' in html


def test_what_waits_can_be_taken_back(house, mara):
    address = f"/servers/{house.service.pk}/"
    mara.post(f"{address}do/", {"kind": "reboot", "key": str(uuid4())})
    assert "Take it back" in text_of(mara, address)
    mara.post(f"{address}take-back/", {"reference": Operation.objects.get().reference})
    assert Operation.objects.get().state == "cancelled"
    assert "Taken back. Nothing was sent." in text_of(mara, address)


@pytest.mark.parametrize("kind", ["suspend", "unsuspend", "", "melt"])
def test_a_client_has_no_other_buttons(house, mara, kind):
    answer = mara.post(f"/servers/{house.service.pk}/do/", {"kind": kind, "key": str(uuid4())})
    assert answer.status_code == 404
    assert not Operation.objects.exists()


def test_a_form_without_key_or_token_does_nothing(house):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(pk=house.cast.mara.user_id))
    assert strict.post(f"/servers/{house.service.pk}/do/", {"kind": "reboot", "key": "k"}).status_code == 403
    mara = house.browser(house.cast.mara)
    mara.post(f"/servers/{house.service.pk}/do/", {"kind": "reboot"})
    assert not Operation.objects.exists()


def test_a_change_at_the_machine_reaches_the_open_page(house, mara):
    live = f"/servers/{house.service.pk}/live/"
    first = mara.get(live)
    assert first.status_code == 200
    assert 'id="s-state"' in first.content.decode()
    assert Server.objects.get(pk=house.web.pk).watched_until > timezone.now()
    assert mara.get(live, headers={"If-None-Match": first["ETag"]}).status_code == 304
    moved = timezone.now() + timedelta(seconds=3)
    Server.objects.filter(pk=house.web.pk).update(power_read_at=moved)
    again = mara.get(live, headers={"If-None-Match": first["ETag"]})
    assert again.status_code == 200
    assert "s-actions" not in again.content.decode(), "only an age moved: the buttons stay as they are"
    Server.objects.filter(pk=house.web.pk).update(power_state="off")
    whole = mara.get(live, headers={"If-None-Match": again["ETag"]}).content.decode()
    assert ">Off</span>" in whole
    assert "Power on…" in whole


def test_an_old_reading_is_drawn_old(house, mara):
    Server.objects.filter(pk=house.web.pk).update(power_read_at=timezone.now() - timedelta(minutes=26))
    html = text_of(mara, "/servers/")
    assert "dh-stale" in html
    assert "last read 26 min ago" in html


def test_an_unknown_outcome_is_neither_on_nor_failed(house, mara):
    operation = ask(house.cast.mara, OperationKind.REBOOT, house.service)
    Operation.objects.update(state="unknown", staff_text="the controller said so")
    html = text_of(mara, f"/servers/{house.service.pk}/")
    assert "Reboot unknown" in html
    assert "Power on, " in html
    assert f"Reference {operation.reference}" in html
    assert "the controller" not in html
    assert 'id="s-reboot" aria-disabled="true"' in html


def test_a_suspension_says_since_when_why_and_what_helps(house, mara):
    ask(house.cast.rosa, OperationKind.SUSPEND, house.service, client_text="Pay invoice 1187.\n" + HOSTILE)
    run_jobs()
    for address in ("/servers/", f"/servers/{house.service.pk}/"):
        html = text_of(mara, address)
        assert "Suspended since" in html
        assert "Pay invoice 1187." in html
        assert "overdue" not in html, "the reason is for staff"
        assert HOSTILE not in html
        assert "support@alder.example" in html
    html = text_of(mara, f"/servers/{house.service.pk}/")
    assert "this service is suspended" in html


def test_a_hostname_full_of_html_is_text(house, mara):
    Service.objects.filter(pk=house.service.pk).update(hostname=HOSTILE + "x" * 200)
    for address in ("/servers/", f"/servers/{house.service.pk}/", f"/servers/{house.service.pk}/live/"):
        html = text_of(mara, address)
        assert HOSTILE not in html
        assert "&lt;script&gt;" in html


def test_services_without_a_machine_and_ended_ones_say_so(house, mara):
    waiting = a_service(house.cast.rosa, house.cast.quillfeather.pk, house.product)
    assert "Pending" in text_of(mara, f"/servers/{waiting.pk}/")
    assert text_of(mara, f"/servers/{waiting.pk}/").count("<dialog") == 1, "the list of keys, and no buttons"
    Service.objects.filter(pk=waiting.pk).update(status="terminated", ended_at=timezone.now())
    assert "Terminated" in text_of(mara, f"/servers/{waiting.pk}/")
    assert mara.get(f"/servers/{waiting.pk}/bandwidth.json").status_code == 404


def test_the_list_asks_as_much_for_ten_as_for_three(house, mara, django_assert_max_num_queries):
    def count():
        with django_assert_max_num_queries(40) as seen:
            mara.get("/servers/")
        return len(seen)

    for _ in range(2):
        a_service(house.cast.rosa, house.cast.quillfeather.pk, house.product)
    few = count()
    for _ in range(27):
        a_service(house.cast.rosa, house.cast.quillfeather.pk, house.product)
    assert count() == few
    html = text_of(mara, "/servers/")
    assert 'rel="next"' in html
    assert html.count("<article") == 25
    further = html.split('rel="next" href="')[1].split('"')[0]
    assert text_of(mara, f"/servers/{further}").count("<article") == 5


def test_bandwidth_is_drawn_told_and_listed(house, mara):
    Permission.objects.update(since=timezone.now() - timedelta(days=60))
    bandwidth.write_sample_history(house.stage.upstream.pk, days=40, raw_days=35)
    address = f"/servers/{house.service.pk}/"
    for span in ("day", "month", "year"):
        html = text_of(mara, f"{address}?span={span}")
        assert 'role="img" aria-label="Bandwidth of web1.example.org' in html
        assert "Show as a table" in html
        assert "sample history" in html
        data = mara.get(f"{address}bandwidth.json?span={span}&points=400").json()
        assert data["unit"] == "Mbit/s"
        assert 0 < len(data["out"]) <= 400
        lines = mara.get(f"{address}bandwidth.csv?span={span}").content.decode().splitlines()
        assert lines[0].startswith("Period (UTC)")
    assert mara.get(f"{address}bandwidth.json?points=99999999").status_code == 200


def test_without_the_right_there_is_no_bandwidth(house, mara):
    Permission.objects.filter(client__isnull=False).update(rights=["view", "power"])
    assert "bandwidth.json" not in text_of(mara, f"/servers/{house.service.pk}/")
    assert mara.get(f"/servers/{house.service.pk}/bandwidth.json").status_code == 404


def test_help_finds_a_reference_of_ones_own(house, mara):
    operation = ask(house.cast.mara, OperationKind.REBOOT, house.service)
    html = text_of(mara, f"/help/?reference={operation.reference.lower()}")
    assert "Reboot asked for" in html
    lena = house.browser(house.cast.lena)
    assert "No reference" in text_of(lena, f"/help/?reference={operation.reference}")
    assert HOSTILE not in text_of(mara, f"/help/?reference={HOSTILE}")


def test_colours_are_remembered_and_only_go_back_within_the_panel(house, mara):
    answer = mara.post("/colours/", {"colours": "dark", "next": "/help/"})
    assert answer["Location"] == "/help/"
    assert 'data-bs-theme="dark"' in text_of(mara, "/help/")
    assert mara.post("/colours/", {"colours": "light", "next": "//evil.example/"})["Location"] == "/"
    assert mara.post("/colours/", {"colours": "pink"}).status_code == 422
