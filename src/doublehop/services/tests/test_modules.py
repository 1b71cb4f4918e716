"""Module Settings find or make the one upstream of a login, and the Servers List tells its states apart."""

from uuid import uuid4

import pytest
from django.utils import timezone
from tests.cast import a_cast
from tests.stage import a_product, a_service, a_stage, run_all_jobs, run_jobs

from doublehop.driver_kit.conformance.world import PASSWORD, Fault, world
from doublehop.fleet import actions as fleet
from doublehop.fleet.actions.upstreams import BadSettings
from doublehop.fleet.models import Server, Upstream
from doublehop.journal.models import Entry
from doublehop.organisations.refusals import BadInput, NotAllowed, NotHere, WrongState
from doublehop.services import actions
from doublehop.services.actions.modules import ModuleForm, save_module_settings
from doublehop.services.models import Service
from doublehop.services.queries import modules as queries

pytestmark = pytest.mark.django_db


@pytest.fixture
def cast():
    return a_cast()


@pytest.fixture
def place():
    found = world(f"https://{uuid4().hex[:8]}.example/leap")
    for number, name in enumerate(("web", "spare"), 11):
        found.add(name, label=name.upper(), hostname=f"{name}.example.org", address=f"192.0.2.{number}")
    return found


@pytest.fixture
def product(cast):
    return a_product(cast.rosa)


def save(actor, product, place, **more):
    values = {"endpoint": place.endpoint, "account": "alder", "password": PASSWORD, **more.pop("values", {})}
    return save_module_settings(actor, product.pk, ModuleForm(module="memory", values=values, **more))


def menu_of(actor, service, find=""):
    return queries.servers_menu(actor, Service.objects.get(pk=service.pk), find)


def names_in(menu):
    return [text.partition(",")[0] for _, text in menu.options]


def test_saving_makes_the_upstream_tests_it_and_arms_it(cast, product, place):
    upstream = save(cast.rosa, product, place).upstream
    assert (upstream.driver, upstream.organisation, upstream.armed) == ("memory", cast.alder, False)
    assert upstream.name == f"{place.endpoint.split('/')[2]}, alder"
    assert PASSWORD not in upstream.sealed_secrets
    run_all_jobs()
    upstream.refresh_from_db()
    assert upstream.armed
    assert Server.objects.filter(upstream=upstream).count() == 2


def test_unarmed_when_so_asked_and_not_armed_by_a_test_that_fails(cast, product, place):
    first = save(cast.rosa, product, place, arm=False).upstream
    run_all_jobs()
    first.refresh_from_db()
    assert not first.armed
    save(cast.rosa, product, place, values={"password": "wrong"})
    run_all_jobs()
    first.refresh_from_db()
    assert (first.armed, first.failure_code) == (False, "credentials_rejected")
    save(cast.rosa, product, place)
    first.refresh_from_db()
    assert (first.failing_since, first.failure_code, first.synced_at) == (None, "", None)
    run_all_jobs()
    first.refresh_from_db()
    assert first.armed


def test_the_same_login_at_another_product_is_the_same_upstream_and_changes_for_both(cast, product, place):
    other = a_product(cast.rosa, "Dedicated L")
    first = save(cast.rosa, product, place).upstream
    second = save(cast.rosa, other, place, values={"password": "another-secret"}).upstream
    assert first == second
    assert Upstream.objects.count() == 1
    assert "changes for Dedicated M too" in Entry.objects.filter(verb="product.module_saved").last().sentence
    assert save(cast.rosa, other, place, values={"account": "second"}).upstream != first


def test_an_empty_secret_keeps_the_stored_one_and_a_new_login_needs_one(cast, product, place):
    upstream = save(cast.rosa, product, place).upstream
    assert save(cast.rosa, product, place, values={"password": ""}).upstream == upstream
    run_all_jobs()
    upstream.refresh_from_db()
    assert upstream.failing_since is None
    for wrong in ({"account": "other", "password": ""}, {"endpoint": "", "password": ""}):
        with pytest.raises(BadSettings) as refused:
            save(cast.rosa, product, place, values=wrong)
        assert "password" in refused.value.errors
    assert set(refused.value.errors) == {"endpoint", "password"}


