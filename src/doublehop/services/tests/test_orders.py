"""Clients order, pools fill, staff are told, and the welcome comes when the server is really there."""

from datetime import date, timedelta

import pytest
from django.utils import timezone
from tests.stage import a_product, run_all_jobs, run_jobs

from doublehop.driver_kit.conformance.world import Fault
from doublehop.fleet import actions as fleet
from doublehop.fleet.models import Permission, Server
from doublehop.journal.models import Entry
from doublehop.notices.models import Mail
from doublehop.organisations.refusals import BadInput, NotHere, WrongState
from doublehop.services import actions, cycles, upkeep, welcome
from doublehop.services.actions.catalogue import ProductForm
from doublehop.services.actions.orders import MOST_WAITING
from doublehop.services.models import Product, Service
from doublehop.services.queries import needs_a_person
from doublehop.services.queries.store import store
from doublehop.services.queries.welcome import Welcome, welcome_of


def form_of(product, **changed):
    values = {"name": product.name, "group_id": product.group_id, "price": "129.00", **changed}
    return ProductForm(**values)


@pytest.fixture
def pool(house):
    """Alder's spare machine, ready for whoever orders the product."""
    group = fleet.create_server_group(house.cast.rosa, "Ready")
    fleet.set_group_members(house.cast.rosa, group.pk, [house.spare.pk])
    actions.update_product(
        house.cast.rosa, house.product.pk, form_of(house.product, server_group_id=group.pk)
    )
    return group


def order(house, *, key="k1", actor=None, **more):
    values = {"hostname": "shop.example.org", "custom_values": {}, **more}
    return actions.order(actor or house.cast.mara, house.product.pk, key=key, **values)


class TestOrdering:
    def test_it_waits_and_those_who_may_attach_are_told_once(self, house):
        service = order(house)
        run_all_jobs()
        assert (service.status, service.ordered_hostname, str(service.price)) == (
            "pending",
            "shop.example.org",
            "129.00",
        )
        told = Mail.objects.filter(about="order_waits")
        assert {mail.to for mail in told} == {"rosa@alder.example", "ivo@alder.example"}
        assert all("Quillfeather Books waits for a server" in mail.body for mail in told)

    def test_a_form_sent_twice_is_one_order(self, house):
        first = order(house)
        assert order(house).pk == first.pk
        with pytest.raises(WrongState) as caught:
            order(house, hostname="other.example.org")
        assert caught.value.code == "key_reused"
        assert order(house, key="k2").pk != first.pk
        assert Entry.objects.filter(verb="service.ordered", service_id=first.pk).count() == 1
        other = a_product(house.cast.rosa, "Storage S")
        with pytest.raises(WrongState) as caught:
            actions.order(house.cast.mara, other.pk, hostname="", custom_values={}, key="k1")
        assert caught.value.code == "key_reused"

    def test_only_what_the_own_store_shows(self, house):
        assert [(name, len(rows)) for name, rows in store(house.cast.mara)] == [
            ("Servers for Dedicated M", 1)
        ]
        assert store(house.cast.rosa) == []
        with pytest.raises(NotHere):
            order(house, actor=house.cast.lena)
        with pytest.raises(NotHere):
            order(house, actor=house.cast.rosa)
        Product.objects.update(hidden=True)
        assert store(house.cast.mara) == []
        with pytest.raises(NotHere):
            order(house)

    @pytest.mark.parametrize("hostname", ["a b", "-", "x" * 300, "ü.example"])
    def test_a_hostname_that_is_none(self, house, hostname):
        with pytest.raises(BadInput) as caught:
            order(house, hostname=hostname)
        assert caught.value.field == "hostname"

    @pytest.mark.parametrize("key", ["", "\n", "x" * 121])
    def test_a_key_that_is_none(self, house, key):
        with pytest.raises(BadInput):
            order(house, key=key)

    def test_a_form_gone_mad_stops(self, house):
        for number in range(MOST_WAITING):
            order(house, key=f"k{number}")
        with pytest.raises(WrongState) as caught:
            order(house, key="one more")
        assert caught.value.code == "too_many"

    def test_custom_fields_are_asked_and_kept_by_their_key(self, house):
        fields = [
            {"label": "Contact on site", "required": True, "asked": "client"},
            {"label": "Contract", "required": False, "asked": "staff"},
        ]
        actions.update_product(
            house.cast.rosa, house.product.pk, form_of(house.product, custom_fields=fields)
        )
        with pytest.raises(BadInput, match="Contact on site is needed") as caught:
            order(house)
        assert caught.value.field == "custom-contact_on_site"
        service = order(house, custom_values={"contact_on_site": "Mara", "contract": "free"})
        assert service.custom_values == {"contact_on_site": "Mara"}
        renamed = [{**row, "label": f"{row['label']}!"} for row in Product.objects.get().custom_fields]
        actions.update_product(
            house.cast.rosa, house.product.pk, form_of(house.product, custom_fields=renamed)
        )
        assert [row["key"] for row in Product.objects.get().custom_fields] == ["contact_on_site", "contract"]
        saved = actions.save_service(
            house.cast.rosa,
            service.pk,
            server_id=None,
            hostname="",
            username="",
            custom_values={"contact_on_site": "Ivo", "contract": "A-7"},
        )
        assert saved.custom_values == {"contact_on_site": "Ivo", "contract": "A-7"}


