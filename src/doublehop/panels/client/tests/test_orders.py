"""Store, order form, progress, and what has to be paid: what the client reads is what is so."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone
from tests.stage import run_all_jobs, run_jobs

from doublehop.fleet import actions as fleet
from doublehop.panels.client.tests.pages import text_of
from doublehop.services import actions
from doublehop.services.actions.catalogue import ProductForm
from doublehop.services.actions.contracts import ContractForm
from doublehop.services.lifecycle import OperationKind
from doublehop.services.models import Product, Service

pytestmark = pytest.mark.django_db


def a_ware(staff, name="Storage L", **values):
    group = actions.create_product_group(staff, f"Group of {name}")
    defaults = {
        "price": "1290.00",
        "cycle": "quarterly",
        "description": "4 cores, 4 × 8 TB",
        "custom_fields": [
            {"key": "", "label": "SSH key", "required": True, "asked": "client"},
            {"key": "", "label": "Rack", "required": False, "asked": "staff"},
        ],
    }
    product = actions.create_product(
        staff, ProductForm(name=name, group_id=group.pk, **{**defaults, **values})
    )
    actions.save_contract(staff, product.pk, ContractForm(method="volume_sum", included="20000"))
    return product


@pytest.fixture
def ware(house):
    return a_ware(house.cast.rosa)


def asked_key(product):
    return next(field["key"] for field in product.custom_fields if field["asked"] == "client")


def values_for(product, **more):
    return {
        "hostname": "files.example.org",
        f"custom-{asked_key(product)}": "ssh-ed25519 AAAA",
        "key": uuid4().hex,
        **more,
    }


def newest():
    return Service.objects.order_by("-pk").first()


def test_the_store_shows_what_is_offered_under_this_brand(house, ware, mara):
    a_ware(house.cast.tam, "Birch Special")
    a_ware(house.cast.rosa, "Secret Offer", hidden=True)
    a_ware(house.cast.rosa, "Free Trial", price="0", custom_fields=[])
    html = text_of(mara, "/orders/new/")
    for text in (
        "Group of Storage L",
        "Storage L",
        "4 cores",
        "€ 1,290.00",
        "every 3 months",
        "20 TB a month",
    ):
        assert text in html, text
    assert "Free of charge" in html
    assert "not limited" in html
    assert "Birch Special" not in html
    assert "Secret Offer" not in html
    secret = Product.objects.get(name="Secret Offer")
    foreign = Product.objects.get(name="Birch Special")
    for product in (secret, foreign):
        address = f"/orders/new/{product.pk}/"
        assert mara.get(address).status_code == 404
        assert mara.post(address, {"hostname": "", "key": "k"}).status_code == 404


def test_the_form_says_what_it_costs_and_what_happens_next(house, ware, mara):
    html = text_of(mara, f"/orders/new/{ware.pk}/")
    for text in ("SSH key", "€ 1,290.00", "Our staff prepares your server.", "Hostname"):
        assert text in html, text
    assert "Rack" not in html, "asked of staff only"
    assert "by mail" not in html, "this product sends no mail"
    ware.welcome_subject, ware.welcome_body = "Ready", "Here it is"
    ware.save()
    assert "come by mail once the server is really there" in text_of(mara, f"/orders/new/{ware.pk}/")


def test_an_order_sent_twice_is_one_and_its_page_tells_how_far_it_is(house, ware, mara):
    before = Service.objects.count()
    values = values_for(ware)
    answers = [mara.post(f"/orders/new/{ware.pk}/", values) for _ in range(2)]
    assert Service.objects.count() == before + 1
    ordered = newest()
    assert [answer["Location"] for answer in answers] == [f"/servers/{ordered.pk}/"] * 2
    assert ordered.custom_values == {asked_key(ware): "ssh-ed25519 AAAA"}
    html = text_of(mara, f"/servers/{ordered.pk}/")
    assert "files.example.org" in html
    assert "Our staff prepares your server." in html
    assert str(ordered) in html
    assert "€ 1,290.00 every 3 months" in html
    assert "<h2>Addresses" not in html
    assert "We prepare it" in text_of(mara, "/orders/")


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [({"hostname": "no spaces here"}, "host name"), ({"ssh": ""}, "SSH key is needed.")],
)
def test_a_wrong_field_is_told_beside_it_and_nothing_is_ordered(house, ware, mara, wrong, sentence):
    before = Service.objects.count()
    values = values_for(ware)
    if "ssh" in wrong:
        values[f"custom-{asked_key(ware)}"] = wrong["ssh"]
    else:
        values |= wrong
    answer = mara.post(f"/orders/new/{ware.pk}/", values)
    html = answer.content.decode()
    assert answer.status_code == 422
    assert html.count(sentence) == 2, "in the summary and beside the field"
    assert 'aria-invalid="true"' in html
    assert "Nothing was ordered" in html
    assert values["hostname"] in html, "what was typed stays"
    assert Service.objects.count() == before


def test_bad_forms_order_nothing(house, ware, mara):
    before = Service.objects.count()
    address = f"/orders/new/{ware.pk}/"
    for values in (
        values_for(ware, key=""),
        values_for(ware, hostname="x" * 5000),
        values_for(ware, hostname="a\x00b.example.org"),
        {"key": "k"},
    ):
        assert mara.post(address, values).status_code == 422, values
    assert mara.get(f"/orders/new/{10**25}/").status_code == 404
    other = a_ware(house.cast.rosa, "Other", custom_fields=[])
    same = uuid4().hex
    mara.post(address, values_for(ware, key=same))
    assert mara.post(f"/orders/new/{other.pk}/", {"hostname": "", "key": same}).status_code == 409
    assert Service.objects.count() == before + 1, "a key that was used for another order orders nothing"


def test_an_order_from_a_pool_is_filled_while_the_page_is_open(house, mara):
    pool = fleet.create_server_group(house.cast.rosa, "Pool")
    fleet.set_group_members(house.cast.rosa, pool.pk, [house.spare.pk])
    ware = a_ware(
        house.cast.rosa,
        server_group_id=pool.pk,
        custom_fields=[],
        welcome_subject="Ready",
        welcome_body="Username: {username}",
    )
    mara.post(f"/orders/new/{ware.pk}/", {"hostname": "", "key": "one"})
    page = f"/servers/{newest().pk}/"
    html = text_of(mara, page)
    assert "It is being prepared now." in html
    assert "come by mail once the server is really there" in html
    assert f"{page}live/?waiting=1" in html
    assert "HX-Refresh" not in mara.get(f"{page}live/?waiting=1").headers
    run_all_jobs()
    assert mara.get(f"{page}live/?waiting=1").headers["HX-Refresh"] == "true"
    html = text_of(mara, page)
    assert "spare.example.org" in html
    assert "We prepared your server" in html
    assert "mail with your sign-in data" in html
    assert "Ready" in text_of(mara, "/orders/")


def test_an_empty_pool_is_said_as_it_is(house, mara):
    pool = fleet.create_server_group(house.cast.rosa, "Pool")
    ware = a_ware(house.cast.rosa, server_group_id=pool.pk, custom_fields=[])
    mara.post(f"/orders/new/{ware.pk}/", {"hostname": "", "key": "one"})
    run_jobs()
    html = text_of(mara, f"/servers/{newest().pk}/")
    assert "Our staff prepares your server." in html
    assert "being prepared now" not in html
    assert "Pool" not in html, "why it waits is for staff"


def test_orders_are_listed_newest_first_and_only_ones_own(house, ware, mara, django_assert_max_num_queries):
    mara.post(f"/orders/new/{ware.pk}/", values_for(ware))
    html = text_of(mara, "/orders/")
    assert html.index("Storage L") < html.index("Dedicated M")
    lena = house.browser(house.cast.lena)
    assert "Storage L" not in text_of(lena, "/orders/")
    for _ in range(15):
        actions.create_service(house.cast.rosa, client_id=house.cast.quillfeather.pk, product_id=ware.pk)
    with django_assert_max_num_queries(12) as few:
        mara.get("/orders/")
    for _ in range(15):
        actions.create_service(house.cast.rosa, client_id=house.cast.quillfeather.pk, product_id=ware.pk)
    with django_assert_max_num_queries(len(few)):
        html = text_of(mara, "/orders/")
    older = html.split('rel="next" href="')[1].split('"')[0]
    assert "Dedicated M" in text_of(mara, f"/orders/{older}")
    assert "Newest" in text_of(mara, f"/orders/{older}")
    assert mara.get("/orders/?before=²").status_code == 200


def test_without_orders_and_without_a_store_the_page_says_what_will_stand_there(house, mara):
    Service.objects.filter(client=house.cast.quillfeather).update(client=house.cast.juniper)
    assert "No order yet" in text_of(mara, "/orders/")
    assert "Order a server" in text_of(mara, "/servers/")
    Product.objects.update(hidden=True)
    assert "No order yet" in text_of(mara, "/orders/")
    assert "Nothing can be ordered here" in text_of(mara, "/orders/new/")
    assert "Order a server" not in text_of(mara, "/servers/")


def test_a_due_date_is_told_with_its_amount(house, mara):
    due = timezone.now().date() + timedelta(days=6)
    Service.objects.filter(pk=house.service.pk).update(next_due_on=due)
    html = text_of(mara, f"/servers/{house.service.pk}/")
    assert f"Due on {due.day} {due:%b %Y}: € 129.00" in html
    assert "overdue" not in html
    assert "€ 129.00" in text_of(mara, "/servers/")
    Service.objects.filter(pk=house.service.pk).update(billed_by="whmcs")
    assert "Due on" not in text_of(mara, f"/servers/{house.service.pk}/")


def test_overdue_is_told_in_plain_words_with_what_follows(house, mara):
    today = timezone.now().date()
    Service.objects.filter(pk=house.service.pk).update(next_due_on=today - timedelta(days=9))
    page = f"/servers/{house.service.pk}/"
    for address in (page, "/servers/"):
        html = text_of(mara, address)
        assert "€ 129.00 was due on" in html
        assert "9 days overdue" in html
        assert "suspended at any" not in html, "nothing happens by itself"
        assert "server is suspended" not in html
        assert "support@alder.example" in html
    Product.objects.filter(pk=house.product.pk).update(overdue_grace_days=14)
    last = today + timedelta(days=5)
    assert f"If the payment has not come in by {last.day} {last:%b %Y}, the server is suspended." in text_of(
        mara, page
    )
    Product.objects.filter(pk=house.product.pk).update(overdue_grace_days=3)
    assert "may be suspended at any time" in text_of(mara, page)


def test_a_suspended_service_tells_of_its_suspension_and_not_twice(house, mara):
    Service.objects.filter(pk=house.service.pk).update(next_due_on=timezone.now().date() - timedelta(days=30))
    actions.request(
        house.cast.rosa,
        OperationKind.SUSPEND,
        house.service.pk,
        idempotency_key="s",
        reason="late",
        client_text="Pay.",
    )
    html = text_of(mara, f"/servers/{house.service.pk}/")
    assert "Suspended since" in html
    assert "was due on" not in html
