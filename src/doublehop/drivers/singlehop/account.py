"""One opened account: which API is asked for what, and what was read a moment ago.

lists, details, addresses, names, figures, suspension     Dropzone, else LEAP: it shows more
permissions of the Tandem user                            LEAP, else Dropzone: its pair of commands writes nothing else
reboot                                                    the Tandem user over Dropzone, so that the permissions over
                                                          there hold; else the LEAP account
passwords, rescue                                         Dropzone
"""

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from doublehop.driver_kit.errors import CredentialsRejected, NotFound, Refused
from doublehop.drivers.singlehop.doors import Doors
from doublehop.drivers.singlehop.dropzone import DropzoneApi
from doublehop.drivers.singlehop.finding import Found, find
from doublehop.drivers.singlehop.leap import LeapApi
from doublehop.drivers.singlehop.words import DROPZONE, LEAP, TANDEM, Api, Line, Logins, TandemUser

RECENT_SECONDS = 3.0
"""How long a state that was read serves again, for looks only: no read-back and no identity comes from it."""

_T = TypeVar("_T")


class Account:
    """``found`` is None as long as no test has found out where the APIs are: then the first call finds out."""

    def __init__(self, logins: Logins, found: Found | None, doors: Doors) -> None:
        self.logins = logins
        self.known = found
        self.doors = doors
        self._asked: set[str] = set()
        self._recent: dict[str, tuple[float, Line]] = {}
        self._listed_until = 0.0

    # ------------------------------------------------------------ ways in

    @property
    def found(self) -> Found:
        if self.known is None:
            self.known = find(self.logins, self.doors).found
        return self.known

    @property
    def leap(self) -> LeapApi | None:
        found = self.found
        return self.doors.leap(found.leap, found.leap_extensions) if found.leap else None

    @property
    def dropzone(self) -> DropzoneApi | None:
        return self._dropzone(DROPZONE)

    @property
    def main(self) -> Api:
        """The LEAP account, for questions."""
        return self._one_of(self.dropzone, self.leap)

    @property
    def permissions(self) -> Api:
        return self._one_of(self.leap, self.dropzone)

    @property
    def rebooting(self) -> Api:
        return self._one_of(self._dropzone(TANDEM) if self.found.tandem_signs_in else None, self.main)

    def way(self, name: str) -> Api | None:
        return self.leap if name == LEAP else self._dropzone(name)

    def _dropzone(self, way: str) -> DropzoneApi | None:
        found = self.found
        return self.doors.dropzone(found.dropzone, way, found.dropzone_extensions) if found.dropzone else None

    @staticmethod
    def _one_of(first: Api | None, second: Api | None) -> Api:
        api = first or second
        if api is None:
            raise Refused("neither LEAP nor Dropzone was found at this address")
        return api

    # ------------------------------------------------------------ servers

    def lines(self) -> Mapping[str, Line]:
        """All servers of the LEAP account, asked now."""
        lines = self.main.servers()
        self._listed_until = time.monotonic() + RECENT_SECONDS
        self._recent = {external_id: (self._listed_until, line) for external_id, line in lines.items()}
        return lines

    def line(self, external_id: str) -> Line:
        """One server, asked now. Raises NotFound."""
        api = self.main
        if not api.extensions.ours:
            return self._listed(self.lines(), external_id)
        line = self.about(external_id, lambda: api.details(external_id))
        self._recent[external_id] = (time.monotonic() + RECENT_SECONDS, line)
        return line

    def recent_line(self, external_id: str) -> Line:
        """As it was read a moment ago, else now. Who asks for a second server gets the list, which serves for all."""
        until, line = self._recent.get(external_id, (0.0, None))
        now = time.monotonic()
        if line is not None and now < until:
            return line
        if now < self._listed_until:
            raise NotFound(_absent(external_id))
        self._asked.add(external_id)
        return self.line(external_id) if len(self._asked) == 1 else self._listed(self.lines(), external_id)

    def about(self, external_id: str, question: Callable[[], _T]) -> _T:
        """Answers a question about one server. A refusal is NotFound when the list does not hold the server: texts and
        codes for that are not known, and one about a server may sound like one about the login."""
        try:
            return question()
        except (Refused, NotFound, CredentialsRejected) as error:
            self._listed(self.lines(), external_id)
            raise Refused(error.text) from None

    @staticmethod
    def _listed(lines: Mapping[str, Line], external_id: str) -> Line:
        if external_id not in lines:
            raise NotFound(_absent(external_id))
        return lines[external_id]

    def forget(self) -> None:
        """Before a change, so that no look shows what was before."""
        self._recent.clear()
        self._listed_until = 0.0

    # ------------------------------------------------------------ the Tandem user

    def check_tandem_login(self) -> None:
        """Signs in as the Tandem user where that is known to be possible. Raises CredentialsRejected."""
        tandem = self._dropzone(TANDEM)
        if tandem is not None and tandem.extensions.ours:
            tandem.servers()

    def tandem_user(self) -> TandemUser:
        """The Tandem user of the settings: by e-mail, else name, else id. Raises CredentialsRejected when unknown."""
        wanted = self.logins.tandem_username.strip().lower()
        users = self.permissions.tandem_users()
        for same in (
            [user for user in users if user.email.lower() == wanted],
            [user for user in users if user.name.lower() == wanted],
            [user for user in users if user.id.lower() == wanted],
        ):
            if len(same) == 1:
                return same[0]
            if same:
                raise CredentialsRejected("several Tandem users have this name; use the e-mail address")
        raise CredentialsRejected("the LEAP account has no Tandem user of this name")


def _absent(external_id: str) -> str:
    return f"the LEAP account has no server {external_id[:64]}"
