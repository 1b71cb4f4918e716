"""Organisations, their staff, clients and brand."""

import re

from django.db import IntegrityError, transaction
from django.db.models import Max

from doublehop.organisations import record, texts
from doublehop.organisations.actions.billing_systems import refuse_other_billing
from doublehop.organisations.actions.leap import open_leap_account
from doublehop.organisations.actions.sign_ins import LONGEST_NAME, change_user, email_of, make_user, require
from doublehop.organisations.actor import SYSTEM, Actor, Duty, Role
from doublehop.organisations.contrast import CARD_DARK, CARD_LIGHT, ENOUGH, HEX, contrast, nearest_passing
from doublehop.organisations.hosts import bare_host, forget_hosts, is_shared_host
from doublehop.organisations.models import Brand, Client, ClientPerson, Organisation, Staff, User
from doublehop.organisations.once import once
from doublehop.organisations.queries import client as client_of
from doublehop.organisations.queries import (
    client_of_reference,
    clients_visible_to,
    organisations_visible_to,
)
from doublehop.organisations.refusals import BadInput, NotAllowed, NotHere, ReferenceTaken, WrongState

FIRST_CLIENT_NUMBER = 1001
LARGEST_LOGO_BYTES = 100_000
_IMAGES = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"))
COLOURS = ("system", "light", "dark")


@transaction.atomic
def create_root(name: str, *, owner_name: str, owner_email: str, owner_password: str) -> Organisation:
    """The first organisation of an installation with its owner. There is one root, ever."""
    if Organisation.objects.exists():
        raise WrongState("This installation has its first organisation already.")
    row = _organisation(name, None)
    _staff(row, owner_name, owner_email, owner_password, Role.OWNER)
    record.write(
        SYSTEM, "organisation.created", ("organisation", row.pk), target_label=row.name, also=[row.pk]
    )
    return row


def _organisation_again(actor: Actor, organisation_id: int) -> Organisation:
    row = organisations_visible_to(actor).filter(pk=organisation_id).first()
    if row is None:
        raise NotHere
    return row


@once("organisation.create", again=_organisation_again)
@transaction.atomic
def create_organisation(actor: Actor, *, name: str, key: str = "") -> Organisation:
    """A reseller directly below the actor's organisation, with its LEAP account."""
    require(actor, Duty.GOVERN)
    parent = Organisation.objects.get(pk=actor.organisation_id)
    row = _organisation(name, parent)
    record.write(
        actor, "organisation.created", ("organisation", row.pk), target_label=row.name, also=[row.pk]
    )
    open_leap_account(actor, row.pk)
    return row


def _staff_again(actor: Actor, staff_id: int) -> Staff:
    rows = Staff.objects.filter(organisation__in=organisations_visible_to(actor)).select_related("user")
    staff = rows.filter(pk=staff_id).first()
    if staff is None:
        raise NotHere
    return staff


@once("staff.create", again=_staff_again)
@transaction.atomic
def create_staff(
    actor: Actor, *, organisation_id: int, name: str, email: str, password: str, role: str, key: str = ""
) -> Staff:
    """Somebody who works for the actor's organisation; for one below, only its first owner."""
    require(actor, Duty.GOVERN)
    organisation = organisations_visible_to(actor).filter(pk=organisation_id).first()
    if organisation is None:
        raise NotHere
    if role not in set(Role):
        raise BadInput("Choose a role from the list.", field="role")
    if organisation.pk != actor.organisation_id:
        if organisation.staff.exists():
            raise NotAllowed(f"{organisation.name} looks after its own staff.")
        if role != Role.OWNER:
            raise BadInput(f"The first person of {organisation.name} is its owner.", field="role")
    if role == Role.OWNER and actor.role is not Role.OWNER:
        raise NotAllowed("Only an owner can make another owner.")
    staff = _staff(organisation, name, email, password, Role(role))
    record.write(
        actor,
        "staff.created",
        ("staff", staff.pk),
        target_label=staff.user.name,
        sentence=role,
        also=[organisation.pk],
    )
    return staff


