"""The client never sees the hop: tokens planted in every field from beyond the brand, searched for in all a client gets."""

import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from uuid import uuid4

import pytest
from django.contrib.staticfiles import finders
from django.db.models import Value
from django.db.models.functions import Concat
from django.test import Client
from django.utils import timezone

from doublehop.api.tests.calling import Program
from doublehop.bandwidth import actions as bandwidth
from doublehop.bandwidth import totals
from doublehop.bandwidth.models import Fetching, Total
from doublehop.driver_kit.conformance.world import Fault
from doublehop.fleet import actions as fleet
from doublehop.fleet.models import Hold, Permission, Port, Server, Upstream
from doublehop.fleet.permissions import ALL_RIGHTS
from doublehop.jobs.engine import Engine
from doublehop.organisations import actions as organisations
from doublehop.organisations.actor import Scope
from doublehop.organisations.models import Brand, Organisation, User
from doublehop.organisations.queries import actor_of_user_id
from doublehop.services import actions
from doublehop.services.lifecycle import OperationKind
from doublehop.services.models import Operation, Product, Service, Step
from doublehop.services.tests.metering import a_statement
from tests.cast import PASSWORD, a_cast
from tests.routes import all_routes
from tests.stage import a_product, a_service, a_stage, ask, run_all_jobs, run_jobs

pytestmark = pytest.mark.django_db

TOKEN = "qzx-hop-token"
FORBIDDEN_WORDS = re.compile(rb"\b(leap|tandem|singlehop|upstreams?)\b", re.IGNORECASE)


class Links(HTMLParser):
    """Every address a page names: links, forms, fragments, styles, scripts, pictures."""

    NAMES = {"href", "src", "action", "hx-get", "hx-post", "data-url", "data-src"}

    def __init__(self):
        super().__init__()
        self.found = set()

    def handle_starttag(self, tag, attrs):
        self.found.update(
            value for name, value in attrs if name in self.NAMES and value and value.startswith("/")
        )


def plant(stage, cast):
    """The token in every text that comes from, or is about, what lies beyond Alder's brand."""
    Organisation.objects.filter(pk=cast.provider.pk).update(name=f"{TOKEN} provider")
    Brand.objects.filter(organisation=cast.provider).update(
        name=f"{TOKEN} brand", support_email=f"x@{TOKEN}.example"
    )
    User.objects.filter(pk=cast.ines.user_id).update(name=f"{TOKEN} person")
    Upstream.objects.update(name=f"{TOKEN} rack", failure_text=f"{TOKEN} failure", failure_code="unreachable")
    Server.objects.update(
        label=f"{TOKEN}-label",
        refresh_failure=f"{TOKEN} no route",
        settings={"bmc_url": f"https://{TOKEN}.example"},
    )
    Port.objects.update(if_name=Concat(Value(f"{TOKEN}-"), "if_name"))
    Operation.objects.update(staff_text=f"{TOKEN} said the controller")
    Fetching.objects.update(failure_text=f"{TOKEN} said the counter")
    Total.objects.update(source=TOKEN)
    Service.objects.update(waits_because=f"{TOKEN}-label: no route")
    Step.objects.update(note=f"{TOKEN} note", ticket=f"{TOKEN}-ticket")
    Hold.objects.filter(organisation=cast.provider).update(
        reason=f"{TOKEN} reason", client_text=f"{TOKEN} text", set_by=f"{TOKEN} person"
    )


@pytest.fixture
def mara_at_alder():
    cast = a_cast()
    stage = a_stage(cast.ines)
    stage.place.add("web", label=f"{TOKEN}-label", hostname="web.example.org", address="192.0.2.24")
    fleet.ask_sync(cast.ines, stage.upstream.pk)
    run_jobs()
    web = stage.server("web")
    fleet.allocate(cast.ines, web.pk, cast.alder.pk)
    service = a_service(cast.rosa, cast.quillfeather.pk, a_product(cast.rosa), web)
    client = Client()
    client.force_login(User.objects.get(pk=cast.mara.user_id))
    return cast, stage, service, client


