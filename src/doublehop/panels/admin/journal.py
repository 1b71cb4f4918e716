"""The journal: who did what to which machine, and what came of it. Newest first, paged by key."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET

from doublehop.fleet.queries import servers_visible_to
from doublehop.journal.queries import entries_for_organisation
from doublehop.organisations.actor import Actor
from doublehop.organisations.queries import organisations_visible_to
from doublehop.panels.admin.frame import show
from doublehop.panels.gates import actor_of
from doublehop.panels.keyset import link_to
from doublehop.services.queries import services_visible_to
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


@dataclass(frozen=True)
class House:
    """What the reader knows of the organisations and services that a page of lines speaks of."""

    organisation_id: int
    below: frozenset[int]
    services: frozenset[int]

    def is_own(self, entry: Any) -> bool:
        """The worker's lines belong to the house whose service they are about."""
        if entry.service_id is not None and entry.service_id not in self.services:
            return False
        return entry.organisation_id in (None, self.organisation_id)

    def who(self, entry: Any) -> str:
        """Nobody learns who stands above the house."""
        if self.is_own(entry) or entry.organisation_id in (None, self.organisation_id):
            return str(entry.actor_label)
        return str(entry.organisation_label) if entry.organisation_id in self.below else "a level above"


def _house(actor: Actor, entries: list[Any]) -> House:
    others = {entry.organisation_id for entry in entries} - {None, actor.organisation_id}
    named = {entry.service_id for entry in entries} - {None}
    below = organisations_visible_to(actor).filter(pk__in=others) if others else ()
    services = services_visible_to(actor).filter(pk__in=named).values_list("pk", flat=True) if named else ()
    return House(actor.organisation_id, frozenset(row.pk for row in below), frozenset(services))


def _line(entry: Any, house: House) -> dict[str, Any]:
    """Names and reasons stay within one house: of another one, only which it was, what was done and what came of it."""
    is_own = house.is_own(entry)
    is_theirs = entry.target_kind in {"service", "client"} and not is_own
    reference = str(entry.details.get("reference", ""))
    known = entry.target_id is not None and entry.target_kind in _OPEN and not is_theirs
    return {
        "entry": entry,
        "who": house.who(entry),
        "whose": ", ".join(filter(None, (entry.actor_kind, entry.organisation_label))) if is_own else "",
        "sentence": entry.sentence if is_own else "",
        "deed": deed_of(entry.verb),
        "target": "a client" if is_theirs and entry.target_kind == "client" else entry.target_label,
        "url": reverse(_OPEN[entry.target_kind], args=[entry.target_id]) if known else "",
        "reference": reference,
        "operation_url": reverse("admin-operation", args=[reference]) if reference else "",
    }


def lines_page(request: HttpRequest, actor: Actor, *, size: int = PAGE, **wanted: Any) -> LinesPage:
    """One page of what the actor's organisation may read. ``wanted`` as entries_for_organisation takes it."""
    before, after = (_number(request.GET.get(name, "")) for name in ("before", "after"))
    entries = entries_for_organisation(
        actor.organisation_id, before_id=before, after_id=after, limit=size + 1, **wanted
    )
    more = len(entries) > size
    if after is not None:
        entries, has_newer, has_older = (entries[1:] if more else entries), more, True
    else:
        entries, has_newer, has_older = entries[:size], before is not None, more
    house = _house(actor, entries)
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
    page = lines_page(request, actor, **wanted)
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
