"""Both halves of the hop over the REST API, in one process and without a socket: driver ``peer`` and our own routes.

What happens is read from the world behind the provider's rack, which neither half writes.
"""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx
import pytest
from django.test import Client

from doublehop.driver_kit.conformance.carrier import ScriptedCarrier
from doublehop.driver_kit.conformance.world import Fault
from doublehop.driver_kit.contract import (
    PRICE_CHANGED,
    PowerState,
    Price,
    SupplyOffer,
    SupplyState,
    SupplyStatus,
    Ticket,
    TicketState,
    capabilities_of,
)
from doublehop.driver_kit.errors import (
    BadAnswer,
    Busy,
    CredentialsRejected,
    NotFound,
    OutcomeUnknown,
    Refused,
)
from doublehop.driver_kit.secret import Secret
from doublehop.drivers.peer.driver import PeerUpstream
from doublehop.fleet import actions as fleet
from doublehop.fleet.models import Allocation, Permission, Server
from doublehop.organisations import actions as organisations
from doublehop.organisations.actions.tokens import TokenForm
from doublehop.services import actions
from doublehop.services.actions import supply
from doublehop.services.lifecycle import OperationKind, OperationState
from doublehop.services.models import Offer, Operation, SupplyOrder
from tests.cast import a_cast
from tests.stage import a_stage, run_all_jobs

ALL = ("read", "operate", "billing")


def carried(request: httpx.Request) -> httpx.Response:
    kept = ("authorization", "idempotency-key")
    answer = Client().generic(
        request.method,
        request.url.raw_path.decode(),
        request.content,
        content_type=request.headers.get("content-type", ""),
        headers={name: request.headers[name] for name in kept if name in request.headers},
    )
    headers = {name: answer[name] for name in ("content-type", "retry-after") if name in answer}
    return httpx.Response(answer.status_code, content=answer.content, headers=headers)


class Hop:
    """``web`` and ``spare`` are given to Alder, whose token its own installation works with."""

    def __init__(self) -> None:
        self.cast = a_cast()
        self.stage = a_stage(self.cast.ines)
        self.web, self.spare, self.foreign = self.stage.machines("web", "spare", "foreign")
        for server in (self.web, self.spare):
            fleet.allocate(self.cast.ines, server.pk, self.cast.alder.pk)
        run_all_jobs()
        self.token = self.a_token()

    def a_token(self, *scopes: str, **more: object) -> Secret:
        form = TokenForm(name="At home", scopes=scopes or ALL, **more)
        return organisations.create_token(self.cast.rosa, form).shown

    def open(self, carry=carried, **changed: object) -> PeerUpstream:
        settings = {"endpoint": "https://panel.northgate.example", "token": self.token, "pin": "", **changed}
        settings.setdefault("hostnames", True)
        return PeerUpstream(settings, carrier=lambda: ScriptedCarrier(carry))

    def server(self, row=None, **changed: object):
        return self.open(**changed).server(str((row or self.web).pk))

    def settle(self, part, ticket) -> None:
        run_all_jobs()
        assert part.follow_up(ticket).state is TicketState.DONE

    @property
    def effects(self) -> list[str]:
        return self.stage.place.effects("web")

    @property
    def machine(self):
        return self.stage.place.machines["web"]


@pytest.fixture
def hop(db, settings, monkeypatch):
    settings.ALLOWED_HOSTS = ["*"]
    # Nobody waits here for a machine to go down.
    monkeypatch.setattr("doublehop.services.work.steps.EARLIEST_ON", timedelta(0))
    return Hop()


def lost(request: httpx.Request) -> httpx.Response:
    """A change arrives, and its answer does not come back."""
    answer = carried(request)
    if request.method == "POST":
        raise httpx.ReadTimeout("fell silent")
    return answer


def never_arrives(request: httpx.Request) -> httpx.Response:
    if request.method == "POST":
        raise httpx.ReadTimeout("fell silent")
    return carried(request)


# ---------------------------------------------------------------- finding out


def test_a_test_says_who_we_are_there(hop):
    report = hop.open().test_connection()
    assert report.fine, report.lines
    said = {what: seen for what, _, seen in report.lines}
    assert "as Alder Hosting" in said["Token accepted"]
    assert said["Servers"] == "2 listed"
    assert report.learned["scopes"] == "billing operate read"


