"""What the two APIs answer, turned into success or an error of the contract. Trusts no shape.

``success`` came as true, 1 and "1"; some answers have none (bare arrays, null); a fault of the other side's code is text
with status 200.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from doublehop.driver_kit.answers import Answer
from doublehop.driver_kit.errors import CredentialsRejected, Refused, UpstreamError
from doublehop.drivers.singlehop.words import Receipt

Clean = Callable[[str], str]
"""Takes the secrets out of a text."""

_YES = (True, 1, "1", "true", "yes", "ok")
_NO = (False, 0, "0", "false", "no", "", None)
_LOGIN = re.compile(
    r"authenticat|unauthori[sz]ed|not authori[sz]ed|log-?in (failed|incorrect)|"
    r"(invalid|incorrect|wrong|bad|unknown) (api ?)?(key|log-?in|credentials?|password|user ?name|user|client)",
    re.IGNORECASE,
)
_PHP = re.compile(rb"Call to undefined|Fatal error|Parse error|<b>Warning</b>|on line <b>", re.IGNORECASE)
_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def content_of(answer: Answer, clean: Clean) -> Any:
    """The JSON of an answer that does not complain: object, array or null. Raises BadAnswer, Refused,
    CredentialsRejected; on a change OutcomeUnknown where it cannot be understood."""
    if _PHP.search(answer.body[:4000]) and not answer.body.lstrip().startswith((b"{", b"[")):
        raise answer.broken("answered with a fault of its own code instead of JSON")
    content = answer.json()
    if not isinstance(content, dict | list | None):
        raise answer.broken("the answer is neither a JSON object nor an array")
    complaint = _complaint(content)
    if complaint is not None:
        raise refusal(clean(complaint))
    return content


def receipt_of(answer: Answer, clean: Clean) -> Receipt:
    """Of a change. Success must be said, for the whole and for every result inside."""
    content = content_of(answer, clean)
    if not isinstance(content, dict) or not (_truth(content.get("success")) or content.get("result") == "ok"):
        raise answer.broken("the answer does not say whether it succeeded")
    data = content.get("data")
    for _, result in entries(data if isinstance(data, list | dict) else None):
        complaint = _complaint(result)
        if complaint is not None:
            raise refusal(clean(complaint))
    return Receipt(reference_in(content) or reference_in(data))


def reference_in(content: object) -> str:
    """The operation reference in an answer; empty where there is none that could be asked about."""
    if not isinstance(content, dict):
        return ""
    found = text(content, "operation")
    return found if _REFERENCE.fullmatch(found) else ""


def refusal(complaint: str) -> UpstreamError:
    """Status codes say little here: a refused login may be a sentence with status 200."""
    if _LOGIN.search(complaint):
        return CredentialsRejected(complaint)
    return Refused(complaint or "refused, without a reason")


def _complaint(content: object) -> str | None:
    """The sentence of an answer that says no; None where it does not."""
    if not isinstance(content, dict):
        return None
    succeeded = _truth(content["success"]) if "success" in content else None
    said = _sentence(content.get("error")) or _sentence(content.get("errors"))
    if succeeded is False or (said and not succeeded):
        return said or _sentence(content.get("message")) or _sentence(content.get("data")) or ""
    return None


def _sentence(value: object, depth: int = 0) -> str:
    if isinstance(value, str):
        return value.strip()
    if depth < 4 and isinstance(value, list) and value:
        return _sentence(value[0], depth + 1)
    if depth < 4 and isinstance(value, dict):
        found = (_sentence(value.get(key), depth + 1) for key in ("error", "message", "text", "detail"))
        return next((one for one in found if one), "")
    return ""


def _truth(value: object) -> bool | None:
    """None for what is neither a yes nor a no."""
    plain = value.strip().lower() if isinstance(value, str) else value
    if isinstance(plain, dict | list):
        return None
    if plain in _YES:
        return True
    return False if plain in _NO else None


def flag(entry: dict[str, Any], name: str) -> bool | None:
    """A yes or no inside an entry; None where it is not said."""
    return _truth(entry[name]) if name in entry and entry[name] not in (None, "") else None


def entries(value: object) -> Iterator[tuple[str, Any]]:
    """Of a list, of a map keyed by anything, or of one entry that stands alone: (key or "", entry) each."""
    if isinstance(value, list):
        yield from (("", one) for one in value)
    elif isinstance(value, dict):
        if value and not any(isinstance(one, dict | list) for one in value.values()):
            yield "", value
        else:
            yield from ((str(key), one) for key, one in value.items())


def text(entry: object, *names: str) -> str:
    """The first of these members that holds a text or a number, as text without spaces around."""
    if not isinstance(entry, dict):
        return ""
    for name in names:
        value = entry.get(name)
        if isinstance(value, str) and value.strip():
            return value.strip()
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value) if abs(value) < 10**30 else ""
    return ""
