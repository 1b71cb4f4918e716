"""Whatever is typed or sent: a refusal with a sentence, or it is kept as it is. Never a traceback."""

from contextlib import suppress

import pytest
from tests.stage import ask

from doublehop.fleet import actions as fleet
from doublehop.fleet import queries as fleet_queries
from doublehop.journal.queries import entries_for_organisation
from doublehop.organisations import actions as organisations
from doublehop.organisations.refusals import Refusal
from doublehop.services import actions, queries
from doublehop.services.actions.catalogue import ProductForm
from doublehop.services.lifecycle import OperationKind

RDNS, REBOOT, SUSPEND = OperationKind.SET_RDNS, OperationKind.REBOOT, OperationKind.SUSPEND
TEXTS = ("\0", "a\0b", "\ud800", "<script>alert(1)</script>" * 50, "x" * 100_000, " ", "\u202e")
NUMBERS = (10**25, -1, 0)


def product(house, **more):
    return actions.create_product(
        house.cast.rosa, ProductForm(**{"name": "New", "group_id": house.product.group_id, **more})
    )


WITH_TEXT = {
    "reason": lambda h, t: ask(h.cast.rosa, SUSPEND, h.service, reason=t, client_text=t),
    "cause": lambda h, t: ask(h.cast.rosa, SUSPEND, h.service, cause=t),
    "key": lambda h, t: ask(h.cast.rosa, REBOOT, h.service, idempotency_key=t),
    "address": lambda h, t: ask(h.cast.rosa, RDNS, h.service, parameters={"address": t, "name": t}),
    "unused address": lambda h, t: ask(h.cast.rosa, REBOOT, h.service, parameters={"address": t}),
    "reference": lambda h, t: queries.operation(h.cast.rosa, t),
    "cancel": lambda h, t: actions.cancel(h.cast.rosa, t),
    "search": lambda h, t: queries.search(h.cast.rosa, t),
    "journal": lambda h, t: entries_for_organisation(h.cast.alder.pk, text=t),
    "terminate": lambda h, t: actions.terminate(h.cast.rosa, h.service.pk, reason=t),
    "save": lambda h, t: actions.save_service(
        h.cast.rosa, h.service.pk, server_id=h.web.pk, hostname=t, username=t
    ),
    "product group": lambda h, t: actions.create_product_group(h.cast.rosa, t),
    "policy": lambda h, t: actions.create_suspend_policy(h.cast.rosa, t, ["port"]),
    "product": lambda h, t: product(h, name=t),
    "description": lambda h, t: product(h, description=t),
    "price": lambda h, t: product(h, price=t),
    "rights": lambda h, t: product(h, client_rights=[t]),
    "server group": lambda h, t: fleet.create_server_group(h.cast.rosa, t),
    "client": lambda h, t: organisations.create_client(h.cast.rosa, name=t, email=t),
    "upstream": lambda h, t: fleet.create_upstream(
        h.cast.ines, driver="memory", name=t, values={"endpoint": "e", "account": "d", "password": "p"}
    ),
    "settings": lambda h, t: fleet.create_upstream(
        h.cast.ines, driver="memory", name="n", values={"endpoint": t, "account": t, "password": t}
    ),
    "kind": lambda h, t: fleet.create_upstream(h.cast.ines, driver=t, name="n", values={}),
}
WITH_NUMBER = {
    "service": lambda h, n: queries.service(h.cast.rosa, n),
    "server": lambda h, n: fleet_queries.server(h.cast.rosa, n),
    "reboot": lambda h, n: actions.request(h.cast.rosa, REBOOT, n, idempotency_key="k"),
    "reboot of a server": lambda h, n: actions.request(h.cast.rosa, REBOOT, server_id=n, idempotency_key="k"),
    "swap": lambda h, n: actions.swap(h.cast.rosa, h.service.pk, n),
    "order": lambda h, n: actions.create_service(h.cast.rosa, client_id=n, product_id=n),
    "product": lambda h, n: product(h, group_id=n, server_group_id=n, suspend_policy_id=n),
    "preview": lambda h, n: queries.preview(h.cast.rosa, REBOOT, [n]),
    "group": lambda h, n: fleet.set_group_members(
        h.cast.rosa, fleet.create_server_group(h.cast.rosa, "Pool").pk, [n]
    ),
    "allocate": lambda h, n: fleet.allocate(h.cast.ines, n, n),
    "journal": lambda h, n: entries_for_organisation(h.cast.alder.pk, before_id=n, target_id=n),
}


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
@pytest.mark.parametrize("where", WITH_TEXT)
def test_any_text(house, where, text):
    with suppress(Refusal):
        WITH_TEXT[where](house, text)


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("where", WITH_NUMBER)
def test_any_number(house, where, number):
    with suppress(Refusal):
        WITH_NUMBER[where](house, number)
