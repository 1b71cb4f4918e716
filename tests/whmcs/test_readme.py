"""The README's chapter *Use it with WHMCS*, followed as written, in a browser. ``SCREENSHOTS=1`` puts the pictures into docs/screenshots."""

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.whmcs.conftest import StandIn

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]
ROOT = Path(__file__).parent.parent.parent
PICTURES = ROOT / "docs" / "screenshots"
MARA = 1
SLOWEST = 40_000
"""Milliseconds: a command of the module takes 20 s at most, and its page some more."""


@pytest.fixture
def pages(chromium, host: StandIn):
    """``pages(width)`` is a tab at the stand-in host, signed in there as Mara; whatever it complains of fails the test."""
    contexts, complaints = [], []

    def opened(width: int = 1100):
        context = chromium.new_context(
            base_url=host.url, viewport={"width": width, "height": 800}, color_scheme="light"
        )
        context.add_cookies([{"name": "client", "value": str(MARA), "url": host.url}])
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        return tab

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def picture(tab, name: str) -> None:
    if os.environ.get("SCREENSHOTS"):
        tab.screenshot(path=PICTURES / f"whmcs-{name}.png", full_page=True)


def test_the_chapter_use_it_with_whmcs(host, provider, proxy, pages):
    record = host.server_record(proxy.url, provider.token)
    host.make_default(record)
    product = host.settings(provider.products["By hand"], name="Dedicated server M")
    tab = pages()
    tab.goto(f"/admin/server?id={record}")
    tab.get_by_role("button", name="Test Connection").click()
    expect(tab.get_by_text("Connection successful")).to_be_visible(timeout=SLOWEST)
    picture(tab, "server")

    tab.goto(f"/admin/product?id={product}")
    assert tab.get_by_text("waits for staff").count() >= 1
    picture(tab, "module-settings")

    service = host.order(product, MARA, "shop.example.org", record)
    tab.goto(f"/admin/service?id={service}")
    tab.get_by_role("button", name="Create").click()
    expect(tab.get_by_text("waits for a server")).to_be_visible(timeout=SLOWEST)
    tab.goto(f"/admin/service?id={service}")
    tab.locator("select[name=doublehop_server]").select_option(provider.ids["delta"])
    tab.get_by_role("button", name="Save Changes").click()
    expect(tab.locator("#domain")).to_have_value("delta.example.org", timeout=SLOWEST)
    expect(tab.locator("#username")).to_have_value("root")
    tab.get_by_role("button", name="Create").click()
    expect(tab.get_by_text("Service command successful")).to_be_visible(timeout=SLOWEST)
    assert host.service(service)["domainstatus"] == "Active"
    provider.ask("attached_long_ago", str(service))
    provider.ask("count_usage")
    tab.get_by_role("button", name="Reboot").click()
    expect(tab.get_by_text("Service command successful")).to_be_visible(timeout=SLOWEST)
    picture(tab, "admin-service")

    for width, name in ((1100, "client-area"), (390, "client-area-narrow")):
        shown = pages(width)
        shown.goto(f"/clientarea.php?action=productdetails&id={service}")
        assert shown.locator("svg rect").count() >= 16
        wide = shown.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, "nothing is wider than the screen"
        shown.get_by_text("Reboot…").click()
        picture(shown, name)
    shown.get_by_role("button", name="Reboot", exact=True).click()
    assert shown.locator("input[name=confirmed]:invalid").count() >= 1, "nothing is sent without the tick"
    # Staff pressed a moment ago: within three seconds it would be the same press.
    host.sql("UPDATE mod_doublehop_asked SET settled_at = settled_at - 60")
    before = len(provider.ask("operations", "delta"))
    shown.get_by_label("Yes, for delta.example.org").first.check()
    shown.get_by_role("button", name="Reboot", exact=True).click()
    expect(shown.get_by_text(re.compile("Action Completed|is under way"))).to_be_visible(timeout=SLOWEST)
    assert len(provider.ask("operations", "delta")) == before + 1

    host.sql("UPDATE tblhosting SET paid = 0 WHERE id = ?", service)
    assert ["SuspendAccount", service, "success"] in host.cron("2026-03-06")
    shown.goto(f"/clientarea.php?action=productdetails&id={service}")
    expect(shown.get_by_text("Pay invoice 1187.")).to_be_visible(timeout=SLOWEST)
    picture(shown, "client-area-suspended")
    assert host.pay(service) == "success"
    assert host.press(service, "TerminateAccount") == "Service command successful"
    host.sql("UPDATE tblhosting SET domainstatus = 'Cancelled'")
    provider.ask("end_everything")
