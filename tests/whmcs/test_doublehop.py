"""The module ``doublehop`` in a stand-in for WHMCS, against an installation over loopback. Effects are read behind it."""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from doublehop.driver_kit.conformance.fault_proxy import Mode

pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]
SUCCESS = "Service command successful"
MARA, LENA = 1, 2
HOP = ("leap", "tandem", "doublehop", "northgate", "alder", "upstream", "127.0.0.1", "rack a")


@pytest.fixture(scope="session")
def record(host, provider, proxy):
    return host.server_record(proxy.url, provider.token)


@pytest.fixture
def shop(host, provider, record):
    """The products of this WHMCS, and ``shop.order("By hand")``, ``shop.active("alpha")``: services of Mara's."""
    kinds = {name: host.settings(number, name=name) for name, number in provider.products.items()}

    def order(name="By hand", client=MARA, product=None):
        return host.order(product or kinds[name], client, "order.example.org", record)

    def active(machine, client=MARA, product=None):
        service = order(client=client, product=product)
        host.save(service, provider.ids[machine])
        assert host.press(service, "CreateAccount") == SUCCESS
        return service

    return SimpleNamespace(kinds=kinds, order=order, active=active)


@pytest.fixture(autouse=True)
def _as_before(request):
    yield
    for name in ("proxy", "provider", "host"):
        if name not in request.fixturenames:
            continue
        there = request.getfixturevalue(name)
        if name == "proxy":
            there.mode = Mode.PASS
            there.only = b""
        elif name == "provider":
            there.ask("end_everything")
        else:
            there.sql("UPDATE tblhosting SET domainstatus = 'Cancelled'")


def resets(provider, name):
    return len([one for one in provider.effects(name) if one.startswith("power.reset")])


def operations(provider, name, kind=""):
    return [row for row in provider.ask("operations", name) if not kind or row[0] == kind]


def imported(host, shop, number, client=MARA):
    """As WHMCS's server sync leaves it: active, with the panel's number in its field."""
    service = shop.order(client=client)
    host.sql("UPDATE tblhosting SET domainstatus = 'Active' WHERE id = ?", service)
    product = int(shop.kinds["By hand"])
    fields = [row["id"] for row in host.state()["tblcustomfields"] if row["relid"] == product]
    if not fields:
        fields = [host.add("tblcustomfields", type="product", relid=product, fieldname="Doublehop Service")]
    host.add("tblcustomfieldsvalues", fieldid=fields[0], relid=service, value=number)
    return service


# ---------------------------------------------------------------- the life of a service


@pytest.mark.parametrize("order", ["module first", "fields first"])
def test_from_the_order_to_the_end(host, provider, shop, order):
    host.sql("INSERT OR REPLACE INTO tblconfiguration VALUES ('save_order', ?)", order)
    service = shop.order()
    said = host.press(service, "CreateAccount")
    assert "waits for a server" in said
    assert host.service(service)["domainstatus"] == "Pending"
    there = provider.ask("service", str(service))
    assert there["status"] == "pending"

    page = host.tab(service)
    assert "alpha.example.org" in page
    host.save(service, provider.ids["alpha"])
    row = host.service(service)
    assert (row["domain"], row["username"], row["dedicatedip"]) == ("alpha.example.org", "root", "192.0.2.16")
    assert "is the server of this service now" in host.tab(service)
    mails = len(host.state()["tblemails"])
    assert host.press(service, "CreateAccount") == SUCCESS
    assert host.service(service)["domainstatus"] == "Active"
    assert "alpha.example.org" in host.state()["tblemails"][mails]["message"]
    assert host.press(service, "CreateAccount") == SUCCESS
    assert provider.ask("service", str(service))["id"] == there["id"], "the same service, not another one"

    host.sql("UPDATE tblhosting SET paid = 0 WHERE id = ?", service)
    assert ["SuspendAccount", service, "success"] in host.cron("2026-03-06")
    assert host.service(service)["domainstatus"] == "Suspended"
    assert provider.ask("service", str(service))["status"] == "suspended"
    assert "power.off" in " ".join(provider.effects("alpha"))
    assert "suspended" in host.press(service, "Reboot")
    assert "Pay invoice 1187." in host.client_page(service, MARA).text
    assert host.pay(service) == "success"
    assert host.service(service)["domainstatus"] == "Active"
    assert provider.ask("service", str(service))["status"] == "active"

    before = resets(provider, "alpha")
    assert host.press(service, "Reboot") == SUCCESS
    assert resets(provider, "alpha") == before + 1
    assert host.press(service, "GetServerIP") == SUCCESS
    assert "192.0.2.16" in host.service(service)["assignedips"]

    host.sql("UPDATE tblhosting SET paid = 0, nextduedate = '2026-01-01' WHERE id = ?", service)
    assert ["TerminateAccount", service, "success"] in host.cron("2026-03-06")
    assert host.service(service)["domainstatus"] == "Terminated"
    assert provider.ask("service", str(service))["status"] == "terminated"
    assert host.press(service, "TerminateAccount") == SUCCESS


def test_a_pool_delivers_at_once(host, provider, shop):
    service = shop.order("From the pool")
    assert host.press(service, "CreateAccount") == SUCCESS
    row = host.service(service)
    assert row["domain"].startswith("pool")
    assert row["dedicatedip"]
    assert row["username"] == "root"
    assert host.state()["tblemails"][-1]["message"].count(row["dedicatedip"]) == 1


def test_an_empty_pool_is_said_and_no_mail_is_sent(host, provider, shop):
    for _ in range(2):
        assert host.press(shop.order("From the pool"), "CreateAccount") == SUCCESS
    mails = len(host.state()["tblemails"])
    service = shop.order("From the pool")
    said = host.press(service, "CreateAccount")
    assert "waits for a server" in said
    assert "Nothing was delivered yet" in said
    assert host.service(service)["domainstatus"] == "Pending"
    assert len(host.state()["tblemails"]) == mails


