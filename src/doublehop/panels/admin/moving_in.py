"""Setup > Import: a file of another billing system is shown as what would come of it, and what staff tick is attached.

Nothing is kept between the two looks: the page carries the file itself, packed, and the mark of what was shown.
"""

import base64
import binascii
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from doublehop.organisations.actor import Actor, Duty
from doublehop.organisations.refusals import BadInput, Refusal
from doublehop.panels.admin.forms import Filled, typed
from doublehop.panels.admin.frame import show
from doublehop.panels.gates import actor_of
from doublehop.services.actions.importing import bring_in
from doublehop.services.queries import products_visible_to
from doublehop.services.queries.importing import (
    ImportLine,
    ImportOptions,
    ImportPreview,
    Verdict,
    billing_systems,
    preview_import,
)

LARGEST_UPLOAD = 2 * 1024 * 1024
LARGEST_PACKED = 600_000
"""What a form may carry; what is larger is for the command line."""
MOST_TICKED = 200
"""At once. The file can be loaded again: what is here by then is found present."""
MOST_SHOWN = 500
"""Of rows of which nothing is done."""
MOST_PRODUCTS = 50
TOO_LARGE = "The file is too large for a page. Use `doublehop import` in a shell, or split it."


@dataclass(frozen=True)
class _Kind:
    verdict: Verdict
    title: str
    hint: str


TICKED = (
    _Kind(Verdict.CERTAIN, "Certain", "One free machine has this identifier."),
    _Kind(Verdict.DOUBTFUL, "Doubtful", "Look at each before you tick it."),
    _Kind(
        Verdict.ATTACHED,
        "In a service here already",
        "Ticked, that service becomes the one of the billing system.",
    ),
)
LEFT = (
    _Kind(Verdict.CONFLICT, "Conflicts", ""),
    _Kind(Verdict.MISSING, "Missing", ""),
    _Kind(Verdict.PRESENT, "Here already", ""),
    _Kind(Verdict.ENDED, "Ended where they come from", ""),
)


@require_http_methods(["GET", "POST"])
def moving_in(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    form = Filled({"file": "", "billing_system": "", "products": "", "lines": ""})
    if request.method == "GET":
        known = billing_systems(actor)
        form.values["billing_system"] = known[0] if len(known) == 1 else ""
        return _upload(request, form)
    form = typed(request.POST, form.values)
    try:
        content = _content(request)
        wanted = ImportOptions(form.values["billing_system"].strip(), _products(request))
        preview = preview_import(actor, content, wanted)
    except Refusal as refusal:
        form.refuse(refusal)
        return _upload(request, form)
    if request.POST.get("do") != "attach":
        return _preview(request, form, content, wanted, preview)
    try:
        told = bring_in(actor, content, wanted, chosen=_lines(request), mark=request.POST.get("mark", ""))
    except Refusal as refusal:
        form.refuse(refusal)
        return _preview(request, form, content, wanted, preview)
    done = sum(one.service is not None for one in told)
    return show(request, "import_result.html", {"told": told, "done": done, "refused": len(told) - done})


def _content(request: HttpRequest) -> bytes:
    """The uploaded file, or the one that the page carried along."""
    upload = request.FILES.get("file")
    if upload is not None:
        content = upload.read(LARGEST_UPLOAD + 1)
    elif request.POST.get("packed"):
        content = _unpacked(request.POST["packed"])
    else:
        raise BadInput("Choose a file.", field="file")
    if len(content) > LARGEST_UPLOAD or len(_packed(content)) > LARGEST_PACKED:
        raise BadInput(TOO_LARGE, field="file")
    return bytes(content)


def _packed(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content)).decode()


def _unpacked(text: str) -> bytes:
    try:
        return zlib.decompressobj().decompress(base64.b64decode(text, validate=True), LARGEST_UPLOAD + 1)
    except (zlib.error, binascii.Error, ValueError) as error:
        raise BadInput("Choose the file again.", field="file") from error


def _products(request: HttpRequest) -> Mapping[str, str]:
    """What staff said of products that are called otherwise here."""
    there, here = (request.POST.getlist(name)[:MOST_PRODUCTS] for name in ("there", "here"))
    return {one: other for one, other in zip(there, here, strict=False) if one and other}


def _lines(request: HttpRequest) -> set[int]:
    texts = request.POST.getlist("line")
    if len(texts) > MOST_TICKED or not all(
        text.isascii() and text.isdigit() and len(text) < 10 for text in texts
    ):
        raise BadInput(f"Tick at most {MOST_TICKED} lines.", field="lines")
    return {int(text) for text in texts}


def _upload(request: HttpRequest, form: Filled) -> HttpResponse:
    actor = actor_of(request)
    context = {"form": form, "systems": billing_systems(actor), "may_import": _may(actor)}
    return show(request, "import.html", context, status=form.status)


def _may(actor: Actor) -> bool:
    return actor.has(Duty.SELL) and actor.has(Duty.OPERATE)


def _preview(
    request: HttpRequest, form: Filled, content: bytes, wanted: ImportOptions, preview: ImportPreview
) -> HttpResponse:
    tickable = [(kind, preview.of(kind.verdict)) for kind in TICKED]
    offered = {line.row.line for line in _first([line for _, rows in tickable for line in rows])}
    context: dict[str, Any] = {
        "form": form,
        "preview": preview,
        "packed": _packed(content),
        "tickable": [
            (kind, [line for line in rows if line.row.line in offered]) for kind, rows in tickable if rows
        ],
        "offered": len(offered),
        "is_cut": len(offered) < sum(len(rows) for _, rows in tickable),
        "left": [(kind, rows, rows[:MOST_SHOWN]) for kind in LEFT if (rows := preview.of(kind.verdict))],
        "bad": preview.export.bad[:MOST_SHOWN],
        "counts": preview.counts(),
        "named": list(wanted.products.items()),
        "unknown": preview.unknown_products()[:MOST_PRODUCTS],
        "products": [row.name for row in products_visible_to(actor_of(request))],
    }
    return show(request, "import_preview.html", context, status=form.status)


def _first(lines: list[ImportLine]) -> list[ImportLine]:
    return lines[:MOST_TICKED]
