"""The API's document as a page: from our own files alone, under the policy of all pages."""

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.long


def test_staff_read_the_document_and_try_a_call_without_any_other_host(visit, box):
    rosa = visit("reseller")
    page = rosa.page
    asked, refused = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on(
        "console",
        lambda line: refused.append(f"{line.text} {line.location}") if line.type == "error" else None,
    )
    rosa.go("/api/v1/docs")
    page.get_by_role("link", name="me", exact=True).click(timeout=30_000)
    operation = page.locator(".opblock").filter(has_text="/api/v1/me").first
    expect(operation).to_be_visible()
    operation.click()
    page.get_by_role("button", name="Try it out").first.click()
    page.get_by_role("button", name="Execute").first.click()
    expect(page.locator(".live-responses-table").first).to_contain_text('"kind": "staff"', timeout=30_000)
    assert [url for url in asked if not url.startswith((box.base_url, "data:", "blob:"))] == []
    assert refused == []
