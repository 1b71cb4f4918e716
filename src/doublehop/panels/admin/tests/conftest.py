"""Alder's house as its staff meet it: a rack of its own, a service with a machine, and browsers that are signed in."""

from dataclasses import dataclass

import pytest
from django.test import Client
from tests.cast import Cast, a_cast
from tests.stage import Stage, a_product, a_service, a_stage

from doublehop.fleet.models import Server
from doublehop.organisations.actor import Actor
from doublehop.organisations.models import User
from doublehop.services.models import Product, Service


@dataclass
class House:
    cast: Cast
    stage: Stage
    product: Product
    web: Server
    spare: Server
    service: Service

    @property
    def page(self) -> str:
        return f"/admin/clients/{self.service.client_id}/services/{self.service.pk}/"


def browser(actor: Actor) -> Client:
    client = Client()
    client.force_login(User.objects.get(pk=actor.user_id))
    return client


@pytest.fixture
def house(db: None) -> House:
    cast = a_cast()
    stage = a_stage(cast.rosa)
    web, spare = stage.machines("web", "spare")
    product = a_product(cast.rosa, ways=["port"])
    return House(cast, stage, product, web, spare, a_service(cast.rosa, cast.quillfeather.pk, product, web))


@pytest.fixture
def rosa(house: House) -> Client:
    return browser(house.cast.rosa)


@pytest.fixture
def sold(house: House) -> House:
    """Its product comes through a module: the one upstream of the house."""
    Product.objects.filter(pk=house.product.pk).update(module="memory", upstream=house.stage.upstream)
    house.product.refresh_from_db()
    return house


@pytest.fixture
def waiting(sold: House) -> str:
    """The page of an order that has no server yet."""
    row = a_service(sold.cast.rosa, sold.cast.quillfeather.pk, sold.product)
    return f"/admin/clients/{row.client_id}/services/{row.pk}/"
