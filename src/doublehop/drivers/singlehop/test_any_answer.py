"""Whatever the other side answers: an error of the contract, or a value of the contract's type. Nothing else, ever."""

import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doublehop.driver_kit.conformance.carrier import ScriptedCarrier
from doublehop.driver_kit.errors import UpstreamError
from doublehop.driver_kit.secret import Secret
from doublehop.drivers.singlehop.driver import SinglehopUpstream
from doublehop.drivers.singlehop.fake.bench import settings_for
from doublehop.drivers.singlehop.fake.place import Place

NOW = datetime.now(UTC)
WORDS = st.sampled_from(
    [
        "success",
        "data",
        "error",
        "errors",
        "message",
        "servers",
        "server_id",
        "serverid",
        "id",
        "hostname",
        "server",
        "status",
        "type",
        "suspended",
        "primaryip",
        "publicip",
        "public",
        "private_networks",
        "firstip",
        "allips",
        "ip",
        "gateway",
        "rdns",
        "dailyusage",
        "in",
        "out",
        "timestamp",
        "date",
        "unit",
        "sample",
        "email",
        "name",
        "extensions",
        "by",
        "version",
        "units",
        "bandwidth",
        "operation",
        "state",
        "username",
        "result",
        "12",
        "15",
        "192.0.2.12",
    ]
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=12),
    WORDS,
    st.sampled_from(
        [
            "1",
            "0",
            "ok",
            "12,15",
            "panel@alder.example",
            "192.0.2.12",
            "2001:db8::/64",
            "1e400",
            "9" * 400,
            "\ud800",
        ]
    ),
)
JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=16,
)
LIKELY = st.fixed_dictionaries(
    {"success": st.sampled_from([True, 1, "1"])},
    optional={"data": JSON, "servers": JSON, "operation": LEAVES},
)
BODIES = st.one_of((JSON | LIKELY).map(lambda value: json.dumps(value).encode()), st.binary(max_size=200))
STATUSES = st.sampled_from([200] * 12 + [201, 301, 400, 401, 403, 404, 409, 429, 500, 503])
LEARNED = {
    "leap": {"learned_leap": "https://there.example/leap/api.php"},
    "dropzone": {"learned_dropzone": "https://there.example/dropzone"},
}
OURS = {
    "learned_leap_extensions": "doublehop octets getOperation getServerLogin suspendServer unsuspendServer",
    "learned_dropzone_extensions": "doublehop octets login operation suspend unsuspend",
}


def calls_of(upstream):
    server = upstream.server("12")
    end = NOW
    calls = [
        upstream.inventory.list,
        server.identify,
        server.power.state,
        lambda: server.power.reset(graceful=True),
        server.addresses.list,
        server.credentials.read,
        server.access.is_permitted,
        lambda: server.access.set_permitted(False),
        server.rdns.read,
        lambda: server.rdns.set("192.0.2.12", "a.example.org"),
        lambda: server.traffic.read(end - timedelta(days=5), end),
        upstream.test_connection,
    ]
    if server.suspension is not None:
        calls += [
            server.suspension.is_suspended,
            lambda: server.suspension.suspend("x"),
            server.suspension.unsuspend,
        ]
    if server.rescue is not None:
        calls += [server.rescue.is_active, server.rescue.start]
    return calls


@pytest.mark.parametrize("ours", [True, False], ids=["ours", "old"])
@pytest.mark.parametrize("api", ["leap", "dropzone", "auto"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(answers=st.lists(st.tuples(STATUSES, BODIES), min_size=1, max_size=5))
def test_any_answer_is_survived(api, ours, answers):
    given_answers = [httpx.Response(status, content=body) for status, body in answers]
    turn = [0]

    def answer(request):
        turn[0] += 1
        return given_answers[turn[0] % len(given_answers)]

    place = Place()
    known = (OURS if ours else {}) | (
        LEARNED["leap"] | LEARNED["dropzone"] if api == "auto" else LEARNED[api]
    )
    typed = settings_for(place, "https://there.example", api=api) | known
    upstream = SinglehopUpstream(typed, carrier=lambda: ScriptedCarrier(answer))
    upstream._doors._meter = None
    for call in calls_of(upstream):
        try:
            shown = repr(call())
        except UpstreamError as error:
            shown = repr(error)
        assert not any(secret in shown for secret in place.secrets)
    upstream.close()


@given(text=st.text(min_size=1, max_size=30).filter(lambda one: one.strip() and "\\" not in one))
@settings(max_examples=80, deadline=None)
def test_any_id_stays_inside_its_place(text):
    """An id of our own table goes into paths: it can name no other command."""
    carrier = ScriptedCarrier(lambda request: httpx.Response(404))
    place = Place()
    typed = settings_for(place, "https://there.example") | LEARNED["dropzone"] | {"pin": Secret("")}
    upstream = SinglehopUpstream(typed, carrier=lambda: carrier)
    upstream._doors._meter = None
    with pytest.raises(UpstreamError):
        upstream.server(text).power.reset(graceful=True)
    assert len(carrier.requests) <= 1
    for request in carrier.requests:
        assert request.url.raw_path.startswith(b"/dropzone/server/reboot/")
        assert request.url.raw_path.count(b"/") == 4
    upstream.close()
