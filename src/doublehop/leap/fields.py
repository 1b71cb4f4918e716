"""Single values out of what was sent: texts, ids, lists. Wrong types are a BadInput with the field, never a fault."""

from collections.abc import Mapping

from doublehop.leap.documents import Malformed, read_document
from doublehop.organisations.refusals import BadInput

Fields = Mapping[str, object]
LONGEST_TEXT = 2000
MOST_LISTED = 10_000
BIGGEST_ID = 2**63
_YES = ("1", "true", "yes", "on")
_NO = ("0", "false", "no", "off", "")


def text(fields: Fields, name: str, *, needed: bool = True) -> str:
    """Without spaces around; empty where it may be missing and is."""
    return secret(fields, name, needed=needed).strip()


def secret(fields: Fields, name: str, *, needed: bool = True) -> str:
    """As it came: a space may belong to it."""
    value = fields.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if value is None and not needed:
        return ""
    if not isinstance(value, str) or (needed and not value.strip()):
        raise BadInput(f"A text is needed: {name}.", field=name)
    if len(value) > LONGEST_TEXT:
        raise BadInput(f"Too long: {name}.", field=name)
    return value


def id_of(value: object) -> int:
    """An id of ours; 0, which is nobody's, for everything that can be none."""
    if isinstance(value, bool):
        return 0
    if isinstance(value, str) and len(value) < 20 and value.isascii() and value.isdigit():
        value = int(value)
    return value if isinstance(value, int) and 0 < value < BIGGEST_ID else 0


def ids(fields: Fields, name: str, *, needed: bool = True) -> list[int] | None:
    """A list, or one as JSON text in a form field. None where it may be missing and is; an id that is none is 0."""
    value = structure(fields, name)
    if value in (None, "") and not needed:
        return None
    if not isinstance(value, list) or len(value) > MOST_LISTED:
        raise BadInput(f"A list of ids is needed: {name}.", field=name)
    return [id_of(one) for one in value]


def structure(fields: Fields, name: str) -> object:
    """An array or object as it came, or read out of a form field."""
    value = fields.get(name)
    if not isinstance(value, str) or not value.strip():
        return value
    try:
        return read_document(value)
    except Malformed:
        raise BadInput(f"This is no JSON: {name}.", field=name) from None


def flag(fields: Fields, name: str) -> bool | None:
    """True, 1, "1", "yes" alike; None where it is missing."""
    value = fields.get(name)
    word = value.strip().lower() if isinstance(value, str) else str(value).lower()
    if value is None:
        return None
    if isinstance(value, str | bool | int) and word in (*_YES, *_NO):
        return word in _YES
    raise BadInput(f"Say yes or no: {name}.", field=name)


def names(value: object) -> dict[str, str]:
    """{address: host name}, the map of reverse DNS."""
    if not isinstance(value, dict) or not value:
        raise BadInput("A map of addresses to host names is needed.", field="rdns")
    found = {}
    for address, name in value.items():
        if not isinstance(name, str):
            raise BadInput("A host name is a text.", field="rdns")
        found[str(address)] = name
    return found
