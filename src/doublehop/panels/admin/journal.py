"""The journal: who did what to which machine, and what came of it. Newest first, paged by key."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET

from doublehop.fleet.queries import servers_visible_to
from doublehop.journal.queries import entries_for_organisation
from doublehop.panels.admin.frame import show
from doublehop.panels.gates import actor_of
from doublehop.panels.keyset import link_to
from doublehop.services.wording import NAME

PAGE = 50
KINDS = (
    ("server", "Servers"),
    ("service", "Services"),
    ("client", "Clients"),
    ("upstream", "Upstreams"),
    ("product", "Products"),
    ("staff", "Staff"),
)
_OPEN = {"server": "admin-server", "service": "admin-service", "client": "admin-client"}
_OPEN |= {"upstream": "admin-upstream", "product": "admin-product"}
_WHOLE = {"sign_in.done": "Signed in", "sign_in.failed": "Sign-in refused"}
_DEED = {
    "asked": "asked",
    "created": "created",
    "changed": "changed",
    "deleted": "deleted",
    "settled": "decided by a person",
    "person_added": "sign-in added",
}


@dataclass(frozen=True)
class LinesPage:
    lines: list[Any]
    newer: str
    older: str

    @property
    def words(self) -> str:
        if not self.lines:
            return ""
        return f"{len(self.lines)} lines. More follow." if self.older else f"{len(self.lines)} lines."


def deed_of(verb: str) -> str:
    """ "operation.reboot.done" -> "Reboot", "service.attached" -> "Service attached"."""
    if verb in _WHOLE:
        return _WHOLE[verb]
    words = verb.split(".")
    if words[0] == "operation" and len(words) > 1:
        name = NAME.get(words[1], words[1])
        return f"{name}, {_DEED['settled']}" if words[-1] == "settled" else name
    told = " ".join(_DEED.get(word, word).replace("_", " ") for word in words)
    return told[:1].upper() + told[1:]


def _line(entry: Any, house: int) -> dict[str, Any]:
    """Names and reasons stay within one house: of another one, only which it was, what was done and what came of it."""
    is_own = entry.organisation_id in (None, house)
    reference = str(entry.details.get("reference", ""))
    known = entry.target_id is not None and entry.target_kind in _OPEN
    return {
        "entry": entry,
        "who": entry.actor_label if is_own else entry.organisation_label,
        "whose": ", ".join(filter(None, (entry.actor_kind, entry.organisation_label)))
        if is_own
        else "their people",
        "sentence": entry.sentence if is_own else "",
        "deed": deed_of(entry.verb),
        "url": reverse(_OPEN[entry.target_kind], args=[entry.target_id]) if known else "",
        "reference": reference,
        "operation_url": reverse("admin-operation", args=[reference]) if reference else "",
    }


def lines_page(
    request: HttpRequest, reader: Callable[..., list[Any]], house: int, *, size: int = PAGE, **wanted: Any
) -> LinesPage:
    """One page of ``reader``, which takes the organisation ``house``, ``before_id``, ``after_id`` and ``limit``."""
    before, after = (_number(request.GET.get(name, "")) for name in ("before", "after"))
    entries = reader(house, before_id=before, after_id=after, limit=size + 1, **wanted)
    more = len(entries) > size
    if after is not None:
        entries, has_newer, has_older = (entries[1:] if more else entries), more, True
    else:
        entries, has_newer, has_older = entries[:size], before is not None, more
    return LinesPage(
        lines=[_line(entry, house) for entry in entries],
        newer=link_to(request.GET, "after", str(entries[0].pk)) if has_newer and entries else "",
        older=link_to(request.GET, "before", str(entries[-1].pk)) if has_older and entries else "",
    )


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


@require_GET
def journal(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    words = request.GET.get("q", "").strip()[:120]
    kind = request.GET.get("kind", "")
    server_id = _number(request.GET.get("server", ""))
    wanted: dict[str, Any] = {"text": words}
    if kind in dict(KINDS):
        wanted["target_kind"] = kind
    if server_id is not None:
        wanted["server_id"] = server_id
    page = lines_page(request, entries_for_organisation, actor.organisation_id, **wanted)
    server = servers_visible_to(actor).filter(pk=server_id).first() if server_id is not None else None
    context = {
        "page": page,
        "words": words,
        "kind": kind,
        "kinds": KINDS,
        "server": server,
        "is_filtered": bool(words or kind or server_id),
    }
    return show(request, "journal.html", context)
