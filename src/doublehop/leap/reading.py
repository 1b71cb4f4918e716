"""What a request of a machine says: its document, its form fields, its login. Nothing of it is ever put into an error."""

import base64
import binascii
import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from django.http import HttpRequest, QueryDict

from doublehop.leap.documents import Malformed, is_plain, read_document
from doublehop.organisations.refusals import BadInput

_DOCUMENT = re.compile(rb"(?:\A|&)request=")
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
LONGEST_LOGIN = 2000


def document_of(request: HttpRequest) -> str | None:
    """The JSON text of the field ``request``, from the form of a POST or the address; None where there is none.

    Old clients put the document into the address as it stands, with nothing but spaces escaped. Whoever encodes forms
    escapes colons, and every document holds one: a bare colon tells that the rest of the address is the document, with
    its own ``&`` and ``+``. Raises Malformed for two documents and for what is not UTF-8.
    """
    given = [_document_in(request.META.get("QUERY_STRING", "").encode("latin-1", "replace"))]
    if request.method == "POST" and request.content_type == _FORMS[0]:
        given.append(_document_in(request.body))
    elif request.method == "POST" and request.content_type == _FORMS[1]:
        given.extend(text.encode(errors="replace") for text in request.POST.getlist("request"))
    found = [one for one in given if one is not None]
    if len(found) > 1:
        raise Malformed("two documents")
    try:
        return found[0].decode() if found else None
    except UnicodeDecodeError:
        raise Malformed("not UTF-8") from None


def _document_in(fields: bytes) -> bytes | None:
    begin = _DOCUMENT.search(fields)
    if begin is None:
        return None
    rest = fields[begin.end() :]
    own, _, others = rest.partition(b"&")
    if b":" in own:
        return unquote_to_bytes(rest)
    if _DOCUMENT.search(others):
        raise Malformed("two documents")
    return unquote_to_bytes(own.replace(b"+", b" "))


def fields_of(request: HttpRequest) -> Mapping[str, object]:
    """Form fields (texts), or the members of a JSON object. Raises BadInput and Malformed."""
    if request.method == "GET":
        return _single(request.GET)
    if request.content_type in _FORMS:
        return _single(request.POST)
    body = request.body
    if not body:
        return {}
    if request.content_type != "application/json":
        raise BadInput("Send form fields, or a JSON object as application/json.")
    try:
        found = read_document(body.decode())
    except UnicodeDecodeError:
        raise Malformed("not UTF-8") from None
    if isinstance(found, dict):
        return found
    # IP justifications came as an array; nothing that is offered here does.
    return {"": found}


def _single(form: QueryDict) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, texts in form.lists():
        if len(texts) > 1:
            raise BadInput("A field stands twice.")
        if not is_plain(texts[0]):
            raise BadInput("A field holds signs that cannot be written down.")
        found[name] = texts[0]
    return found


def basic_login(request: HttpRequest) -> tuple[str, str] | None:
    """(user, secret) of HTTP basic; None where there is none that could be one."""
    kind, _, encoded = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    if kind.lower() != "basic" or len(encoded) > 2 * LONGEST_LOGIN:
        return None
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    user, colon, secret = text.partition(":")
    return (user, secret) if colon and user and text.isprintable() else None
