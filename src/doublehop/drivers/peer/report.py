"""What *Test connection* tries and says. Asks nothing that changes anything."""

import time
from datetime import UTC, datetime, timedelta

from doublehop.driver_kit.certificates import look
from doublehop.driver_kit.contract import ConnectionReport
from doublehop.driver_kit.errors import CredentialsRejected, NotFound, UpstreamError
from doublehop.drivers.peer.api import Api
from doublehop.drivers.peer.machine import BILLING, OPERATE
from doublehop.drivers.peer.shapes import Me

MOST_SKEW = timedelta(minutes=2)
SOON = timedelta(days=14)
LOOK_SECONDS = 5.0
Line = tuple[str, bool, str]


def report(api: Api) -> ConnectionReport:
    """Learns the scopes of the token: what it may not be used for is not offered."""
    began = time.monotonic()
    try:
        me = api.me()
    except UpstreamError as error:
        return _not_in(api, error)
    lines: list[Line] = [
        ("Address answers", True, _answered(api.endpoint, time.monotonic() - began)),
        ("Token accepted", not me.is_client, _who(me)),
        *_scopes(me),
        _clock(me.now - datetime.now(UTC)),
    ]
    if me.expires_at is not None and me.expires_at - datetime.now(UTC) < SOON:
        lines.append(("Token ends soon", True, f"on {me.expires_at:%Y-%m-%d}: make a new one over there"))
    if me.billing_system:
        lines.append(
            (
                "Token of a billing system",
                False,
                "make one over there that belongs to the organisation itself",
            )
        )
    lines.append(_servers(api))
    return ConnectionReport(
        tuple(lines), learned={"scopes": " ".join(sorted(me.scopes)), "version": me.version}
    )


def _not_in(api: Api, error: UpstreamError) -> ConnectionReport:
    if isinstance(error, CredentialsRejected):
        said = "refused: is it complete, not ended, and allowed from this address?"
        return ConnectionReport((("Address answers", True, "it knows the API"), ("Token", False, said)))
    if isinstance(error, NotFound):
        return ConnectionReport((("Address", False, "no Doublehop answers there: the API is not known"),))
    certificate = look(api.endpoint, seconds=LOOK_SECONDS, reach=api.reach)
    unproven = "" if certificate.verified else certificate.fingerprint
    return ConnectionReport((("Address", False, error.text),), fingerprint=unproven)


def _answered(endpoint: str, seconds: float) -> str:
    secure = "certificate valid" if endpoint.startswith("https:") else "plain http on this machine"
    return f"{secure}, {seconds:.2f} s"


def _who(me: Me) -> str:
    if me.is_client:
        return f"it belongs to a client of {me.organisation}: make one of your organisation"
    return f"as {me.organisation}; it runs version {me.version}"


def _scopes(me: Me) -> list[Line]:
    if OPERATE in me.scopes:
        lines = [
            ("Scope operate", True, "power, reverse DNS, null routes and rescue where a server offers it")
        ]
    else:
        lines = [("Scope operate", False, "missing: nothing could be done to a server")]
    if BILLING in me.scopes:
        return [*lines, ("Scope billing", True, "Suspend and Unsuspend are done by the other side")]
    return [*lines, ("Scope billing", True, "missing: Suspend takes another way, such as switching off")]


def _clock(skew: timedelta) -> Line:
    seconds = round(abs(skew.total_seconds()))
    if abs(skew) <= MOST_SKEW:
        return ("Clocks agree", True, f"within {max(seconds, 1)} s")
    which = "ahead of" if skew > timedelta(0) else "behind"
    return ("Clocks differ", False, f"theirs is {seconds} s {which} ours: ages of states cannot be told")


def _servers(api: Api) -> Line:
    try:
        listed = list(api.lines())
    except UpstreamError as error:
        return ("Servers", False, error.text)
    usable = sum(line.usable for line in listed)
    if not listed:
        return ("Servers", True, "none given to you yet: order one, or ask for one")
    kept = f", {len(listed) - usable} of them not to be used from here" if usable < len(listed) else ""
    return ("Servers", True, f"{len(listed)} listed{kept}")
