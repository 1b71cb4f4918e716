"""The module ``singlehop`` in a stand-in for WHMCS, against a provider's installation over loopback. Effects are read behind it."""

import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from doublehop.driver_kit.conformance.fault_proxy import Mode

pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]
SUCCESS = "Service command successful"


def commands(done):
    """Without what the cron asks of the other module's server."""
    return [one for one in done if one[0] != "UsageUpdate"]


MARA, LENA = 1, 2
HOP = ("leap", "tandem", "singlehop", "northgate", "alder", "upstream", "127.0.0.1")


@pytest.fixture
def product(host, provider):
    return host.product(provider.login)


@pytest.fixture(autouse=True)
def _as_before(request):
    yield
    for name in {"proxy", "provider"} & set(request.fixturenames):
        there = request.getfixturevalue(name)
        if name == "proxy":
            there.mode = Mode.PASS
        else:
            there.ask("fine")
            there.ask("revoke", "web", "db", "files", "spare")
    if "host" in request.fixturenames:
        host = request.getfixturevalue("host")
        host.sql("UPDATE tblhosting SET domainstatus = 'Cancelled'")
        if any(row["module"] for row in host.state()["tblmodulelog"]):
            host.sql("DELETE FROM mod_singlehop")


@pytest.fixture
def attach(host, provider, product):
    """``attach("db")`` is an active service of Mara's with that server."""

    def make(name: str) -> int:
        provider.ask("permit", name)
        service = host.order(product, MARA)
        host.save(service, provider.ids[name])
        assert host.press(service, "CreateAccount") == SUCCESS
        return service

    return make


@pytest.mark.parametrize("order", ["module first", "fields first"])
def test_from_the_order_to_the_end(host, provider, proxy, product, order):
    host.sql("INSERT OR REPLACE INTO tblconfiguration VALUES ('save_order', ?)", order)
    before = provider.effects("web")
    service = host.order(product, MARA)
    assert "No Servers Listed" in host.tab(service)
    assert "No server is attached yet" in host.press(service, "CreateAccount")
    assert host.service(service)["domainstatus"] == "Pending"

    provider.ask("permit", "web")
    assert "web.example.org" in host.tab(service)
    host.save(service, provider.ids["web"])
    row = host.service(service)
    assert (row["domain"], row["username"], row["dedicatedip"]) == ("web.example.org", "root", "192.0.2.12")
    assert host.press(service, "CreateAccount") == SUCCESS
    assert host.service(service)["domainstatus"] == "Active"
    assert "web.example.org" in host.state()["tblemails"][-1]["message"]

    host.sql("UPDATE tblhosting SET paid = 0 WHERE id = ?", service)
    assert commands(host.cron("2026-03-04")) == []
    assert commands(host.cron("2026-03-06")) == [["SuspendAccount", service, "success"]]
    assert host.service(service)["domainstatus"] == "Suspended"
    held = provider.effects("web")[len(before) :]
    assert held, "the machine felt it"
    assert commands(host.cron("2026-03-07")) == []
    assert "suspended" in host.press(service, "Reboot")
    assert host.pay(service) == "success"
    assert host.service(service)["domainstatus"] == "Active"
    lifted = provider.effects("web")[len(before) + len(held) :]
    assert lifted

    assert host.press(service, "Reboot") == SUCCESS
    assert len([one for one in provider.effects("web") if one.startswith("power.reset")]) == 1 + sum(
        one.startswith("power.reset") for one in before
    )
    assert host.press(service, "GetServerIP") == SUCCESS
    assert "192.0.2.12" in host.service(service)["assignedips"]

    host.sql(
        "UPDATE mod_singlehop SET data = json_set(data, '$.attached_at', strftime('%s') - 864000) WHERE service_id = ?",
        service,
    )
    page = host.client_page(service, MARA).text
    module = page.partition('<div id="module">')[2]
    assert "root" in module
    assert len(re.findall(r"<td>\d{4}-\d\d-\d\d</td>", module)) >= 9
    assert not [word for word in HOP if word in module.lower()]

    asked = len(provider.ask("operations", "web"))
    assert host.press(service, "TerminateAccount") == SUCCESS
    assert host.press(service, "TerminateAccount") == SUCCESS
    assert host.service(service)["domainstatus"] == "Terminated"
    assert len(provider.ask("operations", "web")) == asked, "no machine is touched"


