"""Setup: forms drawn from what is declared, errors at their field, nothing typed lost, no secret given back."""

from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from tests.stage import run_jobs

from doublehop.driver_kit.conformance.world import PASSWORD
from doublehop.fleet import actions as fleet
from doublehop.fleet.models import Allocation, Server, ServerGroup, Upstream
from doublehop.organisations.models import Brand, Client, ClientPerson, Organisation, Staff
from doublehop.panels.admin.tests.conftest import browser
from doublehop.services.models import Product, ProductGroup, Service, SuspendPolicy

NEW_PASSWORD = "long-enough-4711"


def test_upstream_form_is_drawn_from_its_kind_and_keeps_what_was_typed(house, rosa):
    assert "?kind=rack" in rosa.get("/admin/setup/upstreams/new/").content.decode()
    form = {
        "kind": "rack",
        "name": "",
        "setting-switch": "no host!",
        "setting-read_community": "s3cret-typed",
    }
    answer = rosa.post("/admin/setup/upstreams/new/", form)
    text = answer.content.decode()
    assert answer.status_code == 422
    assert 'value="no host!"' in text
    assert "this is no host name" in text
    assert 'href="#f-setting-switch"' in text
    assert "s3cret-typed" not in text
    form |= {"name": "Rack B", "setting-switch": "192.0.2.2"}
    address = rosa.post("/admin/setup/upstreams/new/", form)["Location"]
    assert Upstream.objects.get(name="Rack B").settings["switch"] == "192.0.2.2"
    assert "s3cret-typed" not in rosa.get(address).content.decode()


def test_the_answer_of_a_test_appears_and_then_it_may_be_armed(house, rosa):
    values = {"endpoint": house.stage.place.endpoint, "account": "other", "password": PASSWORD}
    upstream = fleet.create_upstream(house.cast.rosa, driver="memory", name="Rack B", values=values)
    address = f"/admin/setup/upstreams/{upstream.pk}/"
    assert 'data-poll="2"' in rosa.get(address).content.decode()
    refused = rosa.post(address + "do/arm/", follow=True)
    assert "Test the connection first" in refused.content.decode()
    live = rosa.get(address + "live/")
    run_jobs()
    fresh = rosa.get(address + "live/", headers={"If-None-Match": live["ETag"]}).content.decode()
    assert "It works" in fresh
    assert "data-poll" not in fresh
    rosa.post(address + "do/arm/")
    assert Upstream.objects.get(name="Rack B").armed


def test_an_empty_secret_is_kept_and_never_shown(house, rosa):
    path = f"/admin/setup/upstreams/{house.stage.upstream.pk}/edit/"
    text = rosa.get(path).content.decode()
    assert "Leave as it is to keep it." in text
    assert PASSWORD not in text
    form = {"name": "Renamed", "setting-endpoint": house.stage.place.endpoint, "setting-account": "demo"}
    rosa.post(path, {**form, "setting-password": ""})
    run_jobs()
    house.stage.upstream.refresh_from_db()
    assert house.stage.upstream.name == "Renamed"
    assert all(line[1] for line in house.stage.upstream.test_report)


def test_a_refused_login_says_when_it_is_tried_again_and_leads_to_the_settings(house, rosa):
    now = timezone.now()
    Upstream.objects.update(
        failing_since=now, failed_at=now, failure_code="credentials_rejected", failure_text="no such user"
    )
    address = f"/admin/setup/upstreams/{house.stage.upstream.pk}/"
    text = rosa.get(address).content.decode()
    assert "nothing is asked of it or sent to it; the next try by itself is at" in text
    assert f'href="{address}edit/">Correct the login</a>' in text
    assert "next try" in rosa.get("/admin/setup/upstreams/").content.decode()
    support = browser(house.cast.ivo).get(address).content.decode()
    assert "An owner or admin corrects it under Edit." in support


def test_a_rest_says_until_when(house, rosa):
    fleet.note_rest(house.stage.upstream.pk, timezone.now() + timedelta(minutes=5))
    text = rosa.get(f"/admin/setup/upstreams/{house.stage.upstream.pk}/").content.decode()
    assert "<h2>Rests until " in text
    assert "It asked us to slow down." in text
    assert "Resting" in rosa.get("/admin/setup/upstreams/").content.decode()
    Upstream.objects.update(rests_until=timezone.now())
    assert "Resting" not in rosa.get("/admin/setup/upstreams/").content.decode()


