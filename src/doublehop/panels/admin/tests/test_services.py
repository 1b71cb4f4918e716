"""The service form and its commands: attach, swap, detach; pressed once, pressed twice, pressed by two."""

from datetime import timedelta

import time_machine
from django.utils import timezone
from tests.stage import a_product, a_service, ask, run_all_jobs, run_jobs

from doublehop.driver_kit.conformance.world import Fault
from doublehop.fleet import actions as fleet
from doublehop.fleet.models import Server, Upstream
from doublehop.panels.admin.tests.conftest import browser
from doublehop.services.lifecycle import OperationKind
from doublehop.services.models import Operation, Service

KEY = "k" * 32


def test_attach_fills_hostname_and_username_in(house, rosa):
    waiting = a_service(house.cast.rosa, house.cast.quillfeather.pk, house.product)
    page = rosa.get(f"/admin/services/{waiting.pk}/", follow=True).content.decode()
    assert "SPARE, spare.example.org" in page
    answer = rosa.post(
        f"/admin/services/{waiting.pk}/save/", {"server_id": house.spare.pk, "hostname": "", "username": ""}
    )
    assert answer.status_code == 302
    run_jobs()
    page = rosa.get(answer["Location"]).content.decode()
    assert 'value="spare.example.org"' in page
    assert 'value="root"' in page
    assert "From the machine" in page


def test_swap_and_detach_are_asked_about_first(house, rosa):
    path = f"/admin/services/{house.service.pk}/save/"
    form = {"server_id": house.spare.pk, "hostname": "web.example.org", "username": "root"}
    question = rosa.post(path, form).content.decode()
    assert "Swap WEB for SPARE?" in question
    assert Service.objects.get(pk=house.service.pk).server_id == house.web.pk
    rosa.post(path, {**form, "hostname": "", "username": "", "confirm": "1"})
    assert Service.objects.get(pk=house.service.pk).server_id == house.spare.pk
    question = rosa.post(path, {"server_id": ""}).content.decode()
    assert "Detach SPARE" in question
    rosa.post(path, {"server_id": "", "confirm": "1"})
    assert Service.objects.get(pk=house.service.pk).server_id is None


def test_a_refused_hostname_loses_nothing(house, rosa):
    form = {"server_id": house.web.pk, "hostname": "not a host!", "username": "deploy"}
    answer = rosa.post(f"/admin/services/{house.service.pk}/save/", form)
    text = answer.content.decode()
    assert answer.status_code == 422
    assert 'value="not a host!"' in text
    assert 'value="deploy"' in text
    assert "Write a host name such as" in text
    assert 'aria-invalid="true"' in text


def test_a_server_that_was_taken_meanwhile(house, rosa):
    waiting = a_service(house.cast.rosa, house.cast.quillfeather.pk, house.product)
    answer = rosa.post(
        f"/admin/services/{waiting.pk}/save/", {"server_id": house.web.pk, "hostname": "", "username": ""}
    )
    assert answer.status_code == 409
    assert b"attached" in answer.content


def test_sent_twice_acts_once(house, rosa):
    form = {"kind": "reboot", "graceful": "yes", "key": KEY}
    for _ in (1, 2):
        answer = rosa.post(f"/admin/services/{house.service.pk}/do/", form)
        assert answer["Location"] == house.page
    assert Operation.objects.filter(kind="reboot").count() == 1
    run_jobs()
    assert house.stage.place.effects("web") == ["power.reset:graceful"]


def test_two_people_press_at_once(house, rosa):
    ivo = browser(house.cast.ivo)
    rosa.post(f"/admin/services/{house.service.pk}/do/", {"kind": "reboot", "key": KEY})
    operation = Operation.objects.get(kind="reboot")
    answer = ivo.post(f"/admin/services/{house.service.pk}/do/", {"kind": "reboot", "key": "i" * 32})
    assert answer["Location"] == f"/admin/operations/{operation.reference}/"
    assert "already running, asked by Rosa Lind" in ivo.get(answer["Location"]).content.decode()
    assert f"/admin/operations/{operation.reference}/" in ivo.get(house.page).content.decode()