def test_wrong_credentials_and_nothing_of_them_in_any_log(host, provider, product):
    wrong = host.product(provider.login, api_key="not-the-key")
    service = host.order(wrong, MARA)
    page = host.tab(service)
    assert "API Error: Authentication Error" in page
    assert "<select" not in page
    unknown = host.order(host.product(provider.login, tandem_username="nobody@alder.example"), MARA)
    assert "API Error: Authentication Error" in host.tab(unknown)
    log = str(host.state()["tblmodulelog"]) + str(host.state()["tblactivitylog"])
    for name in ("leap_password", "api_key", "tandem_password"):
        assert provider.login[name] not in log
    assert "listServers" in log or "tandemList" in log


def test_one_server_is_in_one_service_and_only_what_is_permitted_is_attached(host, provider, product, attach):
    attach("db")
    other = host.order(product, LENA)
    assert "All servers are attached" in host.tab(other)
    provider.ask("permit", "files")
    host.save(other, provider.ids["db"])
    assert "attached to service" in host.tab(other)
    host.save(other, provider.ids["spare"])
    assert "no permission" in host.tab(other)
    assert host.service(other)["domain"] == "book.example.org"
    assert "No server is attached" in host.press(other, "Reboot")


@pytest.mark.parametrize("chosen", ["", "spare"])
def test_a_page_that_is_older_than_the_attachment_changes_nothing(host, provider, attach, chosen):
    service = attach("db")
    provider.ask("permit", "spare")
    form = {
        "singlehop_server": provider.ids[chosen] if chosen else "",
        "singlehop_server_was": provider.ids["web"],
        "domain": "typed.example.org",
    }
    assert host.http.post("/admin/service", params={"id": service}, data=form).status_code == 303
    page = host.tab(service)
    assert "since the page was opened" in page
    assert f'value="{provider.ids["db"]}" selected' in page


def test_another_clients_service_is_not_there(host, attach):
    service = attach("db")
    assert host.client_page(service, LENA).status_code == 404
    host.sql("UPDATE tblhosting SET userid = 2 WHERE id = ?", service)
    page = host.client_page(service, LENA).text
    assert "being prepared" in page, "what the client before used is nobody else's"
    assert "another client now" in host.tab(service)


def test_two_clicks_at_once_are_one_reboot(host, provider, attach):
    service = attach("db")
    before = provider.effects("db").count("power.reset:soft") + provider.effects("db").count(
        "power.reset:hard"
    )
    with ThreadPoolExecutor(2) as both:
        said = list(both.map(lambda _: host.press(service, "Reboot"), range(2)))
    assert SUCCESS in said
    assert all(one == SUCCESS or "Another command" in one for one in said), said
    after = [one for one in provider.effects("db") if one.startswith("power.reset")]
    # On a busy machine the second click may come when the first is over; then it is a reboot of its own.
    assert 1 <= len(after) - before <= said.count(SUCCESS)


def test_a_lost_answer_is_said_to_be_unknown_and_nothing_is_sent_again(host, provider, proxy, attach):
    service = attach("files")
    before = len(provider.ask("operations", "files"))
    proxy.only = lambda request: b"rebootServer" in request
    proxy.mode = Mode.ANSWER_LOST
    said = host.press(service, "Reboot")
    proxy.mode = Mode.PASS
    assert "not known whether the server was rebooted" in said
    assert len(provider.ask("operations", "files")) == before + 1
    assert "unknown" in host.tab(service)


