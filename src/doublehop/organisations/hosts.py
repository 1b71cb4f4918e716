"""Which brand a request belongs to, by its host name. A host that is nobody's answers 404 and names nobody."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound

from doublehop.organisations.models import Brand

REMEMBERED_SECONDS = 5.0
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"((?P<name>{_LABEL}(\.{_LABEL})*)\.?|\[(?P<v6>[0-9a-f:.]+)\])(:[0-9]{{1,5}})?")
_remembered: dict[str, tuple[float, "BrandView | None"]] = {}


@dataclass(frozen=True)
class BrandView:
    """What a page shows of a brand. ``organisation_id`` is None on a shared host before anybody is known."""

    organisation_id: int | None
    name: str
    colour: str = "#2f55d4"
    colour_dark: str = "#8aa6ff"
    logo_url: str = ""
    support_email: str = ""
    is_shared: bool = False


NOBODY = BrandView(organisation_id=None, name="Server panel", is_shared=True)


def view_of(brand: Brand, *, is_shared: bool = False) -> BrandView:
    return BrandView(
        organisation_id=brand.organisation_id,
        name=brand.name,
        colour=brand.colour,
        colour_dark=brand.colour_dark,
        logo_url="/brand/logo" if brand.logo_type else "",
        support_email=brand.support_email,
        is_shared=is_shared,
    )


def bare_host(header: str) -> str:
    """The host name of a Host header in lower case, without port, final dot and brackets; empty when it is none."""
    match = _HOST.fullmatch(header.lower()) if len(header) <= 270 else None
    return (match["name"] or match["v6"]) if match else ""


def is_shared_host(host: str) -> bool:
    """Whether a bare host name belongs to the installation itself, and so to no brand."""
    return host in {name.lower().strip("[]") for name in settings.DOUBLEHOP_SHARED_HOSTS}


def brand_for_host(host: str) -> BrandView | None:
    """The brand of a bare host name, NOBODY for a shared one, None for a host that is nobody's."""
    if not host:
        return None
    if is_shared_host(host):
        return NOBODY
    now = time.monotonic()
    kept = _remembered.get(host)
    if kept and kept[0] > now:
        return kept[1]
    brand = Brand.objects.defer("logo").filter(host=host).first()
    found = view_of(brand) if brand else None
    if len(_remembered) > 1000:  # anybody may send any Host header
        _remembered.clear()
    _remembered[host] = (now + REMEMBERED_SECONDS, found)
    return found


def forget_hosts() -> None:
    """After a brand changed, in this process."""
    _remembered.clear()


class HostMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        brand = brand_for_host(bare_host(request.META.get("HTTP_HOST", request.META["SERVER_NAME"])))
        if brand is None:
            return HttpResponseNotFound("Not found.", content_type="text/plain")
        request.brand = brand  # type: ignore[attr-defined]
        return self.get_response(request)
