"""A provider's rack with machines allocated to Alder, one of them attached to Quillfeather's service."""

from dataclasses import dataclass

import pytest
from tests.cast import Cast, a_cast
from tests.stage import Stage, a_product, a_service, a_stage

from doublehop.fleet import actions as fleet
from doublehop.fleet.models import Server
from doublehop.services.models import Product, Service


@dataclass
class House:
    cast: Cast
    stage: Stage
    product: Product
    web: Server
    spare: Server
    service: Service


@pytest.fixture
def house(db: None) -> House:
    cast = a_cast()
    stage = a_stage(cast.ines)
    web, spare, third = stage.machines("web", "spare", "third")
    for server in (web, spare):
        fleet.allocate(cast.ines, server.pk, cast.alder.pk)
    fleet.allocate(cast.ines, third.pk, cast.birch.pk)
    product = a_product(cast.rosa)
    service = a_service(cast.rosa, cast.quillfeather.pk, product, web)
    return House(cast, stage, product, web, spare, service)