def test_one_service_is_there_once_however_often_create_is_pressed(host, provider, proxy, shop):
    service = shop.order()
    proxy.only = lambda request: request.startswith(b"POST /api/v1/services ")
    proxy.mode = Mode.ANSWER_LOST
    said = host.press(service, "CreateAccount")
    assert "It is not known whether anything was done" in said
    proxy.mode = Mode.PASS
    first = provider.ask("service", str(service))
    with ThreadPoolExecutor(2) as both:
        list(both.map(lambda _: host.press(service, "CreateAccount"), range(2)))
    assert provider.ask("service", str(service))["id"] == first["id"]
    assert [str(MARA), "Mara Quill"] in provider.ask("clients")


def test_sold_options_are_done_when_a_person_says_so_and_not_before(host, provider, shop):
    service = shop.order()
    host.save(service, provider.ids["beta"])
    host.sql(
        "UPDATE tblhosting SET configoptions = ? WHERE id = ?", '{"Memory": "32 GB", "KVM": "0"}', service
    )
    mails = len(host.state()["tblemails"])
    for _ in range(2):  # the second click of a double click has been at no machine
        said = host.press(service, "CreateAccount")
        assert "Memory: 32 GB. See to it, then press Create again" in said
    assert host.service(service)["domainstatus"] == "Pending"
    assert len(host.state()["tblemails"]) == mails
    minutes_pass(host, service)
    assert host.press(service, "CreateAccount") == SUCCESS
    assert host.press(service, "CreateAccount") == SUCCESS

    def bought(**options):
        form = {f"options[{name}]": value for name, value in options.items()}
        return host.http.post("/admin/upgrade", params={"id": service}, data=form).text

    assert "Memory: 64 GB instead of 32 GB. Nothing was done at the server" in bought(Memory="64 GB", KVM="0")
    assert "for a person to deliver" in bought(Memory="64 GB", KVM="0"), "what is paid is not delivered yet"
    (entry,) = host.waiting()
    assert entry["module_action"] == "ChangePackage"
    assert "for a person to deliver" in host.retry(entry["id"]), "staff have read nothing of it yet"
    minutes_pass(host, service)
    assert host.retry(entry["id"]) == "success"
    assert host.waiting() == []
    assert "Memory: 64 GB instead of 32 GB: confirmed as delivered (admin 1 of WHMCS)" in last_told(host)
    assert host.press(service, "ChangePackage") == SUCCESS
    assert "O'Neill's rack: yes, Memory: none instead of 64 GB" in bought(**{"O&#039;Neill's rack": "yes"})

    product = host.settings(provider.products["By hand"], configoption7="noted")
    host.sql("UPDATE tblhosting SET packageid = ? WHERE id = ?", product, service)
    assert bought(Memory="128 GB") == "success"
    assert "a person delivers them" in last_told(host)

    host.sql("UPDATE tblproducts SET configoption7 = 'asked' WHERE id = ?", product)
    assert "for a person to deliver" in bought(Memory="256 GB")
    host.sql("UPDATE tblproducts SET configoption7 = 'noted' WHERE id = ?", product)
    assert bought(Memory="256 GB") == "success"
    assert "a person delivers them" in last_told(host), "nobody has confirmed them"


def minutes_pass(host, service, since="options_told"):
    (row,) = [one for one in host.state("mod_doublehop")["mod_doublehop"] if one["service_id"] == service]
    data = json.loads(row["data"])
    data[since]["at"] -= 120
    host.sql("UPDATE mod_doublehop SET data = ? WHERE service_id = ?", json.dumps(data), service)


def last_told(host):
    return host.state()["tblactivitylog"][-1]["description"]


@pytest.mark.parametrize("order", ["module first", "fields first"])
def test_no_address_of_the_server_before_stays_after_a_swap(host, provider, shop, order):
    host.sql("INSERT OR REPLACE INTO tblconfiguration VALUES ('save_order', ?)", order)
    service = shop.active("alpha")
    assert host.press(service, "GetServerIP") == SUCCESS
    assert "192.0.2.16" in host.service(service)["assignedips"]
    host.save(service, provider.ids["beta"])
    row = host.service(service)
    assert "192.0.2.16" not in row["assignedips"]
    assert row["assignedips"] == row["dedicatedip"]


@pytest.mark.parametrize("order", ["module first", "fields first"])
def test_the_number_stays_in_its_field_and_no_client_reads_the_field(host, provider, shop, order):
    host.sql("INSERT OR REPLACE INTO tblconfiguration VALUES ('save_order', ?)", order)
    service = shop.active("alpha")
    number = str(provider.ask("service", str(service))["number"])
    host.sql("UPDATE tblcustomfieldsvalues SET value = '' WHERE relid = ?", service)
    host.save(service, provider.ids["beta"])
    assert f'value="{number}"' in host.tab(service)
    page = host.client_page(service, MARA).text
    assert number not in page
    assert "Doublehop" not in page


def test_what_an_earlier_form_was_filled_in_with_is_not_filled_in_by_a_later_one(host, provider, shop):
    service = shop.order()
    hooks = host.folder / "modules/servers/doublehop/hooks.php"
    away = hooks.rename(hooks.with_name("hooks.away"))  # as before the product's settings are saved once more
    try:
        host.save(service, provider.ids["alpha"])
    finally:
        away.rename(hooks)
    minutes_pass(host, service, "fill")
    host.save(service, provider.ids["alpha"], domain="typed.example.org")
    assert host.service(service)["domain"] == "typed.example.org"


def test_who_pressed_in_whmcs_stands_in_the_journal(host, provider, shop):
    service = shop.active("alpha")
    host.save(service, provider.ids["beta"])
    page = host.tab(service)
    for why in ("Ordered in", "Chosen in"):
        assert f"{why} the billing system (admin 1 of WHMCS)" in page
    host.save(service, "")
    assert "Taken out in the billing system (admin 1 of WHMCS)" in host.tab(service)


def test_texts_that_whmcs_keeps_with_entities_are_read_as_they_were_written(host, provider, shop):
    service = shop.active("alpha", client=LENA)
    assert [str(LENA), "Lena O'Quill"] in provider.ask("clients")
    host.sql("UPDATE tblhosting SET suspendreason = 'Overdue &amp; disputed' WHERE id = ?", service)
    assert host.press(service, "SuspendAccount") == SUCCESS
    assert "Overdue &amp; disputed (admin 1 of WHMCS)" in host.tab(service), "escaped once"
    assert host.press(service, "UnsuspendAccount") == SUCCESS