def test_missing_scopes_are_told_and_not_offered(hop):
    hop.token = hop.a_token("read")
    report = hop.open().test_connection()
    assert not report.fine
    assert [what for what, fine, _ in report.lines if not fine] == ["Scope operate"]
    learned = {f"learned_{name}": text for name, text in report.learned.items()}
    assert set(capabilities_of(hop.server(**learned))) == {"addresses", "credentials", "traffic"}
    with pytest.raises(Refused, match="scope operate"):
        hop.server().power.reset(graceful=True)
    assert hop.effects == []


def test_a_wrong_token_is_rejected(hop):
    upstream = hop.open(token=Secret("dh_AAAAAAAAAA_" + "x" * 40))
    with pytest.raises(CredentialsRejected):
        upstream.inventory.list()
    assert not upstream.test_connection().fine


def test_a_clients_token_is_not_enough(hop):
    hop.token = hop.a_token(client_id=hop.cast.quillfeather.pk)
    assert (
        "client of Alder"
        in {what: seen for what, _, seen in hop.open().test_connection().lines}["Token accepted"]
    )
    assert not hop.open().test_connection().fine


def test_an_address_without_a_doublehop_says_so(hop):
    def page(request):
        return httpx.Response(404, content=b"<h1>Not found</h1>", headers={"content-type": "text/html"})

    report = hop.open(page).test_connection()
    assert report.lines == (("Address", False, "no Doublehop answers there: the API is not known"),)


def test_the_address_may_be_that_of_the_api(hop):
    assert hop.open(endpoint="https://panel.northgate.example/api/v1/").test_connection().fine


# ---------------------------------------------------------------- what there is


def test_the_list_shows_what_was_given_and_how_it_can_be_known(hop):
    found = {line.external_id: line for line in hop.open().inventory.list()}
    assert set(found) == {str(hop.web.pk), str(hop.spare.pk)}
    line = found[str(hop.web.pk)]
    assert (line.hostname, line.primary_address, line.withheld) == (
        "web.example.org",
        hop.web.primary_address,
        False,
    )
    told = {one.kind: one.value for one in line.identifiers}
    assert told["serial"] == "SN-web"
    assert told["server_id"] == line.external_id
    assert "external_id" not in told
    assert tuple(hop.server().identify()) == line.identifiers
    with pytest.raises(NotFound):
        hop.server(hop.foreign).identify()


def test_their_hostnames_are_taken_over_by_who_wants_them(hop):
    lines = {line.external_id: line for line in hop.open(hostnames=False).inventory.list()}
    line = lines[str(hop.web.pk)]
    assert (line.label, line.hostname) == ("web.example.org", "")


def test_a_long_list_comes_in_pages(hop, monkeypatch):
    monkeypatch.setattr("doublehop.drivers.peer.api.PAGE", 1)
    assert len(hop.open().inventory.list()) == 2


def test_the_parts_are_those_of_the_machine_over_there(hop):
    Server.objects.filter(pk=hop.web.pk).update(capabilities=["power", "addresses"])
    upstream = hop.open()
    upstream.inventory.list()
    offered = set(capabilities_of(upstream.server(str(hop.web.pk))))
    assert offered == {"power", "addresses", "suspension", "traffic"}


def test_what_is_passed_on_over_there_is_withheld_and_what_is_taken_back_is_gone(hop):
    below = organisations.create_organisation(hop.cast.rosa, name="Third")
    fleet.allocate(hop.cast.rosa, hop.web.pk, below.pk)
    Server.objects.filter(pk=hop.spare.pk).update(missing_since=datetime.now(UTC))
    found = {line.external_id: line.withheld for line in hop.open().inventory.list()}
    assert found == {str(hop.web.pk): True, str(hop.spare.pk): True}
    asked = {"server_id": hop.web.pk, "idempotency_key": "below", "reason": "Overdue"}
    actions.request(hop.cast.rosa, OperationKind.SUSPEND, **asked)
    run_all_jobs()
    found = {line.external_id: line.withheld for line in hop.open().inventory.list()}
    assert found == {str(hop.web.pk): True, str(hop.spare.pk): True}, "suspended, and passed on all the same"
    given = Allocation.objects.get(server=hop.spare)
    fleet.end_allocation(hop.cast.ines, given.pk)
    assert [line.external_id for line in hop.open().inventory.list()] == [str(hop.web.pk)]
    with pytest.raises(NotFound):
        hop.server(hop.spare).power.state()


