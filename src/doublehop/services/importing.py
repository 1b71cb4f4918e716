"""An export of another billing system, read as text and nothing else: rows that say what is sold to whom, and on which machine.

CSV (comma, semicolon, tab or bar; with or without a title above the heading) and JSON (a list of objects, or what WHMCS' API
answers to GetClientsProducts). Which headings are understood stands in ``COLUMNS`` and in docs/how-to/move-in.md. A row that
cannot be used never stops the others: it is named by its line.
"""

import csv
import io
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import unescape
from ipaddress import ip_address
from typing import Any

from doublehop.organisations.refusals import BadInput

LARGEST_FILE = 8 * 1024 * 1024
MOST_ROWS = 20_000
LONGEST_CELL = 2000
LONGEST_ROW = 32_000
"""Signs after which a row that stands on several lines is not read on: a quote in it is not closed."""
HEADING_WITHIN = 10
"""Reports of WHMCS carry a title above the heading."""
DELIMITERS = ",;\t|"

COLUMNS: dict[str, tuple[str, ...]] = {
    "reference": ("id", "serviceid", "hostingid", "relid", "reference", "billingreference"),
    "client_reference": ("userid", "clientid", "customerid", "clientreference"),
    "client_name": ("clientname", "client", "customer", "customername", "companyname", "company"),
    "first_name": ("firstname",),
    "last_name": ("lastname",),
    "email": ("email", "clientemail", "emailaddress"),
    "product": ("product", "productname", "productservice", "package", "packagename", "name"),
    "product_reference": ("packageid", "productid", "pid"),
    "hostname": ("domain", "domainname", "hostname", "host"),
    "username": ("username", "serviceusername"),
    "status": ("status", "domainstatus"),
    "addresses": ("dedicatedip", "assignedips", "ip", "ips", "ipaddress", "ipaddresses", "primaryip", "mainip"),
    "serial": ("serial", "serialnumber", "servicetag"),
    "mac": ("mac", "macaddress", "macs", "macaddresses"),
    "system_uuid": ("uuid", "systemuuid"),
    "upstream_id": (
        "upstreamid", "externalid", "deviceid", "machineid", "servernumber", "singlehopserver", "singlehopserverid",
        "singlehopserverslist", "leapserverid",
    ),
    "service": ("doublehopservice", "doublehopservicenumber"),
    "service_id": ("bindingid", "doublehopserviceid", "doublehopid"),
}  # fmt: skip
"""Headings in small letters and digits, whatever stands between them: *Dedicated IP*, dedicatedip and dedicated_ip are one.

``service`` is the number that people know, with or without S- before it; ``service_id`` the id that the API gives, unless it
begins with S-.

WHMCS' own *server* and *serverid* name its record of an API access, not a machine, so they are not among them.
"""
IN_CUSTOM_FIELDS = {"serverid": "upstream_id", "server": "upstream_id"}
"""In a custom field these do name a machine."""
_FIELD_OF = {heading: name for name, headings in COLUMNS.items() for heading in headings}
MANY = frozenset({"addresses", "serial", "mac", "system_uuid", "upstream_id"})
_BETWEEN = re.compile(r"[\s,;|]+")
_TAG = re.compile(r"<[^<>]*>")
_EXCEL_TEXT = re.compile(r'="([^"]*)"')
ENDED = frozenset({"terminated", "cancelled", "canceled", "fraud", "completed"})


@dataclass(frozen=True)
class Row:
    """``line`` is where it begins in the file (of JSON: its place, from 1). Identifiers are in the house's spelling."""

    line: int
    reference: str = ""
    client_reference: str = ""
    client_name: str = ""
    email: str = ""
    product: str = ""
    hostname: str = ""
    username: str = ""
    status: str = "active"
    service: str = ""
    service_id: str = ""
    addresses: tuple[str, ...] = ()
    serial: tuple[str, ...] = ()
    mac: tuple[str, ...] = ()
    system_uuid: tuple[str, ...] = ()
    upstream_id: tuple[str, ...] = ()

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED


@dataclass(frozen=True)
class BadRow:
    line: int
    why: str


@dataclass(frozen=True)
class Export:
    """``ignored`` are headings that nobody here understands."""

    rows: tuple[Row, ...]
    bad: tuple[BadRow, ...]
    encoding: str
    ignored: tuple[str, ...] = ()


class _Unfit(Exception):
    """One row cannot be used; the text says why."""


