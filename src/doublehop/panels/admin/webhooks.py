"""Setup > Webhooks: of the organisation, and of its clients."""

from collections.abc import Callable, Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from doublehop.panels import webhooks
from doublehop.panels.admin.frame import show


def _show(request: HttpRequest, name: str, context: Mapping[str, Any], status: int) -> HttpResponse:
    return show(request, name, context, status=status)


FACE = webhooks.Face(prefix="admin", show=_show, by_staff=True)


def _view(method: Callable[..., Any], of: Callable[..., HttpResponse]) -> Callable[..., HttpResponseBase]:
    def shown(request: HttpRequest, /, **which: int) -> HttpResponse:
        return of(request, FACE, **which)

    guarded: Callable[..., HttpResponseBase] = method(shown)
    return guarded


_form = require_http_methods(["GET", "POST"])
listed = _view(require_GET, webhooks.listed)
new = _view(_form, webhooks.new)
edit = _view(_form, webhooks.edit)
one = _view(require_GET, webhooks.one)
live = _view(require_GET, webhooks.live)
rotate = _view(require_POST, webhooks.rotate)
test = _view(require_POST, webhooks.test)
pause = _view(require_POST, webhooks.pause)
resume = _view(require_POST, webhooks.resume)
delete = _view(require_POST, webhooks.delete)
redeliver = _view(require_POST, webhooks.redeliver)
