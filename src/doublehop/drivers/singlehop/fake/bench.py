"""Opens the driver against the fake provider."""

from collections.abc import Iterator
from contextlib import contextmanager

from doublehop.driver_kit.contract import SettingValue
from doublehop.driver_kit.secret import Secret
from doublehop.drivers.singlehop.driver import SinglehopUpstream
from doublehop.drivers.singlehop.fake.place import Place, Quirks
from doublehop.drivers.singlehop.fake.server import FakeProvider


def settings_for(there: Place, url: str, **changed: str) -> dict[str, SettingValue]:
    """As a form would give them; ``changed`` are texts by field name."""
    texts = {
        "endpoint": url,
        "leap_username": there.username,
        "leap_password": there.password,
        "tandem_username": there.tandems["7"].email,
        "tandem_password": there.tandems["7"].password,
        "api_key": there.api_key,
        "pin": there.pin,
        "api": "auto",
        "bandwidth_unit": "GB",
    } | changed
    secrets = ("leap_password", "tandem_password", "api_key", "pin")
    return {name: Secret(text) if name in secrets else text for name, text in texts.items()}


@contextmanager
def opened(there: FakeProvider, *, tested: bool = True, **changed: str) -> Iterator[SinglehopUpstream]:
    """``tested``: with what a test of the connection learned."""
    settings = settings_for(there, changed.pop("endpoint", there.url), **changed)
    if tested:
        untested = SinglehopUpstream(settings)
        learned = untested.test_connection().learned
        untested.close()
        settings |= {f"learned_{name}": text for name, text in learned.items()}
    upstream = SinglehopUpstream(settings)
    try:
        yield upstream
    finally:
        upstream.close()


@contextmanager
def provider(**quirks: object) -> Iterator[FakeProvider]:
    with FakeProvider(Quirks(**quirks)) as there:  # type: ignore[arg-type]
        yield there
