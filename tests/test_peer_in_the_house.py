"""A reseller whose servers come from another Doublehop: its operations, through the whole house, on the driver ``peer``.

Both installations are played by one: what Alder was given by the provider, Birch's upstream reads with Alder's token. The
network between them is a function. What truly happens is read from the world behind the provider.
"""

from datetime import timedelta

import httpx
import pytest
from django.utils import timezone

from doublehop.api.tests.calling import Program
from doublehop.bandwidth import actions as bandwidth
from doublehop.bandwidth import totals
from doublehop.bandwidth.models import Daily, Total
from doublehop.bandwidth.queries import daily_totals
from doublehop.driver_kit.conformance.carrier import ScriptedCarrier
from doublehop.driver_kit.conformance.world import Fault
from doublehop.fleet import actions as fleet
from doublehop.fleet.models import Allocation, Permission, Server, Upstream
from doublehop.fleet.queries import open_holds
from doublehop.services import actions
from doublehop.services.lifecycle import OperationKind, OperationState
from doublehop.services.models import Operation, Service, Step
from doublehop.services.queries import can_be_read_back
from doublehop.services.work import sweep
from tests.stage import a_product, a_service, ask, run_all_jobs, run_jobs
from tests.test_peer_hop import Hop, carried, lost, never_arrives

REBOOT, SUSPEND, UNSUSPEND = OperationKind.REBOOT, OperationKind.SUSPEND, OperationKind.UNSUSPEND


class Below:
    """Birch buys through Alder's token; ``service`` is what its client Juniper has. ``carry`` is the network between."""

    def __init__(self) -> None:
        self.hop = Hop()
        self.carry = carried
        self.cast = self.hop.cast
        self.place = self.hop.stage.place

    def begin(self) -> None:
        tam = self.cast.tam
        values = {"endpoint": "https://panel.northgate.example", "token": self.hop.token.reveal(), "pin": ""}
        self.upstream = fleet.create_upstream(tam, driver="peer", name="From above", values=values)
        run_all_jobs()
        fleet.arm(tam, self.upstream.pk)
        self.server = Server.objects.get(upstream=self.upstream, label="web.example.org")
        self.service = a_service(tam, self.cast.juniper.pk, a_product(tam), self.server)
        run_all_jobs()

    def ask(self, kind: OperationKind, actor=None) -> Operation:
        return ask(actor or self.cast.tam, kind, self.service)

    def swept(self, operation: Operation) -> Operation:
        Operation.objects.update(looked_again_at=timezone.now() - timedelta(hours=1))
        sweep({})
        run_all_jobs()
        operation.refresh_from_db()
        return operation


@pytest.fixture
def below(db, settings, monkeypatch):
    settings.ALLOWED_HOSTS = ["*"]
    monkeypatch.setattr("doublehop.services.work.steps.EARLIEST_ON", timedelta(0))
    made = Below()
    monkeypatch.setattr(
        "doublehop.driver_kit.http.WireTransport",
        lambda **_: ScriptedCarrier(lambda request: made.carry(request)),
    )
    made.begin()
    return made


def the_hour_is_over(operation: Operation) -> None:
    """What waited over there has waited too long: it is failed, or unknown, here."""
    Operation.objects.filter(pk=operation.pk).update(settle_before=timezone.now())
    run_all_jobs()
    operation.refresh_from_db()
    assert operation.state in {OperationState.FAILED, OperationState.UNKNOWN}


def test_a_new_upstream_is_tested_listed_and_known_by_what_is_burnt_in(below):
    row = Upstream.objects.get(pk=below.upstream.pk)
    assert all(fine for _, fine, _ in row.test_report), row.test_report
    below.server.refresh_from_db()
    assert ["serial", "SN-web", "strong"] in below.server.recorded_identity["identifiers"]


def test_a_client_below_reads_no_hostname_of_the_provider(below):
    program = Program(below.cast.tam, client_id=below.cast.juniper.pk)
    (server,) = program.get("/servers").json()["items"]
    assert (server["label"], server["hostname"]) == (server["primary_address"], "")
    Service.objects.update(ordered_hostname="shop.example.org")
    (service,) = program.get("/services").json()["items"]
    assert service["hostname"] == "shop.example.org"


def test_a_client_below_reboots_once(below):
    operation = below.ask(REBOOT, below.cast.lena)
    run_all_jobs()
    operation.refresh_from_db()
    assert operation.state == OperationState.DONE
    assert below.place.effects("web") == ["power.reset:graceful"]
    over_there = Operation.objects.get(kind=REBOOT, organisation=below.cast.alder)
    assert operation.reference in over_there.idempotency_key


