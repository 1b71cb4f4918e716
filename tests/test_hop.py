"""Both halves of the hop: a reseller's driver speaks to the provider's two old APIs, in one process and without a socket.

What happens is read from the world behind the provider's rack, which neither half writes.
"""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from django.test import Client

from doublehop.driver_kit.conformance.carrier import ScriptedCarrier
from doublehop.driver_kit.contract import PowerState, TicketState, capabilities_of
from doublehop.driver_kit.errors import CredentialsRejected, NotFound, Refused
from doublehop.driver_kit.secret import Secret
from doublehop.drivers.singlehop.driver import SinglehopUpstream
from doublehop.fleet import actions as fleet
from doublehop.organisations import actions as organisations
from tests.cast import PASSWORD, a_cast
from tests.stage import a_stage, run_all_jobs

TANDEM = ("panel@alder.example", "a-chosen-password")


def carried(request: httpx.Request) -> httpx.Response:
    answer = Client().generic(
        request.method,
        request.url.raw_path.decode(),
        request.content,
        content_type=request.headers.get("content-type", ""),
        headers={"authorization": request.headers["authorization"]}
        if "authorization" in request.headers
        else {},
    )
    headers = {name: answer[name] for name in ("retry-after", "location") if name in answer}
    return httpx.Response(answer.status_code, content=answer.content, headers=headers)


class Hop:
    """``web`` and ``spare`` are given to Alder, whose Tandem user may use ``web``."""

    def __init__(self, api: str) -> None:
        self.cast = a_cast()
        self.stage = a_stage(self.cast.ines)
        self.web, self.spare, self.foreign = self.stage.machines("web", "spare", "foreign")
        self.stage.place.machines["web"].addresses = ("192.0.2.200",)
        for server in (self.web, self.spare):
            fleet.allocate(self.cast.ines, server.pk, self.cast.alder.pk)
        account = organisations.open_leap_account(self.cast.rosa, self.cast.alder.pk)
        shown = organisations.show_leap_secrets(self.cast.rosa, PASSWORD)
        user = organisations.add_tandem_user(
            self.cast.rosa, name="Panel", email=TANDEM[0], password=TANDEM[1]
        )
        fleet.permit_tandem(self.cast.rosa, user.pk, [self.web.pk])
        self.settings = {
            "endpoint": "https://leap.northgate.example",
            "leap_username": account.username,
            "leap_password": Secret(shown["password"]),
            "tandem_username": TANDEM[0],
            "tandem_password": Secret(TANDEM[1]),
            "api_key": Secret(shown["api_key"]),
            "pin": Secret(shown["pin"]),
            "api": api,
        }
        self.report = self.open().test_connection()
        self.learned = {f"learned_{name}": text for name, text in self.report.learned.items()}

    def open(self, **changed: object) -> SinglehopUpstream:
        return SinglehopUpstream(
            {**self.settings, **changed},
            carrier=lambda: ScriptedCarrier(carried),
        )

    def server(self, row=None):
        return self.open(**self.learned).server(str((row or self.web).pk))

    def settle(self, part, ticket):
        run_all_jobs()
        assert part.follow_up(ticket).state is TicketState.DONE


@pytest.fixture(params=["leap", "dropzone", "auto"])
def hop(db, settings, monkeypatch, request):
    settings.ALLOWED_HOSTS = ["*"]
    # Nobody waits here for a machine to go down.
    monkeypatch.setattr("doublehop.services.work.steps.EARLIEST_ON", timedelta(0))
    return Hop(request.param)


def test_a_test_finds_everything_and_says_so(hop):
    assert hop.report.fine, hop.report
    assert {what: seen for what, _, seen in hop.report.lines}["LEAP login accepted"]
    offered = set(capabilities_of(hop.server()))
    assert {"power", "addresses", "traffic", "credentials", "suspension", "access", "rdns"} <= offered
    assert ("rescue" in offered) is (hop.settings["api"] != "leap")


def test_the_list_shows_what_is_given_and_withholds_what_is_not_permitted(hop):
    found = {line.external_id: line for line in hop.open(**hop.learned).inventory.list()}
    assert set(found) == {str(hop.web.pk), str(hop.spare.pk)}
    assert not found[str(hop.web.pk)].withheld
    assert found[str(hop.spare.pk)].withheld
    assert found[str(hop.web.pk)].hostname == "web.example.org"
    for row, line in ((hop.web, found[str(hop.web.pk)]), (hop.spare, found[str(hop.spare.pk)])):
        assert tuple(hop.server(row).identify()) == line.identifiers
        assert line.primary_address == row.primary_address
    with pytest.raises(NotFound):
        hop.server(hop.foreign).identify()


def test_one_reboot_here_is_one_reset_there(hop):
    power = hop.server().power
    assert power.state() in {PowerState.ON, PowerState.UNKNOWN}
    before = hop.stage.place.effects("web")
    ticket = power.reset(graceful=False)
    assert power.follow_up(ticket).state is TicketState.PENDING
    hop.settle(power, ticket)
    assert len(hop.stage.place.effects("web")) == len(before) + 1


def test_the_tandem_users_permission_holds_for_reboots_over_dropzone(hop):
    if hop.settings["api"] == "leap":
        pytest.skip("the LEAP API knows no login of a Tandem user")
    with pytest.raises(Refused, match="no permission"):
        hop.server(hop.spare).power.reset(graceful=False)
    run_all_jobs()
    assert hop.stage.place.effects("spare") == []


def test_a_suspension_is_real_and_lifts(hop):
    suspension = hop.server().suspension
    hop.settle(suspension, suspension.suspend("Invoice 1187 is overdue"))
    assert suspension.is_suspended()
    hop.settle(suspension, suspension.unsuspend())
    assert not suspension.is_suspended()


def test_a_permission_is_taken_and_given_back(hop):
    access = hop.server().access
    assert access.is_permitted()
    for permitted in (False, False, True):
        hop.settle(access, access.set_permitted(permitted))
        assert access.is_permitted() is permitted


def test_names_of_addresses_arrive(hop):
    rdns = hop.server().rdns
    address = hop.web.primary_address
    hop.settle(rdns, rdns.set(address, "mail.example.org"))
    assert hop.stage.place.machines["web"].rdns[address] == "mail.example.org"
    assert rdns.read()[address] == "mail.example.org"
    found = {one.address: one for one in hop.server().addresses.list()}
    assert found[address].primary
    assert found[address].rdns == "mail.example.org"


def test_the_login_of_the_machine_is_told(hop):
    login = hop.server().credentials.read()
    assert login.username == "root"


def test_figures_are_asked_for_without_a_fault(hop):
    now = datetime.now(UTC)
    traffic = hop.server().traffic
    assert traffic.unit == "octets"
    assert all(one.end <= now for one in traffic.read(now - timedelta(days=31), now))


@pytest.mark.parametrize("wrong", ["leap_password", "api_key", "tandem_password"])
def test_a_wrong_login_is_rejected(hop, wrong):
    api = hop.settings["api"]
    if (wrong, api) in {("api_key", "dropzone"), ("tandem_password", "leap")}:
        pytest.skip("that API does not ask for it")
    upstream = hop.open(**hop.learned, **{wrong: Secret("wrong-one")})
    with pytest.raises(CredentialsRejected, match="Authentication Error"):
        upstream.inventory.list()
    assert not upstream.test_connection().fine
