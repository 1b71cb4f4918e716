"""A webhook from its making to its end, with a receiver that really gets what is sent."""

import re

import pytest
from playwright.sync_api import expect

from doublehop.notices.tests.receiver import answer, is_signed, receiving
from tests.browser.test_pages import keep_picture, looked_at

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]
SECRET = re.compile(r"^whsec_[A-Za-z0-9+/]{43}=$")


def test_it_is_made_tested_and_deleted(visit):
    person = visit("provider")
    page = person.page
    with receiving(answer(200, b'{"received": true}')) as receiver:
        person.go("/admin/setup/webhooks/new/")
        page.get_by_label("Address").fill("https://10.1.2.3/hooks")
        page.get_by_label(re.compile("^Usage alert")).check()
        page.get_by_role("button", name="Add the webhook").click()
        expect(page.get_by_role("alert")).to_contain_text("private or reserved network")
        page.get_by_label("Address").fill(f"http://127.0.0.1:{receiver.port}/hooks")
        page.get_by_label("Description").fill("Ticket system")
        page.get_by_role("button", name="Add the webhook").click()
        secret = page.get_by_text(SECRET).inner_text()
        page.get_by_role("button", name="Send a test").click()
        expect(page.get_by_text("It answered 200.")).to_be_visible(timeout=30_000)
        assert is_signed(secret, *receiver.got[0])
        expect(page.get_by_role("cell", name="Delivered")).to_be_visible()
        expect(page.get_by_text(SECRET)).to_have_count(0)
        assert looked_at(page) == []
        keep_picture(page, "admin-webhook", 1440, False)
        page.get_by_role("button", name="New secret…").click()
        page.get_by_role("button", name="Make a new secret").click()
        assert page.get_by_text(SECRET).inner_text() != secret
        expect(page.get_by_text("signed with the old secret too")).to_be_visible()
        page.get_by_role("button", name="Delete this webhook…").click()
        page.get_by_role("button", name="Delete it").click()
        expect(page.get_by_text("No webhook yet")).to_be_visible()


@pytest.mark.parametrize(("who", "root"), [("reseller", "/admin/setup/webhooks/"), ("client", "/webhooks/")])
def test_nobody_else_reaches_the_networks_of_the_operator(visit, who, root):
    person = visit(who)
    page = person.page
    with receiving(answer(200)) as receiver:
        person.go(f"{root}new/")
        page.get_by_label("Address").fill(f"http://127.0.0.1:{receiver.port}/hooks")
        page.get_by_label(re.compile("^Usage alert")).check()
        page.get_by_role("button", name="Add the webhook").click()
        expect(page.get_by_role("alert")).to_contain_text("must begin with https://")
        page.get_by_label("Address").fill("https://hooks.example.org/shop")
        page.get_by_role("button", name="Add the webhook").click()
        expect(page.get_by_text(SECRET)).to_be_visible()
        page.get_by_role("button", name="Delete this webhook…").click()
        page.get_by_role("button", name="Delete it").click()
        expect(page.get_by_text("No webhook yet")).to_be_visible()
    assert receiver.got == []
