"""Where the service is and the token for it: from the environment, else from a file that only its owner can read."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from doublehop_remote.stopping import NOT_SIGNED_IN, USAGE, Stop

ADDRESS, TOKEN = "DOUBLEHOP_API", "DOUBLEHOP_TOKEN"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True)
class Place:
    """``base`` has no final slash and no ``/api/v1``. The token does not print itself."""

    base: str
    token: str = field(repr=False)

    @property
    def host(self) -> str:
        return urlsplit(self.base).netloc


def file_of(environment: Mapping[str, str]) -> Path:
    if folder := environment.get("XDG_CONFIG_HOME"):
        home = Path(folder)
    elif os.name == "nt" and environment.get("APPDATA"):
        home = Path(environment["APPDATA"])
    else:
        home = Path.home() / ".config"
    return home / "doublehop" / "remote.json"


def base_of(text: str) -> str:
    """Raises Stop for what is no address, and for one over which a token would travel in the clear."""
    typed = text.strip().rstrip("/")
    whole = urlsplit(typed if "://" in typed else f"https://{typed}")
    try:
        fine = whole.scheme in ("https", "http") and bool(whole.hostname) and whole.port != 0
    except ValueError:
        fine = False
    if not fine or whole.query or whole.fragment or whole.username or not typed.isprintable() or " " in typed:
        raise Stop(USAGE, f"{_short(text)} is no address. Write it like https://panel.example.net.")
    if whole.scheme == "http" and whole.hostname not in LOOPBACK:
        raise Stop(USAGE, "http would send the token in the clear. Write the address with https.")
    path = whole.path.rstrip("/")
    path = path.removesuffix("/api/v1")
    return f"{whole.scheme}://{whole.netloc}{path}"


def token_of(text: str) -> str:
    token = text.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token or len(token) > 200:
        raise Stop(USAGE, "That is no token. It begins with dh_ and stands on one line.")
    return token


def _short(text: str) -> str:
    plain = "".join(sign if sign.isprintable() else "?" for sign in text)
    return repr(plain[:60])


def read(environment: Mapping[str, str], *, command: str) -> Place:
    """What the environment says wins, each value by itself."""
    base, token = environment.get(ADDRESS, ""), environment.get(TOKEN, "")
    if not (base and token):
        kept = _kept(file_of(environment))
        if base and kept and base_of(base) != kept.base:
            kept = None  # a token is for the service that gave it, and goes nowhere else
        base = base or (kept.base if kept else "")
        token = token or (kept.token if kept else "")
    if not base or not token:
        missing = TOKEN if base else ADDRESS
        raise Stop(
            NOT_SIGNED_IN,
            "There is no token for that address." if base else "No service is chosen yet.",
            step=f"Run `{command} login`, or set {missing}{'' if base else f' and {TOKEN}'}.",
        )
    return Place(base_of(base), token_of(token))


def _kept(path: Path) -> Place | None:
    try:
        if os.name != "nt" and path.stat().st_mode & OTHERS:
            raise Stop(
                NOT_SIGNED_IN, f"Others may read {path}, so it is not used.", step=f"chmod 600 '{path}'"
            )
        found = json.loads(path.read_text(encoding="utf-8"))
        return Place(base_of(found["address"]), token_of(found["token"]))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Stop(NOT_SIGNED_IN, f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Stop(
            NOT_SIGNED_IN, f"{path} is damaged.", step="Sign in again: `login` writes it anew."
        ) from None


def keep(environment: Mapping[str, str], place: Place) -> Path:
    """Written beside, then put in its place: never half there, and never readable for others, not for a moment."""
    path = file_of(environment)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=path.parent, prefix="remote-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"address": place.base, "token": place.token}, file)
        Path(beside).replace(path)
    except OSError as error:
        raise Stop(USAGE, f"{path} cannot be written: {error.strerror}.") from error
    return path


def forget(environment: Mapping[str, str]) -> Path | None:
    """The file that is gone now, if there was one."""
    path = file_of(environment)
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
        return path
    return None
