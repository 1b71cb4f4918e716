"""A brand's colours and logo as files. Colours travel in the address, so the stylesheet asks nobody and is cached for ever."""

import re
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse

from doublehop.organisations.contrast import contrast
from doublehop.organisations.queries import logo_of

_HEX = re.compile(r"[0-9a-f]{6}")
_YEAR = 365 * 86400


class BrandLike(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def colour(self) -> str: ...
    @property
    def colour_dark(self) -> str: ...
    @property
    def logo_url(self) -> str: ...
    @property
    def support_email(self) -> str: ...


@dataclass(frozen=True)
class NeutralBrand:
    """Before anybody is known: no name of ours, no colour of anybody's."""

    name: str = "Server panel"
    colour: str = "#2f55d4"
    colour_dark: str = "#8aa6ff"
    logo_url: str = ""
    support_email: str = ""
    is_shared: bool = True
    organisation_id: int | None = None


NEUTRAL = NeutralBrand()


def colours_query(brand: BrandLike) -> str:
    """``c=0b6b5d&d=5fd3bf`` for the address of the stylesheet."""
    return urlencode({"c": brand.colour.lstrip("#").lower(), "d": brand.colour_dark.lstrip("#").lower()})


def ink_on(colour: str) -> str:
    """White or near black, whichever reads better on ``colour`` (``#rrggbb``)."""
    return max(("#ffffff", "#0e1526"), key=lambda ink: contrast(ink, colour))


def colours(request: HttpRequest) -> HttpResponse:
    """The stylesheet of a brand's two colours. Raises Http404 for anything but two colours."""
    light, dark = request.GET.get("c", ""), request.GET.get("d", "")
    if not (_HEX.fullmatch(light) and _HEX.fullmatch(dark)):
        raise Http404
    body = (
        ":root,:root[data-bs-theme]{"
        f"--dh-brand:#{light};--dh-brand-ink:{ink_on('#' + light)};"
        f"--dh-brand-dark:#{dark};--dh-brand-ink-dark:{ink_on('#' + dark)}"
        "}\n"
    )
    return HttpResponse(
        body,
        content_type="text/css; charset=utf-8",
        headers={"Cache-Control": f"public, max-age={_YEAR}, immutable"},
    )


def logo(request: HttpRequest) -> HttpResponse:
    """The logo of the brand that this page belongs to. Public: it stands on the sign-in page."""
    brand = getattr(request, "brand", NEUTRAL)
    found = logo_of(brand.organisation_id) if brand.organisation_id is not None else None
    if found is None:
        raise Http404
    return HttpResponse(
        found[0], content_type=found[1], headers={"Cache-Control": "private, max-age=300", "Vary": "Cookie"}
    )