@pytest.mark.parametrize("mode", [Mode.REFUSE, Mode.ERROR_500, Mode.HTML, Mode.CUT])
def test_a_service_that_is_down_keeps_its_pages_and_its_queue(host, provider, proxy, attach, mode):
    service = attach("db")
    host.client_page(service, MARA)
    before = provider.ask("operations", "db")
    proxy.only = b""
    proxy.mode = mode
    page = host.tab(service)
    assert "cannot be read now" in page
    assert f'value="{provider.ids["db"]}" selected' in page
    assert "as of" in host.client_page(service, MARA).text
    host.sql("UPDATE tblhosting SET paid = 0 WHERE id = ?", service)
    (done,) = commands(host.cron("2026-03-06"))
    assert "Nothing was sent" in done[2]
    assert host.service(service)["domainstatus"] == "Active"
    assert provider.ask("operations", "db") == before
    proxy.mode = Mode.PASS
    (entry,) = [row for row in host.waiting() if row["service_id"] == service]
    assert host.retry(entry["id"]) == "success"
    assert host.retry(entry["id"]) == "no such entry"
    assert host.service(service)["domainstatus"] == "Suspended"
    assert host.press(service, "UnsuspendAccount") == SUCCESS
    assert host.press(service, "UnsuspendAccount") == SUCCESS


def test_slow_machines_are_not_called_suspended_before_they_are(host, provider, attach):
    service = attach("db")
    provider.ask("slow", "db", 9.0)
    said = host.press(service, "SuspendAccount")
    assert "not confirmed yet" in said
    assert host.service(service)["domainstatus"] == "Active"
    provider.ask("fine")
    asked = len(provider.ask("operations", "db"))
    for _ in range(4):
        if host.press(service, "SuspendAccount") == SUCCESS:
            break
    assert host.service(service)["domainstatus"] == "Suspended"
    assert len(provider.ask("operations", "db")) == asked, "it was followed, not asked again"
    assert host.press(service, "UnsuspendAccount") == SUCCESS


def test_another_machine_behind_the_number_is_not_touched(host, provider, attach):
    service = attach("files")
    provider.ask("readdress", "files", "198.51.100.99")
    before = provider.ask("operations", "files")
    for action in ("SuspendAccount", "Reboot", "GetServerIP", "CreateAccount"):
        assert host.press(service, action).startswith("Stopped:"), action
    assert provider.ask("operations", "files") == before


def test_suspended_in_the_panel_already_is_a_success(host, provider, attach):
    service = attach("spare")
    provider.ask("suspend_in_the_panel", "spare")
    assert host.press(service, "SuspendAccount") == SUCCESS
    assert host.press(service, "UnsuspendAccount") == SUCCESS


def test_what_a_brake_holds_is_no_success_and_the_payment_takes_it_back(host, provider, attach):
    service = attach("db")
    before = provider.effects("db")
    provider.ask("brake_after", 0)
    said = host.press(service, "SuspendAccount")
    assert "is held at your provider" in said
    assert host.service(service)["domainstatus"] == "Active"
    assert host.press(service, "UnsuspendAccount") == SUCCESS
    assert provider.effects("db") == before
    assert provider.ask("operations", "db")[-2][:2] == ["suspend", "cancelled"]
    provider.ask("brake_after", 1000)


def forgotten(host, service, kind, reference="GONE-1", ago=60):
    """The provider was asked for it, and its answer to that is all that there is."""
    host.sql(
        "UPDATE mod_singlehop SET data = json_set(data, '$.operation', json_object('kind', ?, 'reference', ?, 'state', 'asked', "
        "'at', CAST(strftime('%s') AS INTEGER) - CAST(? AS INTEGER))) WHERE service_id = ?",
        kind,
        reference,
        ago,
        service,
    )


def test_what_the_provider_does_not_know_any_more_blocks_nothing(host, provider, attach):
    service = attach("db")
    forgotten(host, service, "unsuspend")
    assert host.press(service, "UnsuspendAccount") == SUCCESS
    forgotten(host, service, "suspend")
    assert host.press(service, "UnsuspendAccount") == SUCCESS
    asked = len(provider.ask("operations", "db"))
    forgotten(host, service, "suspend")
    assert host.press(service, "SuspendAccount") == SUCCESS
    assert len(provider.ask("operations", "db")) == asked + 1, "another one was sent"
    assert host.press(service, "UnsuspendAccount") == SUCCESS
    forgotten(host, service, "reboot")
    assert host.press(service, "TerminateAccount") == SUCCESS
    assert "not known whether the reboot happened (operation GONE-1)" in host.tab(service)


