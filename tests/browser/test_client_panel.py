"""What a client does: sees the server, restarts it, watches a change at the machine arrive."""

import re

import httpx
import pytest
from playwright.sync_api import expect

from tests.conftest import Box

pytestmark = pytest.mark.long
REBOOTED = re.compile("Rebooted: the machine was away|The reboot was accepted, and")


def bmc_of(box: Box) -> tuple[str, tuple[str, str]]:
    """Where the emulated BMCs listen, and their login: from the emulator's own configuration."""
    text = next(box.folder.rglob("bmc.conf")).read_text()
    port = re.search(r"LISTEN_PORT = (\d+)", text)
    assert port is not None
    return f"http://127.0.0.1:{port[1]}", ("admin", "box-bmc-password")


def test_a_client_sees_its_server_and_restarts_it(visit, box):
    mara = visit("client")
    page = mara.page
    expect(page.get_by_role("heading", name="My servers")).to_be_visible()
    page.get_by_role("link", name="web1.example.org", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("web1.example.org")
    expect(page.get_by_text("root", exact=True)).to_be_visible()
    for address in ("192.0.2.24", "192.0.2.25", "2001:db8:24::/64"):
        expect(page.get_by_text(address, exact=True)).to_be_visible()
    expect(page.locator("canvas")).to_be_visible()
    page.get_by_text("Show as a table").click()
    expect(page.get_by_role("table").filter(has_text="Measured")).to_be_visible()

    before = len(box.resets())
    page.get_by_role("button", name="Reboot…").click()
    page.get_by_role("button", name="Keep it running").click()
    assert len(box.resets()) == before
    page.get_by_role("button", name="Reboot…").click()
    page.get_by_text("Cut and restart").click()
    page.get_by_role("button", name="Reboot web1").click()
    expect(page.get_by_text(REBOOTED).first).to_be_visible(timeout=110_000)
    assert len(box.resets()) == before + 1
    expect(page.get_by_text("You (Mara Quill)").first).to_be_visible()


def test_a_change_at_the_machine_reaches_an_open_page(visit, box):
    mara = visit("client")
    page = mara.page
    page.get_by_role("link", name="files.example.net", exact=True).click()
    state = page.locator("#s-state")
    expect(state).to_contain_text("On")
    address, login = bmc_of(box)
    system = f"{address}/redfish/v1/Systems/d0b1e40b-0000-4000-8000-000000000003"
    with httpx.Client(auth=login, trust_env=False) as bmc:
        bmc.post(f"{system}/Actions/ComputerSystem.Reset", json={"ResetType": "ForceOff"}).raise_for_status()
        while bmc.get(system).json()["PowerState"] != "Off":
            page.wait_for_timeout(100)
        expect(state).to_contain_text("Off", timeout=10_000)
        bmc.post(f"{system}/Actions/ComputerSystem.Reset", json={"ResetType": "On"}).raise_for_status()


def test_nothing_of_another_brand_is_there(visit):
    lena = visit("other_client")
    answer = lena.page.goto(lena.base_url + "/servers/1/")
    assert answer is not None
    assert answer.status == 404
    expect(lena.page.get_by_text("web1.example.org")).to_have_count(0)


def test_it_works_with_the_keyboard_alone(visit, box):
    mara = visit("client")
    page = mara.page
    page.get_by_role("link", name="db1.example.org", exact=True).focus()
    with page.expect_response(lambda answer: answer.url.endswith("/live/")):
        page.keyboard.press("Enter")
    reboot = page.get_by_role("button", name="Reboot…")
    reboot.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Keep it running")).to_be_focused()
    page.keyboard.press("Escape")
    expect(reboot).to_be_focused()


def test_a_part_of_the_chart_is_drawn_over_and_shown_closer(visit):
    """By dragging, and by the links beside it for who has no mouse; the browser's way back leads back."""
    mara = visit("client")
    page = mara.page
    mara.go("/servers/1/bandwidth/")
    plot = page.locator("#bandwidth .u-over")
    plot.wait_for()
    place = plot.bounding_box()
    page.mouse.move(place["x"] + place["width"] * 0.3, place["y"] + 40)
    page.mouse.down()
    page.mouse.move(place["x"] + place["width"] * 0.5, place["y"] + 60, steps=4)
    page.mouse.up()
    page.wait_for_url(re.compile("span=any&from="))
    shown = page.locator("#bandwidth .dh-span-bar b")
    expect(shown).to_contain_text(" to ")
    expect(page.get_by_role("table").get_by_role("row")).to_have_count(8, timeout=5000)
    page.get_by_role("link", name="Zoom in").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("table").get_by_role("row")).not_to_have_count(8)
    expect(page.locator("#bandwidth canvas")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("table").get_by_role("row")).to_have_count(8)
    page.go_back()
    expect(page.locator("#span-month")).to_have_attribute("aria-current", "true")
