"""The box, with its emulators and both installations, for all tests at a browser, and one Chromium."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from doublehop.box.emulators import free_pair
from tests.needs import need_program

QUIET_CHROMIUM = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


HERE = Path(__file__).parent
LAST = (HERE / "browser", HERE / "manual")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests come last: until the end Playwright keeps an event loop in this thread, where others want their own.

    The steps of the manual stand on each other, so they keep the order in which they are written.
    """
    items.sort(key=_place)


def _place(item: pytest.Item) -> tuple[int, str, int]:
    late = next((1 + number for number, folder in enumerate(LAST) if folder in item.path.parents), 0)
    if late < len(LAST):
        return (late, "", 0)
    return (late, str(item.path), item.function.__code__.co_firstlineno)  # type: ignore[attr-defined]


@dataclass
class Box:
    """Both installations, running. ``demo`` is var/demo.json; ``base_url`` the provider's."""

    base_url: str
    folder: Path
    demo: dict[str, Any]

    def find(self, part: str) -> tuple[str, dict[str, str]]:
        """(base address, sign-in): "reseller" is at the provider's installation, "own.staff" at the reseller's own."""
        if part.startswith("own."):
            own = self.demo["own_installation"]
            return own["base_url"], own[part.removeprefix("own.")]
        return self.base_url, self.demo[part]

    def resets(self) -> list[str]:
        """Every reset that the Redfish emulator itself wrote into its log."""
        log = next(self.folder.rglob("bmc.log")).read_text(errors="replace")
        return [line for line in log.splitlines() if "POST" in line and "ComputerSystem.Reset" in line]


@pytest.fixture(scope="session")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    folder = tmp_path_factory.mktemp("box")
    port = free_pair()
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("DOUBLEHOP_", "DJANGO_", "DATABASE_"))
    }
    environment |= {"PORT": str(port), "DOUBLEHOP_DATA_DIR": str(folder)}
    with (folder / "box.log").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "doublehop.box"],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        demo = _wait(folder, child)
        yield Box(demo.pop("base_url"), folder, demo)
    finally:
        child.send_signal(signal.SIGINT)
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)


def _wait(folder: Path, child: subprocess.Popen[bytes]) -> dict:
    until = time.monotonic() + 180
    while time.monotonic() < until:
        if child.poll() is not None:
            break
        try:
            demo = json.loads((folder / "demo.json").read_text())
            if httpx.get(demo["base_url"] + "/sign-in/", timeout=2, trust_env=False).status_code == 200:
                return demo
        except (OSError, ValueError, httpx.HTTPError):
            pass
        time.sleep(0.3)
    raise AssertionError(f"the box does not start: {(folder / 'box.log').read_text()[-2000:]}")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = need_program("chromium")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=list(QUIET_CHROMIUM))
        yield browser
        browser.close()


@dataclass
class Visitor:
    """Somebody at a browser of their own."""

    page: Page
    base_url: str

    def go(self, path: str) -> None:
        self.page.goto(self.base_url + path)

    def sign_in(self, person: Mapping[str, str]) -> None:
        self.go("/sign-in/")
        self.page.get_by_label("E-mail address").fill(person["email"])
        self.page.get_by_label("Password", exact=True).fill(person["password"])
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        self.page.wait_for_url(lambda url: "/sign-in" not in url)


@pytest.fixture
def visit(box: Box, chromium: Browser) -> Iterator:
    """``visit("reseller")`` is that person, signed in; ``visit("client", width=390, dark=True)``, ``visit("own.staff")``."""
    contexts: list[BrowserContext] = []

    def enter(part: str, *, width: int = 1440, height: int = 0, dark: bool = False) -> Visitor:
        context = chromium.new_context(
            viewport={"width": width, "height": height or (900 if width > 500 else 844)},
            color_scheme="dark" if dark else "light",
        )
        context.set_default_timeout(15_000)
        contexts.append(context)
        base_url, person = box.find(part)
        visitor = Visitor(context.new_page(), base_url)
        visitor.sign_in(person)
        return visitor

    yield enter
    for context in contexts:
        context.close()