def read(content: bytes) -> Export:
    """Raises BadInput (field "file") for what is no export at all."""
    if len(content) > LARGEST_FILE:
        raise _refused(f"The file has more than {LARGEST_FILE // 1024 // 1024} MiB. Split it.")
    text, encoding = _decoded(content)
    if text.lstrip()[:1] in ("{", "["):
        records, ignored = _of_json(text), tuple[str, ...]()
    else:
        records, ignored = _of_csv(text)
    rows: list[Row] = []
    bad: list[BadRow] = []
    for line, cells in records:
        if len(rows) + len(bad) >= MOST_ROWS:
            raise _refused(f"The file has more than {MOST_ROWS} rows. Split it.")
        try:
            rows.append(_row(line, cells))
        except _Unfit as unfit:
            bad.append(BadRow(line, str(unfit)))
    if not rows and not bad:
        raise _refused("The file has a heading and no rows.")
    return Export(tuple(rows), tuple(bad), encoding, ignored)


def _refused(sentence: str) -> BadInput:
    return BadInput(sentence, field="file")


def _decoded(content: bytes) -> tuple[str, str]:
    """(text, what it was read as). UTF-8 where it can be, else the Western European code page of Windows and Excel."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return content.decode("utf-16"), "UTF-16"
        except UnicodeDecodeError as error:
            raise _refused("The file begins as UTF-16 and does not go on so.") from error
    if b"\0" in content:
        raise _refused("This is no text. Export the list as CSV or JSON.")
    try:
        return content.decode("utf-8-sig"), "UTF-8"
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace"), "Latin-1"


# ---------------------------------------------------------------- CSV and JSON


Cells = Mapping[str, Sequence[str]]
"""What stands under each understood heading; several columns may be one field."""


def _of_csv(text: str) -> tuple[Iterator[tuple[int, Cells]], tuple[str, ...]]:
    lines = list(io.StringIO(text, newline=""))
    delimiter, headings, after = _heading(lines)
    fields = [_FIELD_OF.get(_bare(name), "") for name in headings]
    if not any(fields):
        raise _refused(
            "No heading is understood. The first line names the columns, such as ID, Domain, Dedicated IP."
        )
    ignored = tuple(
        name.strip()[:60] for name, found in zip(headings, fields, strict=True) if not found and name.strip()
    )
    return _csv_rows(lines, after, delimiter, fields), ignored


def _heading(lines: Sequence[str]) -> tuple[str, list[str], int]:
    """(what stands between its cells, its names, the place after it); without names when at most one is understood.

    Signs are not counted: a list with semicolons may hold more commas, in addresses and names.
    """
    best: tuple[int, str, list[str], int] = (1, "", [], 0)
    for delimiter in DELIMITERS:
        at = 0
        for _ in range(HEADING_WITHIN):
            if at >= len(lines):
                break
            names, at = _record(lines, at, delimiter)
            understood = len({_FIELD_OF[bare] for name in names or () if (bare := _bare(name)) in _FIELD_OF})
            if understood > best[0]:
                best = understood, delimiter, names or [], at
    return best[1:]


def _record(lines: Sequence[str], at: int, delimiter: str) -> tuple[list[str] | None, int]:
    """(the cells of the row that begins there, the place after it). None: its quotes do not fit, and the next line is a new row.

    A quote that is not closed ends at the next one somewhere below, and would take every row between along.
    """
    reader = csv.reader(_from(lines, at), delimiter=delimiter, strict=True)
    try:
        return next(reader), at + reader.line_num
    except csv.Error:
        return None, at + 1


def _from(lines: Sequence[str], at: int) -> Iterator[str]:
    signs = 0
    while at < len(lines) and signs < LONGEST_ROW:
        yield lines[at]
        signs += len(lines[at])
        at += 1


def _csv_rows(
    lines: Sequence[str], at: int, delimiter: str, fields: Sequence[str]
) -> Iterator[tuple[int, Cells]]:
    while at < len(lines):
        line, begins = at + 1, at
        cells, at = _record(lines, begins, delimiter)
        if cells is None:
            yield line, {"": ["Its quotes do not fit: one is not closed, or stands inside a cell."]}
            continue
        if broken := _over_lines(fields, cells):
            at = begins + 1
            yield (
                line,
                {"": [f"A line break stands in {broken.replace('_', ' ')}, or a quote is not closed."]},
            )
            continue
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) > len(fields):
            yield line, {"": [f"It has {len(cells)} cells, and the heading {len(fields)}."]}
            continue
        found: dict[str, list[str]] = {}
        for name, cell in zip(fields, cells, strict=False):
            if name:
                found.setdefault(name, []).append(cell)
        yield line, found


def _over_lines(fields: Sequence[str], cells: Sequence[str]) -> str:
    """The field that holds a line break and has no use for one. What else stands in it may be rows of their own."""
    for name, cell in zip(fields, cells, strict=False):
        if name and name not in MANY and len(cell.strip().splitlines()) > 1:
            return name
    return ""


def _of_json(text: str) -> Iterator[tuple[int, Cells]]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _refused("The file begins as JSON and cannot be read as such.") from error
    # However deep the one list lies, as products of product of WHMCS' API do.
    while isinstance(found, dict):
        inner = [value for value in found.values() if isinstance(value, list | dict)]
        if len(inner) != 1:
            raise _refused("The JSON holds no list of services.")
        found = inner[0]
    return ((at, _object(row)) for at, row in enumerate(found, 1))


def _object(row: Any) -> Cells:
    if not isinstance(row, dict):
        return {"": ["It is no object."]}
    found: dict[str, list[str]] = {}
    for name, value in row.items():
        field_name = _FIELD_OF.get(_bare(name))
        if field_name and (text := _text(value)):
            found.setdefault(field_name, []).append(text)
    for name, value in _custom_fields(row):
        bare = _bare(name)
        field_name = IN_CUSTOM_FIELDS.get(bare) or _FIELD_OF.get(bare)
        if field_name in MANY | {"service", "service_id"} and (text := _text(value)):
            found.setdefault(str(field_name), []).append(text)
    return found


def _custom_fields(row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """As {"name": value}, as [{"name" | "fieldname", "value"}], or that inside {"customfield": ...}."""
    held = row.get("customfields", row.get("custom_fields"))
    if isinstance(held, dict) and isinstance(held.get("customfield"), list):
        held = held["customfield"]
    if isinstance(held, dict):
        yield from ((str(name), value) for name, value in held.items())
    elif isinstance(held, list):
        for one in held:
            if isinstance(one, dict):
                yield str(one.get("fieldname") or one.get("name") or ""), one.get("value")


def _text(value: Any) -> str:
    if isinstance(value, bool) or value is None or isinstance(value, dict):
        return ""
    if isinstance(value, list):
        return " ".join(filter(None, map(_text, value)))
    return str(value)


def _bare(heading: Any) -> str:
    return "".join(sign for sign in str(heading).casefold() if sign.isascii() and sign.isalnum())


# ---------------------------------------------------------------- one row


def _row(line: int, cells: Cells) -> Row:
    if broken := cells.get(""):
        raise _Unfit(broken[0])
    many = {name: _several(name, cells.get(name, ())) for name in MANY}
    one = {name: _single(name, cells.get(name, ())) for name in COLUMNS if name not in MANY}
    name = one["client_name"] or " ".join(filter(None, (one["first_name"], one["last_name"])))
    if not one["reference"]:
        raise _Unfit("It has no id, so nobody could tell it from another.")
    if '"' in one["reference"]:
        raise _Unfit("A quote stands in its id: it may be the rest of another row.")
    if len(one["reference"]) > 80 or len(one["client_reference"]) > 80:
        raise _Unfit("Its id has more than 80 signs.")
    return Row(
        line=line,
        reference=one["reference"],
        client_reference=one["client_reference"],
        client_name=name,
        email=one["email"],
        product=one["product"] or one["product_reference"],
        hostname=one["hostname"].lower().rstrip("."),
        username=one["username"],
        status=one["status"].lower() or "active",
        service=one["service"],
        service_id=one["service_id"],
        **many,
    )


def _single(name: str, cells: Sequence[str]) -> str:
    """Of several columns that mean the same, the first that says something."""
    return next((text for cell in cells if (text := _clean(name, cell))), "")


def _several(name: str, cells: Sequence[str]) -> tuple[str, ...]:
    parts = [part for cell in cells for part in _BETWEEN.split(_clean(name, cell)) if part]
    return tuple(dict.fromkeys(spelt(name, part) for part in parts))


def _clean(name: str, cell: str) -> str:
    """One line of text. A formula is not worked out, and what it would say is not guessed."""
    if len(cell) > LONGEST_CELL:
        raise _Unfit(f"{name.replace('_', ' ')} has more than {LONGEST_CELL} signs.")
    text = unescape(_TAG.sub(" ", cell)).strip()
    if quoted := _EXCEL_TEXT.fullmatch(text):
        text = quoted[1].strip()
    if text.startswith(("=", "@")) or (text[:1] in "+-" and text[1:2].isalpha()):
        raise _Unfit(f"A formula stands in {name.replace('_', ' ')}.")
    text = " ".join(text.split())
    if any(unicodedata.category(sign) in {"Cc", "Cs"} for sign in text):
        raise _Unfit(f"{name.replace('_', ' ')} holds signs that cannot be written down.")
    return text


def spelt(name: str, text: str) -> str:
    """As the house keeps it, so that the same machine is found however it was written."""
    if name == "mac":
        digits = "".join(sign for sign in text.lower() if sign in "0123456789abcdef")
        return ":".join(digits[at : at + 2] for at in range(0, 12, 2)) if len(digits) == 12 else text.lower()
    if name == "addresses":
        try:
            return str(ip_address(text.partition("/")[0]))
        except ValueError:
            return text.lower()
    return text.lower() if name in ("serial", "system_uuid") else text