@pytest.fixture
def tove_at_alder(mara_at_alder):
    """A Tandem user of Alder with every right on the same server that Mara's service has."""
    cast, stage, service, _ = mara_at_alder
    row = organisations.add_tandem_user(
        cast.rosa, name="Tove Berg", email="tove@elsewhere.example", password=PASSWORD
    )
    fleet.permit_tandem(cast.rosa, row.pk, [service.server_id], [right.value for right in ALL_RIGHTS])
    client = Client()
    client.force_login(row.user)
    return cast, stage, service, client, actor_of_user_id(row.user_id)


def check(answer, where):
    heads = "\n".join(f"{name}: {value}" for name, value in answer.headers.items()).encode()
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    for content in (heads, body):
        assert TOKEN.encode() not in content.lower(), f"{where}: {_around(content, TOKEN.encode())}"
        found = FORBIDDEN_WORDS.search(content)
        assert found is None, f"{where}: {_around(content, found.group())}"
    assert b"Traceback" not in body
    return body


def _around(content, needle):
    at = content.lower().find(needle.lower())
    return content[max(0, at - 60) : at + 60]


def crawl(client, *starts):
    """Every address reachable from ``starts`` by following what pages name; static files from where they are built."""
    seen, todo = {}, list(starts)
    while todo:
        path = todo.pop()
        if path in seen or len(seen) > 300:
            continue
        if path.startswith("/static/"):
            name = path.removeprefix("/static/").split("#")[0].split("?")[0]
            found = finders.find(name)
            if found and not name.startswith("vendor/"):
                content = Path(found).read_bytes()
                assert FORBIDDEN_WORDS.search(content) is None, (
                    f"{path}: {FORBIDDEN_WORDS.search(content).group()}"
                )
            seen[path] = 200
            continue
        answer = client.get(path.split("#")[0])
        body = check(answer, path)
        seen[path] = answer.status_code
        links = Links()
        links.feed(body.decode(errors="replace"))
        todo.extend(sorted(links.found))
    return seen


def test_no_page_names_the_hop(mara_at_alder):
    cast, stage, service, client = mara_at_alder
    stage.place.fault(Fault.UNKNOWN_AFTER_ACTING, on="power.reset", text=f"{TOKEN} timed out")
    ask(cast.mara, OperationKind.REBOOT, service)
    run_jobs()
    actions.request(
        cast.ines,
        OperationKind.POWER_OFF,
        server_id=service.server_id,
        reason="moved to another room",
        idempotency_key=str(uuid4()),
    )
    plant(stage, cast)
    Operation.objects.filter(actor_organisation_id=cast.provider.pk).update(actor_label=f"{TOKEN} person")
    seen = crawl(client, "/servers/", f"/servers/{service.pk}/", "/help/")
    assert sum(1 for path in seen if path.startswith(f"/servers/{service.pk}")) >= 2
    assert f"/servers/{service.pk}/bandwidth/" in seen
    client.logout()
    crawl(client, "/sign-in/")


def test_figures_of_the_provider_do_not_say_whose_they_are(mara_at_alder):
    cast, stage, service, client = mara_at_alder
    stage.place.machines["web"].if_name = ""
    Port.objects.all().delete()
    Permission.objects.update(since=timezone.now() - timedelta(days=70))
    totals.ask_all({})
    Engine(totals.JOBS).drain()
    bandwidth.note_fetch_failure(service.server_id, f"{TOKEN} answered nonsense")
    plant(stage, cast)
    Total.objects.update(source=f"{TOKEN} LEAP", unit="leaps")
    for span in ("day", "month", "year"):
        seen = crawl(client, f"/servers/{service.pk}/?span={span}")
        assert f"/servers/{service.pk}/bandwidth.csv?span={span}" in seen or span == "day"