def test_suspension_shows_its_reason_and_what_the_client_reads(house, rosa):
    form = {"kind": "suspend", "key": KEY, "reason": "Invoice 1187", "client_text": "Pay invoice 1187."}
    rosa.post(f"/admin/services/{house.service.pk}/do/", form)
    run_all_jobs()
    text = rosa.get(house.page).content.decode()
    assert "Reason: Invoice 1187." in text
    assert "Pay invoice 1187." in text
    assert "The network port is off" in text
    answer = rosa.post(
        f"/admin/services/{house.service.pk}/do/", {"kind": "reboot", "key": "r" * 32}, follow=True
    )
    assert "this service is suspended" in answer.content.decode()


def test_suspension_without_a_reason_is_refused(house, rosa):
    answer = rosa.post(
        f"/admin/services/{house.service.pk}/do/", {"kind": "suspend", "key": KEY}, follow=True
    )
    assert "A reason is needed" in answer.content.decode()
    assert not Operation.objects.filter(kind="suspend").exists()


def test_servers_list_tells_its_states_apart(house, rosa):
    waiting = a_service(house.cast.rosa, house.cast.quillfeather.pk, house.product)
    page = f"/admin/services/{waiting.pk}/"
    assert "2 free, 1 attached" in rosa.get(page, follow=True).content.decode()
    Upstream.objects.update(failing_since=timezone.now(), failure_code="credentials_rejected")
    text = rosa.get(page, follow=True).content.decode()
    assert "API Error: Authentication Error" in text
    assert "SPARE, spare" not in text
    Upstream.objects.update(failure_code="unreachable")
    text = rosa.get(page, follow=True).content.decode()
    assert "not reachable since" in text
    assert "SPARE, spare" in text
    Server.objects.exclude(pk=house.web.pk).update(recorded_identity={})
    assert "All servers are attached" in rosa.get(page, follow=True).content.decode()
    # Birch has neither upstreams nor allocations.
    tam = browser(house.cast.tam)
    birch = a_service(house.cast.tam, house.cast.juniper.pk, a_product(house.cast.tam))
    assert "No Servers Listed" in tam.get(f"/admin/services/{birch.pk}/", follow=True).content.decode()


def test_live_fragments_say_only_what_changed(house, rosa):
    path = f"/admin/services/{house.service.pk}/live/"
    first = rosa.get(path)
    assert first.status_code == 200
    assert b'id="m-state"' in first.content
    tag = first["ETag"]
    assert rosa.get(path, headers={"If-None-Match": tag}).status_code == 304
    Server.objects.filter(pk=house.web.pk).update(power_state="off")
    changed = rosa.get(path, headers={"If-None-Match": tag})
    assert b'id="m-state"' in changed.content
    assert b'id="m-addresses"' not in changed.content
    assert Server.objects.get(pk=house.web.pk).watched_until > timezone.now()


def test_bulk_shows_exactly_what_it_does_and_does_it_once(house, rosa):
    machines = house.stage.machines("a1", "a2", "a3", "a4", "a5")
    services = [
        a_service(house.cast.rosa, house.cast.quillfeather.pk, house.product, machine) for machine in machines
    ]
    waiting = a_service(house.cast.rosa, house.cast.quillfeather.pk, house.product)
    ids = [row.pk for row in (*services, waiting)]
    preview = rosa.get("/admin/services/bulk/", {"do": "suspend", "id": ids}).content.decode()
    assert "5 will be suspended, 1 will not" in preview
    assert "Has no server yet" in preview
    assert "Type 5 to confirm" in preview
    form = {"do": "suspend", "id": ids[:5], "key": KEY, "reason": "Invoices", "client_text": "Pay."}
    refused = rosa.post("/admin/services/bulk/", {**form, "typed": "4"})
    assert refused.status_code == 422
    assert 'value="Invoices"' in refused.content.decode()
    assert not Operation.objects.exists()
    for _ in (1, 2):
        done = rosa.post("/admin/services/bulk/", {**form, "typed": "5"}).content.decode()
        assert "5 asked for, 0 refused" in done
    assert Operation.objects.count() == 5


