"""Where the two APIs are found, and what Test connection says."""

import logging

import pytest

from doublehop.driver_kit.errors import BadAnswer, CredentialsRejected, Unreachable
from doublehop.drivers.singlehop.driver import SinglehopUpstream
from doublehop.drivers.singlehop.fake.bench import opened, provider, settings_for
from doublehop.drivers.singlehop.finding import Found, addresses_from
from doublehop.drivers.singlehop.words import Extensions


def report_of(there, **changed):
    with opened(there, tested=False, **changed) as upstream:
        return upstream.test_connection()


def said(report):
    return {what: (fine, seen) for what, fine, seen in report.lines}


@pytest.mark.parametrize("form", ["", "/", "/leap", "/leap/api.php", "/dropzone", "/dropzone/"])
def test_both_are_found_from_whatever_address_was_given(form):
    with provider() as there:
        report = report_of(there, endpoint=there.url + form)
        assert report.fine
        assert report.learned["api"] == "both"
        assert report.learned["leap"] == f"{there.url}/leap/api.php"
        assert report.learned["dropzone"] == f"{there.url}/dropzone"


@pytest.mark.parametrize(
    ("quirks", "form", "api", "learned"),
    [
        ({"leap_at": "/api.php", "dropzone_at": ""}, "", "leap", "/api.php"),
        ({"leap_at": "/api.php", "dropzone_at": ""}, "/api.php", "leap", "/api.php"),
        ({"leap_at": "/old/leap/api.php", "dropzone_at": ""}, "/old", "leap", "/old/leap/api.php"),
        ({"leap_at": "", "dropzone_at": "/there"}, "/there", "dropzone", "/there"),
    ],
)
def test_one_alone_is_found_too(quirks, form, api, learned):
    with provider(**quirks) as there:
        report = report_of(there, endpoint=there.url + form)
        assert report.learned["api"] == api
        assert report.learned[api] == there.url + learned
        assert report.fine


def test_the_old_provider_had_a_host_for_each():
    pages, roots = addresses_from("https://leap.singlehop.com")
    assert "https://leap.singlehop.com/api.php" in pages
    assert "https://dropzone.singlehop.com" in roots
    pages, roots = addresses_from("https://dropzone.singlehop.com/")
    assert "https://leap.singlehop.com/api.php" in pages
    for addresses in addresses_from("https://leap.example.net"):
        assert all(one.startswith("https://leap.example.net") for one in addresses)


def test_a_choice_is_kept_to():
    with provider() as there:
        for api in ("leap", "dropzone"):
            report = report_of(there, api=api)
            assert report.learned["api"] == api
            asked = there.asked[-3:]
            assert all(one.startswith("/") is (api == "dropzone") for one in asked)


def test_the_report_speaks_as_staff_expect():
    with provider() as there:
        report = report_of(there, api="leap")
        assert [what for what, _, _ in report.lines] == [
            "Address answers",
            "LEAP login accepted",
            "Tandem user known",
            "Suspension over there",
            "PIN",
        ]
        assert said(report)["LEAP login accepted"] == (True, "speaks the LEAP API of 2011")
        assert said(report)["Tandem user known"][1].startswith("2 servers permitted")
        assert said(report_of(there))["Tandem login accepted"] == (True, "2 servers permitted")
    with provider(ours=False) as there:
        report = report_of(there)
        assert report.fine
        assert "takes the Tandem permission away" in said(report)["No suspension over there"][1]
        assert "stays online" in said(report)["No suspension over there"][1]


def test_nothing_permitted_is_fine_and_says_what_to_do():
    with provider() as there:
        there.tandems["7"].servers.clear()
        report = report_of(there)
        assert report.fine
        assert "add server permissions" in said(report)["Tandem login accepted"][1]


@pytest.mark.parametrize(
    ("changed", "line", "word"),
    [
        ({"api_key": "wrong"}, "LEAP login", "API key"),
        ({"leap_password": "wrong"}, "LEAP login", "Authentication Error"),
        ({"tandem_password": "wrong"}, "Tandem login", "Authentication Error"),
        ({"tandem_username": "nobody@alder.example"}, "Tandem login", "no Tandem user of this name"),
        ({"pin": "0000"}, "PIN", "not accepted"),
    ],
)
@pytest.mark.parametrize("with_401", [True, False])
def test_each_wrong_credential_is_named(changed, line, word, with_401):
    with provider(refuse_with_401=with_401) as there:
        report = report_of(there, **changed)
        assert not report.fine
        fine, seen = said(report)[line]
        assert not fine
        assert word in seen
        assert there.ledger == []


@pytest.mark.parametrize("wrong", ["api_key", "leap_password", "tandem_password"])
def test_each_wrong_login_rejects_the_inventory(wrong):
    with (
        provider() as there,
        opened(there, **{wrong: "wrong"}) as upstream,
        pytest.raises(CredentialsRejected),
    ):
        upstream.inventory.list()


def test_a_tandem_user_that_may_not_sign_in_is_no_fault_of_an_old_provider():
    with provider(ours=False, leap_at="", tandem_signs_in=False) as there, opened(there) as upstream:
        report = upstream.test_connection()
        assert report.fine
        assert report.learned["tandem_signs_in"] == "no"
        assert [line.external_id for line in upstream.inventory.list() if not line.withheld] == ["12", "15"]
        upstream.server("12").power.reset(graceful=True)
        assert there.agents == ["account"]


def test_a_place_that_is_neither_is_said_to_be_neither():
    with provider(leap_at="", dropzone_at="") as there:
        report = report_of(there)
        assert not report.fine
        assert "neither LEAP nor Dropzone" in report.lines[0][2]
        assert not report.learned
        with (
            opened(there, tested=False) as upstream,
            pytest.raises(BadAnswer, match="neither LEAP nor Dropzone"),
        ):
            upstream.server("12").identify()


def test_a_place_that_is_not_there_is_unreachable():
    with provider() as there:
        url = there.url
    upstream = SinglehopUpstream(settings_for(there, url))
    assert not upstream.test_connection().fine
    with pytest.raises(Unreachable):
        upstream.inventory.list()
    upstream.close()


def test_without_a_test_everything_certain_works_by_finding_out():
    with provider() as there, opened(there, tested=False) as upstream:
        server = upstream.server("12")
        assert server.suspension is None
        assert server.rescue is None
        assert there.asked == []
        assert [i.value for i in server.identify()] == ["12", "192.0.2.12"]
        assert len(upstream.inventory.list()) == 4
        server.power.reset(graceful=True)
        assert there.ledger == [("reboot", "12")]
        assert there.asked.count("getAccountDetails") == 1


def test_no_log_holds_a_secret(caplog):
    caplog.set_level(logging.DEBUG)
    with provider() as there, opened(there) as upstream:
        upstream.inventory.list()
        upstream.server("12").rdns.set("192.0.2.12", "web.example.org")
        with opened(there, api_key="the-wrong-key") as other, pytest.raises(CredentialsRejected):
            other.inventory.list()
        for secret in (*there.secrets, "the-wrong-key"):
            assert secret not in caplog.text


def test_what_was_learned_is_read_back():
    found = Found(
        "https://a.example/leap/api.php",
        "",
        Extensions("doublehop", frozenset({"suspendServer", "getOperation"}), "octets"),
        tandem_signs_in=False,
    )
    assert Found.read({f"learned_{name}": text for name, text in found.spell().items()}) == found
    assert Found.read({}) is None
    assert Found.read({"learned_api": "both", "learned_leap_extensions": "x"}) is None