class TestPools:
    def test_an_order_is_filled_at_once(self, house, pool):
        service = order(house)
        run_all_jobs()
        service.refresh_from_db()
        assert (service.server_id, service.status) == (house.spare.pk, "active")
        assert not Mail.objects.filter(about="order_waits").exists()
        line = Entry.objects.get(verb="service.attached", service_id=service.pk)
        assert line.actor_label == "automatic"

    def test_two_orders_and_one_machine(self, house, pool):
        first, second = order(house), order(house, key="k2")
        run_all_jobs()
        states = sorted(Service.objects.filter(pk__in=[first.pk, second.pk]).values_list("status", flat=True))
        assert states == ["active", "pending"]
        waiting = Service.objects.get(status="pending")
        assert waiting.waits_because == "No server of the group Ready is free."
        assert Mail.objects.filter(about="order_waits", service_id=waiting.pk).count() == 2
        upkeep.fill_all({})
        run_all_jobs()
        assert Mail.objects.filter(about="order_waits").count() == 2

    def test_what_becomes_free_fills_what_waits(self, house, pool):
        fleet.set_group_members(house.cast.rosa, pool.pk, [])
        service = order(house)
        run_all_jobs()
        fleet.set_group_members(house.cast.rosa, pool.pk, [house.spare.pk])
        upkeep.fill_all({})
        run_jobs()
        service.refresh_from_db()
        assert (service.server_id, service.waits_because) == (house.spare.pk, "")

    def test_what_staff_took_out_is_not_put_back_by_itself(self, house, pool):
        service = order(house)
        run_all_jobs()
        actions.detach(house.cast.rosa, service.pk)
        upkeep.fill_all({})
        upkeep.fill({"service_id": service.pk})
        run_all_jobs()
        service.refresh_from_db()
        assert (service.status, service.server_id) == ("pending", None)
        need = next(need for need in needs_a_person(house.cast.rosa) if need.target == str(service.pk))
        assert need.detail.endswith("Attach one by hand.")

    def test_a_machine_that_refuses_is_told_and_not_looped(self, house, pool):
        Server.objects.filter(pk=house.spare.pk).update(identifiers=[])
        service = order(house)
        run_all_jobs()
        service.refresh_from_db()
        assert service.status == "pending"
        assert "has not been read yet" in service.waits_because

    def test_only_machines_of_the_products_own_upstream(self, house, pool):
        other = fleet.create_upstream(
            house.cast.rosa,
            driver="memory",
            name="Elsewhere",
            values={"endpoint": "elsewhere", "account": "demo", "password": "x"},
        )
        Product.objects.filter(pk=house.product.pk).update(upstream=other, module="memory")
        service = order(house)
        run_all_jobs()
        service.refresh_from_db()
        assert service.status == "pending"