@transaction.atomic
def update_staff(
    actor: Actor, staff_id: int, *, name: str, email: str, password: str = "", role: str = ""
) -> Staff:
    """Somebody of the actor's own organisation. An empty password or role keeps the present one; owners are changed by
    owners only."""
    require(actor, Duty.GOVERN)
    rows = Staff.objects.select_for_update(of=("self",)).select_related("user")
    staff = rows.filter(pk=staff_id, organisation_id=actor.organisation_id).first()
    if staff is None:
        raise NotHere
    if role and role not in set(Role):
        raise BadInput("Choose a role from the list.", field="role")
    if Role.OWNER in (staff.role, role) and actor.role is not Role.OWNER:
        raise NotAllowed("Only an owner can make or change an owner.")
    change_user(staff.user, name=name, email=email, password=password)
    if role and role != staff.role:
        _refuse_without_owner(staff)
        staff.role = role
        staff.save(update_fields=["role"])
    record.write(
        actor, "staff.changed", ("staff", staff.pk), target_label=staff.user.name, sentence=str(staff.role)
    )
    return staff


def _refuse_without_owner(staff: Staff) -> None:
    others = Staff.objects.filter(organisation_id=staff.organisation_id, role=Role.OWNER).exclude(pk=staff.pk)
    if staff.role == Role.OWNER and not others.exists():
        raise WrongState("An organisation needs an owner. Make another one first.")


@once("client.create", again=client_of)
@transaction.atomic
def create_client(
    actor: Actor, *, name: str, email: str = "", billing_reference: str = "", key: str = ""
) -> Client:
    """The same ``billing_reference`` of the same billing system answers with the client that has it, as it is."""
    require(actor, Duty.SELL)
    row = Client(
        organisation_id=actor.organisation_id,
        name=texts.name_of(name, LONGEST_NAME),
        email=email_of(email) if email.strip() else "",
        billed_by=actor.billing_system,
        billing_reference=texts.reference_of(billing_reference),
    )
    for attempt in (1, 2, 3):
        if known := client_of_reference(actor, row.billing_reference):
            return known
        last = Client.objects.filter(organisation_id=actor.organisation_id).aggregate(last=Max("number"))[
            "last"
        ]
        row.number = (last or FIRST_CLIENT_NUMBER - 1) + 1
        try:
            with transaction.atomic():
                row.save(force_insert=True)
            break
        except IntegrityError:
            if attempt == 3:
                raise
    record.write(actor, "client.created", ("client", row.pk), target_label=row.name, client_id=row.pk)
    return row


@once("client.update", again=client_of)
@transaction.atomic
def update_client(
    actor: Actor,
    client_id: int,
    *,
    name: str | None = None,
    email: str | None = None,
    billing_reference: str | None = None,
    key: str = "",
) -> Client:
    """What is None stays. Another ``billing_reference`` makes the client one of the actor's billing system."""
    require(actor, Duty.SELL)
    row = Client.objects.select_for_update().get(pk=client_of(actor, client_id).pk)
    refuse_other_billing(actor, row.billed_by, str(row))
    if name is not None:
        row.name = texts.name_of(name, LONGEST_NAME)
    if email is not None:
        row.email = email_of(email) if email.strip() else ""
    if billing_reference is not None:
        row.billing_reference = texts.reference_of(billing_reference)
        row.billed_by = actor.billing_system or row.billed_by
    try:
        with transaction.atomic():
            row.save(update_fields=["name", "email", "billing_reference", "billed_by"])
    except IntegrityError as error:
        raise ReferenceTaken from error
    record.write(actor, "client.changed", ("client", row.pk), target_label=row.name, client_id=row.pk)
    return row


def _person_again(actor: Actor, person_id: int) -> ClientPerson:
    rows = ClientPerson.objects.filter(client__in=clients_visible_to(actor)).select_related("user")
    person = rows.filter(pk=person_id).first()
    if person is None:
        raise NotHere
    return person