def test_change_package_and_renew(host, provider, shop):
    service = shop.active("beta")
    said = host.http.post(
        "/admin/upgrade", params={"id": service}, data={"product": shop.kinds["Bigger"]}
    ).text
    assert said == "success"
    there = provider.ask("service", str(service))
    assert there["product"] == provider.products["Bigger"]
    assert there["server"] == provider.ids["beta"], "the machine stays"
    state = host.state()
    (field,) = [row["id"] for row in state["tblcustomfields"] if row["relid"] == int(shop.kinds["Bigger"])]
    values = {
        row["fieldid"]: row["value"] for row in state["tblcustomfieldsvalues"] if row["relid"] == service
    }
    assert values[field] == str(there["number"]), "the other product has a field of its own"
    assert host.http.post("/admin/renew", params={"id": service}).text == "success"


@pytest.mark.parametrize(
    ("mode", "status", "said"),
    [
        ("release", "terminated", SUCCESS),
        ("by_hand", "active", "Nothing was done, as the product's settings say"),
    ],
)
def test_terminating_does_what_the_product_says(host, provider, shop, mode, status, said):
    product = host.settings(provider.products["By hand"], configoption2=mode)
    service = shop.active("beta", product=product)
    before = provider.effects("beta")
    assert host.press(service, "TerminateAccount").startswith(said)
    assert provider.ask("service", str(service))["status"] == status
    assert provider.effects("beta") == before, "no machine is touched"


def test_a_cancellation_is_asked_of_the_supplier_where_the_product_says_so(host, provider, shop):
    product = host.settings(provider.products["By hand"], configoption2="ask_cancellation")
    service = shop.active("gamma", product=product)
    assert host.press(service, "TerminateAccount") == SUCCESS
    assert provider.ask("service", str(service))["status"] == "terminated"
    assert provider.ask("cancellations") == ["gamma"]
    told = [row["description"] for row in host.state()["tblactivitylog"]]
    assert any(
        f"service {service}: terminated" in text and "was asked to take it back" in text for text in told
    )


def test_an_order_that_never_got_a_server_is_taken_back(host, provider, shop):
    service = shop.order()
    host.press(service, "CreateAccount")
    assert host.press(service, "TerminateAccount") == SUCCESS
    assert provider.ask("service", str(service))["status"] == "cancelled"
    assert "no way back" in host.press(service, "CreateAccount")


def test_a_deleted_service_lets_go_of_its_server(host, provider, shop):
    service = shop.active("beta")
    host.http.post("/admin/delete", params={"id": service}).raise_for_status()
    number = provider.ask("number_of", "beta")
    assert provider.ask("service", f"{service} deleted {number}")["status"] == "terminated"
    assert "deleted here; the panel let go" in host.state()["tblactivitylog"][-1]["description"]
    # SQLite, like old MySQL, gives the number of the last deleted row once more: another order is another service.
    again = shop.order()
    assert again == service
    assert "waits for a server" in host.press(again, "CreateAccount")
    assert provider.ask("service", str(again))["status"] == "pending"


def test_what_went_with_its_client_or_order_lets_go_of_its_server_at_the_next_cron(host, provider, shop):
    service = shop.active("beta")
    number = provider.ask("number_of", "beta")
    never = shop.order()
    shop.order()  # so that neither number is given once more
    host.sql("INSERT INTO mod_doublehop (service_id, data, seen) VALUES (?, '{}', '{}')", never)
    for one in (service, never):
        host.sql("DELETE FROM tblhosting WHERE id = ?", one)
    host.cron("2026-02-01")
    assert "deleted here; the panel let go" in host.state()["tblactivitylog"][-1]["description"]
    assert provider.ask("service", f"{service} deleted {number}")["status"] == "terminated"
    kept = {row["service_id"] for row in host.state("mod_doublehop")["mod_doublehop"]}
    assert not kept & {service, never}


def test_a_service_deleted_while_the_panel_is_down_is_ended_by_a_later_cron(host, provider, proxy, shop):
    service = shop.active("beta")
    number = provider.ask("number_of", "beta")
    proxy.mode = Mode.REFUSE
    host.http.post("/admin/delete", params={"id": service}).raise_for_status()
    for _ in range(2):
        host.cron("2026-02-01")
    told = [row["description"] for row in host.state()["tblactivitylog"]]
    (line,) = [text for text in told if f"service {service}: deleted here" in text]
    assert "asked again at every cron" in line
    again = shop.order()
    assert again == service, "the stand-in's database gives the number once more"
    assert "Nothing was ordered" in host.press(again, "CreateAccount")
    assert provider.ask("service", str(service))["status"] == "active"

    proxy.mode = Mode.PASS
    host.cron("2026-02-01")
    assert provider.ask("service", f"{service} deleted {number}")["status"] == "terminated"
    assert "the panel let go of its server" in host.state()["tblactivitylog"][-1]["description"]
    assert "waits for a server" in host.press(again, "CreateAccount")
    assert provider.ask("service", str(again))["number"] != number


def test_what_the_server_sync_brought_in_is_taken_over_and_no_second_machine_is_ordered(host, provider, shop):
    shop.active("alpha")  # Mara is a client of the panel then
    number = str(provider.ask("by_hand", "beta"))
    service = imported(host, shop, number)
    assert "Press Refresh to take over" in host.press(service, "Reboot")
    assert host.press(service, "Refresh") == SUCCESS
    there = provider.ask("service", str(service))
    assert (str(there["number"]), there["server"]) == (number, provider.ids["beta"])
    assert host.service(service)["domain"] == "beta.example.org"
    assert host.press(service, "SuspendAccount") == SUCCESS
    assert host.press(service, "UnsuspendAccount") == SUCCESS

    # Create takes over as well; and what is another one's, or is nowhere, is left alone.
    by_create = imported(host, shop, str(provider.ask("by_hand", "gamma")))
    assert host.press(by_create, "CreateAccount") == SUCCESS
    assert provider.ask("service", str(by_create))["server"] == provider.ids["gamma"]
    ordered = provider.ask("how_many")
    for given, why in (
        (number, f"service {service} of a billing system already"),
        ("999999", "no such service"),
        (str(provider.ask("by_hand", "delta", "Blesta")), "Blesta"),
    ):
        said = host.press(imported(host, shop, given), "CreateAccount")
        assert why in said
        assert "Nothing was" in said
    other = imported(host, shop, str(provider.ask("by_hand", "pool1")), client=LENA)
    assert "of another client" in host.press(other, "Refresh")
    assert provider.ask("how_many") == ordered + 2, "those made by hand, and none by WHMCS"


