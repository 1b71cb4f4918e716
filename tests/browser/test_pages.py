"""Every page, light and dark, wide and narrow: nothing wider than the screen, no error in the console, nothing that axe minds.

With ``SCREENSHOTS=1`` the pictures go to docs/screenshots/.
"""

import os
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

pytestmark = pytest.mark.long
PICTURES = Path(__file__).parent.parent.parent / "docs" / "screenshots"

CLIENT = {
    "client-my-servers": "/servers/",
    "client-server": "/servers/1/",
    "client-order-waits": "/servers/4/",
    "client-bandwidth": "/servers/1/bandwidth/",
    "client-span": "/servers/1/bandwidth/?span=any&from=2026-01-02&to=2026-01-01",
    "client-statements": "/servers/1/statements/",
    "client-tokens": "/api-tokens/",
    "client-orders": "/orders/",
    "client-store": "/orders/new/",
    "client-order": "/orders/new/1/",
    "client-help": "/help/",
    "client-webhooks": "/webhooks/",
    "client-webhook-new": "/webhooks/new/",
}
TANDEM = {
    "tandem-servers": "/machines/",
    "tandem-server": "/machines/8/",
}
RESELLER = {
    "admin-dashboard": "/admin/",
    "admin-search": "/admin/search/?q=web",
    "admin-clients": "/admin/clients/",
    "admin-client": "/admin/clients/1/",
    "admin-client-profile": "/admin/clients/1/profile/",
    "admin-client-service": "/admin/clients/1/services/1/",
    "admin-client-people": "/admin/clients/1/people/",
    "admin-client-new": "/admin/clients/new/",
    "admin-services": "/admin/services/",
    "admin-service-new": "/admin/services/new/",
    "admin-servers": "/admin/servers/",
    "admin-server": "/admin/servers/1/",
    "admin-server-addresses": "/admin/servers/1/addresses/",
    "admin-server-bandwidth": "/admin/servers/1/bandwidth/",
    "admin-server-permissions": "/admin/servers/1/permissions/",
    "admin-server-operations": "/admin/servers/1/operations/",
    "admin-operations": "/admin/operations/",
    "admin-bandwidth-of-all": "/admin/bandwidth/",
    "admin-most-traffic": "/admin/bandwidth/most-traffic/?over=day",
    "admin-statements": "/admin/statements/",
    "admin-journal": "/admin/journal/",
    "admin-products": "/admin/setup/products/",
    "admin-product": "/admin/setup/products/1/",
    "admin-product-pricing": "/admin/setup/products/1/pricing/",
    "admin-product-contract": "/admin/setup/products/1/bandwidth/",
    "admin-product-module": "/admin/setup/products/1/module/",
    "admin-product-custom-fields": "/admin/setup/products/1/custom-fields/",
    "admin-server-groups": "/admin/setup/server-groups/",
    "admin-suspend-policies": "/admin/setup/suspend-policies/",
    "admin-staff-and-brand": "/admin/setup/staff/",
    "admin-orders": "/admin/orders/",
    "admin-tokens": "/admin/setup/tokens/",
    "admin-import": "/admin/setup/import/",
    "admin-mail": "/admin/setup/mail/",
    "admin-webhooks": "/admin/setup/webhooks/",
    "admin-webhook-new": "/admin/setup/webhooks/new/",
    "admin-leap-servers": "/admin/leap/servers/",
    "admin-leap-order": "/admin/leap/order/",
    "admin-leap-order-new": "/admin/leap/order/1/",
    "admin-leap-tandem-users": "/admin/leap/tandem/",
    "admin-leap-tandem": "/admin/leap/tandem/1/",
    "admin-leap-tandem-add": "/admin/leap/tandem/1/add/",
    "admin-leap-accounts": "/admin/leap/accounts/",
}
PROVIDER = {
    "admin-upstreams": "/admin/setup/upstreams/",
    "admin-upstream": "/admin/setup/upstreams/1/",
    "admin-upstream-new": "/admin/setup/upstreams/new/",
    "admin-server-new": "/admin/servers/new/",
    "admin-in-doubt": "/admin/bandwidth/in-doubt/",
    "admin-brand": "/admin/setup/staff/brand/",
    "admin-organisations": "/admin/setup/staff/organisations/",
    "admin-server-of-the-provider": "/admin/servers/1/",
    "admin-orders-of-resellers": "/admin/orders/",
    "admin-offers": "/admin/setup/offers/",
    "admin-offer": "/admin/setup/offers/1/",
}
OWN_STAFF = {
    "own-module-settings": "/admin/setup/products/1/module/",
    "own-client-service": "/admin/clients/1/services/1/",
    "own-order-waits": "/admin/clients/1/services/2/",
    "own-follow-the-manual": "/admin/setup/manual/",
}
OWN_CLIENT = {
    "own-my-servers": "/servers/",
    "own-client-server": "/servers/1/",
}
PAGES = [
    *(("client", name, path) for name, path in CLIENT.items()),
    *(("reseller", name, path) for name, path in RESELLER.items()),
    *(("provider", name, path) for name, path in PROVIDER.items()),
    *(("tandem", name, path) for name, path in TANDEM.items()),
    *(("own.staff", name, path) for name, path in OWN_STAFF.items()),
    *(("own.client", name, path) for name, path in OWN_CLIENT.items()),
]
LOOKS = [(1440, False), (390, True), (1440, True), (390, False)]
if os.environ.get("CI") == "true":
    LOOKS = LOOKS[:2]  # each width and each colour once; the other pairs are for `make test-long`