def test_an_old_power_state_says_nothing_about_now(hop):
    assert hop.server().power.state() is PowerState.ON
    Server.objects.filter(pk=hop.web.pk).update(power_read_at=datetime.now(UTC) - timedelta(minutes=10))
    assert hop.server().power.state() is PowerState.UNKNOWN


def test_states_of_many_servers_are_one_list(hop):
    asked: list[str] = []

    def carry(request):
        asked.append(request.url.path)
        return carried(request)

    upstream = hop.open(carry)
    rows = hop.stage.machines(*(f"m{number}" for number in range(6)))
    for row in rows:
        fleet.allocate(hop.cast.ines, row.pk, hop.cast.alder.pk)
    run_all_jobs()
    assert {upstream.server(str(row.pk)).power.state() for row in rows} == {PowerState.ON}
    assert [path.rpartition("/")[2] for path in asked] == [*(str(row.pk) for row in rows[:3]), "servers"]
    with pytest.raises(NotFound):
        upstream.server(str(hop.foreign.pk)).power.state()


# ---------------------------------------------------------------- what is done


def test_one_reboot_here_is_one_reset_there(hop):
    power = hop.server().power
    ticket = power.reset(graceful=False)
    assert power.follow_up(ticket).state is TicketState.PENDING
    hop.settle(power, ticket)
    assert hop.effects == ["power.reset:hard"]


def test_the_same_instruction_twice_is_one_reset(hop):
    first = hop.server(instruction="here:7Q5-M3D:0.1").power.reset(graceful=True)
    run_all_jobs()
    second = hop.server(instruction="here:7Q5-M3D:0.1").power.reset(graceful=True)
    assert first == second
    hop.settle(hop.server().power, second)
    assert hop.effects == ["power.reset:graceful"]


def test_another_instruction_under_the_same_name_is_not_taken_for_done(hop):
    hop.server(instruction="here:7Q5-M3D:0.1").power.reset(graceful=True)
    with pytest.raises(OutcomeUnknown, match="under this name"):
        hop.server(instruction="here:7Q5-M3D:0.1").power.reset(graceful=False)


def test_what_became_of_a_lost_answer_is_asked_for_by_its_name(hop):
    with pytest.raises(OutcomeUnknown) as caught:
        hop.server(carry=lost, instruction="here:7Q5-M3D:0.1").power.reset(graceful=True)
    ticket = Ticket(caught.value.ticket)
    assert hop.server().power.follow_up(ticket).state is TicketState.PENDING
    hop.settle(hop.server().power, ticket)
    assert hop.effects == ["power.reset:graceful"]


def test_a_request_that_never_arrived_is_not_called_done(hop):
    with pytest.raises(OutcomeUnknown) as caught:
        hop.server(carry=never_arrives).power.reset(graceful=True)
    run_all_jobs()
    assert hop.server().power.follow_up(Ticket(caught.value.ticket)).state is TicketState.UNKNOWN
    assert hop.effects == []


def test_unknown_there_is_unknown_here(hop):
    hop.stage.place.fault(Fault.UNKNOWN_AFTER_ACTING, on="power.reset")
    power = hop.server().power
    ticket = power.reset(graceful=True)
    run_all_jobs()
    assert power.follow_up(ticket).state is TicketState.UNKNOWN
    with pytest.raises(Refused, match="unknown outcome"):
        power.reset(graceful=True)


def test_failed_there_has_failed_here_with_its_code(hop):
    hop.stage.place.fault(Fault.WRONG_IDENTITY, on="identify")
    power = hop.server().power
    ticket = power.reset(graceful=True)
    run_all_jobs()
    status = power.follow_up(ticket)
    assert status.state is TicketState.FAILED
    assert "wrong_machine" in status.detail
    assert hop.effects == []


def test_a_reboot_of_somebody_else_is_not_taken_for_ours(hop):
    Operation.objects.all().delete()
    hop.server().power.reset(graceful=True)
    with pytest.raises(Refused, match="already running"):
        hop.server().power.reset(graceful=True)
    with pytest.raises(Busy, match="under way"):
        hop.server().power_switch.off(graceful=True)


