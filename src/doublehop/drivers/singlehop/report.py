"""What *Test connection* tries and says. Asks nothing that changes anything."""

import time
from dataclasses import dataclass, field, replace

from doublehop.driver_kit.contract import ConnectionReport
from doublehop.driver_kit.errors import CredentialsRejected, Refused, UpstreamError
from doublehop.drivers.singlehop.account import Account
from doublehop.drivers.singlehop.doors import Doors
from doublehop.drivers.singlehop.finding import Finding, Found, find
from doublehop.drivers.singlehop.words import LEAP, TANDEM, Logins, TandemUser

Report = list[tuple[str, bool, str]]
_SPOKEN = {
    "leap": "speaks the LEAP API of 2011",
    "dropzone": "speaks Dropzone (2012)",
    "both": "speaks the LEAP API of 2011 and Dropzone (2012)",
}
_NAMES = {"leap": "the LEAP API", "dropzone": "Dropzone"}
_NOBODY_PERMITTED = "no server permitted yet: in LEAP under Tandem > Tandem Users, add server permissions"


@dataclass
class _Test:
    account: Account
    lines: Report = field(default_factory=list)

    def say(self, what: str, seen: str, *, fine: bool = True) -> None:
        self.lines.append((what, fine, seen))


def report(logins: Logins, doors: Doors) -> ConnectionReport:
    """Finds out anew, whatever was learned before."""
    began = time.monotonic()
    try:
        finding = find(logins, doors)
    except UpstreamError as error:
        return ConnectionReport((("Address", False, error.text),))
    test = _Test(Account(logins, finding.found, doors))
    test.say("Address answers", _answered(logins.endpoint, time.monotonic() - began))
    found = finding.found
    if _leap_login(test, finding):
        found = _rest(test, found)
    return ConnectionReport(tuple(test.lines), learned=found.spell())


def _answered(endpoint: str, seconds: float) -> str:
    secure = "certificate valid" if endpoint.startswith("https:") else "plain http on this machine"
    return f"{secure}, {seconds:.2f} s"


def _leap_login(test: _Test, finding: Finding) -> bool:
    for api, said in finding.refused.items():
        hint = "; is the API key the one under Leap > Accounts?" if api == LEAP else ""
        test.say("LEAP login", f"{_NAMES[api]} refuses it: {said}{hint}", fine=False)
    if not finding.refused:
        test.say("LEAP login accepted", _SPOKEN[finding.found.spell()["api"]])
    return not finding.refused


def _rest(test: _Test, found: Found) -> Found:
    """The Tandem user, the servers it may use, and what Suspend will do."""
    try:
        listed = test.account.lines()
        user = test.account.tandem_user()
        if user.servers is None:
            raise Refused("the servers that the Tandem user may use cannot be read")
    except UpstreamError as error:
        test.say("Tandem login", error.text, fine=False)
        return found
    permitted = user.servers & set(listed)
    found = _tandem_login(test, found, user, len(permitted))
    _suspension(test)
    if permitted and test.account.logins.pin:
        _pin(test, min(permitted))
    return found


def _tandem_login(test: _Test, found: Found, user: TandemUser, permitted: int) -> Found:
    count = (
        f"{permitted} {'server' if permitted == 1 else 'servers'} permitted"
        if permitted
        else _NOBODY_PERMITTED
    )
    signed_in = test.account.way(TANDEM)
    if signed_in is None or not found.dropzone:
        test.say("Tandem user known", f"{count}; the LEAP API has no sign-in to try its password")
        return found
    try:
        signed_in.servers()
    except (CredentialsRejected, Refused) as error:
        if found.dropzone_extensions.ours:
            test.say("Tandem login", error.text, fine=False)
            return found
        said = f"{count}; it may not sign in itself, or its password is wrong ({error.text}): the LEAP login reboots"
        test.say("Tandem user known", said)
        return replace(found, tandem_signs_in=False)
    except UpstreamError as error:
        test.say("Tandem login", error.text, fine=False)
        return found
    test.say("Tandem login accepted", count)
    return found


def _suspension(test: _Test) -> None:
    if test.account.main.can("suspension"):
        test.say("Suspension over there", "Suspend and Unsuspend are done by the other side")
    else:
        test.say(
            "No suspension over there", "Suspend takes the Tandem permission away; the machine stays online"
        )


def _pin(test: _Test, external_id: str) -> None:
    """By the password of one permitted server, which is not kept."""
    dropzone = test.account.dropzone
    if dropzone is None:
        test.say("PIN", "not used: only Dropzone takes one")
        return
    try:
        dropzone.password(external_id)
    except UpstreamError as error:
        wrong = "pin" in error.text.lower()
        test.say("PIN", error.text, fine=not wrong)
    else:
        test.say("PIN accepted", "passwords and rescue are offered")
