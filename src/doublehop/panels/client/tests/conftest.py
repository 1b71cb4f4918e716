"""A house of two resellers with one client each, and browsers for them."""

import pytest
from django.test import Client
from tests.cast import Cast, a_cast
from tests.stage import Stage, a_product, a_service, a_stage, run_jobs

from doublehop.fleet import actions as fleet
from doublehop.organisations import queries as organisations
from doublehop.organisations.actions.tandem import add_tandem_user
from doublehop.organisations.actor import Actor
from doublehop.organisations.models import User
from doublehop.services.models import Service

TANDEM_PASSWORD = "a-battery-for-tove"


class House:
    cast: Cast
    stage: Stage
    service: Service
    other: Service

    def __init__(self) -> None:
        self.cast = a_cast()
        self.stage = a_stage(self.cast.ines)
        self.web, self.foreign, self.spare = self.stage.machines("web1", "foreign", "spare")
        fleet.allocate(self.cast.ines, self.web.pk, self.cast.alder.pk)
        fleet.allocate(self.cast.ines, self.spare.pk, self.cast.alder.pk)
        fleet.allocate(self.cast.ines, self.foreign.pk, self.cast.birch.pk)
        self.product = a_product(self.cast.rosa, ways=["port"])
        self.service = a_service(self.cast.rosa, self.cast.quillfeather.pk, self.product, self.web)
        self.other = a_service(
            self.cast.tam, self.cast.juniper.pk, a_product(self.cast.tam, "Other"), self.foreign
        )
        fleet.ask_refresh(self.cast.ines, self.web.pk)
        run_jobs()

    def browser(self, actor):
        client = Client()
        client.force_login(User.objects.get(pk=actor.user_id))
        return client

    def guest(self, name: str, *servers, rights: tuple[str, ...] | None = None) -> Actor:
        """A Tandem user of Alder with permission on ``servers``."""
        email = f"{name.split()[0].lower()}@elsewhere.example"
        row = add_tandem_user(self.cast.rosa, name=name, email=email, password=TANDEM_PASSWORD)
        ids = [server.pk for server in servers]
        if rights is None:
            fleet.permit_tandem(self.cast.rosa, row.pk, ids)
        else:
            fleet.permit_tandem(self.cast.rosa, row.pk, ids, rights)
        actor = organisations.actor_of_user_id(row.user_id)
        assert actor is not None
        return actor


@pytest.fixture
def house():
    return House()


@pytest.fixture
def mara(house):
    return house.browser(house.cast.mara)
