"""One test for each numbered step. They stand on each other, in this order, as the steps of the manual do.

Rosa works in two places: at her provider's installation (``visit("reseller")``) and in her own (``visit("own.staff")``),
which knows the provider through its API alone. At the end the Redfish emulator, which nobody here wrote, tells what
reached the machine.
"""

import re
import time
from dataclasses import dataclass, field

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_pages import keep_picture
from tests.conftest import Box, Visitor

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

TANDEM = {"Name": "Manual desk", "Email": "desk@alder.example", "Password": "a-desk-of-its-own"}
PRODUCT = "Dedicated by the book"
HOSTNAME = "book.example.org"
"""As the client orders it."""
SERVER_NAME = "spare2.example.net"
ADDRESS = "203.0.113.7"
SYSTEM = "d0b1e40b-0000-4000-8000-000000000007"
"""What the provider's pool holds, as the box made it (box.seed, box.machines)."""
MENU = "SingleHop Servers List"


@dataclass
class Told:
    """What one step tells the next."""

    leap: dict[str, str] = field(default_factory=dict)
    service: str = ""
    product: str = ""


@pytest.fixture(scope="module")
def told() -> Told:
    return Told()


def by_menu(visitor: Visitor, *names: str) -> None:
    """Through the menu on the left, as the manual says: nobody types addresses."""
    visitor.go("/admin/")
    menu = visitor.page.get_by_role("navigation", name="Main")
    for name in names:
        menu.get_by_role("link", name=name, exact=True).click()


def until(page: Page, seen, seconds: float = 60) -> None:
    """Loads the page again until ``seen()``: for what a worker does meanwhile and the page does not show by itself."""
    end = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < end, page.locator("main").inner_text()[-4000:]
        time.sleep(1)
        page.reload()


def test_01_a_tandem_user_is_added_at_the_provider(visit):
    rosa = visit("reseller")
    by_menu(rosa, "Tandem", "Tandem Users")
    rosa.page.get_by_role("link", name="Add New User").click()
    for label, text in TANDEM.items():
        rosa.page.get_by_label(label, exact=True).fill(text)
    rosa.page.get_by_role("button", name="Submit", exact=True).click()
    expect(rosa.page.get_by_text(TANDEM["Email"]).first).to_be_visible()
    expect(rosa.page.get_by_role("link", name=re.compile("Manual desk"))).to_contain_text("no servers yet")


def test_02_accounts_shows_the_api_key_after_the_own_password(visit, box: Box, told: Told):
    rosa = visit("reseller")
    by_menu(rosa, "Accounts")
    assert box.demo["leap"]["api_key"] not in rosa.page.content()
    rosa.page.get_by_label("Your own password").fill("wrong")
    rosa.page.get_by_role("button", name="Show", exact=True).click()
    expect(rosa.page.locator("main")).to_contain_text("That is not your password.")
    rosa.page.get_by_label("Your own password").fill(box.demo["reseller"]["password"])
    rosa.page.get_by_role("button", name="Show", exact=True).click()
    for name in ("username", "client_id", "password", "api_key", "pin"):
        expect(rosa.page.locator("main")).to_contain_text(box.demo["leap"][name])
    told.leap = dict(box.demo["leap"])


def test_03_a_product_is_created(visit, told: Told):
    rosa = visit("own.staff")
    by_menu(rosa, "Products/Services")
    rosa.page.get_by_role("link", name="Create a New Product").click()
    rosa.page.get_by_label("Product type").select_option(label="VPS/Dedicated Server")
    rosa.page.get_by_label("Product group").select_option(label="Dedicated servers")
    rosa.page.get_by_label("Name", exact=True).fill(PRODUCT)
    rosa.page.get_by_role("button", name="Continue", exact=True).click()
    for tab in ("Details", "Pricing", "Module Settings", "Custom Fields"):
        expect(rosa.page.get_by_role("link", name=tab, exact=True)).to_be_visible()
    told.product = re.search(r"/products/(\d+)/", rosa.page.url)[1]
    rosa.page.get_by_role("link", name="Pricing", exact=True).click()
    rosa.page.get_by_label("Price", exact=True).fill("149.00")
    rosa.page.get_by_role("button", name="Save Changes").click()
    expect(rosa.page.get_by_label("Price", exact=True)).to_have_value("149.00")


def fill_module_settings(page: Page, box: Box, leap: dict[str, str], **changed: str) -> None:
    values = {
        "Address": box.base_url,
        "LEAP username": leap["username"],
        "LEAP password": leap["password"],
        "Tandem username": TANDEM["Email"],
        "Tandem password": TANDEM["Password"],
        "API key": leap["api_key"],
        **changed,
    }
    for label, text in values.items():
        page.get_by_label(label, exact=True).fill(text)


def open_module_settings(visitor: Visitor, told: Told) -> None:
    visitor.go(f"/admin/setup/products/{told.product}/")
    visitor.page.get_by_role("link", name="Module Settings", exact=True).click()


