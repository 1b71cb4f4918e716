"""The LEAP API of 2011: one address, every call a GET with one JSON document that holds three credentials.

The document goes into the query and into nothing else: the client knows its secrets in every spelling and shows none.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from doublehop.driver_kit.answers import Answer
from doublehop.driver_kit.errors import BadAnswer, NotFound, Refused
from doublehop.driver_kit.http import HttpClient
from doublehop.drivers.singlehop import shapes
from doublehop.drivers.singlehop.answers import content_of, receipt_of, text
from doublehop.drivers.singlehop.words import (
    LEAP,
    NO_EXTENSIONS,
    Document,
    Extensions,
    Figures,
    Line,
    Logins,
    Receipt,
    TandemUser,
)

_ANNOUNCED = {
    "suspension": ("suspendServer", "unsuspendServer"),
    "operation": ("getOperation",),
    "login": ("getServerLogin",),
}


class LeapApi:
    """``patient`` is a client that waits for minutes; ``page`` the last part of the address, "/api.php"."""

    way = LEAP

    def __init__(
        self,
        client: HttpClient,
        patient: HttpClient,
        page: str,
        logins: Logins,
        extensions: Extensions = NO_EXTENSIONS,
    ) -> None:
        self._client = client
        self._patient = patient
        self._page = page
        self._logins = logins
        self.extensions = extensions

    @property
    def reboots_by_kind(self) -> bool:
        return not self.extensions.ours

    def account(self) -> Extensions:
        """Signs in; what the other side announces."""
        content = self._ask("account", "getAccountDetails")
        data, there = shapes.member(content, "data")
        if not isinstance(content, dict) or not (there or "success" in content):
            raise BadAnswer("the answer is none of the LEAP API")
        return shapes.extensions_in(data.get("extensions") if isinstance(data, dict) else None)

    def servers(self) -> Mapping[str, Line]:
        value, there = shapes.member(self._ask("server", "listServers"), "servers", "data")
        if not there:
            raise BadAnswer("the answer holds no list of servers")
        lines = shapes.lines_in(value)
        if value and not lines:
            raise BadAnswer("the list of servers holds no id")
        return lines

    def details(self, external_id: str) -> Line:
        data, _ = shapes.member(self._about(external_id, "getServerDetails"), "data", "server")
        line = shapes.line_in(data, external_id)
        if line is None:
            raise BadAnswer("the answer holds no details of a server")
        return line

    def addresses(self, external_id: str) -> tuple[str, ...]:
        content = self._about(external_id, "getServerIps")
        data, there = shapes.member(content, "data")
        return shapes.addresses_in(data if there else content)

    def names(self, external_id: str) -> dict[str, str]:
        content = self._about(external_id, "getRdnsList")
        data, there = shapes.member(content, "data")
        return shapes.names_in(data if there else content)

    def set_name(self, external_id: str, address: str, name: str) -> Receipt:
        return self._act("server", "updateRdns", {address: f"{name}." if name else ""})

    def figures(self, external_id: str, start: datetime, end: datetime) -> Figures:
        """This generation takes no dates and gives what it keeps; whom we know takes them all the same."""
        asked: Document = {"serverid": external_id}
        if self.extensions.ours:
            asked |= {"start": int(start.timestamp()), "end": int(end.timestamp())}
        content = self._ask("server", "getServerBandwidth", asked, patient=True)
        figures = shapes.figures_in(content)
        if figures is None:
            raise BadAnswer("the answer holds no daily figures")
        return figures

    def reboot(self, line: Line) -> Receipt:
        if line.is_virtual:
            return self._act("server", "cascadeRebootVm", {"vmid": line.id})
        return self._act("server", "rebootServer", {"serverid": line.id})

    def tandem_users(self) -> tuple[TandemUser, ...]:
        value, there = shapes.member(self._ask("account", "tandemList"), "data", "users")
        if not there:
            raise BadAnswer("the answer holds no list of Tandem users")
        return shapes.tandem_users_in(value)

    def permit(self, user: TandemUser, external_id: str, permitted: bool) -> Receipt:
        command = "tandemAddUserPermission" if permitted else "tandemDeleteUserPermission"
        return self._act("account", command, {"userid": user.id, "serverid": external_id})

    def can(self, extension: str) -> bool:
        return all(self.extensions.has(command) for command in _ANNOUNCED[extension])

    def suspend(self, external_id: str, reason: str) -> Receipt:
        return self._act("server", "suspendServer", {"serverid": external_id, "reason": reason})

    def unsuspend(self, external_id: str) -> Receipt:
        return self._act("server", "unsuspendServer", {"serverid": external_id})

    def operation(self, reference: str) -> str:
        data, _ = shapes.member(self._ask("server", "getOperation", {"operation": reference}), "data")
        return text(data, "state")

    def username(self, external_id: str) -> str:
        data, _ = shapes.member(self._about(external_id, "getServerLogin"), "data")
        return text(data, "username")[:64]

    def _about(self, external_id: str, command: str) -> Any:
        return self._ask("server", command, {"serverid": external_id})

    def _ask(self, module: str, command: str, data: Document | None = None, *, patient: bool = False) -> Any:
        client = self._patient if patient else self._client
        document = self._document(module, command, data)
        try:
            answer = client.read(self._page, params=document)
        except NotFound as error:
            raise BadAnswer(f"the LEAP API does not answer at this address: {error.text}") from None
        return self._content(answer)

    def _content(self, answer: Answer) -> Any:
        return content_of(answer, self._client.clean)

    def _act(self, module: str, command: str, data: Document) -> Receipt:
        try:
            answer = self._client.change("GET", self._page, params=self._document(module, command, data))
        except NotFound as error:
            raise Refused(f"the LEAP API does not answer at this address: {error.text}") from None
        return receipt_of(answer, self._client.clean)

    def _document(self, module: str, command: str, data: Document | None) -> dict[str, str]:
        auth = {
            "key": self._logins.api_key.reveal(),
            "user": self._logins.leap_username,
            "password": self._logins.leap_password.reveal(),
        }
        document: Document = {"auth": auth, "module": {"module": module, "command": command}}
        if data is not None:
            document["data"] = data
        return {"request": json.dumps(document, separators=(",", ":"), ensure_ascii=False)}

    def __repr__(self) -> str:
        return "LeapApi()"