def test_an_upstream_with_servers_is_not_deleted(house, rosa):
    answer = rosa.post(f"/admin/setup/upstreams/{house.stage.upstream.pk}/do/delete/", follow=True)
    assert "can be deleted only before its first server" in answer.content.decode()


def test_product_from_group_to_module_settings(house, rosa):
    rosa.post("/admin/setup/product-groups/", {"name": "Storage"})
    group = ProductGroup.objects.get(name="Storage")
    address = rosa.post(
        "/admin/setup/products/new/", {"type": "server", "group_id": group.pk, "name": "Storage S"}
    )["Location"]
    product = Product.objects.get(name="Storage S")
    assert address == f"/admin/setup/products/{product.pk}/"
    rosa.post(
        address + "module/", {"server_group_id": "", "suspend_policy_id": "", "client_rights": ["power"]}
    )
    rosa.post(
        f"/admin/setup/products/{product.pk}/pricing/",
        {"price": "89", "currency": "USD", "cycle": "monthly"},
    )
    product.refresh_from_db()
    assert (str(product.price), product.currency, product.client_rights) == (
        "89.00",
        "USD",
        ["view", "power"],
    )
    refused = rosa.post(
        f"/admin/setup/products/{product.pk}/pricing/",
        {"price": "cheap", "currency": "USD", "cycle": "monthly"},
    )
    assert refused.status_code == 422
    assert 'value="cheap"' in refused.content.decode()
    assert "Write an amount" in refused.content.decode()


def test_order_waits_for_a_server(house, rosa):
    form = {"client_id": house.cast.quillfeather.pk, "product_id": house.product.pk, "hostname": "a b"}
    refused = rosa.post("/admin/services/new/", form)
    assert 'value="a b"' in refused.content.decode()
    address = rosa.post("/admin/services/new/", {**form, "hostname": "vault.example.net"})["Location"]
    assert Service.objects.get(ordered_hostname="vault.example.net").status == "pending"
    assert "They work as soon as a server is attached" in rosa.get(address).content.decode()
    foreign = {**form, "client_id": house.cast.juniper.pk, "hostname": ""}
    assert "Choose a client and a product" in rosa.post("/admin/services/new/", foreign).content.decode()


def test_policy_and_server_group(house, rosa):
    refused = rosa.post("/admin/setup/suspend-policies/", {"name": "Gentle"})
    assert "Choose at least one way" in refused.content.decode()
    assert 'value="Gentle"' in refused.content.decode()
    rosa.post(
        "/admin/setup/suspend-policies/",
        {"name": "Gentle", "ways-first": "upstream", "ways-second": "notify"},
    )
    assert SuspendPolicy.objects.get(name="Gentle").ways == ["upstream", "notify"]
    address = rosa.post("/admin/setup/server-groups/", {"name": "Pool"})["Location"]
    rosa.post(address, {"server": [house.web.pk, house.spare.pk]})
    assert ServerGroup.objects.get(name="Pool").servers.count() == 2
    rosa.post(address + "delete/")
    assert not ServerGroup.objects.exists()


def test_staff_clients_and_their_people(house, rosa):
    form = {"name": "Nia Vale", "email": "nia@alder.example", "password": "short", "role": "billing"}
    refused = rosa.post("/admin/setup/staff/", form)
    assert 'value="Nia Vale"' in refused.content.decode()
    assert "short" not in refused.content.decode().replace("too short", "")
    rosa.post("/admin/setup/staff/", {**form, "password": NEW_PASSWORD})
    assert Staff.objects.get(user__name="Nia Vale").role == "billing"
    address = rosa.post("/admin/clients/new/", {"name": "Tidewater Maps", "email": ""})["Location"]
    rosa.post(
        address + "people/", {"name": "Oda Reef", "email": "oda@tide.example", "password": NEW_PASSWORD}
    )
    assert ClientPerson.objects.get(user__name="Oda Reef").client.name == "Tidewater Maps"
    rosa.post(address + "profile/", {"name": "Tidewater Charts", "email": "x@tide.example"})
    assert "Tidewater Charts" in rosa.get(address).content.decode()
    assert "billing_reference" not in rosa.get(address + "profile/").content.decode(), "nobody bills it"


