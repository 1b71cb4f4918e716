"""Which device answered: what it says of itself, the hardest proof first. An address alone would not notice a replaced switch."""

from collections.abc import Mapping
from typing import Any

from doublehop.driver_kit.errors import BadAnswer

UPTIME = "1.3.6.1.2.1.1.3.0"
BOOTS = "1.3.6.1.6.3.10.2.1.2.0"
ENGINE_SECONDS = "1.3.6.1.6.3.10.2.1.3.0"
_ENGINE_ID = "1.3.6.1.6.3.10.2.1.1.0"
_BRIDGE_MAC = "1.3.6.1.2.1.17.1.1.0"
_ENTITY_CLASS = "1.3.6.1.2.1.47.1.1.1.1.5.1"
_ENTITY_SERIAL = "1.3.6.1.2.1.47.1.1.1.1.11.1"
_CHASSIS, _STACK = 3, 11

OIDS = (UPTIME, _ENTITY_CLASS, _ENTITY_SERIAL, _BRIDGE_MAC, _ENGINE_ID, BOOTS, ENGINE_SECONDS)


def device_of(seen: Mapping[str, Any], address: str) -> str:
    """The chassis' serial number, else its base MAC, else its SNMP engine, else only where it was found."""
    serial = "".join(sign for sign in text_of(seen.get(_ENTITY_SERIAL)) if sign.isprintable()).strip()
    if serial and seen.get(_ENTITY_CLASS) in (_CHASSIS, _STACK):
        return f"serial {serial}"
    if base := mac_of(seen.get(_BRIDGE_MAC)):
        return f"MAC {base}"
    engine = seen.get(_ENGINE_ID)
    if isinstance(engine, bytes) and any(engine):
        return f"engine {engine.hex()}"
    return f"address {address}"


def mac_of(value: object) -> str:
    """``02:00:00:aa:00:01``; empty for what is none or identifies nobody."""
    return value[:20].hex(":") if isinstance(value, bytes) and any(value) else ""


def text_of(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def number_of(value: object) -> int:
    """0 for what was not told. Raises BadAnswer."""
    if value is None:
        return 0
    if not isinstance(value, int):
        raise BadAnswer("a counter of the switch is no number")
    return value
