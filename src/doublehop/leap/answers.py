"""Answers of both APIs: JSON, never kept by anybody on the way."""

import json

from django.http import HttpResponse

from doublehop.organisations.refusals import Refusal

NO_SUCH_COMMAND = "No Such Command"
NOT_READ = "JSON Decoding error"
NOT_KNOWN = "Authentication Error"


class NoSuchCommand(Refusal):
    """The very words that old clients look for."""

    http_status = 404
    default_code = "not_found"

    def __init__(self) -> None:
        super().__init__(NO_SUCH_COMMAND)


def answer(content: object, status: int = 200) -> HttpResponse:
    text = json.dumps(content, separators=(",", ":"))
    found = HttpResponse(
        text, status=status, content_type="application/json", headers={"Cache-Control": "no-store"}
    )
    # Django would log each 4xx and 5xx together with the request, whose address may hold a login; what broke is logged
    # by the gate, and a storm of wrong logins fills no disk.
    found._has_been_logged = True  # type: ignore[attr-defined]
    return found


def leap_error(sentence: str, status: int = 200) -> HttpResponse:
    """The LEAP API answers 200 even when it says no, except to who is not let in."""
    return answer({"error": sentence}, status)


def dropzone_error(sentence: str, status: int) -> HttpResponse:
    return answer({"success": False, "error": sentence}, status)
