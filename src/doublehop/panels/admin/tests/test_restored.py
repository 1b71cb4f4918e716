"""What staff see of a restored copy, and who may let it go on."""

from datetime import timedelta

import pytest
from django.utils import timezone
from tests.stage import ask

from doublehop.notices import actions as notices
from doublehop.organisations.installation import in_quarantine
from doublehop.organisations.models import Installation, Staff
from doublehop.panels.admin.tests.conftest import browser
from doublehop.services.actions import restored
from doublehop.services.lifecycle import OperationKind

PAGE = "/admin/restored/"
BANNER = "Restored copy: nothing is sent"


@pytest.fixture
def ines(house):
    """A suspension at a reseller is open and a mail of the root waits; then the copy is restored."""
    ask(house.cast.rosa, OperationKind.SUSPEND, house.service)
    notices.write(
        organisation_id=house.cast.provider.pk,
        to="rosa@alder.example",
        subject="Your order",
        body="It waits.",
        about="supply_waits",
        key="supply:1",
    )
    restored.begin(Installation.Why.RESTORED, copy_taken_at=timezone.now() - timedelta(hours=9))
    return browser(house.cast.ines)


def test_every_page_of_the_root_says_it_and_nobody_elses(house, ines, rosa):
    for page in ("/admin/", "/admin/servers/", "/admin/setup/mail/"):
        told = ines.get(page).content.decode()
        assert BANNER in told
        assert "(9 h" in told
        assert BANNER not in rosa.get(page).content.decode()
    assert rosa.get(PAGE).status_code == rosa.post(PAGE).status_code == 404
    assert BANNER not in browser(house.cast.mara).get("/servers/").content.decode()


def test_the_page_says_what_waits_and_shows_no_foreign_machine(ines):
    page = ines.get(PAGE).content.decode()
    for words in ("The database was restored from a copy.", "Called off: 0", "Go on: 1", "not yours to see"):
        assert words in page
    assert "WEB" not in page
    assert " style=" not in page


def test_an_owner_confirms_and_the_banner_goes(ines):
    answer = ines.post(PAGE, {"mails": "drop"}, follow=True)
    assert "Confirmed." in answer.content.decode()
    assert BANNER not in answer.content.decode()
    assert not in_quarantine()
    assert ines.get(PAGE).status_code == 404


def test_others_of_the_root_read_and_may_not_confirm(house, ines):
    Staff.objects.filter(user_id=house.cast.ines.user_id).update(role="admin")
    page = ines.get(PAGE).content.decode()
    assert "Only an owner of your organisation confirms." in page
    assert "Confirm, and work again" not in page
    answer = ines.post(PAGE, {"mails": "send"}, follow=True)
    assert "Only an owner of the organisation that runs this installation" in answer.content.decode()
    assert in_quarantine()
