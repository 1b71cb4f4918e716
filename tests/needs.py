"""What a long test needs from the machine. Missing: skipped with the reason printed, except in CI, where it fails."""

import os
import shutil
from typing import NoReturn

import pytest

_ALSO_IN = ("/usr/sbin", "/sbin", "/usr/local/sbin")


def need_program(name: str, *, package: str = "") -> str:
    """The path of a program that a Debian package brings (``package``, when it has another name)."""
    path = shutil.which(name) or shutil.which(name, path=os.pathsep.join(_ALSO_IN))
    if path is None:
        need_missing(f"{name} is not installed (Debian: apt-get install {package or name})")
    return path


def need_missing(reason: str) -> NoReturn:
    """Skips; with CI=true, where everything must be there, fails."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
