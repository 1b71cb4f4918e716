"""A provider's rack, three machines given to Alder, Alder's LEAP account, and a Tandem user with one of the machines."""

from dataclasses import dataclass

import pytest
from tests.cast import PASSWORD, Cast, a_cast
from tests.stage import Stage, a_stage

from doublehop.fleet import actions as fleet
from doublehop.fleet.models import Server
from doublehop.leap.tests.speaking import Speaker
from doublehop.organisations import actions as organisations
from doublehop.organisations.models import TandemUser

TANDEM = ("noc@alder.example", "a-chosen-password")


@dataclass
class House:
    cast: Cast
    stage: Stage
    web: Server
    spare: Server
    foreign: Server
    alder: Speaker
    night: TandemUser


@pytest.fixture
def house(db: None) -> House:
    cast = a_cast()
    stage = a_stage(cast.ines)
    web, spare, foreign = stage.machines("web", "spare", "foreign")
    for server in (web, spare):
        fleet.allocate(cast.ines, server.pk, cast.alder.pk)
    fleet.allocate(cast.ines, foreign.pk, cast.birch.pk)
    account = organisations.open_leap_account(cast.rosa, cast.alder.pk)
    secrets = organisations.show_leap_secrets(cast.rosa, PASSWORD)
    night = organisations.add_tandem_user(cast.rosa, name="Night shift", email=TANDEM[0], password=TANDEM[1])
    fleet.permit_tandem(cast.rosa, night.pk, [web.pk])
    return House(
        cast, stage, web, spare, foreign, Speaker(account.username, account.client_id, **secrets), night
    )
