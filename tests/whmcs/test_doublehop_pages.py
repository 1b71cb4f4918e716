"""What stands between the module ``doublehop`` and its panel, and between a browser and the module."""

import json
import re
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import httpx
import pytest

pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]
SUCCESS = "Service command successful"
MARA = 1


@pytest.fixture(scope="module")
def between(provider):
    """Hands everything on to the panel, and answers ``between.instead`` in its place where something is asked to be done.
    ``between.change(path, body)`` is what becomes of what is read."""
    there = SimpleNamespace(instead=None, change=None, url="")

    class Hop(BaseHTTPRequestHandler):
        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            url = f"http://127.0.0.1:{provider.port}{self.path}"
            came = httpx.request(
                self.command, url, headers=dict(self.headers.items()), content=body, timeout=20
            )
            status, said, kind = came.status_code, came.content, came.headers.get("Content-Type", "")
            if there.change and self.command == "GET":
                said = there.change(self.path, said)
            length = len(said)
            if (
                there.instead
                and self.command == "POST"
                and self.path.endswith(("/operations", "/sign-in-links"))
            ):
                status, said, cut = there.instead
                kind, length = "application/json", len(said) + cut
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(length))
            self.send_header("Location", "/elsewhere")
            self.end_headers()
            self.wfile.write(said)
            self.close_connection = True

        do_GET = do_POST = do_PATCH = answer  # noqa: N815

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Hop) as server:
        there.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield there
        server.shutdown()


@pytest.fixture
def service(host, provider, between):
    """An active one of Mara's with the server ``alpha``."""
    between.instead = between.change = None
    record = host.server_record(between.url, provider.token)
    made = host.order(
        host.settings(provider.products["By hand"], name="By hand"), MARA, "order.example.org", record
    )
    host.save(made, provider.ids["alpha"])
    assert host.press(made, "CreateAccount") == SUCCESS
    yield made
    between.instead = between.change = None
    provider.ask("end_everything")
    host.sql("UPDATE tblhosting SET domainstatus = 'Cancelled'")


def resets(provider):
    return len([one for one in provider.effects("alpha") if one.startswith("power.reset")])


@pytest.mark.parametrize(
    "instead",
    [
        (502, b"<h1>Bad gateway</h1>", 0),
        (504, b'{"error": "upstream timed out"}', 0),
        (302, b"{}", 0),
        (200, b"<h1>Sign in to the network</h1>", 0),
        (200, b"{}", 0),
        (202, b'{"ok": true, "state": 7}', 0),
        (204, b"", 0),
        (202, b'{"reference": "AB', 40),
    ],
    ids=lambda one: f"{one[0]} {one[1][:12]!r}",
)
def test_an_answer_of_something_in_between_is_unknown_and_the_same_key_is_sent_again(
    host, provider, between, service, instead
):
    before = resets(provider)
    between.instead = instead
    said = host.press(service, "Reboot")
    assert "not known whether" in said
    between.instead = None
    assert host.press(service, "Reboot") == SUCCESS
    assert resets(provider) == before + 1


def test_a_form_of_another_site_does_nothing(host, provider, service):
    before = resets(provider)
    page = host.client_page(service, MARA).text
    assert 'name="token"' in page
    for token in ("", "of another session"):
        answer = host.client_press(service, MARA, "ClientReboot", token=token)
        assert answer.status_code == 403
    assert resets(provider) == before
    assert "Action Completed" in host.client_press(service, MARA, "ClientReboot").text
    assert resets(provider) == before + 1


def test_a_name_that_the_place_gave_an_address_is_not_shown_to_a_client(host, between, service):
    def named(path, said):
        if not path.endswith("/addresses"):
            return said
        return json.dumps(
            [{**one, "rdns": "static.17.northgate.example"} for one in json.loads(said)]
        ).encode()

    between.change = named
    page = host.client_page(service, MARA).text
    assert "192.0.2.16" in page
    assert "northgate" not in page


