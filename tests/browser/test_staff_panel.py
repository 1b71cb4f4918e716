"""What a reseller's staff do: reboot a client's machine, take it away and give it back, fill an order."""

import re

import httpx
import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.long
REBOOTED = re.compile("Rebooted: the machine was away|The reboot was accepted, and")
WEB1 = "/admin/clients/1/services/1/"


def test_staff_reboot_a_machine_and_its_controller_receives_it(visit, box):
    rosa = visit("reseller")
    page = rosa.page
    rosa.go("/admin/")
    page.get_by_role("searchbox").or_(page.get_by_label("Search everything")).first.fill("192.0.2.40")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("A1-U02")
    rosa.go("/admin/clients/1/services/2/")
    before = len(box.resets())
    page.get_by_role("button", name="Reboot…").click()
    page.get_by_text("Cut and restart").click()
    page.get_by_role("button", name=re.compile("^Reboot db1")).click()
    expect(page.get_by_text(REBOOTED).first).to_be_visible(timeout=110_000)
    resets = box.resets()
    assert len(resets) == before + 1
    assert "d0b1e40b-0000-4000-8000-000000000002" in resets[-1]
    rosa.go("/admin/operations/")
    expect(page.get_by_role("cell", name=re.compile("Reboot")).first).to_be_visible()


def test_a_form_sent_twice_is_one_reboot(visit, box):
    rosa = visit("reseller")
    rosa.go("/admin/clients/1/services/3/")
    form = rosa.page.locator("dialog form").filter(
        has=rosa.page.locator('input[name="kind"][value="reboot"]')
    )
    fields = {
        name: form.locator(f'input[name="{name}"]').first.get_attribute("value")
        for name in ("csrfmiddlewaretoken", "key", "kind")
    }
    action = form.get_attribute("action")
    before = len(box.resets())
    cookies = {cookie["name"]: cookie["value"] for cookie in rosa.page.context.cookies()}
    with httpx.Client(base_url=box.base_url, cookies=cookies, trust_env=False) as browser:
        for _ in range(3):
            answer = browser.post(
                action, data={**fields, "graceful": "no"}, headers={"Referer": box.base_url}
            )
            assert answer.status_code < 400
    rosa.page.reload()
    expect(rosa.page.get_by_text(REBOOTED).first).to_be_visible(timeout=110_000)
    assert len(box.resets()) == before + 1


def test_a_suspension_switches_the_port_off_and_tells_the_client_why(visit):
    rosa, mara = visit("reseller"), visit("client")
    rosa.go(WEB1)
    page = rosa.page
    page.get_by_role("button", name="Suspend…", exact=True).click()
    page.locator("#d-suspend-reason").fill("Invoice 1187 is 9 days overdue")
    page.get_by_label("What the client reads").fill(
        "Invoice 1187 is overdue. Pay it, and the network comes back."
    )
    page.get_by_role("button", name=re.compile("^Suspend web1")).click()
    expect(page.locator("#m-status")).to_contain_text("Suspended", timeout=30_000)
    rosa.go("/admin/servers/1/")
    port = page.locator('#m-facts dt:has-text("Network port") + dd')
    expect(port).to_contain_text("Off", timeout=30_000)
    mara.go("/servers/1/")
    expect(
        mara.page.get_by_text("Invoice 1187 is overdue. Pay it, and the network comes back.")
    ).to_be_visible()
    expect(mara.page.get_by_text("9 days")).to_have_count(0)
    rosa.go(WEB1)
    page.get_by_role("button", name="Unsuspend…").click()
    page.get_by_role("button", name=re.compile("^Unsuspend web1")).click()
    expect(mara.page.locator("#s-state")).to_contain_text("On", timeout=40_000)
    expect(mara.page.get_by_text("No longer suspended.").first).to_be_visible()


def test_an_order_is_filled_by_choosing_a_server(visit):
    rosa = visit("reseller")
    page = rosa.page
    rosa.go("/admin/")
    page.get_by_role("link", name="Attach a server").click()
    menu = page.get_by_label("Servers list")
    free = menu.locator("option").filter(has_text="A1-U06").get_attribute("value")
    menu.select_option(free)
    page.get_by_role("button", name="Save Changes").click()
    expect(page.get_by_text("Active", exact=True).first).to_be_visible()
    expect(page.get_by_label("Username")).to_have_value("root")


def test_a_connection_is_tested_and_its_result_appears(visit):
    ines = visit("provider")
    ines.go("/admin/setup/upstreams/1/")
    ines.page.get_by_role("button", name="Test connection").click()
    expect(ines.page.get_by_text("It works")).to_be_visible(timeout=30_000)
    expect(ines.page.get_by_text("ports can be switched")).to_be_visible()


def test_staff_of_another_reseller_find_nothing(visit):
    tam = visit("other_reseller")
    for path in (WEB1, "/admin/servers/1/", "/admin/clients/1/", "/admin/setup/upstreams/1/", "/servers/1/"):
        answer = tam.page.goto(tam.base_url + path)
        assert answer is not None
        assert answer.status == 404, path
