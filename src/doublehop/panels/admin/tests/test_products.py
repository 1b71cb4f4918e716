"""Setup > Products/Services as the manual walks it: create, continue, four tabs, the module and its login."""

import pytest
from tests.stage import run_jobs

from doublehop.driver_kit.conformance.world import PASSWORD
from doublehop.fleet.models import Server, Upstream
from doublehop.panels.admin.tests.conftest import browser
from doublehop.services.models import Product, ProductGroup, SuspendPolicy

MODULE = "memory"
PREFIX = f"setting-{MODULE}-"


@pytest.fixture
def page(house):
    return f"/admin/setup/products/{house.product.pk}/"


@pytest.fixture
def module_form(house):
    """The form as it is sent for a login of its own at the place of the house."""
    login = {"endpoint": house.stage.place.endpoint, "account": "by-the-book", "password": PASSWORD}

    def form(**changed):
        fields = {PREFIX + name: text for name, text in login.items()}
        choices = {
            "module": MODULE,
            "server_group_id": "",
            "suspend_policy_id": "",
            "login": "fields",
            "arm": "1",
        }
        return {**choices, "client_rights": ["power"], **fields, **changed}

    return form


def made():
    return Upstream.objects.get(account="by-the-book")


def test_continue_leads_to_a_product_whose_tabs_are_one_click_away(house, rosa):
    group = ProductGroup.objects.get(organisation=house.cast.alder)
    form = {"type": "server", "group_id": group.pk, "name": "Dedicated by the book"}
    start = rosa.get("/admin/setup/products/new/").content.decode()
    assert ">Continue</button>" in start
    answer = rosa.post("/admin/setup/products/new/", form)
    product = Product.objects.get(name="Dedicated by the book")
    text = rosa.get(answer["Location"]).content.decode()
    for tab, end in (
        ("Pricing", "pricing/"),
        ("Module Settings", "module/"),
        ("Custom Fields", "custom-fields/"),
    ):
        assert f'<a href="/admin/setup/products/{product.pk}/{end}">{tab}</a>' in text
    assert "VPS/Dedicated Server" in text


def test_pricing_takes_days_of_grace_and_loses_nothing_when_refused(house, rosa, page):
    form = {"price": "149", "currency": "EUR", "cycle": "monthly"}
    rosa.post(page + "pricing/", {**form, "overdue_grace_days": "7"})
    product = Product.objects.get(pk=house.product.pk)
    assert (str(product.price), product.overdue_grace_days) == ("149.00", 7)
    refused = rosa.post(page + "pricing/", {**form, "overdue_grace_days": "plenty"})
    text = refused.content.decode()
    assert refused.status_code == 422
    assert 'value="plenty"' in text
    assert 'href="#f-overdue_grace_days"' in text
    rosa.post(page + "pricing/", {**form, "overdue_grace_days": ""})
    product.refresh_from_db()
    assert product.overdue_grace_days is None


def test_the_usual_welcome_text_is_offered_and_kept_only_when_saved(house, rosa, page):
    form = {"type": "server", "group_id": house.product.group_id, "name": house.product.name}
    offered = rosa.post(page, {**form, "default": "1"})
    text = offered.content.decode()
    assert offered.status_code == 200
    assert "Placeholders" in text
    assert Product.objects.get(pk=house.product.pk).welcome_body == ""
    rosa.post(page, {**form, "welcome_subject": "Your server is ready", "welcome_body": "Hello."})
    product = Product.objects.get(pk=house.product.pk)
    assert (product.welcome_subject, product.welcome_body) == ("Your server is ready", "Hello.")
    assert str(product.price) == "129.00", "what stands in the other tabs stays as it is"


def row(index, label, *, key="", asked="client", required=False):
    texts = {"label": label, "key": key, "asked": asked, **({"required": "1"} if required else {})}
    return {f"{name}-{index}": text for name, text in texts.items()}


def test_custom_fields_are_added_and_removed_without_a_script(house, rosa, page):
    path = page + "custom-fields/"
    typed = {"rows": "1", **row(0, "Operating system", required=True)}
    added = rosa.post(path, {**typed, "add": "1"}).content.decode()
    assert 'name="rows" value="2"' in added
    assert 'value="Operating system"' in added
    assert Product.objects.get(pk=house.product.pk).custom_fields == []
    rosa.post(
        path, {"rows": "2", **row(0, "Operating system", required=True), **row(1, "Desk", asked="staff")}
    )
    system, desk = Product.objects.get(pk=house.product.pk).custom_fields
    assert (system["label"], system["required"], system["asked"]) == ("Operating system", True, "client")
    assert (desk["label"], desk["required"], desk["asked"]) == ("Desk", False, "staff")
    both = {
        **row(0, system["label"], key=system["key"]),
        **row(1, desk["label"], key=desk["key"], asked="staff"),
    }
    left = rosa.post(path, {"rows": "2", **both, "remove": "0"}).content.decode()
    assert 'value="Operating system"' not in left
    assert 'value="Desk"' in left
    rosa.post(path, {"rows": "1", **row(0, "Desk phone", key=desk["key"], asked="staff")})
    (kept,) = Product.objects.get(pk=house.product.pk).custom_fields
    assert (kept["key"], kept["label"]) == (desk["key"], "Desk phone")