@once("client.add_person", again=_person_again)
@transaction.atomic
def create_client_person(
    actor: Actor, *, client_id: int, name: str, email: str, password: str, key: str = ""
) -> ClientPerson:
    """A sign-in of a client, under the brand of its organisation."""
    require(actor, Duty.SELL)
    row = client_of(actor, client_id)
    user = make_user(row.organisation, name, email, password)
    person = ClientPerson.objects.create(user=user, client=row)
    record.write(
        actor,
        "client.person_added",
        ("client", row.pk),
        target_label=row.name,
        sentence=user.name,
        client_id=row.pk,
    )
    return person


@transaction.atomic
def set_brand(
    actor: Actor,
    *,
    name: str,
    host: str,
    colour: str,
    colour_dark: str,
    support_email: str,
    logo: bytes | None = None,
) -> Brand:
    """How the actor's organisation looks. ``logo`` None keeps the present one, empty removes it.

    Raises BadInput with the nearest passing shade for a colour that cannot be read on its card.
    """
    require(actor, Duty.GOVERN)
    brand = Brand.objects.select_for_update().filter(organisation_id=actor.organisation_id).first()
    if brand is None:
        raise NotHere
    brand.name = texts.name_of(name, 80)
    brand.host = _host(host)
    brand.colour = _colour(colour, CARD_LIGHT, "colour")
    brand.colour_dark = _colour(colour_dark, CARD_DARK, "colour_dark")
    brand.support_email = email_of(support_email, "support_email") if support_email.strip() else ""
    if logo is not None:
        brand.logo, brand.logo_type = (logo, _image_type(logo)) if logo else (None, "")
    try:
        with transaction.atomic():
            brand.save()
    except IntegrityError as error:
        raise BadInput("This host name is taken.", field="host") from error
    forget_hosts()
    record.write(actor, "brand.changed", ("brand", brand.pk), target_label=brand.name)
    return brand


def set_colours(actor: Actor, colours: str) -> None:
    """A person's own choice of light, dark or as the system. Not worth a journal line."""
    if actor.user_id is None or colours not in COLOURS:
        raise BadInput("Choose light, dark or system.", field="colours")
    User.objects.filter(pk=actor.user_id).update(colours=colours)


def _organisation(name: str, parent: Organisation | None) -> Organisation:
    row = Organisation.objects.create(name=texts.name_of(name, LONGEST_NAME), parent=parent, path="")
    row.path = f"{parent.path if parent else '/'}{row.pk}/"
    row.save(update_fields=["path"])
    Brand.objects.create(organisation=row, name=row.name[:80])
    return row


def _staff(organisation: Organisation, name: str, email: str, password: str, role: Role) -> Staff:
    user = make_user(organisation, name, email, password)
    return Staff.objects.create(user=user, organisation=organisation, role=role)


def _host(text: str) -> str:
    host = text.strip().lower()
    if host and (bare_host(host) != host or "." not in host or re.fullmatch(r"[0-9.]+", host)):
        raise BadInput("Write a host name such as panel.example.org, without port or path.", field="host")
    if is_shared_host(host):
        raise BadInput("This host name is taken.", field="host")
    return host


def _colour(text: str, card: str, field: str) -> str:
    colour = text.strip().lower()
    if not HEX.fullmatch(colour):
        raise BadInput("Write a colour such as #0b6b5d.", field=field)
    if contrast(colour, card) < ENOUGH:
        shade = nearest_passing(colour, card)
        raise BadInput(
            f"This colour cannot be read well enough there. The nearest that can: {shade}.", field=field
        )
    return colour


def _image_type(logo: bytes) -> str:
    if len(logo) > LARGEST_LOGO_BYTES:
        raise BadInput("A logo has at most 100 kB.", field="logo")
    for beginning, kind in _IMAGES:
        if logo.startswith(beginning):
            return kind
    if logo[:4] == b"RIFF" and logo[8:12] == b"WEBP":
        return "image/webp"
    raise BadInput("A logo is a PNG, JPEG or WebP picture.", field="logo")
