"""What people type, made fit to be kept and shown. Raises BadInput with a sentence for the person."""

import unicodedata

from doublehop.organisations.refusals import BadInput

_LAYOUT = frozenset("\n\t")


def name_of(text: str, longest: int, *, field: str = "name") -> str:
    """One line of 1 to ``longest`` printable signs, with single spaces."""
    name = " ".join(text.split())
    if not name or len(name) > longest or not name.isprintable():
        raise BadInput(f"A name of 1 to {longest} signs is needed.", field=field)
    return name


def reference_of(text: str, *, field: str = "billing_reference") -> str:
    """Another system's own id, kept as it is; empty: none."""
    if text != text.strip() or len(text) > 80 or (text and not text.isprintable()):
        raise BadInput("A reference has at most 80 printable signs.", field=field)
    return text


def remark(text: str, *, field: str) -> str:
    """Free text of any length, perhaps empty, perhaps of several lines: no signs that a database or a page chokes on."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    if any(unicodedata.category(sign) in {"Cc", "Cs"} for sign in lines if sign not in _LAYOUT):
        raise BadInput("It holds signs that cannot be written down. Type it again.", field=field)
    return lines


def searched(text: str, longest: int = 120) -> str:
    """For looking something up: what cannot be printed cannot be found."""
    return "".join(sign for sign in text[:longest] if sign.isprintable()).strip()


def cell(text: str) -> str:
    """Of a table for spreadsheets: a name that begins like a formula must not become one."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