def test_without_a_script_the_fields_of_a_module_are_shown_by_a_button(house, rosa, page):
    path = page + "module/"
    begin = rosa.get(path).content.decode()
    assert "Show its fields" in begin
    shown = rosa.post(path, {"module": MODULE, "login": "fields", "show": "1"})
    text = shown.content.decode()
    assert shown.status_code == 200
    assert f'data-when="module={MODULE} login=fields"><legend' in text
    assert "Not saved" not in text
    assert Product.objects.get(pk=house.product.pk).module == ""


def test_a_login_is_asked_for_only_where_a_module_is_chosen(house, rosa, page, module_form):
    answer = rosa.post(page + "module/", module_form(module="", **{PREFIX + "password": ""}))
    assert answer.status_code == 302
    assert Product.objects.get(pk=house.product.pk).module == ""
    refused = rosa.post(page + "module/", module_form(**{PREFIX + "endpoint": "", PREFIX + "password": ""}))
    text = refused.content.decode()
    assert refused.status_code == 422
    assert f'href="#f-{PREFIX}endpoint"' in text
    assert f'href="#f-{PREFIX}password"' in text
    assert 'value="by-the-book"' in text
    assert not Upstream.objects.filter(account="by-the-book").exists()


def test_saving_makes_one_upstream_keeps_secrets_and_tests_the_login(house, rosa, page, module_form):
    path = page + "module/"
    rosa.post(path, module_form())
    upstream, product = made(), Product.objects.get(pk=house.product.pk)
    assert (product.module, product.upstream_id) == (MODULE, upstream.pk)
    assert (upstream.arm_when_fine, upstream.armed) == (True, False)
    text = rosa.get(path).content.decode()
    assert PASSWORD not in text
    assert "Leave as it is to keep it." in text
    assert "Testing" in text
    assert 'data-poll="2"' in text
    run_jobs()
    told = rosa.get(path + "live/").content.decode()
    assert "It works" in told
    assert "What is asked of its servers is sent." in told
    assert "data-poll" not in told
    # Again, with the secret left as it is: the same upstream, nothing asked for twice.
    assert rosa.post(path, module_form(**{PREFIX + "password": ""})).status_code == 302
    assert Upstream.objects.filter(account="by-the-book").count() == 1


def test_a_login_that_does_not_work_says_so_and_sends_nothing(house, rosa, page, module_form):
    rosa.post(page + "module/", module_form(**{PREFIX + "password": "not-the-password"}))
    run_jobs()
    told = rosa.get(page + "module/").content.decode()
    assert "It does not work" in told
    assert "not-the-password" not in told
    assert "data-poll" not in told, "an answer that was no list ends the waiting too"
    assert not made().armed


def test_unticked_it_observes_only(house, rosa, page, module_form):
    rosa.post(page + "module/", module_form(arm=""))
    run_jobs()
    assert not made().armed
    assert "Its servers are read, and nothing is sent to them." in rosa.get(page + "module/").content.decode()


def test_a_saved_upstream_serves_a_second_product(house, rosa, page, module_form):
    rosa.post(page + "module/", module_form())
    form = {"type": "server", "group_id": house.product.group_id, "name": "Storage S"}
    path = rosa.post("/admin/setup/products/new/", form)["Location"] + "module/"
    chosen = {"module": MODULE, "login": "saved", "arm": "1"}
    refused = rosa.post(path, {**chosen, f"upstream-{MODULE}": ""})
    assert refused.status_code == 422
    assert f'href="#f-upstream-{MODULE}"' in refused.content.decode()
    rosa.post(path, {**chosen, f"upstream-{MODULE}": made().pk})
    assert Product.objects.get(name="Storage S").upstream_id == made().pk
    assert "also used by" in rosa.get(path).content.decode()


def test_test_connection_answers_in_place_and_asks_again(house, rosa, page, module_form):
    rosa.post(page + "module/", module_form())
    run_jobs()
    before = made().test_asked_at
    answer = rosa.post(page + "module/test/", headers={"HX-Request": "true"}).content.decode()
    assert 'id="u-test-card"' in answer
    assert "Testing" in answer
    assert made().test_asked_at > before
    assert rosa.post(page + "module/test/")["Location"] == page + "module/"


@pytest.mark.parametrize(
    ("ways", "parts", "told"),
    [
        (["permission", "notify"], ["power", "access"], "Takes our permission at the provider away. <b"),
        (["upstream", "permission"], ["power", "access", "suspension"], "Suspends it at the provider"),
        (["port"], ["power"], "Marks it as suspended only. <b"),
    ],
)
def test_what_the_buttons_will_do_follows_from_what_the_machines_offer(house, rosa, page, ways, parts, told):
    policy = SuspendPolicy.objects.create(organisation=house.cast.alder, name="Tried", ways=ways)
    Product.objects.filter(pk=house.product.pk).update(suspend_policy=policy)
    Server.objects.update(capabilities=parts)
    text = rosa.get(page + "module/").content.decode()
    card = text.partition('id="m-effects"')[2].partition("</section>")[0]
    assert told in card
    assert "Sent once, never repeated." in card
    assert "Not offered here." in card
    assert ("The machine stays online." in card) is ("upstream" not in ways)


def test_before_the_first_list_nothing_is_promised(house, rosa, page, module_form):
    rosa.post(page + "module/", module_form())
    assert "Known once its list of servers was read" in rosa.get(page + "module/").content.decode()


def test_support_reads_the_module_settings_and_changes_none(house, page, module_form):
    ivo = browser(house.cast.ivo)
    text = ivo.get(page + "module/").content.decode()
    assert "Saving needs the role admin or owner." in text
    assert ivo.post(page + "module/", module_form()).status_code == 403
    assert not Upstream.objects.filter(account="by-the-book").exists()