# ---------------------------------------------------------------- attaching


def test_one_server_is_in_one_service_and_the_menu_says_what_came_of_it(host, provider, shop):
    first = shop.active("alpha")
    second = shop.order(client=LENA)
    assert f'value="{provider.ids["alpha"]}"' not in host.tab(second)
    host.save(second, provider.ids["alpha"])
    assert "The server was not changed" in host.tab(second)
    assert provider.ask("service", str(first))["server"] == provider.ids["alpha"]
    host.save(second, provider.ids["beta"])
    assert "beta.example.org" in host.tab(second)
    asked = len(host.state()["tblmodulelog"])
    host.save(second, provider.ids["beta"])
    writes = [row for row in host.state()["tblmodulelog"][asked:] if not row["action"].startswith("GET")]
    assert writes == [], "saving without a change asks for nothing"
    host.save(second, provider.ids["gamma"])
    assert provider.ask("service", str(second))["server"] == provider.ids["gamma"]
    assert host.service(second)["domain"] == "gamma.example.org"
    host.press(second, "GetServerIP")
    assert "192.0.2." in host.service(second)["assignedips"]
    for order in ("module first", "fields first"):
        host.sql("INSERT OR REPLACE INTO tblconfiguration VALUES ('save_order', ?)", order)
        host.save(second, "")
        assert provider.ask("service", str(second))["server"] is None
        assert "was taken out of this service" in host.tab(second)
        row = host.service(second)
        assert (row["username"], row["dedicatedip"], row["assignedips"]) == ("", "", ""), (
            "of no other's machine"
        )
        host.save(second, provider.ids["gamma"])


def test_a_page_that_is_older_than_the_attachment_changes_nothing(host, provider, shop):
    service = shop.active("alpha")
    form = {
        "doublehop_server": provider.ids["beta"],
        "doublehop_server_was": "",
        "domain": "typed.example.org",
    }
    assert host.http.post("/admin/service", params={"id": service}, data=form).status_code == 303
    assert "since the page was opened" in host.tab(service)
    assert provider.ask("service", str(service))["server"] == provider.ids["alpha"]

    # Nor is a server taken out that nobody saw there.
    form |= {"doublehop_server": "", "doublehop_server_was": provider.ids["beta"]}
    assert host.http.post("/admin/service", params={"id": service}, data=form).status_code == 303
    assert provider.ask("service", str(service))["server"] == provider.ids["alpha"]
    assert "since the page was opened" in host.tab(service)


def test_no_server_is_chosen_for_what_has_ended_before_create_took_it_back(host, provider, shop):
    service = shop.active("alpha")
    assert host.press(service, "TerminateAccount") == SUCCESS
    host.save(service, provider.ids["beta"])
    assert "has ended in the panel. Press Create first" in host.tab(service)
    there = provider.ask("service", str(service))
    assert (there["status"], there["server"]) == ("terminated", None), "nothing runs that WHMCS calls ended"
    assert host.press(service, "CreateAccount") == SUCCESS
    assert provider.ask("service", str(service))["server"] == provider.ids["alpha"], "the one that it had"
    host.save(service, provider.ids["beta"])
    assert provider.ask("service", str(service))["server"] == provider.ids["beta"]


def test_a_choice_for_what_the_server_sync_brought_in_takes_it_over_and_changes_its_server(
    host, provider, shop
):
    shop.active("alpha")  # Mara is a client of the panel then
    number = provider.ask("by_hand", "beta")
    service = imported(host, shop, str(number))
    host.save(service, provider.ids["gamma"])
    assert f"is the server of this service now (number {number})" in host.tab(service)
    there = provider.ask("service", str(service))
    assert (there["number"], there["server"]) == (number, provider.ids["gamma"])
    assert host.service(service)["domain"] == "gamma.example.org"


def test_the_tab_shows_what_was_done_and_by_whom(host, provider, shop):
    service = shop.active("alpha")
    host.press(service, "Reboot")
    page = host.tab(service)
    assert re.search(r"Reboot [0-9A-Z-]+ · .*done", page)
    assert re.search(r"What was done.*Asked from the billing system \(admin 1 of WHMCS\)", page, re.DOTALL)
    assert "Service attached" in page
    assert "number" in page
    assert "username root" in page


def test_a_field_that_was_edited_by_hand_stops_everything(host, provider, shop):
    service = shop.active("alpha")
    before = provider.effects("alpha")
    host.sql(
        "UPDATE tblcustomfieldsvalues SET value = '4711' WHERE relid = ? AND fieldid IN "
        "(SELECT id FROM tblcustomfields WHERE fieldname = 'Doublehop Service')",
        service,
    )
    for action in ("SuspendAccount", "Reboot", "TerminateAccount", "GetServerIP"):
        assert host.press(service, action).startswith("Stopped:"), action
    assert provider.effects("alpha") == before


# ---------------------------------------------------------------- pressed twice, lost, down, slow


def test_two_clicks_at_once_are_one_reboot(host, provider, shop):
    service = shop.active("alpha")
    before = resets(provider, "alpha")
    with ThreadPoolExecutor(2) as both:
        said = list(both.map(lambda _: host.press(service, "Reboot"), range(2)))
    assert said == [SUCCESS, SUCCESS]
    assert resets(provider, "alpha") == before + 1
    host.sql("UPDATE mod_doublehop_asked SET settled_at = settled_at - 60 WHERE service_id = ?", service)
    assert host.press(service, "Reboot") == SUCCESS
    assert resets(provider, "alpha") == before + 2, "later it is another press"


def test_a_lost_answer_is_asked_after_and_nothing_is_done_twice(host, provider, proxy, shop):
    service = shop.active("alpha")
    before = resets(provider, "alpha")
    proxy.only = lambda request: request.startswith(b"POST ") and b"/operations" in request
    proxy.mode = Mode.ANSWER_LOST
    said = host.press(service, "Reboot")
    proxy.mode = Mode.PASS
    assert "not known whether anything was done" in said
    assert host.press(service, "Reboot") == SUCCESS
    assert resets(provider, "alpha") == before + 1


