"""Setup > Server groups and Suspend policies."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from doublehop.fleet import actions as fleet_actions
from doublehop.fleet import queries as fleet
from doublehop.organisations.refusals import NotHere, Refusal
from doublehop.panels.admin.forms import Filled, typed
from doublehop.panels.admin.frame import show
from doublehop.panels.gates import actor_of, key_of
from doublehop.panels.refusals import back_with
from doublehop.services import actions, queries
from doublehop.services.actions.catalogue import WAYS

MOST_LISTED = 500
MOST_FOUND = 50
WAY_WORDS: dict[str, str] = {
    "port": "Network port off: the network is gone, the machine stays on",
    "upstream": "The provider's own suspension",
    "null_route": "Null route: traffic to the main address is dropped, the machine stays on",
    "power": "Power off, and power on is refused",
    "permission": "Our permission at the provider taken away: the machine stays online",
    "notify": "Only marked as suspended: the machine stays online",
}
_PLACES = ("first", "second", "third", "fourth", "fifth", "sixth")


@require_http_methods(["GET", "POST"])
def server_groups(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    form = Filled({"name": ""})
    if request.method == "POST":
        form = typed(request.POST, form.values)
        try:
            group = fleet_actions.create_server_group(actor, form.values["name"], key=key_of(request))
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, "Saved")
            return HttpResponseRedirect(reverse("admin-server-group", args=[group.pk]))
    rows = fleet.server_groups_visible_to(actor)[:MOST_LISTED]
    return show(request, "server_groups.html", {"own_groups": rows, "form": form}, status=form.status)


@require_http_methods(["GET", "POST"])
def server_group(request: HttpRequest, group_id: int) -> HttpResponse:
    """Members are ticked; others are found by the beginning of their label."""
    actor = actor_of(request)
    group = fleet.server_groups_visible_to(actor).filter(pk=group_id).first()
    if group is None:
        raise NotHere
    address = reverse("admin-server-group", args=[group_id])
    if request.method == "POST":
        ticked = [int(text) for text in request.POST.getlist("server") if text.isascii() and text.isdigit()]
        try:
            fleet_actions.set_group_members(actor, group_id, ticked)
        except Refusal as refusal:
            return back_with(request, refusal, address)
        messages.success(request, "Saved")
        return HttpResponseRedirect(address)
    visible = fleet.servers_visible_to(actor)
    members = list(visible.filter(groups=group).order_by("label", "pk")[:MOST_LISTED])
    find = request.GET.get("find", "").strip()[:120]
    others = visible.exclude(groups=group).order_by("label", "pk")
    if find:
        others = others.filter(label__istartswith=find)
    context = {"group": group, "members": members, "others": others[:MOST_FOUND], "find": find}
    return show(request, "server_group.html", context)


@require_POST
def delete(request: HttpRequest, group_id: int) -> HttpResponse:
    try:
        fleet_actions.delete_server_group(actor_of(request), group_id)
    except Refusal as refusal:
        return back_with(request, refusal, reverse("admin-server-groups"))
    messages.success(request, "Deleted")
    return HttpResponseRedirect(reverse("admin-server-groups"))


@require_http_methods(["GET", "POST"])
def policies(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    names = [f"ways-{place}" for place in _PLACES]
    form = Filled({"name": "", "ways": "", **dict.fromkeys(names, "")})
    if request.method == "POST":
        form = typed(request.POST, form.values)
        ways = [form.values[name] for name in names if form.values[name]]
        try:
            actions.create_suspend_policy(actor, form.values["name"], ways, key=key_of(request))
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, "Saved")
            return HttpResponseRedirect(reverse("admin-policies"))
    if "ways" in form.errors:
        form.errors[names[0]] = form.errors.pop("ways")
    rows = queries.suspend_policies_visible_to(actor)[:MOST_LISTED]
    ways_in_words = [(way, WAY_WORDS[way]) for way in WAYS]
    context = {
        "policies": [(row, [WAY_WORDS[way] for way in row.ways if way in WAY_WORDS]) for row in rows],
        "form": form,
        "first_choices": [("", "Choose a way"), *ways_in_words],
        "choices": [("", "Nothing more"), *ways_in_words],
        "places": [
            (name, place, form.values[name], form.errors.get(name, ""))
            for name, place in zip(names, _PLACES, strict=True)
        ],
    }
    return show(request, "policies.html", context, status=form.status)