def test_a_lost_answer_is_unknown_and_settles_by_asking(below):
    below.carry = lost
    operation = below.ask(REBOOT)
    # As long as nothing is answered there, nobody knows.
    run_jobs()
    operation.refresh_from_db()
    assert operation.state == OperationState.UNKNOWN
    below.carry = carried
    assert can_be_read_back(operation)
    assert below.swept(operation).state == OperationState.DONE
    assert below.place.effects("web") == ["power.reset:graceful"]
    assert [step.state for step in operation.steps.all()] == ["done", "done"]


def test_a_request_that_never_arrived_stays_for_a_person(below):
    below.carry = never_arrives
    operation = below.ask(REBOOT)
    run_all_jobs()
    below.carry = carried
    assert below.swept(operation).state == OperationState.UNKNOWN
    assert below.place.effects("web") == []
    actions.settle(below.cast.tam, operation.reference, happened=False, why="It was not asked over there")


def test_unknown_there_is_unknown_here_until_a_person_decides_there(below):
    below.place.fault(Fault.UNKNOWN_AFTER_ACTING, on="power.reset")
    operation = below.ask(REBOOT)
    run_all_jobs()
    operation.refresh_from_db()
    assert (operation.state, operation.failure_code) == (OperationState.UNKNOWN, "unknown_there")
    there = Operation.objects.get(kind=REBOOT, organisation=below.cast.alder)
    actions.settle(below.cast.rosa, there.reference, happened=False, why="Its console shows no restart")
    assert below.swept(operation).state == OperationState.FAILED


def test_down_is_not_sent_and_goes_on_when_it_is_back(below):
    def down(request):
        raise httpx.ConnectError("refused")

    below.carry = down
    operation = below.ask(REBOOT)
    run_jobs()
    operation.refresh_from_db()
    assert operation.state == OperationState.RUNNING
    assert not operation.steps.filter(times_sent__gt=0).exists()
    below.carry = carried
    run_all_jobs()
    operation.refresh_from_db()
    assert operation.state == OperationState.DONE
    assert below.place.effects("web") == ["power.reset:graceful"]


def suspended_and_back(below):
    below.ask(SUSPEND)
    run_all_jobs()
    assert below.place.machines["web"].port_enabled is False
    below.ask(UNSUSPEND)
    run_all_jobs()
    assert below.place.machines["web"].port_enabled is True


def test_a_suspension_travels_and_is_taken_back(below):
    suspended_and_back(below)
    assert not Operation.objects.exclude(state=OperationState.DONE).exists()


def test_a_suspension_that_is_held_over_there_is_taken_back(below, monkeypatch):
    suspend = below.ask(SUSPEND)
    monkeypatch.setattr("doublehop.services.actions.brakes.free", lambda *_: 0)
    run_jobs()
    held = Operation.objects.get(kind=SUSPEND, organisation=below.cast.alder)
    assert held.state == OperationState.HELD
    the_hour_is_over(suspend)
    unsuspend = below.ask(UNSUSPEND)
    run_all_jobs()
    for row in (held, unsuspend):
        row.refresh_from_db()
    assert (held.state, unsuspend.state) == (OperationState.CANCELLED, OperationState.DONE)
    assert [step.times_sent for step in unsuspend.steps.all()] == [1]
    assert below.place.effects("web") == []


def test_whoever_pays_does_not_wait_for_the_suspension_that_waits_over_there(below, monkeypatch):
    suspend = below.ask(SUSPEND)
    monkeypatch.setattr("doublehop.services.actions.brakes.free", lambda *_: 0)
    run_jobs()
    unsuspend = below.ask(UNSUSPEND)
    Step.objects.filter(operation=suspend).update(sent_at=timezone.now() - timedelta(seconds=21))
    run_all_jobs()
    held = Operation.objects.get(kind=SUSPEND, organisation=below.cast.alder)
    for row in (held, suspend, unsuspend):
        row.refresh_from_db()
    assert (suspend.state, suspend.failure_code) == (OperationState.FAILED, "taken_back")
    assert (held.state, unsuspend.state) == (OperationState.CANCELLED, OperationState.DONE)
    assert below.place.effects("web") == []
    below.service.refresh_from_db()
    assert below.service.status == "active"