@pytest.mark.parametrize("mode", [Mode.REFUSE, Mode.ERROR_500, Mode.HTML, Mode.CUT])
def test_a_panel_that_is_down_keeps_its_pages_and_its_queue(host, provider, proxy, shop, mode):
    service = shop.active("alpha")
    assert "root" in host.client_page(service, MARA).text
    before = provider.ask("operations", "alpha")
    number = str(provider.ask("service", str(service))["number"])
    known = host.tab(service)
    assert re.search(r"<option value=\"\d+\">[^<]*· on as of \d{4}-\d\d-\d\d \d\d:\d\d UTC</option>", known)
    (row,) = [one for one in host.state("mod_doublehop")["mod_doublehop"] if one["service_id"] == service]
    data = json.loads(row["data"])
    for line in data["shown"].values():
        line["at"] -= 120
    host.sql("UPDATE mod_doublehop SET data = ? WHERE service_id = ?", json.dumps(data), service)
    proxy.mode = mode
    page = host.tab(service)
    assert "cannot be read now" in page
    for label, text in (("Service", f"number {number}"), ("Server", "username root"), ("Bandwidth", "")):
        (line,) = re.findall(rf"<th>{label}</th><td>([^<]*)</td>", page)
        assert text in line
        assert re.search(r"\(as of \d{4}-\d\d-\d\d \d\d:\d\d UTC\)$", line)
    assert f'value="{provider.ids["alpha"]}" selected' in page
    shown = host.client_page(service, MARA).text
    assert "As of" in shown
    assert "root" in shown
    host.sql("UPDATE tblhosting SET paid = 0 WHERE id = ?", service)
    (done,) = [row for row in host.cron("2026-03-06") if row[0] != "UsageUpdate" and row[1] == service]
    assert "Nothing was" in done[2]
    assert host.service(service)["domainstatus"] == "Active"
    assert provider.ask("operations", "alpha") == before
    proxy.mode = Mode.PASS
    (entry,) = [row for row in host.waiting() if row["service_id"] == service]
    assert host.retry(entry["id"]) == "success"
    assert host.service(service)["domainstatus"] == "Suspended"
    assert host.press(service, "UnsuspendAccount") == SUCCESS
    assert host.press(service, "UnsuspendAccount") == SUCCESS


@pytest.mark.parametrize("action", ["SuspendAccount", "UnsuspendAccount", "TerminateAccount"])
def test_a_lost_answer_to_what_the_cron_asks_is_no_success_and_is_asked_after(
    host, provider, proxy, shop, action
):
    service = shop.active("beta")
    kind = action.removesuffix("Account").lower()
    if kind == "unsuspend":
        assert host.press(service, "SuspendAccount") == SUCCESS
    before = len(operations(provider, "beta", kind))
    status = host.service(service)["domainstatus"]
    proxy.only = lambda request: request.startswith(b"POST ") and b"/operations" in request
    proxy.mode = Mode.ANSWER_LOST
    assert "not known whether anything was done" in host.press(service, action)
    assert host.service(service)["domainstatus"] == status
    proxy.mode = Mode.PASS
    assert host.press(service, action) == SUCCESS
    assert len(operations(provider, "beta", kind)) == before + 1, "once, though it was pressed twice"


def test_a_lost_answer_to_the_choice_of_a_server_is_said_and_the_list_shows_what_is_so(
    host, provider, proxy, shop
):
    service = shop.order()
    host.press(service, "CreateAccount")
    proxy.only = lambda request: request.startswith(b"POST ") and b"/attach" in request
    proxy.mode = Mode.ANSWER_LOST
    host.save(service, provider.ids["beta"])
    proxy.mode = Mode.PASS
    page = host.tab(service)
    assert "The list shows which server it is now" in page
    assert f'value="{provider.ids["beta"]}" selected' in page
    assert provider.ask("service", str(service))["server"] == provider.ids["beta"]


def test_an_answer_that_was_lost_is_not_taken_for_that_to_a_later_choice(host, provider, proxy, shop):
    service = shop.active("alpha")
    proxy.only = lambda request: request.startswith(b"POST ") and b"/detach" in request
    proxy.mode = Mode.ANSWER_LOST
    host.save(service, "")
    proxy.mode = Mode.PASS
    assert provider.ask("service", str(service))["server"] is None
    provider.ask("attach_in_the_panel", str(service), "beta")
    host.save(service, "")
    page = host.tab(service)
    assert "was taken out of this service" not in page
    assert "still has a server" in page
    host.save(service, "")
    assert provider.ask("service", str(service))["server"] is None
    assert "was taken out of this service" in host.tab(service)


def test_a_key_that_is_not_accepted_is_said_everywhere_and_nothing_is_done(host, provider, proxy, shop):
    service = shop.active("alpha")
    host.client_page(service, MARA)
    before = provider.effects("alpha")

    def with_a_wrong_key():
        # Another one each time: whoever tries one key again and again is asked for patience.
        wrong = host.server_record(proxy.url, provider.ask("new_token")[:-3] + "aaa")
        host.sql("UPDATE tblhosting SET server = ? WHERE id = ?", wrong, service)

    for action in ("CreateAccount", "SuspendAccount", "TerminateAccount", "Reboot", "GetServerIP", "Refresh"):
        with_a_wrong_key()
        said = host.press(service, action)
        assert "token was not accepted" in said, action
        assert "Check the server record" in said
    with_a_wrong_key()
    assert "The panel cannot be read now" in host.tab(service)
    shown = host.client_page(service, MARA).text.partition('<div id="module">')[2]
    assert "As of" in shown, "what was read last stays"
    assert not [word for word in (*HOP, "token") if word in shown.lower()]
    with_a_wrong_key()
    said = host.client_press(service, MARA, "ClientReboot").text
    assert "Nothing was done" in said
    assert "not accepted" not in said
    assert provider.effects("alpha") == before
    assert host.service(service)["domainstatus"] == "Active"


