"""A provider's machines behind the plain driver, one of them sold to a client: where every fault is played."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from doublehop import drivers
from doublehop.driver_kit import registry
from doublehop.fleet import actions as fleet
from doublehop.fleet.models import Server, Upstream
from tests.cast import Cast, a_cast
from tests.faults.place import ACCOUNT, PASSWORD
from tests.stage import a_product, a_service, run_jobs

_MORE_DRIVERS = str(Path(__file__).parent / "drivers")


def know_the_plain_driver() -> None:
    """The registry finds drivers by their folders, so one more place to look is all that it takes."""
    if _MORE_DRIVERS not in drivers.__path__:
        drivers.__path__.append(_MORE_DRIVERS)
        registry.names.cache_clear()


def forget_the_plain_driver() -> None:
    drivers.__path__.remove(_MORE_DRIVERS)
    registry.names.cache_clear()
    registry.load.cache_clear()
    for name in [name for name in sys.modules if name.startswith("doublehop.drivers.plain")]:
        del sys.modules[name]


@contextmanager
def plain_driver() -> Iterator[None]:
    know_the_plain_driver()
    try:
        yield
    finally:
        forget_the_plain_driver()


@dataclass(frozen=True)
class Scene:
    """``server`` is "web", in ``service`` of Alder's client; the machines belong to the provider."""

    cast: Cast
    upstream_id: int
    server_id: int
    service_id: int


def a_scene(url: str, ways: list[str] | None = None) -> Scene:
    """Needs the plain driver. ``url`` is where the machines answer, ``ways`` the product's suspend policy."""
    cast = a_cast()
    values = {"endpoint": url, "account": ACCOUNT, "password": PASSWORD, "pin": ""}
    upstream = fleet.create_upstream(cast.ines, driver="plain", name="Rack P", values=values)
    run_jobs()
    fleet.arm(cast.ines, upstream.pk)
    server = Server.objects.get(upstream=upstream, external_id="web")
    fleet.allocate(cast.ines, server.pk, cast.alder.pk)
    service = a_service(cast.rosa, cast.quillfeather.pk, a_product(cast.rosa, ways=ways), server)
    run_jobs()
    return Scene(cast, upstream.pk, server.pk, service.pk)


def move(scene: Scene, url: str, *, pin: str = "") -> None:
    """The same upstream at another address: through a proxy, by a name, over TLS."""
    row = Upstream.objects.get(pk=scene.upstream_id)
    row.endpoint, row.settings = url, {**row.settings, "endpoint": url, "pin": pin}
    row.save()