@pytest.mark.parametrize("pooled", [False, True])
def test_no_order_names_the_hop(mara_at_alder, pooled):
    cast, stage, service, client = mara_at_alder
    product = Product.objects.get(pk=service.product_id)
    if pooled:
        product.server_group = fleet.create_server_group(cast.rosa, f"{TOKEN} pool")
    product.welcome_subject, product.welcome_body = "Ready", "{username}"
    product.custom_fields = [
        {"key": "ssh", "label": "SSH key", "required": True, "asked": "client"},
        {"key": "rack", "label": f"{TOKEN} rack", "required": False, "asked": "staff"},
    ]
    product.save()
    form = f"/orders/new/{product.pk}/"
    for values in ({}, {"hostname": "a b", "key": "1"}, {"custom-ssh": "k", "hostname": "", "key": "2"}):
        check(client.post(form, values), f"POST {form}")
    ordered = Service.objects.exclude(pk=service.pk).get()
    run_jobs()
    plant(stage, cast)
    seen = crawl(client, "/servers/", "/orders/", "/orders/new/", f"/servers/{ordered.pk}/")
    assert {form, f"/servers/{ordered.pk}/live/?waiting=1"} <= set(seen)


def test_figures_that_were_counted_elsewhere_name_no_source(tove_at_alder):
    cast, stage, service, client, _ = tove_at_alder
    now = timezone.now()
    Permission.objects.update(since=now - timedelta(days=40))
    Port.objects.all().delete()
    Total.objects.bulk_create(
        Total(
            server_id=service.server_id,
            start=day,
            end=day + timedelta(days=1),
            octets_in=10**9,
            octets_out=10**9,
            source=TOKEN,
            unit=TOKEN,
            read_at=now,
        )
        for day in (now - timedelta(days=count) for count in range(2, 30))
    )
    Fetching.objects.update_or_create(
        server_id=service.server_id,
        defaults={"read_at": now, "failed_at": now, "failure_text": f"{TOKEN} failure"},
    )
    mara = Client()
    mara.force_login(User.objects.get(pk=cast.mara.user_id))
    plant(stage, cast)
    for browser, page in ((mara, f"/servers/{service.pk}/"), (client, f"/machines/{service.server_id}/")):
        for part in ("bandwidth/", "bandwidth.json", "bandwidth.csv"):
            for span in ("day", "month", "year"):
                answer = browser.get(f"{page}{part}?span={span}")
                assert answer.status_code == 200
                check(answer, f"{page}{part} {span}")


def test_no_page_of_a_user_without_a_service_names_the_hop(tove_at_alder):
    cast, stage, service, client, tove = tove_at_alder
    server_id = service.server_id
    page = f"/machines/{server_id}/"
    assert client.get("/")["Location"] == "/machines/"
    Permission.objects.update(since=timezone.now() - timedelta(days=10))
    bandwidth.write_sample_history(stage.upstream.pk, days=4, raw_days=3)
    actions.request(tove, OperationKind.RESCUE_START, server_id=server_id, idempotency_key="rescue")
    run_jobs()
    stage.place.fault(Fault.UNKNOWN_AFTER_ACTING, on="power.reset", text=f"{TOKEN} timed out")
    reboot = actions.request(
        tove, OperationKind.REBOOT, server_id=server_id, idempotency_key="reboot", graceful=False
    )
    run_jobs()
    check(client.post(f"{page}rdns/", {"address": "192.0.2.24", "name": "a.example.org", "key": "n"}), "rdns")
    for who in (cast.ines, cast.rosa):
        actions.request(
            who,
            OperationKind.SUSPEND,
            server_id=server_id,
            idempotency_key=f"s-{who.label}",
            reason=f"{TOKEN} reason",
            client_text="Pay invoice 1187.",
            cause="abuse",
        )
        run_all_jobs()
    plant(stage, cast)
    Operation.objects.filter(actor_organisation_id=cast.provider.pk).update(actor_label=f"{TOKEN} person")
    seen = crawl(client, "/machines/", page, f"{page}bandwidth/", f"/help/?reference={reboot.reference}")
    assert {f"{page}live/", f"{page}do/", f"{page}rdns/", f"{page}bandwidth.csv?span=month"} <= set(seen)
    assert not any(path.startswith(("/servers/", "/orders/", "/admin/")) for path in seen)


def test_a_block_from_above_names_nobody(mara_at_alder):
    cast, stage, service, client = mara_at_alder
    actions.request(
        cast.ines,
        OperationKind.SUSPEND,
        server_id=service.server_id,
        idempotency_key="abuse",
        reason="spam",
        cause="abuse",
    )
    plant(stage, cast)
    body = check(client.get(f"/servers/{service.pk}/"), "suspended page")
    assert b"suspended" in body.lower()


