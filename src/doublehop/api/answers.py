"""Answers cut down to the fields that were asked for, and what the document says of every route alike."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema

from doublehop.organisations.refusals import BadInput

_FIELDS = {
    "in": "query",
    "name": "fields",
    "required": False,
    "schema": {"type": "string", "default": "", "title": "Fields"},
    "description": "Names with commas between them: only these fields are told of each item. Empty: all.",
}
_IF_NONE_MATCH = {
    "in": "header",
    "name": "If-None-Match",
    "required": False,
    "schema": {"type": "string"},
    "description": "The ETag of an earlier answer: 304 if nothing has changed since.",
}
_PREFER = {
    "in": "header",
    "name": "Prefer",
    "required": False,
    "schema": {"type": "string"},
    "description": "wait=5: answered once it has ended, at the latest after so many seconds (at most 10). Not always applied: "
    "see Preference-Applied.",
}
PROBLEM = "application/problem+json"
_NO_FIELDS = ("/openapi.json", ".json", ".csv")


def fields_of(request: HttpRequest) -> frozenset[str]:
    """Empty: all."""
    asked = request.GET.get("fields", "") if request.method == "GET" else ""
    return frozenset(name for one in asked.split(",") if (name := one.strip()))


def wants(request: HttpRequest, field: str) -> bool:
    """Whether a field that costs something has to be found out."""
    names = fields_of(request)
    return not names or field in names


class Api(NinjaAPI):
    def create_response(
        self,
        request: HttpRequest,
        data: Any,
        *,
        status: int | None = None,
        temporal_response: HttpResponse | None = None,
    ) -> HttpResponse:
        names = fields_of(request)
        cut = _cut(data, names) if names else data
        return super().create_response(request, cut, status=status, temporal_response=temporal_response)

    def get_openapi_schema(
        self, *, path_prefix: str | None = None, path_params: dict[str, Any] | None = None
    ) -> OpenAPISchema:
        found = super().get_openapi_schema(path_prefix=path_prefix, path_params=path_params)
        for path, methods in found["paths"].items():
            for method, told in methods.items():
                told["responses"] = {
                    str(code): _as_problem(one) if int(code) >= 400 else one
                    for code, one in told["responses"].items()
                }
                waits = path.endswith("/operations") and method == "post"
                if waits or path.endswith("/operations/{reference}"):
                    told["parameters"].append(_PREFER)
                if method == "get":
                    told["parameters"].append(_IF_NONE_MATCH)
                    told["responses"]["304"] = {"description": "As it was. There is no body."}
                    if not path.endswith(_NO_FIELDS):
                        told["parameters"].append(_FIELDS)
        return found


def _as_problem(told: dict[str, Any]) -> dict[str, Any]:
    (body,) = told["content"].values()
    return {**told, "description": "Refused: see `code`.", "content": {PROBLEM: body}}


def _cut(data: Any, names: frozenset[str]) -> Any:
    if isinstance(data, list):
        return [_cut(one, names) for one in data]
    if not isinstance(data, dict):
        return data
    if data.keys() == {"items", "next"}:
        return {**data, "items": _cut(data["items"], names)}
    if unknown := sorted(names - data.keys()):
        raise BadInput(f"There is no field {unknown[0][:40]}.", field="fields")
    return {name: value for name, value in data.items() if name in names}
