"""The service's page: who filled what in, commands, names of addresses, rescue, payments."""

from datetime import timedelta

from django.utils import timezone
from tests.stage import run_all_jobs, run_jobs

from doublehop.fleet.models import Server
from doublehop.panels.admin.tests.conftest import browser
from doublehop.services import actions
from doublehop.services.actions.contracts import ContractForm
from doublehop.services.models import Operation, Payment, Product, Service

KEY = "k" * 32


def test_an_open_page_is_loaded_again_when_somebody_else_attached_a_server(sold, waiting, rosa):
    service = Service.objects.get(server=None)
    form = {"server_id": sold.spare.pk, "hostname": "", "username": ""}
    browser(sold.cast.ivo).post(f"/admin/services/{service.pk}/save/", form)
    answer = rosa.get(f"/admin/services/{service.pk}/live/?had=")
    assert (answer.status_code, answer["HX-Refresh"]) == (204, "true")


def test_each_value_says_where_it_came_from(sold, waiting, rosa):
    service = Service.objects.get(server=None)
    rosa.post(
        f"/admin/services/{service.pk}/save/", {"server_id": sold.spare.pk, "hostname": "", "username": ""}
    )
    run_jobs()
    text = rosa.get(waiting).content.decode()
    assert 'value="spare.example.org"' in text
    assert 'value="root"' in text
    assert text.count("From the provider, <time") == 2
    form = {"server_id": sold.spare.pk, "hostname": "own.example.org", "username": "root"}
    rosa.post(f"/admin/services/{service.pk}/save/", form)
    text = rosa.get(waiting).content.decode()
    assert "Typed by Rosa Lind; the provider says spare.example.org" in text


def test_commands_stand_grey_until_a_server_is_attached(sold, waiting, rosa):
    text = rosa.get(waiting).content.decode()
    commands = text.partition('id="m-commands"')[2].partition('id="m-addresses"')[0]
    for name in ("Suspend", "Unsuspend", "Reboot", "Get Server IP"):
        assert f"{name}</button>" in commands
    assert commands.count('aria-disabled="true"') == 4
    assert "They work as soon as a server is attached." in commands


def test_an_order_says_why_it_waits(sold, waiting, rosa):
    Service.objects.filter(server=None).update(waits_because="No server of the group Pool is free.")
    assert "No server of the group Pool is free." in rosa.get(waiting).content.decode()


def test_custom_values_are_kept_with_the_service(sold, rosa):
    fields = [{"key": "os", "label": "Operating system", "required": False, "asked": "client"}]
    Product.objects.filter(pk=sold.product.pk).update(custom_fields=fields)
    assert '<label for="f-custom-os">Operating system</label>' in rosa.get(sold.page).content.decode()
    form = {
        "server_id": sold.web.pk,
        "hostname": "web.example.org",
        "username": "root",
        "custom-os": "Debian 12",
    }
    rosa.post(f"/admin/services/{sold.service.pk}/save/", form)
    sold.service.refresh_from_db()
    assert sold.service.custom_values == {"os": "Debian 12"}
    assert 'value="Debian 12"' in rosa.get(sold.page).content.decode()


def test_an_address_gets_a_name(sold, rosa):
    run_jobs()
    text = rosa.get(sold.page).content.decode()
    address = sold.web.primary_address
    assert f'name="address" value="{address}"' in text
    form = {"kind": "set_rdns", "address": address, "name": "mail.example.org", "key": KEY}
    for _ in (1, 2):
        rosa.post(f"/admin/services/{sold.service.pk}/do/", form)
    assert Operation.objects.filter(kind="set_rdns").count() == 1
    run_all_jobs()
    assert sold.stage.place.machines["web"].rdns == {address: "mail.example.org"}
    assert 'value="mail.example.org"' in rosa.get(sold.page).content.decode()
    refused = rosa.post(
        f"/admin/services/{sold.service.pk}/do/", {**form, "name": "not a name", "key": "r" * 32}, follow=True
    )
    assert "Write a host name such as" in refused.content.decode()


