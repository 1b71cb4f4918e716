"""Where requests come in: one address for the LEAP API, all addresses below one for Dropzone."""

from collections.abc import Mapping

from django.http import HttpRequest, HttpResponse

from doublehop.leap import account, server
from doublehop.leap.answers import (
    NOT_READ,
    NoSuchCommand,
    answer,
    dropzone_error,
    leap_error,
)
from doublehop.leap.documents import Malformed, read_document
from doublehop.leap.dropzone.commands import COMMANDS as DROPZONE
from doublehop.leap.fields import Fields
from doublehop.leap.gate import face
from doublehop.leap.reading import basic_login, document_of, fields_of
from doublehop.leap.table import Call, DropzoneCommand, LeapCommand
from doublehop.organisations.actor import Actor
from doublehop.organisations.machine_identity import IdentityRefused, dropzone_actor, leap_actor
from doublehop.organisations.refusals import BadInput, NotAllowed, Refusal

LEAP: Mapping[str, Mapping[str, LeapCommand]] = {
    name: {command.name: command for command in module.COMMANDS}
    for name, module in (("account", account), ("server", server))
}
MOST_PARTS = 12


@face(leap_error)
def leap_api(request: HttpRequest) -> HttpResponse:
    try:
        text = document_of(request)
        if text is None:
            raise IdentityRefused
        document = read_document(text)
    except Malformed:
        return leap_error(NOT_READ)
    if not isinstance(document, dict):
        return leap_error(NOT_READ)
    actor = _leap_login(request, document.get("auth"))
    try:
        command = _leap_command(document.get("module"))
        return answer(command.run(actor, _data_of(document)))
    except Refusal as refusal:
        return leap_error(refusal.sentence)


def _leap_login(request: HttpRequest, auth: object) -> Actor:
    given = auth if isinstance(auth, dict) else {}
    user = given.get("user")
    if isinstance(user, int) and not isinstance(user, bool):
        user = str(user)  # a client id is a number to some
    parts = (user, given.get("password"), given.get("key"))
    texts = [
        part for part in parts if isinstance(part, str) and part and len(part) <= 2000 and part.isprintable()
    ]
    if len(texts) != len(parts):
        raise IdentityRefused
    return leap_actor(request, user=texts[0], password=texts[1], api_key=texts[2])


def _leap_command(module: object) -> LeapCommand:
    if isinstance(module, dict):
        names = (module.get("module"), module.get("command"))
        if isinstance(names[0], str) and isinstance(names[1], str):
            found = LEAP.get(names[0], {}).get(names[1])
            if found is not None:
                return found
    raise NoSuchCommand


def _data_of(document: Mapping[str, object]) -> Fields:
    data = document.get("data")
    if data in (None, []):  # what PHP makes of an empty object
        return {}
    if not isinstance(data, dict):
        raise BadInput("An object is needed: data.", field="data")
    return data


@face(dropzone_error)
def dropzone(request: HttpRequest, rest: str = "") -> HttpResponse:
    login = basic_login(request)
    if login is None:
        raise IdentityRefused
    actor = dropzone_actor(request, user=login[0], secret=login[1])
    parts = tuple(rest.removesuffix("/").split("/"))
    try:
        known = _matching(parts)
        command = next((one for one in known if request.method in one.methods), None)
        if command is None:
            return _other_method(known)
        if actor.is_tandem and not command.for_tandem:
            raise NotAllowed("This login does not reach that.")
        call = Call(request, actor, command.arguments_of(parts) or (), fields_of(request))
        return answer({"success": True, **command.run(call)})
    except Malformed:
        return dropzone_error(NOT_READ, 400)
    except Refusal as refusal:
        return dropzone_error(refusal.sentence, _status_of(refusal))


def _matching(parts: tuple[str, ...]) -> list[DropzoneCommand]:
    legal = len(parts) <= MOST_PARTS and all(part and part.isprintable() for part in parts)
    found = [one for one in DROPZONE if one.arguments_of(parts) is not None] if legal else []
    if not found:
        raise NoSuchCommand
    # "user/list" may be followed by an id: the longer command is meant.
    longest = max(len(one.words) for one in found)
    return [one for one in found if len(one.words) == longest]


def _other_method(known: list[DropzoneCommand]) -> HttpResponse:
    methods = sorted({method for one in known for method in one.methods})
    refused = dropzone_error(f"This command is asked with {' or '.join(methods)}.", 405)
    refused["Allow"] = ", ".join(methods)
    return refused


def _status_of(refusal: Refusal) -> int:
    """Old clients take 200 for success. 401 and 403 are kept for who may not come in: a client that reads one gives its
    login up, and here only this command is refused."""
    return 409 if refusal.http_status == 403 else refusal.http_status