def look_name(width: int, dark: bool) -> str:
    return "-".join(filter(None, ("narrow" if width < 500 else "", "dark" if dark else "")))


@pytest.mark.parametrize(("width", "dark"), LOOKS, ids=[look_name(*look) or "wide" for look in LOOKS])
@pytest.mark.parametrize("part", ["client", "reseller", "provider", "tandem", "own.staff", "own.client"])
@pytest.mark.timeout(400)
def test_every_page_can_be_read(visit, part, width, dark):
    visitor = visit(part, width=width, height=2600 if width < 500 else 900, dark=dark)
    problems: list[str] = []
    visitor.page.on(
        "console", lambda m: problems.append(f"{m.type}: {m.text}") if m.type == "error" else None
    )
    visitor.page.on("pageerror", lambda error: problems.append(str(error)))
    for whose, name, path in PAGES:
        if whose != part:
            continue
        visitor.go(path)
        expect(visitor.page.locator(".htmx-request")).to_have_count(0, timeout=30_000)
        if name.endswith(("client-server", "bandwidth")):
            visitor.page.locator("canvas").first.wait_for()
        if width < 500:
            # The bar at the bottom stays in sight and would cover what is measured on a page longer than the screen.
            tall = visitor.page.evaluate("document.documentElement.scrollHeight")
            visitor.page.set_viewport_size({"width": width, "height": max(2600, tall)})
        problems += [f"{name}: {problem}" for problem in looked_at(visitor.page)]
        keep_picture(visitor.page, name, width, dark)
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize(("width", "dark"), LOOKS, ids=[look_name(*look) or "wide" for look in LOOKS])
def test_the_door_can_be_read(box, chromium, width, dark):
    context = chromium.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
    )
    page = context.new_page()
    for name, path in (("sign-in", "/sign-in/"), ("not-found", "/nothing-here/")):
        page.goto(box.base_url + path)
        assert looked_at(page) == []
        keep_picture(page, name, width, dark)
    context.close()


def looked_at(page) -> list[str]:
    wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    found = [f"{wider} px wider than the screen"] if wider > 0 else []
    report = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
    for violation in report.response["violations"]:
        nodes = [node["html"][:160] for node in violation["nodes"][:3]]
        found.append(f"{violation['id']}: {nodes}")
    return found


DARK_TOO = {
    "client-server",
    "client-my-servers",
    "admin-dashboard",
    "admin-client-service",
    "admin-servers",
    "admin-leap-tandem",
    "own-client-service",
    "sign-in",
}


def keep_picture(page, name: str, width: int, dark: bool) -> None:
    """Every page once; the most used ones in the other looks too."""
    if os.environ.get("SCREENSHOTS") != "1" or ((dark or width < 500) and name not in DARK_TOO):
        return
    PICTURES.mkdir(parents=True, exist_ok=True)
    look = look_name(width, dark)
    page.screenshot(path=PICTURES / f"{name}{'-' + look if look else ''}.png", full_page=width > 500)