def test_a_day_after_it_was_asked_nothing_is_waited_for_that_the_provider_does_not_speak_of(
    host, provider, proxy, attach
):
    service = attach("db")
    proxy.lie = b'{"success": true, "data": {}}'
    proxy.only = lambda request: b"%22getOperation%22" in request
    proxy.mode = Mode.LIE
    forgotten(host, service, "suspend", ago=3600)
    assert "not let go of before that has ended" in host.press(service, "TerminateAccount")
    forgotten(host, service, "suspend", ago=90_000)
    assert host.press(service, "TerminateAccount") == SUCCESS
    assert "not known whether the suspension happened" in host.tab(service)


def test_where_the_provider_cannot_suspend_the_permission_goes_and_it_is_said(host, provider, proxy, attach):
    service = attach("files")
    before = provider.effects("files")
    proxy.lie = b'{"success": false, "error": "No Such Command"}'
    proxy.only = lambda request: b"%22suspendServer%22" in request
    proxy.mode = Mode.LIE
    assert host.press(service, "SuspendAccount") == SUCCESS
    proxy.mode = Mode.PASS
    assert provider.ask("permitted") == []
    assert "The machine stays online" in host.tab(service)
    assert "STAYS ONLINE" in str(host.state()["tblactivitylog"][-1])
    assert provider.effects("files") == before, "nobody claims that the machine felt it"
    assert "no permission" in host.press(service, "Reboot")
    assert host.press(service, "UnsuspendAccount") == SUCCESS
    assert provider.ask("permitted") == ["files"]
    assert "stays online" not in host.tab(service)


def test_a_deleted_service_leaves_its_server_free_for_another(host, provider, product, attach):
    service = attach("db")
    other = host.order(product, LENA)
    assert "All servers are attached" in host.tab(other)
    host.http.post("/admin/delete", params={"id": service}).raise_for_status()
    assert [row for row in host.state("mod_singlehop")["mod_singlehop"] if row["service_id"] == service] == []
    host.save(other, provider.ids["db"])
    assert host.service(other)["domain"] == "db.example.org"


def test_what_went_with_its_client_or_order_leaves_its_server_free_at_the_next_cron(host, attach):
    service, other = attach("db"), attach("web")
    host.sql("DELETE FROM tblhosting WHERE id = ?", service)
    host.cron("2026-02-01")
    assert [row["service_id"] for row in host.state("mod_singlehop")["mod_singlehop"]] == [other]


def test_a_hook_of_the_house_stops_a_command_and_nothing_is_sent(host, provider, attach):
    service = attach("db")
    before = provider.ask("operations", "db")
    hook = host.folder / "includes" / "hooks" / "careful.php"
    hook.parent.mkdir(parents=True, exist_ok=True)
    hook.write_text(
        "<?php add_hook('PreModuleSuspend', 1, static function (array $vars) { return ['abortcmd' => true]; });"
    )
    try:
        assert host.press(service, "SuspendAccount") == "Aborted by a hook"
    finally:
        hook.unlink()
    assert provider.ask("operations", "db") == before
    assert host.service(service)["domainstatus"] == "Active"


def test_a_provider_that_hangs_holds_up_a_page_for_five_seconds_and_a_command_for_twenty(
    host, provider, proxy, attach
):
    service = attach("db")
    before = provider.ask("operations", "db")
    proxy.only = b""
    proxy.mode = Mode.HANG
    begin = time.monotonic()
    assert "cannot be read now" in host.tab(service)
    assert "as of" in host.client_page(service, MARA).text
    pages = time.monotonic() - begin
    begin = time.monotonic()
    said = host.press(service, "SuspendAccount")
    took = time.monotonic() - begin
    proxy.mode = Mode.PASS
    assert "Nothing was sent" in said
    # The page of the service that follows the command asks once more.
    assert 8 < pages < 18
    assert took < 32
    assert provider.ask("operations", "db") == before