def test_a_client_follows_its_billing_system_when_two_are_merged_there(house, rosa):
    mine = Client.objects.get(organisation=house.cast.alder)
    Client.objects.filter(pk=mine.pk).update(billed_by="WHMCS", billing_reference="7")
    there = {"billed_by": "WHMCS", "billing_reference": "8"}
    Client.objects.create(organisation=house.cast.alder, number=mine.number + 1, name="Tidewater", **there)
    address = f"/admin/clients/{mine.pk}/profile/"
    form = {"name": mine.name, "email": mine.email}
    assert "The number by which WHMCS knows this client" in rosa.get(address).content.decode()
    refused = rosa.post(address, {**form, "billing_reference": "8"})
    assert refused.status_code == 409
    assert "stands for another one already" in refused.content.decode()
    assert rosa.post(address, {**form, "billing_reference": "9"}).status_code == 302
    mine.refresh_from_db()
    assert (mine.billed_by, mine.billing_reference) == ("WHMCS", "9")


def test_a_colour_that_cannot_be_read_is_refused_with_the_nearest_that_can(house, rosa):
    form = {"name": "Alder", "host": "", "colour": "#ffee00", "colour_dark": "#8aa6ff", "support_email": ""}
    refused = rosa.post("/admin/setup/staff/brand/", form)
    assert "The nearest that can: #" in refused.content.decode()
    assert 'value="#ffee00"' in refused.content.decode()
    logo = SimpleUploadedFile("logo.png", b"\x89PNG\r\n\x1a\n" + b"0" * 20, "image/png")
    rosa.post("/admin/setup/staff/brand/", {**form, "colour": "#0b6b5d", "logo": logo})
    brand = Brand.objects.get(organisation=house.cast.alder)
    assert (brand.colour, brand.logo_type) == ("#0b6b5d", "image/png")


@pytest.mark.parametrize(("password", "made"), [("short", False), (NEW_PASSWORD, True)])
def test_a_reseller_comes_with_its_first_owner_or_not_at_all(house, password, made):
    ines = browser(house.cast.ines)
    form = {"organisation": "Cedar Metal", "name": "Una", "email": "una@cedar.example", "password": password}
    ines.post("/admin/setup/staff/organisations/", form)
    assert Organisation.objects.filter(name="Cedar Metal").exists() is made


def test_a_server_is_given_below_and_taken_back(house):
    ines = browser(house.cast.ines)
    Upstream.objects.update(organisation=house.cast.provider)
    Server.objects.filter(pk=house.spare.pk).update(recorded_identity=None)
    address = f"/admin/servers/{house.spare.pk}/"
    ines.post(address + "allocate/", {"receiver_id": house.cast.birch.pk, "price": "79"})
    allocation = Allocation.objects.get()
    assert "Birch Cloud" in ines.get(address + "permissions/").content.decode()
    assert browser(house.cast.tam).get(address).status_code == 200
    ines.post(f"/admin/allocations/{allocation.pk}/end/")
    assert browser(house.cast.tam).get(address).status_code == 404


def test_two_rows_of_one_machine_are_linked(house, rosa):
    values = {"endpoint": house.stage.place.endpoint, "account": "second", "password": PASSWORD}
    fleet.create_upstream(house.cast.rosa, driver="memory", name="Second view", values=values)
    run_jobs()
    twin = Server.objects.exclude(upstream=house.stage.upstream).get(external_id="spare")
    Server.objects.filter(pk=twin.pk).update(label="SPARE SEEN AGAIN")
    path = f"/admin/servers/{house.spare.pk}/same-machine/"
    rosa.post(path, {"label": "spare seen again"})
    assert Server.objects.get(pk=house.spare.pk).same_machine_as_id == twin.pk
    rosa.post(path, {"label": ""})
    assert Server.objects.get(pk=house.spare.pk).same_machine_as_id is None
