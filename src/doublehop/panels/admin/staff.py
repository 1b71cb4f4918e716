"""Setup > Staff and brand, and the organisations directly below."""

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from doublehop.organisations import actions, queries
from doublehop.organisations.actor import Role
from doublehop.organisations.refusals import Refusal
from doublehop.panels.admin.forms import Filled, typed
from doublehop.panels.admin.frame import show
from doublehop.panels.gates import actor_of, key_of

MOST_LISTED = 500
ROLES = (
    (Role.OWNER.value, "Owner: everything"),
    (Role.ADMIN.value, "Admin: everything, but makes no owners"),
    (Role.SUPPORT.value, "Support: presses buttons on machines, attaches servers"),
    (Role.BILLING.value, "Billing: clients, services, suspensions"),
    (Role.READ_ONLY.value, "Read only: sees, and changes nothing"),
)
LARGEST_UPLOAD = 500_000
_TABS = (
    ("staff", "Staff", "admin-staff"),
    ("brand", "Brand", "admin-brand"),
    ("organisations", "Organisations below", "admin-organisations"),
)


def _tabs(here: str) -> list[tuple[str, str, bool]]:
    return [(text, reverse(name), tab == here) for tab, text, name in _TABS]


@require_http_methods(["GET", "POST"])
def staff(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    form = Filled({"name": "", "email": "", "password": "", "role": Role.SUPPORT.value})
    if request.method == "POST":
        form = typed(request.POST, form.values, secret=["password"])
        try:
            actions.create_staff(
                actor,
                organisation_id=actor.organisation_id,
                name=form.values["name"],
                email=form.values["email"],
                password=request.POST.get("password", ""),
                role=form.values["role"],
                key=key_of(request),
            )
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, "Saved")
            return HttpResponseRedirect(reverse("admin-staff"))
    words = dict(ROLES)
    people = [
        (row, words[row.role].partition(":")[0]) for row in queries.staff_visible_to(actor)[:MOST_LISTED]
    ]
    context = {"tabs": _tabs("staff"), "people": people, "form": form, "roles": ROLES}
    return show(request, "staff.html", context, status=form.status)


@require_http_methods(["GET", "POST"])
def brand(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    row = queries.brand_of(actor)
    names = ("name", "host", "colour", "colour_dark", "support_email")
    form = Filled({name: getattr(row, name) for name in names} | {"logo": ""})
    if request.method == "POST":
        form = typed(request.POST, form.values)
        try:
            actions.set_brand(actor, **{name: form.values[name] for name in names}, logo=_logo_of(request))
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, "Saved")
            return HttpResponseRedirect(reverse("admin-brand"))
    context = {"tabs": _tabs("brand"), "row": row, "form": form}
    return show(request, "brand.html", context, status=form.status)


def _logo_of(request: HttpRequest) -> bytes | None:
    """None keeps the present one, empty removes it."""
    if request.POST.get("remove_logo") == "1":
        return b""
    upload = request.FILES.get("logo")
    return None if upload is None else upload.read(LARGEST_UPLOAD)


@require_http_methods(["GET", "POST"])
def organisations(request: HttpRequest) -> HttpResponse:
    """Those directly below, and a new one with its first owner: both or neither."""
    actor = actor_of(request)
    form = Filled({"organisation": "", "name": "", "email": "", "password": ""})
    if request.method == "POST":
        form = typed(request.POST, form.values, secret=["password"])
        try:
            with transaction.atomic():
                _create(request, form)
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, "Saved")
            return HttpResponseRedirect(reverse("admin-organisations"))
    below = queries.organisations_visible_to(actor).filter(parent_id=actor.organisation_id)
    context = {"tabs": _tabs("organisations"), "below": below[:MOST_LISTED], "form": form}
    return show(request, "organisations.html", context, status=form.status)


def _create(request: HttpRequest, form: Filled) -> None:
    actor, key = actor_of(request), key_of(request)
    try:
        organisation = actions.create_organisation(actor, name=form.values["organisation"], key=key)
    except Refusal as refusal:
        if refusal.field == "name":
            refusal.field = "organisation"
        raise
    actions.create_staff(
        actor,
        organisation_id=organisation.pk,
        name=form.values["name"],
        email=form.values["email"],
        password=request.POST.get("password", ""),
        role=Role.OWNER.value,
        key=f"{key}:owner" if key else "",
    )