def test_no_error_of_a_user_without_a_service_names_the_hop(tove_at_alder):
    cast, stage, service, client, _ = tove_at_alder
    stage.place.fault(Fault.REFUSED, on="*", times=None, text=f"{TOKEN} refused")
    plant(stage, cast)
    walk_all_routes(client, service.server_id)
    run_jobs()
    plant(stage, cast)
    crawl(client, "/machines/", f"/machines/{service.server_id}/")


def walk_all_routes(client, own_id):
    """Each route read and written, with an id that nobody has and with one of their own."""
    for route in all_routes():
        for number in (987654, own_id):
            path = route.fill(dict.fromkeys(route.parameters, number))
            check(client.get(path), f"GET {path}")
            if path != "/sign-out/":
                check(client.post(path, {"kind": "reboot", "key": str(uuid4())}), f"POST {path}")


def test_no_error_names_the_hop(mara_at_alder):
    cast, stage, service, client = mara_at_alder
    stage.place.fault(Fault.REFUSED, on="*", times=None, text=f"{TOKEN} refused")
    plant(stage, cast)
    walk_all_routes(client, service.pk)
    run_jobs()
    plant(stage, cast)
    crawl(client, "/servers/", f"/servers/{service.pk}/")


def test_a_wrong_password_names_nobody(mara_at_alder):
    cast, stage, _, client = mara_at_alder
    plant(stage, cast)
    client.logout()
    check(
        client.post("/sign-in/", {"login": "mara@quillfeather.example", "password": "wrong"}),
        "wrong password",
    )
    check(
        client.post("/sign-in/", {"login": "mara@quillfeather.example", "password": PASSWORD}),
        "right password",
    )


def test_nothing_that_a_clients_token_gets_names_the_hop(mara_at_alder):
    cast, stage, service, _ = mara_at_alder
    Permission.objects.update(since=timezone.now() - timedelta(days=10))
    bandwidth.write_sample_history(stage.upstream.pk, days=4, raw_days=3)
    statement = a_statement(cast.rosa, service)
    client = Program(cast.rosa, *(scope.value for scope in Scope), client_id=cast.quillfeather.pk)
    own = f"/services/{service.pk}"
    stage.place.fault(Fault.UNKNOWN_AFTER_ACTING, on="power.reset", text=f"{TOKEN} timed out")
    reference = client.post(f"{own}/operations", {"kind": "reboot"}).json()["reference"]
    run_jobs()
    for who in (cast.ines, cast.rosa):
        actions.request(
            who,
            OperationKind.SUSPEND,
            server_id=service.server_id,
            idempotency_key=f"s-{who.label}",
            reason=f"{TOKEN} reason",
            client_text="Pay invoice 1187.",
        )
        run_all_jobs()
    stage.place.fault(Fault.REFUSED, on="*", times=None, text=f"{TOKEN} refused")
    plant(stage, cast)
    Operation.objects.filter(actor_organisation_id=cast.provider.pk).update(actor_label=f"{TOKEN} person")
    values = {
        "service_id": service.pk,
        "server_id": service.server_id,
        "client_id": cast.quillfeather.pk,
        "statement_id": statement.pk,
        "reference": reference,
    }
    found = 0
    for route in all_routes():
        if not route.template.startswith("/api/v1/"):
            continue
        path = route.fill({name: values.get(name, 1) for name in route.parameters}).removeprefix("/api/v1")
        answers = [client.get(path)]
        found += answers[0].status_code == 200
        for kind in ("reboot", "suspend", "null_route", "rescue_start", "refresh_addresses"):
            answers.append(client.post(path, {"kind": kind, "reason": "now"}))
            answers.append(client.post(f"{path}?dry_run=true", {"kind": kind, "reason": "now"}))
            if not path.endswith("/operations"):
                break
        answers += [client.send("PATCH", path), client.send("DELETE", path)]
        for answer in answers:
            check(answer, f"{answer.request['REQUEST_METHOD']} {path}")
    assert found > 20  # that many were more than a refusal
    assert b"Pay invoice 1187." in client.get(own).content
