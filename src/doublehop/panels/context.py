"""What every template may use. Costs no query beyond what the middleware already asked."""

from django.http import HttpRequest

from doublehop.panels.brands import NEUTRAL, colours_query


def panel(request: HttpRequest) -> dict[str, object]:
    brand = getattr(request, "brand", None) or NEUTRAL
    user = getattr(request, "user", None)
    return {
        "actor": getattr(request, "actor", None),
        "brand": brand,
        "brand_colours": colours_query(brand),
        "colours": getattr(user, "colours", "system"),
        "zone": getattr(user, "time_zone", "UTC"),
    }
