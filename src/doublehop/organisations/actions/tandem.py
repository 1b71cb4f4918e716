"""Tandem users: sub-logins of a reseller. Which servers they may use is fleet's (fleet.actions.tandem)."""

from django.db import transaction
from django.utils import timezone

from doublehop.organisations import record
from doublehop.organisations.actions.sign_ins import change_user, make_user, require
from doublehop.organisations.actor import Actor, Duty
from doublehop.organisations.models import Organisation, TandemUser
from doublehop.organisations.once import once
from doublehop.organisations.queries import tandem_user
from doublehop.organisations.refusals import NotHere


@once("tandem_user.add", again=tandem_user)
@transaction.atomic
def add_tandem_user(actor: Actor, *, name: str, email: str, password: str, key: str = "") -> TandemUser:
    """Without permission on any server yet. Raises BadInput with the field."""
    require(actor, Duty.GOVERN)
    organisation = Organisation.objects.get(pk=actor.organisation_id)
    user = make_user(organisation, name, email, password)
    row = TandemUser.objects.create(user=user, organisation=organisation)
    _write(actor, "added", row)
    return row


@transaction.atomic
def edit_tandem_user(
    actor: Actor, tandem_user_id: int, *, name: str, email: str, password: str = ""
) -> TandemUser:
    """An empty password keeps the present one."""
    row = locked_tandem_user(actor, tandem_user_id)
    change_user(row.user, name=name, email=email, password=password)
    _write(actor, "changed", row, sentence="with a new password" if password else "")
    return row


@transaction.atomic
def end_tandem_user(actor: Actor, tandem_user_id: int) -> TandemUser:
    """The sign-in is closed at once and its address is free; the row stays for what it did."""
    row = locked_tandem_user(actor, tandem_user_id)
    _write(actor, "deleted", row)
    row.ended_at = timezone.now()
    row.save(update_fields=["ended_at"])
    user = row.user
    user.is_active = False
    user.email = f"ended-{row.pk}@tandem.invalid"
    user.sign_in = f"{user.brand_organisation_id}:{user.email}"
    user.set_unusable_password()
    user.save()
    return row


def locked_tandem_user(actor: Actor, tandem_user_id: int) -> TandemUser:
    """One of the actor's own organisation that has not ended. Raises NotHere, NotAllowed."""
    require(actor, Duty.GOVERN)
    rows = TandemUser.objects.select_for_update(of=("self",)).select_related("user", "organisation")
    row = rows.filter(pk=tandem_user_id, organisation_id=actor.organisation_id, ended_at__isnull=True).first()
    if row is None:
        raise NotHere
    return row


def _write(actor: Actor, what: str, row: TandemUser, *, sentence: str = "") -> None:
    record.write(
        actor,
        f"tandem_user.{what}",
        ("tandem_user", row.pk),
        target_label=row.user.name,
        sentence=sentence or row.user.email,
    )
