"""What people typed, turned into the settings of a driver. Knows the declared fields and nothing of the web."""

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import urlsplit

from doublehop.driver_kit import fingerprints
from doublehop.driver_kit.contract import FieldKind, SettingField, SettingValue
from doublehop.driver_kit.secret import Secret

_HOSTNAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.(?!-)[A-Za-z0-9_-]{1,63})*\.?")
_TRUE = frozenset(("1", "true", "yes", "on"))
_FALSE = frozenset(("", "0", "false", "no", "off"))
_LONGEST = 4000


class Unusable(ValueError):
    """One field's text cannot be used. The text is a sentence for the person."""


def parse(
    fields: Iterable[SettingField], raw: Mapping[str, str], *, kept: Mapping[str, Secret] | None = None
) -> tuple[dict[str, SettingValue], dict[str, str]]:
    """Returns (values, errors). ``raw`` is field name to text; ``errors`` is field name to one sentence.

    A field that ``raw`` does not mention takes its default. An empty secret keeps the one in ``kept``. Optional fields
    that are left empty are there as an empty text, list or Secret, an empty INTEGER is left out.
    """
    values: dict[str, SettingValue] = {}
    errors: dict[str, str] = {}
    for field in fields:
        text = raw.get(field.name, field.default)
        if field.is_secret and not text and (kept or {}).get(field.name):
            values[field.name] = (kept or {})[field.name]
            continue
        try:
            _take(values, field, text)
        except Unusable as error:
            errors[field.name] = str(error)
    return values, errors


def _take(values: dict[str, SettingValue], field: SettingField, text: str) -> None:
    if len(text) > _LONGEST:
        raise Unusable(f"{field.label} is too long.")
    # A password may begin or end with a space.
    text = text if field.is_secret else text.strip()
    if not text and field.kind is not FieldKind.BOOLEAN:
        if field.required:
            raise Unusable(f"{field.label} is needed.")
        if field.kind is not FieldKind.INTEGER:
            values[field.name] = _EMPTY.get(field.kind, "")
        return
    if field.kind is FieldKind.CHOICE:
        if text not in dict(field.choices):
            raise Unusable(f"{field.label}: choose one of those offered.")
        values[field.name] = text
        return
    try:
        values[field.name] = _READERS[field.kind](text)
    except ValueError as error:
        raise Unusable(f"{field.label}: {error}") from None


_EMPTY: dict[FieldKind, SettingValue] = {FieldKind.SECRET: Secret(""), FieldKind.LINES: []}


def _text(text: str) -> str:
    if any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in text):
        raise ValueError("control characters cannot be used.")
    return text


def _secret(text: str) -> Secret:
    return Secret(_text(text))


def _integer(text: str) -> int:
    if not re.fullmatch(r"[+-]?\d{1,15}", text):
        raise ValueError("a whole number is needed.")
    return int(text)


def _boolean(text: str) -> bool:
    if text.lower() not in _TRUE | _FALSE:
        raise ValueError("yes or no is needed.")
    return text.lower() in _TRUE


def _lines(text: str) -> list[str]:
    return [_text(line.strip()) for line in text.splitlines() if line.strip()]


def _host(text: str) -> str:
    split_host(text)
    return text


def _url(text: str) -> str:
    try:
        parts = urlsplit(_text(text))
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        port_is_fine = False
    if not port_is_fine or parts.scheme not in ("http", "https") or not parts.hostname or " " in text:
        raise ValueError("an address like https://host is needed.")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("the address must hold neither a login nor a ? or #.")
    _check_hostname(parts.hostname)
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("plain http is allowed to this machine only; use https.")
    return text.rstrip("/")


def _fingerprint(text: str) -> str:
    spelled = fingerprints.spell(text)
    if not spelled:
        raise ValueError("a SHA-256 fingerprint has 64 hexadecimal digits.")
    return spelled


_READERS: dict[FieldKind, Callable[[str], SettingValue]] = {
    FieldKind.TEXT: _text,
    FieldKind.URL: _url,
    FieldKind.HOST: _host,
    FieldKind.INTEGER: _integer,
    FieldKind.BOOLEAN: _boolean,
    FieldKind.SECRET: _secret,
    FieldKind.LINES: _lines,
    FieldKind.FINGERPRINT: _fingerprint,
}


def is_loopback(host: str) -> bool:
    """Whether a name or address means this machine, without asking anybody."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def split_host(text: str) -> tuple[str, int | None]:
    """``host``, ``host:1161``, ``[2001:db8::1]:161`` or a bare IPv6 address. Raises ValueError with a sentence."""
    bracketed = re.fullmatch(r"\[([^\]]+)\](?::(\d{1,5}))?", text)
    plain = re.fullmatch(r"([^:]+)(?::(\d{1,5}))?", text)
    if bracketed or plain:
        host, digits = (bracketed or plain).groups()  # type: ignore[union-attr]
    else:
        host, digits = text, None
    port = int(digits) if digits else None
    if port is not None and not 0 < port < 65536:
        raise ValueError("a port is a number from 1 to 65535.")
    _check_hostname(host)
    return host, port


def _check_hostname(host: str) -> None:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if len(host) > 253 or not _HOSTNAME.fullmatch(host):
            raise ValueError("this is no host name and no IP address.") from None
