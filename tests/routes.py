"""Every route of the product, found in the URLconf itself, so that a new one is walked without being listed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from django.urls import URLPattern, URLResolver, get_resolver


@dataclass(frozen=True)
class Route:
    """``template`` is like ``/servers/<int:service_id>/``; ``parameters`` the names in it."""

    template: str
    parameters: tuple[str, ...]

    def fill(self, values: Mapping[str, object]) -> str:
        path = self.template
        for name in self.parameters:
            begin = path.index("<")
            end = path.index(">")
            path = f"{path[:begin]}{values[name]}{path[end + 1 :]}"
        return path


def all_routes() -> list[Route]:
    return list(_walk(get_resolver().url_patterns, "/"))


def _walk(patterns: list[URLPattern | URLResolver], prefix: str) -> Iterator[Route]:
    for pattern in patterns:
        template = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, template)
        else:
            names = tuple(part.split(">")[0].split(":")[-1] for part in template.split("<")[1:])
            yield Route(template, names)
