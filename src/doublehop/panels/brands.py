"""A brand's colours and logo as files. Colours travel in the address, so the stylesheet asks nobody and is cached for ever."""

import re
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse

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


def luminance(colour: str) -> float:
    """Relative luminance of ``rrggbb`` after WCAG 2, 0 to 1."""
    channels = [int(colour[start : start + 2], 16) / 255 for start in (0, 2, 4)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast of two ``rrggbb`` colours, 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def ink_on(colour: str) -> str:
    """White or near black, whichever reads better on ``colour``."""
    return max(("ffffff", "0e1526"), key=lambda ink: contrast(ink, colour))


def colours(request: HttpRequest) -> HttpResponse:
    """The stylesheet of a brand's two colours. Raises Http404 for anything but two colours."""
    light, dark = request.GET.get("c", ""), request.GET.get("d", "")
    if not (_HEX.fullmatch(light) and _HEX.fullmatch(dark)):
        raise Http404
    body = (
        ":root,:root[data-bs-theme]{"
        f"--dh-brand:#{light};--dh-brand-ink:#{ink_on(light)};"
        f"--dh-brand-dark:#{dark};--dh-brand-ink-dark:#{ink_on(dark)}"
        "}\n"
    )
    return HttpResponse(
        body,
        content_type="text/css; charset=utf-8",
        headers={"Cache-Control": f"public, max-age={_YEAR}, immutable"},
    )
