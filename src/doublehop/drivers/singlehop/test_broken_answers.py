"""Answers that say no, or nothing that can be understood."""

import json

import pytest

from doublehop.driver_kit.errors import (
    BadAnswer,
    CredentialsRejected,
    NotFound,
    OutcomeUnknown,
    Refused,
)
from doublehop.drivers.singlehop.fake.bench import opened, provider

LEAP = {"dropzone_at": ""}
DROPZONE = {"leap_at": ""}


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"success": False, "error": "not today"}, Refused),
        ({"success": "0", "message": "not today"}, Refused),
        ({"error": "No Such Command"}, Refused),
        ({"error": {"message": "not today"}}, Refused),
        ({"error": "Authentication Error"}, CredentialsRejected),
        ({"success": 0, "error": "Invalid API key"}, CredentialsRejected),
        ({"success": "1", "data": [{"result": "error", "success": "0", "message": "no"}]}, Refused),
        (None, OutcomeUnknown),
        ([], OutcomeUnknown),
        ({}, OutcomeUnknown),
        ({"success": "perhaps"}, OutcomeUnknown),
        ("ok", OutcomeUnknown),
    ],
)
@pytest.mark.parametrize(
    ("quirks", "command"), [(LEAP, "rebootServer"), (DROPZONE, "/server/reboot")], ids=["leap", "dropzone"]
)
def test_what_a_change_answers_is_never_taken_for_more_than_it_says(quirks, command, answer, error):
    with provider(**quirks, canned={command: answer}) as there, opened(there) as upstream:
        with pytest.raises(error) as caught:
            upstream.server("12").power.reset(graceful=True)
        assert type(caught.value) is error
        assert there.asked.count(command) == 1
        assert there.ledger == []


def test_a_fault_in_php_is_a_bad_answer_on_a_question_and_unknown_on_a_change():
    faults = ("getServerIps", "rebootServer")
    with provider(**LEAP, php_faults=faults) as there, opened(there) as upstream:
        server = upstream.server("12")
        with pytest.raises(BadAnswer, match="fault of its own code"):
            server.addresses.list()
        with pytest.raises(OutcomeUnknown, match="fault of its own code"):
            server.power.reset(graceful=True)
        assert there.asked.count("rebootServer") == 1


def test_a_refusal_about_one_server_does_not_condemn_the_login():
    refusal = {"error": "You are not authorized for this server"}
    with provider(**LEAP, canned={"getServerIps": refusal}) as there, opened(there) as upstream:
        with pytest.raises(Refused):
            upstream.server("12").addresses.list()
        with pytest.raises(NotFound):
            upstream.server("99").addresses.list()


def test_an_error_that_echoes_the_request_shows_no_secret():
    with provider(**LEAP) as there, opened(there) as upstream:
        document = json.dumps({"auth": {"password": there.password, "key": there.api_key}})
        there.quirks.canned["rebootServer"] = {"error": f"JSON Decoding error near {document[:150]}"}
        with pytest.raises(Refused) as caught:
            upstream.server("12").power.reset(graceful=True)
        assert "[hidden]" in caught.value.text
        for secret in (there.password, json.dumps(there.password)[1:-1], there.api_key):
            assert secret not in caught.value.text