def test_what_the_panel_says_is_text_and_never_markup(host, between, service):
    evil = "\"><script>alert('1')</script>"

    def written(path, said):
        told = json.loads(said)
        for one in told["items"] if isinstance(told, dict) and "items" in told else [told]:
            if isinstance(one, dict):
                names = {"hostname", "username", "suspended_because", "label", "site", "sentence", "by"}
                one.update(dict.fromkeys(names & set(one), evil))
        return json.dumps(told).encode()

    between.change = written
    for page in (
        host.client_page(service, MARA).text,
        host.http.get("/admin/service", params={"id": service}).text,
    ):
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(&#039;1&#039;)" in page


def test_what_is_under_way_is_no_failure_on_the_clients_page(host, between, service):
    between.instead = (202, b'{"reference": "AB2-CD3", "kind": "reboot", "state": "queued"}', 0)
    page = host.client_press(service, MARA, "ClientReboot").text
    assert "Action Failed" not in page
    assert "It was accepted and is under way. Look again in a moment (reference AB2-CD3)." in page
    assert f'href="clientarea.php?action=productdetails&amp;id={service}"' in page
    assert "AB2-CD3" in host.state()["tblactivitylog"][-1]["description"]


def test_what_will_not_work_for_long_is_no_failed_connection(host, provider, between, service):
    def later(path, said):
        if not path.endswith("/me"):
            return said
        soon = (datetime.now(UTC) + timedelta(days=3)).isoformat()
        apart = (datetime.now(UTC) - timedelta(seconds=200)).isoformat()
        return json.dumps({**json.loads(said), "expires_at": soon, "now": apart}).encode()

    between.change = later
    record = host.service(service)["server"]
    assert "Connection successful" in host.http.post("/admin/server", params={"id": record}).text
    told = host.state()["tblactivitylog"][-1]["description"]
    assert re.search(r"clocks 20\d s apart", told)
    assert "Set the clock" in told
    assert "The token ends at" in told


@pytest.mark.parametrize(
    "instead",
    [
        (202, {"reference": "<b>1</b>", "kind": "reboot", "state": "failed"}),
        (202, {"reference": "<b>1</b>", "kind": "reboot", "state": "held"}),
        (409, {"title": "<b>No</b>", "code": "busy", "reference": "<b>1</b>"}),
    ],
)
def test_nothing_that_came_over_the_wire_is_markup_where_whmcs_escapes_nothing(
    host, between, service, instead
):
    between.instead = (instead[0], json.dumps(instead[1]).encode(), 0)
    link = {"action": "productdetails", "id": service, "dosinglesignon": "1"}
    for page in (
        host.client_press(service, MARA, "ClientReboot").text,
        host.http.get("/clientarea.php", params=link, headers={"Cookie": f"client={MARA}"}).text,
    ):
        assert "<b>" not in page
        (reference,) = re.findall(r"\(reference ([0-9A-Z]{3}-[0-9A-Z]{3})\)", page)
        told = [row["description"] for row in host.state()["tblactivitylog"][-3:]]
        assert [text for text in told if reference in text], "staff find it"


def named(host, service, name, chosen, was):
    form = {
        "doublehop_server": chosen,
        "doublehop_server_was": was,
        "doublehop_server_named": name,
        "domain": "typed.example.org",
    }
    assert host.http.post("/admin/service", params={"id": service}, data=form).status_code == 303
    return host.tab(service)


def test_of_more_servers_than_are_listed_any_other_is_chosen_by_its_name(host, provider, between, service):
    assert "doublehop_server_named" not in host.tab(service)

    def longer(path, said):
        if not (path.startswith("/api/v1/servers?") and "q=" not in path):
            return said
        told = json.loads(said)
        return json.dumps({"items": told["items"][:1], "next": 4711}).encode()

    between.change = longer
    assert "doublehop_server_named" in host.tab(service)
    alpha, beta = provider.ids["alpha"], provider.ids["beta"]
    assert "No free server is called" in named(host, service, "bet", alpha, alpha)
    assert "Choose in one of the two ways" in named(host, service, "beta.example.org", beta, alpha)
    assert provider.ask("service", str(service))["server"] == alpha
    named(host, service, "Beta.example.org", alpha, alpha)
    assert provider.ask("service", str(service))["server"] == beta
    assert host.service(service)["domain"] == "beta.example.org"


def test_a_percentile_that_is_not_known_is_no_metric_and_not_zero(host, provider, between, service):
    host.sql(
        "UPDATE tblproducts SET configoption6 = 'metrics' WHERE id = (SELECT packageid FROM tblhosting WHERE id = ?)",
        service,
    )
    provider.ask("attached_long_ago", str(service))
    provider.ask("count_usage")

    def without(path, said):
        if not path.startswith("/api/v1/usage"):
            return said
        told = json.loads(said)
        told["items"] = [{**one, "percentile_95_bps": None} for one in told["items"]]
        return json.dumps(told).encode()

    between.change = without
    record = host.service(service)["server"]
    number = str(provider.ask("service", str(service))["number"])
    told = host.http.post("/admin/server/metrics", params={"id": record}, data={"tenant": number}).json()
    assert [one["name"] for one in told["usage"][number]] == ["traffic_in", "traffic_out", "traffic_total"]
    assert told["tenant"] == told["usage"][number]
    between.change = lambda path, said: b'{"items": [], "next": null}' if "/usage" in path else said
    told = host.http.post("/admin/server/metrics", params={"id": record}, data={"tenant": number}).json()
    assert told["usage"] == []
    assert "metrics of 1 services are not known" in str(host.state()["tblactivitylog"])
