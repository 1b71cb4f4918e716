"""LEAP accounts: the machine identity of a reseller at its provider. Every part is generated, strong, and rotated alone."""

import secrets

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.text import slugify

from doublehop.driver_kit.secret import Secret
from doublehop.organisations import record, throttle, vault
from doublehop.organisations.actions.sign_ins import require
from doublehop.organisations.actor import Actor, Duty
from doublehop.organisations.digests import digest_of
from doublehop.organisations.models import LeapAccount, Organisation, User
from doublehop.organisations.once import once
from doublehop.organisations.queries import organisations_visible_to
from doublehop.organisations.refusals import BadInput, NotHere, WrongState

_SIGNS = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKMNPQRSTUVWXYZ23456789"
WORDS = {"password": "password", "api_key": "API key", "pin": "PIN"}
"""The secrets of an account, as people call them."""


def _new_secret(which: str) -> Secret:
    if which == "pin":
        return Secret("".join(secrets.choice("0123456789") for _ in range(8)))
    length = 40 if which == "api_key" else 24
    return Secret("".join(secrets.choice(_SIGNS) for _ in range(length)))


def _account_again(actor: Actor, account_id: int) -> LeapAccount:
    row = LeapAccount.objects.filter(pk=account_id, organisation__in=organisations_visible_to(actor)).first()
    if row is None:
        raise NotHere
    return row


@once("leap_account.open", again=_account_again)
@transaction.atomic
def open_leap_account(actor: Actor, organisation_id: int, *, key: str = "") -> LeapAccount:
    """For an organisation that has one above it: its own staff ask, or whoever made it. One each, ever."""
    if not actor.is_system:
        require(actor, Duty.GOVERN)
    organisation = Organisation.objects.select_related("parent").filter(pk=organisation_id).first()
    if organisation is None or actor.organisation_id not in (0, organisation.pk, organisation.parent_id):
        raise NotHere
    if organisation.parent is None:
        raise WrongState("Nobody stands above this organisation, so it has no LEAP account.")
    parts = {which: _new_secret(which) for which in WORDS}
    row = LeapAccount(
        organisation=organisation,
        sealed_secrets=vault.seal(parts, row="leap"),
        **{f"{which}_digest": digest_of(secret) for which, secret in parts.items()},
    )
    if LeapAccount.objects.filter(organisation=organisation).exists():
        raise WrongState(f"{organisation.name} has its LEAP account already.")
    _save_under_free_names(row, organisation.name)
    record.write(
        actor,
        "leap_account.opened",
        ("leap_account", row.pk),
        target_label=row.username,
        also=[organisation.pk],
    )
    return row


def _save_under_free_names(row: LeapAccount, name: str) -> None:
    wanted = slugify(name)[:30] or "reseller"
    for attempt in range(20):
        row.username = wanted if attempt == 0 else f"{wanted}-{secrets.randbelow(9000) + 1000}"
        row.client_id = str(secrets.randbelow(900_000) + 100_000)
        try:
            with transaction.atomic():
                row.save(force_insert=True)
        except IntegrityError:
            if attempt == 19:
                raise
        else:
            return


@once("leap_account.rotate")
@transaction.atomic
def rotate_leap_secret(actor: Actor, which: str, *, key: str = "") -> None:
    """A new password, API key or PIN; the old one ends at once."""
    require(actor, Duty.GOVERN)
    if which not in WORDS:
        raise BadInput("Choose password, API key or PIN.", field="which")
    row = LeapAccount.objects.select_for_update().filter(organisation_id=actor.organisation_id).first()
    if row is None:
        raise NotHere
    secret = _new_secret(which)
    row.sealed_secrets = vault.seal(
        {**vault.unseal(row.sealed_secrets, row="leap"), which: secret}, row="leap"
    )
    setattr(row, f"{which}_digest", digest_of(secret))
    setattr(row, f"{which}_changed_at", timezone.now())
    row.save()
    record.write(
        actor,
        "leap_account.rotated",
        ("leap_account", row.pk),
        target_label=row.username,
        sentence=f"a new {WORDS[which]}",
    )


def show_leap_secrets(actor: Actor, password: str) -> dict[str, str]:
    """password, api_key and pin in plain text, after the person's own password. Raises BadInput when that is wrong."""
    require(actor, Duty.GOVERN)
    row = LeapAccount.objects.filter(organisation_id=actor.organisation_id).first()
    user = User.objects.filter(pk=actor.user_id or 0, is_active=True).first()
    if row is None or user is None:
        raise NotHere
    attempts = throttle.Attempts(f"own password of {user.pk}", "")
    if attempts.seconds_to_wait():
        raise BadInput("Too many attempts have failed. Try again in five minutes.", field="password")
    if not user.check_password(password):
        attempts.failed()
        raise BadInput("That is not your password.", field="password")
    with transaction.atomic():
        record.write(actor, "leap_account.shown", ("leap_account", row.pk), target_label=row.username)
    return {name: secret.reveal() for name, secret in vault.unseal(row.sealed_secrets, row="leap").items()}


@transaction.atomic
def refresh_digests() -> int:
    """Key rotation: sealed under the first vault key, and digests under the present secret key. Answers with how many."""
    rows = list(LeapAccount.objects.select_for_update())
    for row in rows:
        parts = vault.unseal(row.sealed_secrets, row="leap")
        row.sealed_secrets = vault.reseal(row.sealed_secrets)
        for which, secret in parts.items():
            setattr(row, f"{which}_digest", digest_of(secret))
        row.save()
    return len(rows)