def test_a_saved_login_is_one_of_ours_and_of_that_kind(cast, product, place):
    upstream = save(cast.rosa, product, place).upstream
    run_all_jobs()
    other = a_product(cast.rosa, "Dedicated L")
    form = ModuleForm(module="memory", login="saved", upstream_id=upstream.pk)
    assert save_module_settings(cast.rosa, other.pk, form).upstream == upstream
    theirs = a_product(cast.tam, "Dedicated B")
    for upstream_id in (upstream.pk, None, 2**70):
        wrong = ModuleForm(module="memory", login="saved", upstream_id=upstream_id)
        with pytest.raises(BadInput) as refused:
            save_module_settings(cast.tam, theirs.pk, wrong)
        assert refused.value.field == "upstream_id"


@pytest.mark.parametrize(
    ("form", "field"),
    [
        (ModuleForm(module="nobody"), "module"),
        (ModuleForm(module="rack"), "module"),
        (ModuleForm(module="memory", login="guessed"), "login"),
        (ModuleForm(server_group_id=99), "server_group_id"),
        (ModuleForm(suspend_policy_id=99), "suspend_policy_id"),
        (ModuleForm(client_rights=("everything",)), "client_rights"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_saved(cast, product, form, field):
    with pytest.raises(BadInput) as refused:
        save_module_settings(cast.rosa, product.pk, form)
    assert refused.value.field == field
    assert not Upstream.objects.exists()


def test_who_may_not(cast, product, place):
    with pytest.raises(NotAllowed):
        save(cast.ivo, product, place)
    for stranger in (cast.tam, cast.mara):
        with pytest.raises(NotHere):
            save(stranger, product, place)


def test_an_upstream_that_a_product_uses_is_not_deleted(cast, product, place):
    upstream = save(cast.rosa, product, place).upstream
    with pytest.raises(WrongState, match="product uses it"):
        fleet.delete_upstream(cast.rosa, upstream.pk)
    save_module_settings(cast.rosa, product.pk, ModuleForm())
    fleet.delete_upstream(cast.rosa, upstream.pk)


def test_module_cards_are_those_with_a_label(cast):
    names = {card.name for card in queries.module_cards()}
    assert "rack" not in names
    assert "memory" not in names, "for training"
    assert queries.module_card("memory").servers_list_label == "Memory Servers List"


# ---------------------------------------------------------------- the menu


@pytest.fixture
def service(cast, product, place):
    save(cast.rosa, product, place)
    return a_service(cast.rosa, cast.quillfeather.pk, product)


def test_the_list_is_read_then_there_and_only_servers_of_that_login_are_in_it(cast, product, service):
    menu = menu_of(cast.rosa, service)
    assert (menu.state, menu.options, menu.reading) == ("reading", [("", "None")], True)
    other = a_stage(cast.rosa)
    other.machines("elsewhere")
    run_all_jobs()
    menu = menu_of(cast.rosa, service)
    assert (menu.label, menu.state, menu.reading) == ("Memory Servers List", "list", False)
    assert (menu.permitted, menu.free, menu.attached, menu.more) == (2, 2, 0, False)
    assert menu.options[2][1] == "WEB, web.example.org, 192.0.2.11, on"
    assert names_in(menu) == ["None", "SPARE", "WEB"]
    assert names_in(menu_of(cast.rosa, service, "web")) == ["None", "WEB"]
    assert names_in(menu_of(cast.rosa, service, "192.0.2.12")) == ["None", "SPARE"]
    assert menu_of(cast.rosa, service, "nothing like it").state == "list"
    elsewhere = other.server("elsewhere")
    with pytest.raises(WrongState) as refused:
        actions.attach(cast.rosa, service.pk, elsewhere.pk)
    assert refused.value.code == "other_module"
    general = a_service(cast.rosa, cast.quillfeather.pk, a_product(cast.rosa, "Any"))
    assert {"ELSEWHERE", "WEB"} <= set(names_in(menu_of(cast.rosa, general)))


def test_all_attached_and_the_present_choice_is_always_there(cast, product, service, place):
    run_all_jobs()
    web, spare = (Server.objects.get(external_id=name) for name in ("web", "spare"))
    actions.attach(cast.rosa, service.pk, web.pk)
    other = a_service(cast.rosa, cast.quillfeather.pk, product, spare)
    menu = menu_of(cast.rosa, service)
    assert (menu.state, menu.permitted, menu.attached) == ("all_attached", 2, 2)
    assert names_in(menu) == ["None", "WEB"]
    assert names_in(menu_of(cast.rosa, other)) == ["None", "SPARE"]
    place.password = "changed-meanwhile"
    fleet.ask_sync(cast.rosa, product_upstream(product).pk)
    run_jobs()
    menu = menu_of(cast.rosa, service)
    assert menu.state == "refused"
    assert names_in(menu) == ["None", "WEB"]


def product_upstream(product):
    product.refresh_from_db()
    return product.upstream


def test_a_refused_login_outranks_the_list(cast, product, service, place):
    run_all_jobs()
    place.password = "changed-meanwhile"
    fleet.ask_sync(cast.rosa, product_upstream(product).pk)
    run_jobs()
    menu = menu_of(cast.rosa, service)
    assert (menu.state, menu.options, menu.product_id) == ("refused", [("", "None")], product.pk)
    assert menu.refused_at is not None
    assert menu.upstream_name == product_upstream(product).name
    save(cast.rosa, product, place, values={"password": "changed-meanwhile"})
    assert menu_of(cast.rosa, service).state == "reading"
    run_all_jobs()
    assert menu_of(cast.rosa, service).state == "list"


def test_no_permission_on_any_server(cast, product, service, place):
    for machine in place.machines.values():
        machine.permitted = False
    run_all_jobs()
    menu = menu_of(cast.rosa, service)
    assert (menu.state, menu.options, menu.permitted) == ("none", [("", "None")], 0)
    place.machines["web"].permitted = True
    fleet.ask_sync(cast.rosa, product_upstream(product).pk)
    run_jobs()
    assert names_in(menu_of(cast.rosa, service)) == ["None", "WEB"]


def test_a_list_that_is_empty_from_one_day_to_the_next_lists_no_server(cast, product, service, place):
    run_all_jobs()
    place.machines.clear()
    # An empty place of this kind would be filled with samples, so the empty list is stored as it comes.
    fleet.store_inventory(product_upstream(product).pk, [])
    assert menu_of(cast.rosa, service).state == "none"


def test_not_reachable_keeps_the_old_list(cast, product, service, place):
    run_all_jobs()
    place.fault(Fault.UNREACHABLE, on="inventory.list")
    fleet.ask_sync(cast.rosa, product_upstream(product).pk)
    run_jobs()
    menu = menu_of(cast.rosa, service)
    assert menu.state == "unreachable"
    assert menu.unreachable_since is not None
    assert names_in(menu) == ["None", "SPARE", "WEB"]


def test_without_a_module_nothing_owned_or_received(cast):
    service = a_service(cast.rosa, cast.quillfeather.pk, a_product(cast.rosa))
    menu = menu_of(cast.rosa, service)
    assert (menu.label, menu.state, menu.options) == ("Servers list", "no_servers", [("", "None")])


def test_a_refresh_says_that_it_is_read(cast, product, service):
    run_all_jobs()
    fleet.ask_sync(cast.rosa, product_upstream(product).pk)
    menu = menu_of(cast.rosa, service)
    assert (menu.state, menu.reading) == ("list", True)
    run_jobs()
    assert not menu_of(cast.rosa, service).reading


def test_the_menu_costs_the_same_in_a_large_house(cast, product, service, django_assert_max_num_queries):
    run_all_jobs()
    upstream = product_upstream(product)
    Server.objects.bulk_create(
        Server(upstream=upstream, external_id=f"x{n}", label=f"X-{n:05}", listed_at=timezone.now())
        for n in range(1500)
    )
    row = Service.objects.select_related("product__upstream", "server").get(pk=service.pk)
    with django_assert_max_num_queries(3):
        menu = queries.servers_menu(cast.rosa, row)
    assert (menu.permitted, menu.more, len(menu.options)) == (queries.MOST_COUNTED, True, 201)


def test_the_username_is_the_usual_one_until_somebody_says_otherwise(cast, product, service, place):
    assert service.shown_username == ""
    run_all_jobs()
    web = Server.objects.get(external_id="web")
    Server.objects.filter(pk=web.pk).update(username="")
    service = actions.attach(cast.rosa, service.pk, web.pk)
    assert service.shown_username == "root"
    saved = actions.save_service(cast.rosa, service.pk, server_id=web.pk, hostname="", username="root")
    assert saved.username == "", "what was shown and came back was not typed"
    place.machines["web"].username = "Administrator"
    run_all_jobs()
    assert Service.objects.get(pk=service.pk).shown_username == "Administrator"
