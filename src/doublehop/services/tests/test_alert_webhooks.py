"""Usage alerts reach receivers: the house at each share that it looks at, a client at those that it chose."""

import pytest
from tests.stage import run_jobs

from doublehop.notices import deliveries, endpoints
from doublehop.notices.endpoints import EndpointForm
from doublehop.notices.tests.receiver import OK, open_loopback, receiving
from doublehop.services.actions import counting as choosing
from doublehop.services.models import Product
from doublehop.services.tests.test_counting import cast as cast
from doublehop.services.tests.test_counting import count, days, flow, product_of, service_of
from doublehop.services.tests.test_counting import machines as machines

pytestmark = pytest.mark.django_db


@pytest.fixture
def hooks(cast, monkeypatch):
    """The receivers of the house and of its client."""
    open_loopback(monkeypatch)
    with receiving(OK) as ours, receiving(OK) as theirs:
        for who, receiver in ((cast.rosa, ours), (cast.mara, theirs)):
            url = f"http://127.0.0.1:{receiver.port}/"
            endpoints.create_endpoint(who, EndpointForm(url, kinds=["bandwidth.alert"]))
        yield ours, theirs


def arrive():
    deliveries.find_events({})
    run_jobs()


def test_the_house_hears_of_each_share_and_the_client_of_what_it_chose(cast, machines, hooks):
    product = product_of(cast, included="20")
    Product.objects.filter(pk=product.pk).update(alert_percents=[50, 80])
    service = service_of(cast, product, machines[0])
    choosing.choose_alerts(cast.mara, service.pk, "75")
    flow(machines[0], days(*([17] * 10)))
    count()
    arrive()
    ours, theirs = hooks
    told = [event["data"]["alert"] for event in ours.events]
    assert [(one["kind"], one["percent"]) for one in told] == [
        ("reached", 50),
        ("reached", 75),
        ("reached", 80),
    ]
    assert told[0] == {
        "kind": "reached",
        "percent": 50,
        "period": "November 2026",
        "quantity": "17.000",
        "included": told[0]["included"],
        "unit": "Mbit/s",
    }
    assert float(told[0]["included"]) == 20
    (event,) = theirs.events
    assert event["type"] == "bandwidth.alert"
    assert event["data"] == {"result": "done", "service_id": service.pk, "alert": {**told[1]}}
    count()
    arrive()
    assert (len(ours.got), len(theirs.got)) == (3, 1), "each once a period"


def test_a_client_who_chose_nothing_hears_nothing(cast, machines, hooks):
    product = product_of(cast, included="20")
    Product.objects.filter(pk=product.pk).update(alert_percents=[50])
    service_of(cast, product, machines[0])
    flow(machines[0], days(*([17] * 10)))
    count()
    arrive()
    ours, theirs = hooks
    assert (len(ours.got) > 0, theirs.got) == (True, [])