def test_a_suspension_is_ours_whoever_else_suspends(hop):
    suspension = hop.server().suspension
    asked = {"server_id": hop.web.pk, "idempotency_key": "above", "reason": "Abuse"}
    actions.request(hop.cast.ines, OperationKind.SUSPEND, **asked)
    run_all_jobs()
    assert not suspension.is_suspended()
    hop.settle(suspension, suspension.suspend("Invoice 1187 is overdue"))
    assert suspension.is_suspended()
    # Again, and nothing is to be done: so it says.
    hop.settle(suspension, suspension.suspend("Invoice 1187 is overdue"))
    ours = Operation.objects.get(kind=OperationKind.SUSPEND, organisation=hop.cast.alder)
    assert "1187" not in ours.reason
    hop.settle(suspension, suspension.unsuspend())
    hop.settle(suspension, suspension.unsuspend())
    assert not suspension.is_suspended()
    assert hop.machine.port_enabled is False


def test_power_names_null_routes_and_rescue_arrive(hop):
    server, address = hop.server(), hop.web.primary_address
    hop.settle(server.power_switch, server.power_switch.off(graceful=False))
    assert (hop.machine.power, server.power.state()) == (PowerState.OFF, PowerState.OFF)
    hop.settle(server.power_switch, server.power_switch.on())
    assert server.power.state() is PowerState.ON
    hop.settle(server.rdns, server.rdns.set(address, "mail.example.org."))
    assert hop.machine.rdns[address] == server.rdns.read()[address] == "mail.example.org"
    for dropped in (True, False):
        hop.settle(server.null_route, server.null_route.set(address, dropped))
        assert (address in hop.machine.null_routed) is (address in server.null_route.read()) is dropped
    for change, active in ((server.rescue.start, True), (server.rescue.stop, False)):
        hop.settle(server.rescue, change())
        assert hop.machine.rescue is hop.server().rescue.is_active() is active
    assert server.credentials.read().username == "root"
    assert server.credentials.read().password == Secret("")
    assert next(one for one in server.addresses.list() if one.primary).address == address


def test_a_name_for_no_address_is_refused_unsent(hop):
    with pytest.raises(Refused, match="none"):
        hop.server().rdns.set("192.0.2.0/24", "x.example.org")


def test_rights_that_are_missing_say_nothing_about_the_token(hop):
    Permission.objects.filter(organisation=hop.cast.alder).update(rights=["view"])
    with pytest.raises(Refused):
        hop.server().power.reset(graceful=True)


# ---------------------------------------------------------------- answers that no Doublehop gives

GOOD = {
    "id": 12, "label": "RACK-12", "hostname": "web.example.org", "primary_address": "192.0.2.12",
    "power_state": "on", "power_read_at": "2026-01-01T00:00:00Z", "capabilities": ["power"], "identifiers": [],
    "suspended_by_you": False, "rescue_active": None, "username": "root", "status": "free",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(set(GOOD) - {"label"}))
@pytest.mark.parametrize("value", [[], {"a": 1}, 1.5, "\x00", -1, "x" * 500])
def test_a_server_of_another_shape_is_a_bad_answer_or_read(name, value):
    body = json.dumps(GOOD | {name: value}).encode()
    carry = lambda _: httpx.Response(200, content=body)  # noqa: E731
    upstream = PeerUpstream(
        {"endpoint": "https://x.example", "token": Secret("t")}, carrier=lambda: ScriptedCarrier(carry)
    )
    try:
        seen = upstream.server("12").identify()
    except BadAnswer:
        return
    assert all(one.value for one in seen)


def test_a_list_without_end_is_left():
    body = json.dumps({"items": [GOOD], "next": 0}).encode()
    upstream = PeerUpstream(
        {"endpoint": "https://x.example", "token": Secret("t")},
        carrier=lambda: ScriptedCarrier(lambda _: httpx.Response(200, content=body)),
    )
    with pytest.raises(BadAnswer, match="does not end"):
        upstream.inventory.list()


@pytest.mark.parametrize("text", ["", "{", "[]", "42", '{"operation": 5}', '{"key": "a", "operation": "b"}'])
def test_a_foreign_ticket_is_no_ticket(text):
    upstream = PeerUpstream({"endpoint": "https://x.example", "token": Secret("t")})
    with pytest.raises(BadAnswer):
        upstream.server("12").power.follow_up(Ticket(text))


def test_state_names_are_all_known():
    """A state that is added over there must be thought about here."""
    assert {state.value for state in OperationState} == {
        "held", "queued", "running", "done", "failed", "unknown", "cancelled",
    }  # fmt: skip


# ---------------------------------------------------------------- ordering


AGREED = Price(Decimal("71.00"), Decimal("5.00"), "EUR")