def test_an_overdue_service_is_asked_for_again_on_the_next_day(host, provider, proxy, shop):
    service = shop.active("alpha")
    host.sql("UPDATE tblhosting SET paid = 0 WHERE id = ?", service)
    proxy.mode = Mode.REFUSE
    host.cron("2026-03-06")
    proxy.mode = Mode.PASS
    asked = len(operations(provider, "alpha", "suspend"))
    assert ["SuspendAccount", service, "success"] in host.cron("2026-03-07")
    assert host.service(service)["domainstatus"] == "Suspended"
    assert len(operations(provider, "alpha", "suspend")) == asked + 1
    assert [row for row in host.waiting() if row["service_id"] == service] == [], "the queue is empty again"
    assert not [row for row in host.cron("2026-03-08") if row[:2] == ["SuspendAccount", service]]


def test_a_panel_that_hangs_holds_up_a_page_for_five_seconds_at_most(host, provider, proxy, shop):
    service = shop.active("alpha")
    proxy.mode = Mode.HANG
    begin = time.monotonic()
    assert "cannot be read now" in host.tab(service)
    took = time.monotonic() - begin
    proxy.mode = Mode.PASS
    assert 4 < took < 9, took


def test_a_slow_machine_is_not_called_suspended_before_it_is(host, provider, shop):
    service = shop.active("alpha")
    provider.ask("slow", "alpha", 15.0)
    said = host.press(service, "SuspendAccount")
    assert "not confirmed yet" in said
    assert host.service(service)["domainstatus"] == "Active"
    provider.ask("fine")
    asked = len(operations(provider, "alpha", "suspend"))
    for _ in range(5):
        if host.press(service, "SuspendAccount") == SUCCESS:
            break
    assert host.service(service)["domainstatus"] == "Suspended"
    assert len(operations(provider, "alpha", "suspend")) == asked, "it was followed, not asked again"
    assert host.press(service, "UnsuspendAccount") == SUCCESS


def test_what_a_brake_holds_is_no_success_and_the_payment_takes_it_back(host, provider, shop):
    service = shop.active("alpha")
    before = provider.effects("alpha")
    provider.ask("brake_after", 0)
    assert "is held until a person approves it" in host.press(service, "SuspendAccount")
    assert host.service(service)["domainstatus"] == "Active"
    assert host.press(service, "UnsuspendAccount") == SUCCESS
    assert provider.effects("alpha") == before
    provider.ask("brake_after", 1000)


def test_a_paid_invoice_lifts_no_suspension_of_a_level_above(host, provider, shop):
    service = shop.active("delta")
    assert host.press(service, "SuspendAccount") == SUCCESS
    provider.ask("suspend_above", "delta")
    assert "a level above" in host.press(service, "UnsuspendAccount")
    assert host.service(service)["domainstatus"] == "Suspended"
    assert provider.ask("service", str(service))["status"] == "suspended"


# ---------------------------------------------------------------- who asks


def test_test_connection_says_what_is_missing(host, provider, proxy, record):
    def tested(token, **more):
        server = host.server_record(proxy.url, token, **more)
        return host.http.post("/admin/server", params={"id": server}).text

    page = host.http.post("/admin/server", params={"id": record}).text
    assert "Connection successful" in page
    assert "clocks" in host.state()["tblactivitylog"][-1]["description"]
    assert "operate, billing" in tested(provider.ask("new_token", "read"))
    assert "token was not accepted" in tested(provider.token[:-3] + "aaa")
    assert "holds no token" in tested("secret")
    assert "must begin with https://" in tested(provider.token, hostname="panel.example.net")


def test_the_menu_of_products_is_filled_from_the_panel(host, provider, proxy, record, shop):
    host.make_default(record)
    page = host.http.get("/admin/product", params={"id": shop.kinds["By hand"]}).text
    assert "From the pool · 129.00 EUR · filled from a pool" in page
    assert "By hand · 129.00 EUR · waits for staff" in page
    proxy.mode = Mode.REFUSE
    assert "cannot be reached" in host.http.get("/admin/product", params={"id": shop.kinds["By hand"]}).text


def test_no_secret_stands_in_any_log(host, provider, shop):
    service = shop.active("alpha")
    host.http.get(
        "/clientarea.php",
        params={"action": "productdetails", "id": service, "dosinglesignon": "1"},
        headers={"Cookie": f"client={MARA}"},
    )
    log = str(host.state()["tblmodulelog"]) + str(host.state()["tblactivitylog"])
    assert "POST /sign-in-links" in log
    assert provider.token not in log
    assert provider.token[-40:] not in log
    assert "/sign-in/link" not in log.lower().replace("/sign-in-links", "")


def test_a_copy_of_this_whmcs_is_stopped_at_its_first_call_and_sends_nothing_more(
    host, provider, proxy, shop, tmp_path
):
    token = provider.ask("new_token")
    server = host.server_record(proxy.url, token)
    product = host.settings(provider.products["By hand"])
    service = host.order(product, MARA, "copied.example.org", server)
    host.save(service, provider.ids["alpha"])
    assert host.press(service, "CreateAccount") == SUCCESS
    own = host.folder / "modules/servers/doublehop/installation.php"
    own.write_text("<?php return 'the copy';")
    try:
        said = host.press(service, "SuspendAccount")
        assert said.startswith("Stopped:")
        asked = len(host.state()["tblmodulelog"])
        for action in ("SuspendAccount", "Reboot"):
            assert "refused as a copy" in host.press(service, action)
        host.sql("UPDATE tblhosting SET paid = 0 WHERE id = ?", service)
        assert ["SuspendAccount", service] in [one[:2] for one in host.cron("2026-03-06")]
        assert "refused as a copy" in host.waiting()[-1]["last_attempt_error"]
        assert "refused as a copy" in host.of_server(server, "ListAccounts")["error"]
        host.sql("UPDATE tblproducts SET configoption6 = 'metrics' WHERE id = ?", product)
        metrics = host.http.post("/admin/server/metrics", params={"id": server}, data={"tenant": ""}).json()
        assert metrics["usage"] == []
        assert len(host.state()["tblmodulelog"]) == asked, "nothing was sent"
        assert provider.ask("service", str(service))["status"] == "active"
        assert "bound to another installation" in host.http.post("/admin/server", params={"id": server}).text
        provider.ask("accept_installation", token)
        assert "Connection successful" in host.http.post("/admin/server", params={"id": server}).text
        assert host.press(service, "SuspendAccount") == SUCCESS
    finally:
        own.unlink()
    # Without such a file a copy is known by the System URL, on the same computer too.
    url = "UPDATE tblconfiguration SET value = ? WHERE setting = 'SystemURL'"
    assert host.press(service, "UnsuspendAccount").startswith("Stopped:")
    provider.ask("accept_installation", token)
    host.http.post("/admin/server", params={"id": server})
    assert host.press(service, "UnsuspendAccount") == SUCCESS
    host.sql(url, f"{host.url.replace('http:', 'https:')}")
    assert host.press(service, "SuspendAccount") == SUCCESS, "the same place, by TLS"
    host.sql(url, "https://test.billing.example/")
    assert host.press(service, "UnsuspendAccount").startswith("Stopped:")
    host.sql(url, f"{host.url}/")


