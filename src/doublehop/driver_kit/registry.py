"""Finds drivers by their folders: ``doublehop/drivers/<name>/driver.py`` exports ``DRIVER``. There is no list."""

import importlib
import pkgutil
from functools import cache

from doublehop.driver_kit.contract import Driver

_HOME = "doublehop.drivers"


class UnknownDriver(LookupError):
    """No folder of that name. The text is for staff."""


@cache
def names() -> tuple[str, ...]:
    """Names of all drivers, sorted."""
    home = importlib.import_module(_HOME)
    return tuple(sorted(m.name for m in pkgutil.iter_modules(home.__path__) if m.ispkg))


@cache
def load(name: str) -> Driver:
    """The driver of that name. Raises UnknownDriver."""
    if name not in names():
        raise UnknownDriver(f"there is no driver named {name!r}; known are {', '.join(names())}")
    driver = importlib.import_module(f"{_HOME}.{name}.driver").DRIVER
    if not isinstance(driver, Driver) or driver.name != name:
        raise UnknownDriver(f"{_HOME}.{name}.driver exports no DRIVER of that name")
    return driver