def ordered(hop, carry=carried, **changed):
    values = {"price": AGREED, "hostname": "", "note": "", "key": "one"}
    offer = Offer.objects.get()
    return hop.open(carry).ordering.order(str(offer.pk), **{**values, **changed})


def an_offer(hop, **more):
    form = supply.OfferForm(name="AX-64", price="71.00", setup_fee="5", processor="8 cores", **more)
    return supply.create_offer(hop.cast.ines, form)


def test_offers_come_with_price_fee_and_stock(hop):
    offer = an_offer(hop, memory="64 GB")
    (told,) = hop.open().ordering.offers()
    assert told == SupplyOffer(str(offer.pk), "AX-64", "8 cores, 64 GB", AGREED, None)


def test_an_order_whose_answer_is_lost_is_one_order_under_its_key(hop):
    an_offer(hop)
    with pytest.raises(OutcomeUnknown):
        ordered(hop, lost, hostname="shop.example.org")
    receipt = ordered(hop, hostname="shop.example.org")
    assert ordered(hop, hostname="shop.example.org") == receipt
    row = SupplyOrder.objects.get()
    assert (receipt.order_id, receipt.number) == (str(row.pk), str(row))
    assert (row.hostname, row.organisation) == ("shop.example.org", hop.cast.alder)
    with pytest.raises(OutcomeUnknown, match="something else"):
        ordered(hop, hostname="other.example.org")
    assert SupplyOrder.objects.count() == 1


def test_at_another_price_fee_or_currency_nothing_is_ordered(hop):
    offer = an_offer(hop)
    Offer.objects.filter(pk=offer.pk).update(price="79.00")
    dear = replace(AGREED, monthly=Decimal("79.00"))
    for price in (AGREED, replace(dear, currency="USD"), replace(dear, setup_fee=Decimal(0))):
        with pytest.raises(Refused, match=r"79\.00 EUR") as caught:
            ordered(hop, price=price)
        assert caught.value.problem == PRICE_CHANGED
    Offer.objects.filter(pk=offer.pk).update(hidden=True)
    with pytest.raises(NotFound):
        ordered(hop)
    assert not SupplyOrder.objects.exists()


def test_an_order_is_followed_until_it_is_answered(hop):
    an_offer(hop)
    ordering = hop.open().ordering
    filled, refused, withdrawn = (ordered(hop, key=key).order_id for key in "abc")
    supply.fill_supply(hop.cast.ines, int(filled), hop.foreign.pk)
    supply.refuse_supply(hop.cast.ines, int(refused), "Out of\nracks")
    assert ordering.look(withdrawn).state is SupplyState.WAITING
    for _ in range(2):
        ordering.withdraw(withdrawn)
    assert ordering.look(filled) == SupplyStatus(SupplyState.FILLED, str(hop.foreign.pk))
    assert ordering.look(refused).state is SupplyState.REFUSED
    assert ordering.look(refused).why.startswith("Out of")
    assert ordering.look(withdrawn).state is SupplyState.WITHDRAWN
    with pytest.raises(NotFound):
        ordering.look("../servers/1")


def test_a_token_that_may_not_operate_orders_nothing(hop):
    hop.token = hop.a_token("read")
    assert hop.open(learned_scopes="read").ordering is None
    an_offer(hop)
    with pytest.raises(Refused, match="scope operate"):
        ordered(hop)


@pytest.mark.parametrize(
    "broken",
    [{"price": "NaN"}, {"price": -1}, {"price": True}, {"stock": "many"}, {"id": None}, {"currency": 5}],
)
def test_an_offer_without_its_shape_is_a_bad_answer(hop, broken):
    def spoiled(request):
        offer = {
            "id": 1, "name": "AX", "processor": "", "memory": "", "disks": "", "bandwidth": "",
            "price": "71.00", "setup_fee": "0.00", "currency": "EUR", "stock": None,
        }  # fmt: skip
        return httpx.Response(200, json={"items": [{**offer, **broken}], "next": None})

    with pytest.raises(BadAnswer):
        hop.open(spoiled).ordering.offers()


@pytest.mark.parametrize("broken", [{"state": "lost"}, {"state": "filled", "server_id": None}])
def test_an_order_without_its_shape_may_have_been_taken(hop, broken):
    an_offer(hop)

    def spoiled(request):
        whole = {"id": 1, "number": "R-101", "state": "waiting", "server_id": None, "why": ""}
        return httpx.Response(201, json={**whole, **broken})

    with pytest.raises(OutcomeUnknown):
        ordered(hop, spoiled)
