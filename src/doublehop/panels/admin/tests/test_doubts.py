"""The page of what is in doubt, and the way to it from the dashboard."""

from datetime import timedelta

import pytest
from django.test import Client
from tests.cast import a_cast

from doublehop.bandwidth.models import Quarantined
from doublehop.bandwidth.tests.switch import T0, Switch
from doublehop.organisations.models import User

pytestmark = pytest.mark.django_db
FIVE = timedelta(minutes=5)
PAGE = "/admin/bandwidth/in-doubt/"


@pytest.fixture
def cast():
    return a_cast()


@pytest.fixture
def switch(cast):
    switch = Switch(cast.provider)
    switch.run(T0, [10])
    switch.flow(out=10**12)
    switch.read(T0 + 2 * FIVE)
    return switch


def browser(actor):
    client = Client()
    client.force_login(User.objects.get(pk=actor.user_id))
    return client


def test_from_the_dashboard_to_the_decision(cast, switch):
    ines = browser(cast.ines)
    assert "1 interval of bandwidth in doubt at Rack A" in ines.get("/admin/").content.decode()
    text = ines.get(PAGE).content.decode()
    assert "More than the port can carry" in text
    row = Quarantined.objects.get()
    said = ines.post(f"{PAGE}decide/", {"do": "accept", "id": [row.pk], "reason": " "}, follow=True)
    assert "Say how you know" in said.content.decode()
    said = ines.post(
        f"{PAGE}decide/", {"do": "reject", "id": [row.pk], "reason": "Another switch"}, follow=True
    )
    text = said.content.decode()
    assert "Rejected" in text
    assert "Nothing is in doubt" in text
    assert "Another switch" in ines.get(f"{PAGE}?show=decided").content.decode()


def test_who_owns_no_upstream_is_not_led_there(cast, switch):
    rosa = browser(cast.rosa)
    assert "In doubt" not in rosa.get("/admin/bandwidth/").content.decode()
    assert "eth1" not in rosa.get(PAGE).content.decode()
    row = Quarantined.objects.get()
    assert rosa.post(f"{PAGE}decide/", {"do": "accept", "id": [row.pk], "reason": "Mine"}).status_code == 404
    row.refresh_from_db()
    assert row.state == "open"
