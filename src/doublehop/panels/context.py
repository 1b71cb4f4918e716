"""What every template may use."""

from django.http import HttpRequest


def panel(request: HttpRequest) -> dict[str, object]:
    return {}
