"""JSON as strangers send it, read strictly: what two readers could take for two things is not read at all."""

import json
import math
import re
import unicodedata
from typing import NoReturn

DEEPEST = 16
LONGEST_NUMBER = 20
"""Signs of a number. Python refuses those of thousands of digits by itself, and nothing here needs more than an id."""
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")
_LAYOUT = frozenset("\n\r\t")


class Malformed(ValueError):
    """It is no JSON, or JSON that means two things. Says nothing of the text, which may hold secrets."""


def read_document(text: str) -> object:
    """Objects, arrays, texts, finite numbers, booleans, null. Raises Malformed for the rest: a name that stands twice in
    one object, half signs and control signs, NaN, numbers of more than 20 signs, more than 16 levels."""
    if _depth_of(text) > DEEPEST:
        raise Malformed("too deep")
    try:
        found = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_real,
            parse_constant=_no_constant,
        )
    except Malformed:
        raise
    except (ValueError, RecursionError):
        raise Malformed("no JSON") from None
    _look_through(found)
    return found


def is_plain(text: str) -> bool:
    """Whether a text holds only signs that a database and a page can take."""
    if text.isprintable():
        return True
    return all(sign in _LAYOUT or unicodedata.category(sign) not in {"Cc", "Cs"} for sign in text)


def _depth_of(text: str) -> int:
    """How deep brackets stand in each other, before any reader that recurses sees them."""
    depth = deepest = 0
    for bracket in _BRACKET.findall(_STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed("a name stands twice")
    return found


def _integer(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise Malformed("a number is too long")
    return int(text)


def _real(text: str) -> float:
    number = float(text)
    if len(text) > LONGEST_NUMBER or not math.isfinite(number):
        raise Malformed("a number is too long")
    return number


def _no_constant(_: str) -> NoReturn:
    raise Malformed("not a number")


def _look_through(value: object) -> None:
    if isinstance(value, str) and not is_plain(value):
        raise Malformed("signs that cannot be written down")
    if isinstance(value, dict):
        for name, inside in value.items():
            _look_through(name)
            _look_through(inside)
    elif isinstance(value, list):
        for inside in value:
            _look_through(inside)