@pytest.mark.parametrize("page", ["tab", "client"])
def test_a_copy_is_stopped_by_a_page_that_is_only_looked_at(host, provider, proxy, shop, page):
    token = provider.ask("new_token")
    server = host.server_record(proxy.url, token)
    service = host.order(host.settings(provider.products["By hand"]), MARA, "copied.example.org", server)
    host.save(service, provider.ids["alpha"])
    own = host.folder / "modules/servers/doublehop/installation.php"
    own.write_text("<?php return 'the copy';")
    try:
        host.tab(service) if page == "tab" else host.client_page(service, MARA)
        asked = len(host.state()["tblmodulelog"])
        assert "refused as a copy" in host.tab(service)
        assert "alpha.example.org" not in host.client_page(service, LENA).text
        assert len(host.state()["tblmodulelog"]) == asked, "nothing was sent"
    finally:
        own.unlink()


# ---------------------------------------------------------------- clients


def test_the_client_sees_username_addresses_and_bandwidth_and_no_word_of_the_hop(host, provider, shop):
    service = shop.active("alpha")
    provider.ask("attached_long_ago", str(service))
    provider.ask("count_usage")
    module = host.client_page(service, MARA).text.partition('<div id="module">')[2]
    assert "root" in module
    assert "192.0.2.16" in module
    assert "<svg" in module
    assert len(re.findall(r"<td[^>]*>\d{4}-\d\d-\d\d</td>", module)) >= 8
    assert "made up" in module
    assert not [word for word in HOP if word in module.lower()]
    assert "Reboot…" in module
    host.sql("UPDATE tblproducts SET configoption4 = '', configoption5 = ''")
    assert "<form" not in host.client_page(service, MARA).text.partition('<div id="module">')[2]
    host.sql("UPDATE tblproducts SET configoption4 = 'on', configoption5 = 'on'")


def test_a_client_acts_by_a_confirmed_form_only(host, provider, shop):
    service = shop.active("alpha")
    before = resets(provider, "alpha")
    link = {
        "action": "productdetails",
        "id": service,
        "modop": "custom",
        "a": "ClientReboot",
        "confirmed": "yes",
    }
    page = host.http.get("/clientarea.php", params=link, headers={"Cookie": f"client={MARA}"}).text
    assert "not available here" in page
    assert "not available here" in host.client_press(service, MARA, "ClientReboot", confirmed="").text
    assert resets(provider, "alpha") == before
    assert "Action Completed" in host.client_press(service, MARA, "ClientReboot").text
    assert resets(provider, "alpha") == before + 1
    product = host.settings(provider.products["By hand"], reboot=False)
    host.sql("UPDATE tblhosting SET packageid = ? WHERE id = ?", product, service)
    assert "not available here" in host.client_press(service, MARA, "ClientReboot").text
    assert resets(provider, "alpha") == before + 1


def test_another_client_reaches_nothing(host, provider, shop):
    service = shop.active("alpha")
    before = provider.effects("alpha")
    names = re.findall(
        r"function doublehop_(\w+)", (host.folder / "modules/servers/doublehop/doublehop.php").read_text()
    )
    assert len(names) > 25
    assert host.client_page(service, LENA).status_code == 404
    for name in names:
        answer = host.client_press(service, LENA, name)
        assert answer.status_code == 404, name
        if not name.startswith("Client") or name in ("ClientArea", "ClientAreaAllowedFunctions"):
            assert "no such command" in host.client_press(service, MARA, name).text, name
    assert provider.effects("alpha") == before

    # The service is moved to another client in WHMCS, and not in the panel: that one sees and does nothing.
    host.client_page(service, MARA)
    host.http.post("/admin/move", params={"id": service}, data={"client": str(LENA)})
    assert "being prepared" in host.client_page(service, LENA).text
    said = host.client_press(service, LENA, "ClientReboot").text
    reference = re.search(r"reference ([0-9A-Z]{3}-[0-9A-Z]{3})", said)[1]
    assert "Nothing was done" in said
    assert "another client" not in said
    (line,) = [row for row in host.state()["tblactivitylog"] if reference in row["description"]]
    assert "another client" in line["description"]
    link = {"action": "productdetails", "id": service, "dosinglesignon": "1"}
    assert (
        "cannot be opened"
        in host.http.get("/clientarea.php", params=link, headers={"Cookie": f"client={LENA}"}).text
    )
    assert provider.effects("alpha") == before


def test_sign_in_leads_once_into_the_panel_of_the_brand(host, provider, shop):
    service = shop.active("alpha")
    link = {"action": "productdetails", "id": service, "dosinglesignon": "1"}
    answer = host.http.get("/clientarea.php", params=link, headers={"Cookie": f"client={MARA}"})
    assert answer.status_code == 302, answer.text
    assert answer.headers["location"].startswith("http")


def test_whatever_text_the_panel_has_is_only_text_on_a_page(host, provider, shop):
    script = "<script>alert(1)</script>"
    product = host.settings(provider.products["By hand"], configoption3=f"Pay. {script}")
    service = shop.active("alpha", product=product)
    host.sql("UPDATE tblhosting SET suspendreason = ? WHERE id = ?", f"Overdue {script}", service)
    assert host.press(service, "SuspendAccount") == SUCCESS
    for page in (host.client_page(service, MARA).text, host.tab(service)):
        assert "&lt;script&gt;alert(1)" in page
        assert script not in page
    assert host.press(service, "UnsuspendAccount") == SUCCESS


def test_an_addon_is_not_taken_for_the_service_that_it_belongs_to(host, shop):
    service = shop.active("alpha")
    said = host.http.post("/admin/addon", params={"id": service}, data={"a": "TerminateAccount"}).text
    assert "addon" in said
    assert host.service(service)["domainstatus"] == "Active"


