"""A client's order that travels up two hops of the REST API, and the machine that comes down to it.

All installations are played by one: Birch buys with Alder's token from Northgate, and Dogwood buys with Cedar's token from
Birch. The network between them is a function.
"""

from datetime import timedelta

import pytest

from doublehop.driver_kit.conformance.carrier import ScriptedCarrier
from doublehop.fleet import actions as fleet
from doublehop.fleet import buying
from doublehop.fleet.models import Server, Upstream, UpstreamOrder
from doublehop.fleet.ordering import offers_of
from doublehop.organisations import actions as organisations
from doublehop.organisations.actions.tokens import TokenForm
from doublehop.organisations.queries import actor_for_user
from doublehop.services import upkeep
from doublehop.services.actions import supply
from doublehop.services.actions.buying import buy
from doublehop.services.lifecycle import OperationKind
from doublehop.services.models import SupplyOrder
from tests.cast import PASSWORD
from tests.stage import a_product, a_service, ask, run_all_jobs
from tests.test_peer_hop import ALL, Hop, carried, lost


class Chain:
    """``carry`` is the network."""

    def __init__(self):
        self.carry = carried
        self.hop = Hop()
        self.cast = self.hop.cast

    def begin(self):
        self.ines, self.birch = self.cast.ines, self.cast.tam
        supply.create_offer(self.ines, supply.OfferForm(name="AX-64", price="71.00"))
        supply.create_offer(self.birch, supply.OfferForm(name="Birch L", price="99.00"))
        cedar = self.an_owner(self.birch, "Cedar Metal")
        token = organisations.create_token(cedar, TokenForm(name="At home", scopes=ALL)).shown
        self.dogwood = self.an_owner(self.ines, "Dogwood Net")
        self.above_birch = self.an_upstream(self.birch, "northgate", self.hop.token)
        self.above_dogwood = self.an_upstream(self.dogwood, "birch", token)
        client = organisations.create_client(self.dogwood, name="Elm Tea", email="elm@tea.example")
        self.service = a_service(self.dogwood, client.pk, a_product(self.dogwood))

    def an_owner(self, above, name):
        row = organisations.create_organisation(above, name=name)
        made = organisations.create_staff(
            above,
            organisation_id=row.pk,
            name=f"Owner of {name}",
            email=f"owner@{name.split()[0].lower()}.example",
            password=PASSWORD,
            role="owner",
        )
        return actor_for_user(made.user)

    def an_upstream(self, actor, host, token):
        values = {"endpoint": f"https://panel.{host}.example", "token": token.reveal(), "pin": ""}
        row = fleet.create_upstream(actor, driver="peer", name=f"From {host}", values=values)
        run_all_jobs()
        fleet.arm(actor, row.pk)
        return Upstream.objects.get(pk=row.pk)

    def buy(self, actor, upstream, **more):
        (offer,) = offers_of(upstream)
        return buy(actor, upstream.pk, offer.offer_id, price=offer.price, **more)

    def later(self):
        buying.follow_orders({})
        run_all_jobs()
        upkeep.attach_bought({})
        run_all_jobs()
        self.service.refresh_from_db()


@pytest.fixture
def chain(db, settings, monkeypatch):
    settings.ALLOWED_HOSTS = ["*"]
    # Nobody waits here for a machine to go down.
    monkeypatch.setattr("doublehop.services.work.steps.EARLIEST_ON", timedelta(0))
    made = Chain()
    monkeypatch.setattr(
        "doublehop.driver_kit.http.WireTransport",
        lambda **_: ScriptedCarrier(lambda request: made.carry(request)),
    )
    made.begin()
    return made


def test_an_order_passes_two_hops_up_and_its_server_two_hops_down(chain):
    chain.carry = lost
    chain.buy(chain.dogwood, chain.above_dogwood, hostname="tea.example.org", service_id=chain.service.pk)
    buying.order({"order_id": UpstreamOrder.objects.get().pk})
    assert UpstreamOrder.objects.get().state == "sent"
    chain.carry = carried
    chain.later()
    asked = SupplyOrder.objects.get(giver=chain.cast.birch)
    assert (asked.offer_name, asked.price, asked.hostname) == ("Birch L", 99, "tea.example.org")
    # Birch has none, so it buys one in turn.
    chain.buy(chain.birch, chain.above_birch)
    chain.later()
    above = SupplyOrder.objects.get(giver=chain.cast.provider)
    supply.fill_supply(chain.ines, above.pk, chain.hop.foreign.pk)
    chain.later()
    come = Server.objects.get(upstream=chain.above_birch, external_id=str(chain.hop.foreign.pk))
    assert chain.service.server is None
    supply.fill_supply(chain.birch, asked.pk, come.pk)
    chain.later()
    assert chain.service.server == Server.objects.get(upstream=chain.above_dogwood, external_id=str(come.pk))
    assert ["serial", "SN-foreign", "strong"] in chain.service.server.recorded_identity["identifiers"]
    assert set(UpstreamOrder.objects.values_list("state", flat=True)) == {"filled"}
    assert SupplyOrder.objects.count() == 2
    # And it is the very machine: a reboot asked at the bottom happens at the top, once.
    ask(chain.dogwood, OperationKind.REBOOT, chain.service)
    run_all_jobs()
    assert chain.hop.stage.place.effects("foreign") == ["power.reset:graceful"]


def test_filled_at_once_where_the_offer_has_a_free_server(chain):
    group = fleet.create_server_group(chain.ines, "Ready")
    fleet.set_group_members(chain.ines, group.pk, [chain.hop.foreign.pk])
    (offer,) = offers_of(chain.above_birch)
    supply.update_offer(
        chain.ines,
        int(offer.offer_id),
        supply.OfferForm(name="AX-64", price="71.00", server_group_id=group.pk),
    )
    service = a_service(chain.birch, chain.cast.juniper.pk, a_product(chain.birch))
    chain.buy(chain.birch, chain.above_birch, service_id=service.pk)
    chain.later()
    service.refresh_from_db()
    assert service.server.external_id == str(chain.hop.foreign.pk)


def test_an_answer_that_was_lost_after_it_was_filled_finds_the_same_server(chain):
    group = fleet.create_server_group(chain.ines, "Ready")
    fleet.set_group_members(chain.ines, group.pk, [chain.hop.foreign.pk])
    (offer,) = offers_of(chain.above_birch)
    supply.update_offer(
        chain.ines,
        int(offer.offer_id),
        supply.OfferForm(name="AX-64", price="71.00", server_group_id=group.pk),
    )
    chain.carry = lost
    row = chain.buy(chain.birch, chain.above_birch)
    buying.order({"order_id": row.pk})
    chain.carry = carried
    chain.later()
    row.refresh_from_db()
    assert (row.state, row.external_id) == ("filled", str(chain.hop.foreign.pk))
    assert SupplyOrder.objects.filter(giver=chain.cast.provider).count() == 1
