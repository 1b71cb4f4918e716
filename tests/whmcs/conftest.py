"""The stand-in for WHMCS on PHP's own web server, with the modules as they are shipped, and a provider's installation that really runs."""

import json
import os
import re
import subprocess
import sys
import time
import zipfile
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from doublehop.cli.tests.runner import KEYS, environment, migrated
from doublehop.driver_kit.conformance.fault_proxy import FaultProxy
from tests.bench.serving import free_port
from tests.needs import need_missing, need_program

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
EXTENSIONS = {"curl": "php-curl", "mbstring": "php-mbstring", "pdo_sqlite": "php-sqlite3"}
SMARTY = Path("/usr/share/php/smarty4/Smarty.class.php")
DUE = "2026-03-01"


def php() -> str:
    path = need_program("php", package="php-cli")
    there = subprocess.run([path, "-m"], capture_output=True, text=True, timeout=20).stdout.split()
    for name, package in EXTENSIONS.items():
        if name not in there:
            need_missing(f"PHP has no {name} (Debian: apt-get install {package})")
    if not SMARTY.exists():
        need_missing("Smarty is not installed (Debian: apt-get install smarty4)")
    return path


class Provider:
    """The process of ``tests.whmcs.provider``: ``provider.ask("effects")``."""

    def __init__(self, folder: Path) -> None:
        self._log = (folder / "provider.log").open("wb")
        self._child = subprocess.Popen(
            [sys.executable, "-m", "tests.whmcs.provider"],
            cwd=ROOT,
            env=environment(
                migrated(folder),
                DJANGO_SETTINGS_MODULE="tests.settings",
                DOUBLEHOP_LOG_LEVEL="ERROR",
                PYTHONPATH=os.pathsep.join([str(ROOT), str(ROOT / "src")]),
                **KEYS,
            ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        try:
            about = self._answer()
        except BaseException:
            self.end()
            raise
        self.port: int = about["port"]
        self.login: dict[str, str] = about["login"]
        self.ids: dict[str, str] = about["ids"]
        self.products: dict[str, str] = about["products"]
        self.token: str = about["token"]

    def ask(self, what: str, *given: object) -> Any:
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps({"do": what, "with": given}) + "\n")
        self._child.stdin.flush()
        return self._answer()

    def effects(self, name: str) -> list[str]:
        return self.ask("effects")[name]

    def _answer(self) -> Any:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        assert line, Path(self._log.name).read_text()[-3000:]
        return json.loads(line)

    def end(self) -> None:
        self._child.stdin.close()
        try:
            self._child.wait(30)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait(10)
        self._child.stdout.close()
        self._log.close()


@dataclass
class StandIn:
    """The simulated WHMCS. ``folder`` is its root; staff need no sign-in, clients are the cookie ``client``."""

    folder: Path
    url: str
    php: str

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.url, trust_env=False, timeout=60)

    # ------------------------------------------------------------ rows

    def add(self, table: str, **values: object) -> int:
        return self.http.post("/rows", json={"table": table, "values": values}).json()["id"]

    def sql(self, statement: str, *values: object) -> None:
        self.http.post("/rows", json={"sql": [[statement, values]]}).raise_for_status()

    def state(self, *more: str) -> dict[str, list[dict[str, Any]]]:
        return self.http.get("/state", params={"more[]": list(more)}).json()

    def service(self, service_id: int) -> dict[str, Any]:
        return next(row for row in self.state()["tblhosting"] if row["id"] == service_id)

    # ------------------------------------------------------------ what people do

    def product(self, login: dict[str, str], **changed: str) -> int:
        five = ("leap_username", "leap_password", "tandem_username", "tandem_password", "api_key")
        options = {f"configoption{number}": {**login, **changed}[name] for number, name in enumerate(five, 1)}
        return self.add(
            "tblproducts", type="server", name="Dedicated by the book", servertype="singlehop", **options
        )

    def order(self, product: int, client: int, domain: str = "book.example.org", server: int = 0) -> int:
        return self.add(
            "tblhosting",
            userid=client,
            packageid=product,
            domain=domain,
            username="bookexam",
            nextduedate=DUE,
            server=server,
        )

    def server_record(self, address: str, token: str, **more: object) -> int:
        """As *System Settings > Servers* stores it: the password shut."""
        there = urlsplit(address)
        values = {
            "type": "doublehop",
            "name": "Panel",
            "hostname": there.hostname,
            "username": "WHMCS",
            "password": "shut:" + b64encode(token[::-1].encode()).decode(),
            "secure": "on" if there.scheme == "https" else "",
            "port": str(there.port),
        }
        return self.add("tblservers", **{**values, **more})

    def make_default(self, record: int) -> None:
        """The server record that a loader is given: the star in *System Settings > Servers*."""
        self.sql("UPDATE tblservers SET active = CASE WHEN id = ? THEN 1 ELSE 0 END", record)

    def settings(
        self, product: str, *, name: str = "Dedicated M", reboot: bool = True, power: bool = True, **more: str
    ) -> int:
        """A product of the module ``doublehop``, with its Module Settings."""
        fields = {
            "configoption1": product,
            "configoption2": "release",
            "configoption3": "Pay invoice 1187.",
            "configoption4": "on" if reboot else "",
            "configoption5": "on" if power else "",
            "configoption6": "none",
            **more,
        }
        return self.add(
            "tblproducts", type="server", name=name, servertype="doublehop", servergroup=1, **fields
        )

    def tab(self, service: int) -> str:
        answer = self.http.get("/admin/service", params={"id": service})
        assert answer.status_code == 200, answer.text
        return answer.text

    def save(self, service: int, server: str | None = None, **typed: str) -> None:
        """The form as it stands, with the server chosen in the list, and Save Changes."""
        page = self.tab(service)
        row = self.service(service)
        form = {name: row[name] for name in ("domain", "username", "dedicatedip", "assignedips")} | typed
        for field, value in re.findall(r'name="customfield\[(\d+)\]" value="([^"]*)"', page):
            form[f"customfield[{field}]"] = unescape(value)
        was = re.search(r'name="(singlehop|doublehop)_server_was" value="([^"]*)"', page)
        if was is not None:
            form |= {f"{was[1]}_server_was": unescape(was[2]), f"{was[1]}_server": server or ""}
        answer = self.http.post("/admin/service", params={"id": service}, data=form)
        assert answer.status_code == 303, answer.text

    def press(self, service: int, action: str) -> str:
        """What the page says after a module command: "Service command successful" or the error."""
        answer = self.http.post("/admin/command", params={"id": service}, data={"a": action})
        assert answer.status_code == 200, answer.text
        found = re.search(r'<div class="infobox">(.*?)</div>', answer.text, re.DOTALL)
        assert found is not None
        return unescape(found[1]).removeprefix("The following error occurred: ")

    def pay(self, service: int) -> str:
        return self.http.post("/admin/pay", params={"id": service}).text

    def retry(self, entry: int) -> str:
        return self.http.post("/admin/queue", params={"id": entry}).text

    def client_page(self, service: int, client: int) -> httpx.Response:
        return self.http.get(
            "/clientarea.php",
            params={"action": "productdetails", "id": service},
            headers={"Cookie": f"client={client}"},
        )

    def client_press(self, service: int, client: int, function: str, **form: str) -> httpx.Response:
        token = sha256(f"stand-in {client}".encode()).hexdigest()
        values = {
            "id": str(service),
            "modop": "custom",
            "a": function,
            "confirmed": "yes",
            "token": token,
            **form,
        }
        return self.http.post(
            "/clientarea.php",
            params={"action": "productdetails"},
            data=values,
            headers={"Cookie": f"client={client}"},
        )

    def of_server(self, record: int, function: str) -> Any:
        return self.http.post("/admin/server/call", params={"id": record}, data={"function": function}).json()

    def cron(self, date: str) -> list[list[Any]]:
        done = subprocess.run(
            [self.php, str(HERE / "host" / "cron.php"), date],
            env={**os.environ, "WHMCS_STAND_IN": str(self.folder)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def waiting(self) -> list[dict[str, Any]]:
        return [row for row in self.state()["tblmodulequeue"] if not row["completed"]]


@contextmanager
def stand_in(folder: Path, address: str) -> Iterator[StandIn]:
    """With the modules out of the file that ``make whmcs-module`` makes."""
    program = php()
    packed = folder.parent / f"{folder.name}.zip"
    subprocess.run(
        [sys.executable, str(ROOT / "bin" / "whmcs_module.py"), str(packed)], check=True, capture_output=True
    )
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(folder)
    (folder / "modules/servers/singlehop/address.php").write_text(f"<?php return {json.dumps(address)};\n")
    port = free_port()
    with (folder / "php.log").open("wb") as log:
        child = subprocess.Popen(
            [program, "-S", f"127.0.0.1:{port}", str(HERE / "host" / "web.php")],
            env={**os.environ, "WHMCS_STAND_IN": str(folder), "PHP_CLI_SERVER_WORKERS": "4"},
            cwd=folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        host = StandIn(folder, f"http://127.0.0.1:{port}", program)
        until = time.monotonic() + 20
        while True:
            try:
                assert host.http.get("/ready").text == "ready"
                break
            except httpx.HTTPError:
                if time.monotonic() > until or child.poll() is not None:
                    raise AssertionError((folder / "php.log").read_text()) from None
                time.sleep(0.1)
        yield host
        host.http.close()
    finally:
        os.killpg(child.pid, 15)
        child.wait(10)


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    php()
    there = Provider(tmp_path_factory.mktemp("provider"))
    yield there
    there.end()


@pytest.fixture(scope="session")
def proxy(provider: Provider) -> Iterator[FaultProxy]:
    with FaultProxy(("127.0.0.1", provider.port)) as between:
        yield between


@pytest.fixture(scope="session")
def host(
    tmp_path_factory: pytest.TempPathFactory, provider: Provider, proxy: FaultProxy
) -> Iterator[StandIn]:
    with stand_in(tmp_path_factory.mktemp("whmcs"), f"{proxy.url}/leap/api.php") as there:
        there.sql("INSERT INTO tblconfiguration VALUES ('SystemURL', ?)", f"{there.url}/")
        for number, (name, family) in enumerate((("Mara", "Quill"), ("Lena", "O&#039;Quill")), 1):
            there.add(
                "tblclients",
                id=number,
                firstname=name,
                lastname=family,
                email=f"{name.lower()}@books.example",
            )
        yield there