# ---------------------------------------------------------------- usage


def test_usage_of_all_services_is_one_call_and_writes_no_status(host, provider, record, shop):
    product = host.settings(provider.products["By hand"], configoption6="overage")
    billed = [shop.active(name, product=product) for name in ("alpha", "beta")]
    other = shop.active("gamma")
    for service in (*billed, other):
        provider.ask("attached_long_ago", str(service))
    provider.ask("count_usage")
    host.sql("UPDATE tblhosting SET domainstatus = 'Suspended' WHERE id = ?", billed[1])
    asked = len(host.state()["tblmodulelog"])
    host.cron("2026-02-01")
    calls = [row["action"] for row in host.state()["tblmodulelog"][asked:]]
    assert calls.count("GET /usage") == 1
    assert set(calls) == {"GET /usage"}
    for service, status in zip(billed, ("Active", "Suspended"), strict=True):
        row = host.service(service)
        octets = provider.ask("octets", str(service))
        assert row["bwusage"] == round(octets / 1048576), "MB of 1,048,576 octets"
        assert row["bwusage"] > 0
        assert row["domainstatus"] == status
        assert row["lastupdate"]
    assert host.service(other)["bwusage"] == 0


def test_metrics_are_for_products_that_say_so_and_need_no_network_to_be_named(
    host, provider, proxy, record, shop
):
    product = host.settings(provider.products["By hand"], configoption6="metrics")
    service = shop.active("alpha", product=product)
    shop.active("beta")
    for one in (service,):
        provider.ask("attached_long_ago", str(one))
    provider.ask("count_usage")
    number = str(provider.ask("service", str(service))["number"])
    told = host.http.post("/admin/server/metrics", params={"id": record}, data={"tenant": number}).json()
    assert [one["name"] for one in told["metrics"]] == [
        "traffic_in",
        "traffic_out",
        "traffic_total",
        "percentile_95",
    ]
    assert list(told["usage"]) == [number]
    used = {one["name"]: one["usage"] for one in told["usage"][number]}
    assert used["traffic_total"] == pytest.approx(provider.ask("octets", str(service)) / 1024**3, abs=1e-3)
    assert used["traffic_total"] > 0
    assert told["tenant"] == told["usage"][number]

    # Without its number here it is still told under the panel's, and said where to put that right.
    host.sql("UPDATE tblcustomfieldsvalues SET value = '' WHERE relid = ?", service)
    told = host.http.post("/admin/server/metrics", params={"id": record}, data={"tenant": ""}).json()
    assert list(told["usage"]) == [number]
    assert [one["usage"] for one in told["tenant"]] == [None] * 4
    assert f"is empty at services {service}." in host.state()["tblactivitylog"][-1]["description"]


def test_what_is_billed_as_overage_has_no_metrics_of_its_own_either(host, provider, record, shop):
    product = host.settings(provider.products["By hand"], configoption6="overage")
    service = shop.active("alpha", product=product)
    provider.ask("attached_long_ago", str(service))
    provider.ask("count_usage")
    number = str(provider.ask("service", str(service))["number"])
    told = host.http.post("/admin/server/metrics", params={"id": record}, data={"tenant": number}).json()
    assert told["usage"] == []
    assert [one["usage"] for one in told["tenant"]] == [None] * 4


def test_accounts_are_listed_for_the_server_sync(host, provider, record, shop):
    service = shop.active("alpha")
    there = provider.ask("service", str(service))
    listed = host.of_server(record, "ListAccounts")
    assert listed["success"] is True
    (account,) = [one for one in listed["accounts"] if one["uniqueIdentifier"] == str(there["number"])]
    assert account["domain"] == "alpha.example.org"
    assert account["primaryip"] == "192.0.2.16"
    assert account["username"] == "root"
    assert account["email"] == "mara@books.example"
    assert account["status"] == "Active"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", account["created"])


def test_nothing_of_another_billing_system_comes_in(host, provider, record, shop):
    product = host.settings(provider.products["By hand"], configoption6="overage")
    service = shop.active("alpha", product=product)
    other = provider.ask("by_hand", "gamma", "Blesta", str(service))
    nobodys = provider.ask("by_hand", "delta")
    provider.ask("count_usage")
    host.cron("2026-02-01")
    # Attached a moment ago, so it has carried nothing yet; the other one has carried forty days.
    assert host.service(service)["bwusage"] == round(provider.ask("octets", str(service)) / 1048576)
    listed = {one["uniqueIdentifier"] for one in host.of_server(record, "ListAccounts")["accounts"]}
    assert str(provider.ask("service", str(service))["number"]) in listed
    assert str(nobodys) in listed
    assert str(other) not in listed


def test_usage_of_ten_thousand_services_is_one_call_and_one_transaction(host, provider, proxy, record):
    product = host.settings(provider.products["By hand"], name="Many", configoption6="overage")
    first, many = 1_000_001, 10_000
    host.sql(
        "WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < CAST(? AS INTEGER)) "
        "INSERT INTO tblhosting (id, userid, packageid, server, domainstatus) SELECT CAST(? AS INTEGER) + n, 1, ?, ?, 'Active' FROM numbers",
        many - 1,
        first,
        product,
        record,
    )
    rows = [
        {"billing_reference": str(first + n), "octets_total": (n + 1) * 1048576, "included_octets": 10**12}
        for n in range(many)
    ]
    proxy.lie = json.dumps({"items": rows, "next": None}).encode()
    proxy.only = b"GET /api/v1/usage"
    proxy.mode = Mode.LIE
    asked = proxy.requests.count(b"GET /api/v1/usage?limit=10000 HTTP/1.1")
    begin = time.monotonic()
    host.cron("2026-02-01")
    took = time.monotonic() - begin
    assert proxy.requests.count(b"GET /api/v1/usage?limit=10000 HTTP/1.1") == asked + 1
    last = host.service(first + many - 1)
    assert (last["bwusage"], last["bwlimit"]) == (many, 953674)
    assert host.service(first)["bwusage"] == 1
    host.sql("DELETE FROM tblhosting WHERE id >= CAST(? AS INTEGER)", first)
    assert took < 30