class TestWelcome:
    @pytest.fixture
    def welcoming(self, house, pool):
        run_all_jobs()
        upkeep.welcome_all({})
        subject, body = welcome.default_welcome()
        form = form_of(house.product, server_group_id=pool.pk, welcome_subject=subject, welcome_body=body)
        actions.update_product(house.cast.rosa, house.product.pk, form)
        house.stage.place.machines["spare"].password = "machine-secret"
        return house

    def test_it_comes_when_the_server_was_read_and_once(self, welcoming):
        welcoming.stage.place.fault(Fault.UNREACHABLE, machine="spare", times=None)
        service = order(welcoming)
        run_jobs()
        upkeep.welcome_all({})
        assert not Mail.objects.filter(about="welcome").exists()
        welcoming.stage.place.clear_faults()
        fleet.ask_refresh(welcoming.cast.rosa, welcoming.spare.pk)
        run_jobs()
        for _ in range(2):
            upkeep.welcome_all({})
            run_all_jobs()
        mail = Mail.objects.get(about="welcome")
        address = Server.objects.get(pk=welcoming.spare.pk).primary_address
        assert mail.to == "mara@quillfeather.example"
        assert mail.subject == "Your server spare.example.org is ready"
        assert address in mail.body
        assert "Username: root" in mail.body
        assert "machine-secret" not in f"{mail.body}{mail.subject}"
        service.refresh_from_db()
        assert service.welcomed_at is not None

    def test_a_machine_that_is_not_read_for_long_is_told_to_a_person_and_not_to_the_client(self, welcoming):
        welcoming.stage.place.fault(Fault.UNREACHABLE, machine="spare", times=None)
        service = order(welcoming)
        run_jobs()
        Service.objects.filter(pk=service.pk).update(activated_at=timezone.now() - timedelta(hours=2))
        upkeep.welcome_all({})
        assert not Mail.objects.filter(about="welcome").exists()
        headings = [need.heading for need in needs_a_person(welcoming.cast.rosa)]
        assert f"{service} is not welcomed yet" in headings
        assert welcome_of(welcoming.cast.mara, service) is Welcome.COMING

    def test_what_was_read_before_the_machine_was_given_says_nothing(self, welcoming):
        service = order(welcoming)
        run_jobs()
        earlier = Permission.objects.get(server=welcoming.spare, client__isnull=False).since
        Server.objects.filter(pk=welcoming.spare.pk).update(addresses_read_at=earlier - timedelta(minutes=1))
        upkeep.welcome_all({})
        assert not Mail.objects.filter(about="welcome").exists()
        Server.objects.filter(pk=welcoming.spare.pk).update(
            withheld_since=timezone.now(), addresses_read_at=timezone.now()
        )
        upkeep.welcome_all({})
        assert not Mail.objects.filter(about="welcome").exists()
        assert Service.objects.get(pk=service.pk).welcomed_at is None

    def test_the_client_reads_what_became_of_the_mail(self, welcoming, settings):
        service = order(welcoming)
        run_all_jobs()
        upkeep.welcome_all({})
        assert welcome_of(welcoming.cast.mara, service) is Welcome.COMING
        run_all_jobs()
        assert welcome_of(welcoming.cast.mara, service) is Welcome.NOT_SENT, "kept: there is no mail server"
        Mail.objects.update(state="sent")
        assert welcome_of(welcoming.cast.mara, service) is Welcome.SENT
        with pytest.raises(NotHere):
            welcome_of(welcoming.cast.lena, service)
        assert welcome_of(welcoming.cast.mara, welcoming.service) is Welcome.NONE, "there was no text"

    def test_the_password_is_in_what_is_sent_and_nowhere_else(self, welcoming, settings, mailoutbox):
        settings.DOUBLEHOP_SENDS_MAIL = True
        order(welcoming)
        run_all_jobs()
        upkeep.welcome_all({})
        assert "machine-secret" not in str(Mail.objects.filter(about="welcome").values())
        run_all_jobs()
        (sent,) = [one for one in mailoutbox if "mara@quillfeather.example" in one.to]
        assert "Password: machine-secret" in sent.body
        assert sent.from_email == "Alder Hosting <support@alder.example>"
        assert "machine-secret" not in str(Mail.objects.filter(about="welcome").values())
        assert not any("northgate" in text.lower() for text in (sent.body, str(sent.message())))

    def test_without_an_address_the_journal_says_so(self, welcoming):
        client = welcoming.cast.quillfeather
        client.email = ""
        client.save()
        client.people.all().delete()
        service = order(welcoming)
        run_all_jobs()
        upkeep.welcome_all({})
        assert not Mail.objects.filter(about="welcome").exists()
        assert Entry.objects.filter(verb="service.not_welcomed", service_id=service.pk).exists()
        assert welcome_of(welcoming.cast.mara, service) is Welcome.NONE

    def test_one_password_that_no_key_opens_holds_up_no_other(self, welcoming):
        service = order(welcoming)
        run_all_jobs()
        Server.objects.filter(pk=welcoming.spare.pk).update(sealed_login="not sealed by us")
        other = actions.create_service(
            welcoming.cast.rosa, client_id=welcoming.cast.quillfeather.pk, product_id=welcoming.product.pk
        )
        (more,) = welcoming.stage.machines("more")
        fleet.allocate(welcoming.cast.ines, more.pk, welcoming.cast.alder.pk)
        actions.attach(welcoming.cast.rosa, other.pk, more.pk)
        run_all_jobs()
        Server.objects.filter(pk=welcoming.spare.pk).update(sealed_login="not sealed by us")
        upkeep.welcome_all({})
        assert [mail.service_id for mail in Mail.objects.filter(about="welcome")] == [other.pk]
        assert Service.objects.get(pk=service.pk).welcomed_at is None

    def test_a_name_that_looks_like_a_placeholder_stays_a_name(self, welcoming):
        welcoming.cast.quillfeather.name = "{password} & {panel}"
        welcoming.cast.quillfeather.save()
        order(welcoming)
        run_all_jobs()
        upkeep.welcome_all({})
        assert "Hello {password} & {panel}," in Mail.objects.get(about="welcome").body

    def test_without_a_text_there_is_no_mail(self, house, pool):
        order(house)
        run_all_jobs()
        upkeep.welcome_all({})
        assert not Mail.objects.filter(about="welcome").exists()

    @pytest.mark.parametrize(
        ("changed", "field"),
        [
            ({"welcome_subject": "x", "welcome_body": "{root}"}, "welcome_body"),
            ({"welcome_subject": "{password}", "welcome_body": "x"}, "welcome_subject"),
            ({"welcome_subject": "", "welcome_body": "x"}, "welcome_subject"),
            ({"welcome_subject": "x", "welcome_body": "x" * 5001}, "welcome_body"),
            ({"overdue_grace_days": "-1"}, "overdue_grace_days"),
            ({"custom_fields": [{"label": "A"}, {"label": "a"}]}, "custom_fields"),
            ({"custom_fields": [{"label": "A", "asked": "nobody"}]}, "custom_fields"),
        ],
    )
    def test_what_a_product_cannot_hold(self, house, changed, field):
        with pytest.raises(BadInput) as caught:
            actions.update_product(house.cast.rosa, house.product.pk, form_of(house.product, **changed))
        assert caught.value.field == field

    def test_a_form_without_them_keeps_them(self, welcoming):
        actions.update_product(welcoming.cast.rosa, welcoming.product.pk, form_of(welcoming.product))
        assert Product.objects.get().welcome_body == welcome.DEFAULT_BODY


@pytest.mark.parametrize(
    ("day", "cycle", "anchor", "following"),
    [
        ("2026-01-31", "monthly", 31, "2026-02-28"),
        ("2026-02-28", "monthly", 31, "2026-03-31"),
        ("2026-12-15", "monthly", None, "2027-01-15"),
        ("2026-11-15", "monthly", 31, "2026-12-15"),
        ("2026-11-30", "monthly", 25, "2026-12-30"),
        ("2026-02-28", "monthly", 28, "2026-03-28"),
        ("2026-11-30", "quarterly", 30, "2027-02-28"),
        ("2024-02-29", "annually", 29, "2025-02-28"),
        ("2027-02-28", "annually", 29, "2028-02-29"),
    ],
)
def test_cycles_follow_the_calendar(day, cycle, anchor, following):
    assert cycles.after(date.fromisoformat(day), cycle, anchor=anchor) == date.fromisoformat(following)