def test_no_names_where_the_machine_takes_none(sold, rosa):
    Server.objects.update(capabilities=["power", "addresses"])
    text = rosa.get(sold.page).content.decode()
    assert 'id="h-rdns"' not in text
    assert "rescue" not in text.partition('id="m-commands"')[2].partition('id="m-addresses"')[0]


def test_rescue_is_started_once_and_then_left(sold, rosa):
    text = rosa.get(sold.page).content.decode()
    assert "Start rescue system…" in text
    assert "Leave rescue system…" not in text
    assert 'id="d-rescue-stop"' in text, "the question must be there when the button appears"
    rosa.post(f"/admin/services/{sold.service.pk}/do/", {"kind": "rescue_start", "key": KEY})
    run_all_jobs()
    assert [line for line in sold.stage.place.effects("web") if "rescue" in line] == ["rescue.start"]
    Server.objects.filter(pk=sold.web.pk).update(rescue_active=True)
    text = rosa.get(sold.page).content.decode()
    assert "Leave rescue system…" in text
    assert "Start rescue system…" not in text


def test_a_payment_moves_the_due_date_and_stands_in_the_list(sold, rosa):
    due = timezone.localdate() - timedelta(days=9)
    Service.objects.filter(pk=sold.service.pk).update(next_due_on=due)
    text = rosa.get(sold.page).content.decode()
    assert "Overdue" in text
    assert "9 days" in text
    assert 'name="amount" value="129.00"' in text
    path = f"/admin/services/{sold.service.pk}/payments/"
    form = {
        "amount": "129.00",
        "received_on": timezone.localdate().isoformat(),
        "note": "RE-1187",
        "key": KEY,
    }
    refused = rosa.post(path, {**form, "received_on": "yesterday"}, follow=True)
    assert "Write a date such as" in refused.content.decode()
    assert not Payment.objects.exists()
    for _ in (1, 2):
        rosa.post(path, form)
    payment = Payment.objects.get()
    assert (str(payment.amount), payment.note, payment.recorded_by) == ("129.00", "RE-1187", "Rosa Lind")
    sold.service.refresh_from_db()
    assert sold.service.next_due_on == payment.pays_until > due
    text = rosa.get(sold.page).content.decode()
    assert "RE-1187" in text
    assert "Overdue" not in text


def test_a_due_date_is_changed(sold, rosa):
    path = f"/admin/services/{sold.service.pk}/due/"
    rosa.post(path, {"next_due_on": "2031-02-28"})
    sold.service.refresh_from_db()
    assert sold.service.next_due_on.isoformat() == "2031-02-28"
    assert "28 Feb 2031" in rosa.get(sold.page).content.decode()


def test_what_a_billing_system_owns_is_not_paid_here(sold, rosa):
    Service.objects.filter(pk=sold.service.pk).update(billed_by="WHMCS")
    text = rosa.get(sold.page).content.decode()
    assert "Billed by WHMCS" in text
    assert "Record payment" not in text


def test_support_sees_payments_and_records_none(sold):
    ivo = browser(sold.cast.ivo)
    assert "Record payment" not in ivo.get(sold.page).content.decode().replace("Record payment… moves", "")
    form = {"amount": "129.00", "received_on": timezone.localdate().isoformat(), "note": "", "key": KEY}
    ivo.post(f"/admin/services/{sold.service.pk}/payments/", form)
    assert not Payment.objects.exists()


def test_the_allowance_stands_on_the_page(sold, rosa):
    assert "not limited" in rosa.get(sold.page).content.decode()
    actions.save_contract(
        sold.cast.rosa, sold.product.pk, ContractForm(method="volume_sum", included="10000", price="0.002")
    )
    assert "10 TB a month included, 0.002 EUR for each GB above" in rosa.get(sold.page).content.decode()