def test_a_suspension_that_failed_over_there_is_lifted_there(below):
    below.place.fault(Fault.WRONG_IDENTITY, on="identify")
    suspend = below.ask(SUSPEND)
    run_jobs()
    the_hour_is_over(suspend)
    assert Operation.objects.get(kind=SUSPEND, organisation=below.cast.alder).state == OperationState.FAILED
    assert open_holds([below.hop.web.pk]).exists()
    below.ask(UNSUSPEND)
    run_all_jobs()
    assert not open_holds([below.hop.web.pk, below.server.pk]).exists()
    assert below.place.machines["web"].port_enabled is True


def test_a_release_from_before_tells_only_what_was_carried_out(below):
    def older(request):
        answer = carried(request)
        told = answer.json() if request.url.path.startswith("/api/v1/servers/") else None
        if not isinstance(told, dict) or "suspension_asked" not in told:
            return answer
        del told["suspension_asked"]
        return httpx.Response(answer.status_code, json=told)

    below.carry = older
    suspended_and_back(below)


def test_a_suspension_whose_answer_is_lost_is_read_back(below):
    below.carry = lost
    operation = below.ask(SUSPEND)
    run_all_jobs()
    operation.refresh_from_db()
    assert operation.state == OperationState.DONE
    assert below.place.effects("web").count("port.set_enabled:off") == 1


def test_another_machine_over_there_is_noticed_before_anything_is_sent(below):
    web = below.hop.web
    web.refresh_from_db()
    web.identifiers = [["serial", "SN-other", "strong"]]
    web.save()
    operation = below.ask(REBOOT)
    run_all_jobs()
    operation.refresh_from_db()
    assert (operation.state, operation.failure_code) == (OperationState.FAILED, "wrong_machine")
    assert not Operation.objects.filter(organisation=below.cast.alder).exists()


def test_what_is_taken_back_is_gone_and_nothing_is_sent(below):
    fleet.end_allocation(below.cast.ines, Allocation.objects.get(server=below.hop.web).pk)
    fleet.ask_sync(below.cast.tam, below.upstream.pk)
    run_all_jobs()
    below.server.refresh_from_db()
    assert below.server.missing_since is not None
    operation = below.ask(REBOOT)
    run_all_jobs()
    operation.refresh_from_db()
    assert (operation.state, operation.failure_code) == (OperationState.FAILED, "missing")
    assert below.place.effects("web") == []


def test_figures_arrive_as_days_with_source_and_unit(below):
    long_ago = timezone.now() - timedelta(days=40)
    for model in (Allocation, Permission):
        model.objects.update(since=long_ago)
    bandwidth.write_sample_history(below.hop.stage.upstream.pk, days=10, raw_days=2)
    totals.fetch_server({"server_id": below.server.pk})
    today = timezone.now().date()
    there = daily_totals(
        below.cast.rosa, below.hop.web.pk, today - timedelta(days=10), today - timedelta(days=1)
    )
    here = Total.objects.filter(server_id=below.server.pk).order_by("start")
    assert len(there) == 10
    assert [(one.octets_in, one.octets_out) for one in here] == [
        (day.octets_in, day.octets_out) for day in there
    ]
    assert set(here.values_list("source", "unit", "sample_history")) == {("Doublehop", "octets", True)}
    # And on to whoever is below: days of either kind are told alike.
    on = daily_totals(below.cast.tam, below.server.pk, today - timedelta(days=10), today - timedelta(days=1))
    assert [day.octets_out for day in on] == [day.octets_out for day in there]


def test_what_the_seller_did_not_wholly_count_is_not_complete_at_the_buyer(below):
    long_ago = timezone.now() - timedelta(days=40)
    for model in (Allocation, Permission):
        model.objects.update(since=long_ago)
    bandwidth.write_sample_history(below.hop.stage.upstream.pk, days=10, raw_days=2)
    day = timezone.now().date() - timedelta(days=5)
    Daily.objects.filter(day=day).update(slots=276)
    totals.fetch_server({"server_id": below.server.pk})
    (there,) = daily_totals(below.cast.rosa, below.hop.web.pk, day, day)
    (here,) = daily_totals(below.cast.tam, below.server.pk, day, day)
    assert (there.complete, there.counted_seconds) == (False, 82800)
    assert (here.complete, here.counted_seconds) == (False, 82800)
    assert daily_totals(below.cast.tam, below.server.pk, day - timedelta(days=1), day - timedelta(days=1))[
        0
    ].complete