def test_all_that_match_are_read_again_for_the_preview(house, rosa):
    for _ in range(30):
        a_service(house.cast.rosa, house.cast.quillfeather.pk, house.product)
    assert "Choose all that match" not in rosa.get("/admin/services/").content.decode()
    page = rosa.get("/admin/services/", {"status": "pending"}).content.decode()
    assert "?do=suspend&amp;all=1&amp;status=pending" in page
    preview = rosa.get("/admin/services/bulk/?do=suspend&all=1&status=pending").content.decode()
    assert "30 services chosen, 0 will be suspended, 30 will not" in preview


def test_terminated_service_takes_no_commands(house, rosa):
    rosa.post(f"/admin/services/{house.service.pk}/terminate/", {"reason": "Contract ended"})
    text = rosa.get(house.page).content.decode()
    assert "This service has ended" in text
    answer = rosa.post(f"/admin/services/{house.service.pk}/do/", {"kind": "reboot", "key": KEY}, follow=True)
    assert "has no server" in answer.content.decode()


def test_list_costs_the_same_at_any_length(house, rosa, django_assert_max_num_queries):
    def queries():
        rosa.get("/admin/services/")
        with django_assert_max_num_queries(30) as seen:
            rosa.get("/admin/services/")
        return len(seen.captured_queries)

    before = queries()
    machines = house.stage.machines(*(f"n{index}" for index in range(30)))
    for machine in machines:
        a_service(house.cast.rosa, house.cast.quillfeather.pk, house.product, machine)
    assert queries() == before


def test_service_page_costs_the_same_in_a_large_house(house, rosa, django_assert_max_num_queries):
    def queries():
        rosa.get(house.page)
        with django_assert_max_num_queries(60) as seen:
            rosa.get(house.page)
        return len(seen.captured_queries)

    before = queries()
    machines = house.stage.machines(*(f"n{index}" for index in range(30)))
    for machine in machines[:20]:
        a_service(house.cast.rosa, house.cast.quillfeather.pk, house.product, machine)
    assert queries() == before


def test_unknown_outcome_is_decided_by_a_person(house, rosa):
    house.stage.place.fault(Fault.UNKNOWN_AFTER_ACTING, on="power.reset")
    operation = ask(house.cast.mara, OperationKind.REBOOT, house.service)
    run_jobs()
    path = f"/admin/operations/{operation.reference}/"
    text = rosa.get(path).content.decode()
    assert "We do not know whether it acted" in text
    assert "We could not confirm your reboot" in text
    assert "checked>" not in text.partition("Decide")[2].partition("How do you know")[0]
    assert rosa.post(path + "decide/", {"why": "saw it"}).status_code == 422
    refused = rosa.post(path + "decide/", {"happened": "yes", "why": " "})
    assert "How do you know?" in refused.content.decode()
    rosa.post(path + "decide/", {"happened": "yes", "why": "uptime is 2 minutes"})
    operation.refresh_from_db()
    assert operation.state == "done"
    assert "uptime is 2 minutes" in rosa.get(path).content.decode()


def test_a_waiting_operation_can_be_cancelled(house, rosa):
    operation = ask(house.cast.rosa, OperationKind.REBOOT, house.service)
    path = f"/admin/operations/{operation.reference}/"
    assert "Cancel it" in rosa.get(path).content.decode()
    rosa.post(path + "cancel/")
    assert "Nothing was sent" in rosa.get(path).content.decode()
    run_all_jobs()
    assert house.stage.place.effects("web") == []


def test_old_reading_is_drawn_hollow(house, rosa):
    with time_machine.travel(timezone.now() + timedelta(hours=2)):
        text = browser(house.cast.rosa).get(house.page).content.decode()
    assert "dh-stale" in text
    assert "last read" in text


def test_protected_server_says_why_it_is_not_suspended(house, rosa):
    fleet.protect(house.cast.rosa, house.web.pk)
    assert "this server is protected" in rosa.get(house.page).content.decode()
