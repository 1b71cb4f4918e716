"""Dropzone of 2012: HTTP basic on every call, /MODULE/COMMAND/arguments, changes as forms.

One class for both logins: the LEAP account, and the Tandem user (who is let see and do only what it is permitted).
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote

from doublehop.driver_kit.errors import BadAnswer, CredentialsRejected, NotFound, Refused
from doublehop.driver_kit.http import HttpClient
from doublehop.drivers.singlehop import shapes
from doublehop.drivers.singlehop.answers import content_of, receipt_of, text
from doublehop.drivers.singlehop.words import (
    NO_EXTENSIONS,
    TANDEM,
    Extensions,
    Figures,
    Line,
    Logins,
    Receipt,
    TandemUser,
)

_T = TypeVar("_T")
_ANNOUNCED = {
    "suspension": ("suspend", "unsuspend"),
    "operation": ("operation",),
    "login": ("login",),
}


class DropzoneApi:
    """``way`` says whose login the clients carry; ``patient`` is the one that waits for minutes."""

    reboots_by_kind = False

    def __init__(
        self,
        way: str,
        client: HttpClient,
        patient: HttpClient,
        logins: Logins,
        extensions: Extensions = NO_EXTENSIONS,
    ) -> None:
        self.way = way
        self._client = client
        self._patient = patient
        self._logins = logins
        self.extensions = extensions

    def announced(self) -> Extensions:
        """What the other side announces; most will not know the question."""
        try:
            return shapes.extensions_in(self._data("/server/extensions"))
        except (NotFound, Refused, BadAnswer):
            return NO_EXTENSIONS

    def servers(self) -> Mapping[str, Line]:
        try:
            value = self._data("/server/list")
        except NotFound as error:
            raise BadAnswer(f"Dropzone does not answer at this address: {error.text}") from None
        lines = shapes.lines_in(value)
        if value and not lines:
            raise BadAnswer("the list of servers holds no id")
        return lines

    def details(self, external_id: str) -> Line:
        line = shapes.line_in(self._data("/server/view", external_id), external_id)
        if line is None:
            raise BadAnswer("the answer holds no details of a server")
        return line

    def addresses(self, external_id: str) -> tuple[str, ...]:
        return shapes.addresses_in(self._data("/server/network", external_id))

    def names(self, external_id: str) -> dict[str, str]:
        return shapes.names_in(self._data("/server/rdns", external_id))

    def set_name(self, external_id: str, address: str, name: str) -> Receipt:
        names = json.dumps({address: f"{name}." if name else ""})
        return self._post("/server/rdns", external_id, rdns=names)

    def figures(self, external_id: str, start: datetime, end: datetime) -> Figures:
        moments = (str(int(start.timestamp())), str(int(end.timestamp())))
        figures = shapes.figures_in(self._data("/server/bandwidth", *moments, external_id, patient=True))
        if figures is None:
            raise BadAnswer("the answer holds no daily figures")
        return figures

    def reboot(self, line: Line) -> Receipt:
        """A POST where it is known to be taken: what stands between us may repeat a GET by itself."""
        try:
            if self.extensions.ours:
                return self._post("/server/reboot", line.id)
            return receipt_of(
                self._client.change("GET", _path("/server/reboot", line.id)), self._client.clean
            )
        except NotFound as error:
            if self.way != TANDEM:
                raise
            said = f"the Tandem user has no permission on this server, or it cannot be rebooted: {error.text}"
            raise Refused(said) from None

    def tandem_users(self) -> tuple[TandemUser, ...]:
        try:
            return shapes.tandem_users_in(self._data("/tandem/user/list"))
        except NotFound as error:
            raise BadAnswer(f"Dropzone has no list of Tandem users: {error.text}") from None

    def permit(self, user: TandemUser, external_id: str, permitted: bool) -> Receipt:
        """Where only the old API is there, the user is written anew with another list of servers."""
        if self.extensions.ours:
            command = "addcomponent" if permitted else "removecomponent"
            return self._post(f"/tandem/user/{command}", user.id, servers=json.dumps([external_id]))
        if user.servers is None:
            raise Refused("the permissions of the Tandem user cannot be read, so they are not written anew")
        servers = user.servers | {external_id} if permitted else user.servers - {external_id}
        return self._post(
            "/tandem/user/edit",
            id=user.id,
            name=user.name or user.email,
            email=user.email,
            password=self._logins.tandem_password.reveal(),
            servers=json.dumps(sorted(servers)),
        )

    def can(self, extension: str) -> bool:
        return all(self.extensions.has(command) for command in _ANNOUNCED[extension])

    def suspend(self, external_id: str, reason: str) -> Receipt:
        return self._post("/server/suspend", external_id, reason=reason)

    def unsuspend(self, external_id: str) -> Receipt:
        return self._post("/server/unsuspend", external_id)

    def operation(self, reference: str) -> str:
        return text(self._data("/server/operation", reference), "state")

    def username(self, external_id: str) -> str:
        return text(self._data("/server/login", external_id), "username")[:64]

    # ------------------------------------------------------------ what needs the PIN

    def password(self, external_id: str) -> str:
        """A question that is a POST. Raises Refused also for a PIN that does not fit."""

        def asked() -> str:
            answer = self._client.ask("POST", _path("/server/getpassword", external_id), form=self._pin())
            found = shapes.member(content_of(answer, self._client.clean), "data")[0]
            return found if isinstance(found, str) else text(found, "password", "rootpassword")

        return _with_pin(asked)

    def rescue(self, external_id: str, *, start: bool) -> Receipt:
        path = "/server/bailout/start" if start else "/server/bailout/stop"
        return _with_pin(lambda: self._post(path, external_id, **self._pin()))

    def _pin(self) -> dict[str, str]:
        return {"pin": self._logins.pin.reveal()}

    # ------------------------------------------------------------ calls

    def _data(self, *parts: str, patient: bool = False) -> Any:
        """``data`` of the answer, or a bare array as it is. Raises BadAnswer where neither is there."""
        client = self._patient if patient else self._client
        content = content_of(client.read(_path(*parts)), client.clean)
        value, there = shapes.member(content, "data")
        if not there and not (isinstance(content, dict) and "success" in content):
            raise BadAnswer("the answer is none of Dropzone")
        return value

    def _post(self, *parts: str, **form: str) -> Receipt:
        answer = self._client.change("POST", _path(*parts), form=form)
        return receipt_of(answer, self._client.clean)

    def __repr__(self) -> str:
        return f"DropzoneApi({self.way})"


def _path(command: str, *arguments: str) -> str:
    if {".", ".."} & set(arguments):
        raise NotFound("there is no server of that id")  # in a path it would name another command
    return "/".join((command, *(quote(one, safe="") for one in arguments)))


def _with_pin(call: Callable[[], _T]) -> _T:
    """The login was accepted before: what is refused here is the PIN, and says nothing about the account."""
    try:
        return call()
    except CredentialsRejected as error:
        raise Refused(f"the PIN is not accepted: {error.text}") from None