def test_04_module_settings_take_the_five_credentials_and_test_them(visit, box: Box, told: Told):
    rosa = visit("own.staff")
    open_module_settings(rosa, told)
    page = rosa.page
    page.get_by_label("Module", exact=True).select_option(label="Singlehop")
    show = page.get_by_role("button", name="Show its fields")
    if show.is_visible():
        show.click()
    page.get_by_label("Server group", exact=True).select_option(label="None")
    fill_module_settings(page, box, told.leap)
    page.get_by_role("button", name="Save Changes").click()

    def works() -> bool:
        # A busy machine may be late with its answer: a person would press the button once more.
        if page.get_by_text("It does not work").is_visible():
            page.get_by_role("button", name="Test connection").first.click()
        return page.get_by_text("It works").is_visible()

    until(page, works, 120)
    report = page.locator("main")
    expect(report).to_contain_text("LEAP login accepted")
    expect(report).to_contain_text("Tandem login accepted")
    for secret in (told.leap["password"], told.leap["api_key"], TANDEM["Password"]):
        assert secret not in page.content()


def test_05_a_client_orders_and_staff_are_told(visit, told: Told):
    pia = visit("own.client")
    pia.page.get_by_role("link", name="Orders", exact=True).first.click()
    pia.page.get_by_role("link", name="Order a server").first.click()
    pia.page.get_by_role("link", name=f"Order {PRODUCT}").click()
    pia.page.get_by_label("Hostname").fill(HOSTNAME)
    pia.page.get_by_role("button", name=f"Order {PRODUCT}").click()
    expect(pia.page.locator("main")).to_contain_text(HOSTNAME)
    rosa = visit("own.staff")
    rosa.go("/admin/")
    expect(rosa.page.locator("main")).to_contain_text(f"waits for a server: {PRODUCT}")
    by_menu(rosa, "Mail")
    expect(rosa.page.locator("main")).to_contain_text(re.compile("waits"))


def open_service(visitor: Visitor, told: Told) -> None:
    """The client's Products/Services tab; the service is chosen there."""
    visitor.go("/admin/clients/")
    visitor.page.get_by_role("link", name="Lantern Studio").first.click()
    visitor.page.get_by_role("link", name="Products/Services", exact=True).last.click()
    chooser = visitor.page.get_by_label("Service", exact=True)
    expect(chooser).to_contain_text(PRODUCT)
    text = next(one for one in chooser.locator("option").all_inner_texts() if PRODUCT in one)
    chooser.select_option(label=text)
    visitor.page.wait_for_url(re.compile(r"/clients/\d+/services/\d+/"))
    expect(visitor.page.locator("main")).to_contain_text(PRODUCT)
    told.service = visitor.page.url


def test_06_without_permission_no_servers_are_listed(visit, told: Told):
    rosa = visit("own.staff")
    open_service(rosa, told)
    until(rosa.page, lambda: rosa.page.get_by_text("No Servers Listed").is_visible())
    expect(rosa.page.locator("main")).to_contain_text("Add Server Permissions")


def test_07_the_server_is_ordered_at_the_provider(visit):
    rosa = visit("reseller")
    by_menu(rosa, "Order")
    rosa.page.get_by_role("link", name="Order Dedicated M").click()
    rosa.page.get_by_label("Hostname").last.fill(HOSTNAME)
    rosa.page.get_by_role("checkbox").check()
    rosa.page.get_by_role("button", name=re.compile("^Order")).last.click()
    expect(rosa.page.locator("main")).to_contain_text("A1-U07")


def test_08_the_tandem_user_is_permitted(visit):
    rosa = visit("reseller")
    by_menu(rosa, "Tandem", "Tandem Users")
    rosa.page.get_by_role("link", name=re.compile("Manual desk")).click()
    rosa.page.get_by_role("link", name="Add Server Permissions").or_(
        rosa.page.get_by_role("button", name="Add Server Permissions")
    ).first.click()
    rosa.page.get_by_role("row", name=re.compile("A1-U07")).get_by_role("checkbox").check()
    rosa.page.get_by_role("button", name="Apply Permissions").click()
    expect(rosa.page.get_by_role("link", name=re.compile("Manual desk"))).to_contain_text("1 server")


def test_09_the_server_is_chosen_and_hostname_and_username_fill_themselves_in(visit, told: Told):
    rosa = visit("own.staff")
    page = rosa.page
    page.goto(told.service)
    page.get_by_role("button", name="Refresh").first.click()

    def option() -> str:
        menu = page.get_by_label(MENU)
        texts = menu.locator("option").all_inner_texts() if menu.count() else []
        return next((text for text in texts if ADDRESS in text), "")

    until(page, lambda: bool(option()))
    page.get_by_label(MENU).select_option(label=option())
    page.get_by_role("button", name="Save Changes").click()
    until(page, lambda: page.get_by_label("Username", exact=True).input_value() == "root")
    assert page.get_by_label("Hostname", exact=True).input_value() == SERVER_NAME
    expect(page.locator("main")).to_contain_text(f"ordered as {HOSTNAME}")
    expect(page.locator("main")).to_contain_text("Active")


def test_10_get_server_ip_lists_its_addresses(visit, told: Told):
    rosa = visit("own.staff")
    rosa.page.goto(told.service)
    rosa.page.get_by_role("button", name="Get Server IP").click()
    until(rosa.page, lambda: ADDRESS in rosa.page.locator("main").inner_text())


def test_11_a_reboot_reaches_the_machine_once(visit, box: Box, told: Told):
    before = len([line for line in box.resets() if SYSTEM in line])
    rosa = visit("own.staff")
    rosa.page.goto(told.service)
    rosa.page.get_by_role("button", name="Reboot…").click()
    rosa.page.get_by_role("dialog").get_by_role("button", name=re.compile("^Reboot")).click()
    end = time.monotonic() + 60
    while len([line for line in box.resets() if SYSTEM in line]) == before:
        assert time.monotonic() < end, rosa.page.locator("main").inner_text()[-4000:]
        time.sleep(0.5)
    until(rosa.page, lambda: "Rebooted" in rosa.page.locator("main").inner_text() or has_ended(rosa), 150)
    assert len([line for line in box.resets() if SYSTEM in line]) == before + 1


def has_ended(visitor: Visitor) -> bool:
    return visitor.page.get_by_text(re.compile("reboot was accepted", re.IGNORECASE)).count() > 0


def test_12_suspend_and_unsuspend_reach_the_provider(visit, box: Box, told: Told):
    rosa = visit("own.staff")
    page = rosa.page
    page.goto(told.service)
    page.get_by_role("button", name="Suspend…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label(re.compile("Reason", re.IGNORECASE)).first.fill("Invoice 1187 is overdue")
    dialog.get_by_role("button", name=re.compile("^Suspend")).click()
    until(page, lambda: suspended(box) == [True], 90)
    page.goto(told.service)
    expect(page.locator("main")).to_contain_text("Suspended")
    page.get_by_role("button", name="Unsuspend…").click()
    page.get_by_role("dialog").get_by_role("button", name=re.compile("^Unsuspend")).click()
    until(page, lambda: suspended(box) == [False], 90)


def suspended(box: Box) -> list[bool]:
    """As the provider's own API tells it."""
    leap = box.demo["leap"]
    answer = httpx.get(
        leap["dropzone"] + "server/list/", auth=(leap["username"], leap["password"]), trust_env=False
    )
    return [one["suspended"] for one in answer.json()["data"].values() if one.get("publicip") == ADDRESS]


def test_13_the_client_sees_username_and_bandwidth_and_nothing_of_the_hop(visit, told: Told):
    pia = visit("own.client")
    pia.go("/servers/")
    pia.page.get_by_role("link", name=re.compile(SERVER_NAME)).first.click()
    expect(pia.page.locator("main")).to_contain_text("root")
    expect(pia.page.locator("main")).to_contain_text(ADDRESS)
    pia.page.get_by_role("link", name=re.compile("Bandwidth history")).first.click()
    expect(pia.page.get_by_role("heading", level=1)).to_be_visible()
    for word in (
        "LEAP",
        "Tandem",
        "SingleHop",
        "Singlehop",
        "Dropzone",
        "Northgate",
        "upstream",
        "127.0.0.1:",
    ):
        assert word not in pia.page.content().replace(pia.base_url, ""), word


def test_14_wrong_credentials_stand_beside_the_list_and_are_mended_there(visit, box: Box, told: Told):
    rosa = visit("own.staff")
    page = rosa.page
    open_module_settings(rosa, told)
    fill_module_settings(page, box, told.leap, **{"LEAP password": "not-the-password"})
    page.get_by_role("button", name="Save Changes").click()
    page.goto(told.service)
    until(page, lambda: page.get_by_text("API Error: Authentication Error").is_visible())
    expect(page.get_by_label(MENU)).to_have_count(0)
    keep_picture(page, "own-client-service-error", 1440, False)
    page.get_by_role("link", name="Open Module Settings").click()
    fill_module_settings(page, box, told.leap)
    page.get_by_role("button", name="Save Changes").click()
    page.goto(told.service)
    until(page, lambda: not page.get_by_text("API Error: Authentication Error").is_visible())
    expect(page.get_by_label(MENU)).to_be_visible()


def test_15_the_tandem_user_sees_its_one_server_under_the_resellers_name(chromium, box: Box):
    context = chromium.new_context()
    desk = Visitor(context.new_page(), box.base_url)
    desk.sign_in({"email": TANDEM["Email"], "password": TANDEM["Password"]})
    main = desk.page.locator("main")
    expect(main).to_contain_text(ADDRESS)
    for other in ("203.0.113.40", "192.0.2.24"):
        expect(main).not_to_contain_text(other)
    assert "Northgate" not in desk.page.content()
    context.close()


def test_16_the_page_follow_the_manual_knows_what_is_done(visit):
    rosa = visit("own.staff")
    by_menu(rosa, "Follow the manual")
    for step in (
        "Create the product",
        "Choose the module Singlehop",
        "A client orders",
        "Give the client the server",
    ):
        line = rosa.page.locator("li").filter(has_text=step)
        expect(line.get_by_text("Done", exact=True)).to_be_visible()
