"""API tokens: made, renewed and ended by whoever governs the organisation; those of a client by its people as well.

The whole text is told once.
"""

import ipaddress
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from doublehop.driver_kit.secret import Secret
from doublehop.organisations import queries, record, texts, vault
from doublehop.organisations.actions.sign_ins import require
from doublehop.organisations.actor import Actor, Duty, Scope
from doublehop.organisations.digests import OF_PROGRAMS, digest_of
from doublehop.organisations.models import ApiToken
from doublehop.organisations.once import once
from doublehop.organisations.refusals import BadInput, NotAllowed, NotHere, WrongState

_SIGNS = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKMNPQRSTUVWXYZ23456789"
MOST_NETWORKS = 50


MOST_OF_A_CLIENT = 20
"""Tokens in use that the people of a client may have made, so that nobody fills the table."""
SCOPES_OF_CLIENTS = (Scope.READ, Scope.OPERATE, Scope.WEBHOOKS)
OLD_SECRET_HOURS = (0, 1, 24)
"""How long the old secret may go on after a rotation, for whoever has to carry the new one to many places."""
VAULT_ROW = "api_token"


@dataclass(frozen=True)
class TokenForm:
    """``client_id``, or ``billing_system``, or neither: then it is the organisation's own. ``networks`` empty: from anywhere.

    ``signed_only`` is for a billing system: shown as it is (Bearer), the token is refused.
    """

    name: str
    scopes: Sequence[str]
    client_id: int | None = None
    billing_system: str = ""
    networks: Sequence[str] = ()
    expires_at: datetime | None = None
    signed_only: bool = False


def _again(actor: Actor, token_id: int) -> ApiToken:
    """Without its text: that was told once."""
    row = queries.tokens_visible_to(actor).filter(pk=token_id).first()
    if row is None:
        raise NotHere
    return row


@once("api_token.create", again=_again)
@transaction.atomic
def create_token(actor: Actor, form: TokenForm, *, key: str = "") -> ApiToken:
    """Answers with the row; ``shown`` holds the whole text, this once. Raises BadInput with the field.

    A person of a client makes one of this client, with the scopes of clients.
    """
    if actor.is_client and actor.user_id is not None:
        form = _of_own_client(actor, form)
    else:
        _require_person(actor)
    billing = form.billing_system.strip()
    if form.client_id is not None and billing:
        raise BadInput("A token is of a client or of a billing system.", field="billing_system")
    if form.signed_only and not billing:
        raise BadInput("Only a billing system signs its calls.", field="signed_only")
    if form.expires_at is not None and form.expires_at <= timezone.now():
        raise BadInput("That moment is over. Choose a later one.", field="expires_at")
    row = ApiToken(
        organisation_id=actor.organisation_id,
        client=queries.client(actor, form.client_id) if form.client_id is not None else None,
        billing_system=texts.name_of(billing, 80, field="billing_system") if billing else "",
        signed_only=form.signed_only,
        name=texts.name_of(form.name, 80),
        scopes=_scopes(form.scopes),
        networks=_networks(form.networks),
        expires_at=form.expires_at,
        handle=_random(10),
    )
    _give_secret(row)
    row.save()
    holder = f" of {row.client}" if row.client else f" of {row.billing_system}" if row.billing_system else ""
    _write(actor, "api_token.created", row, f"{', '.join(row.scopes)}{holder}")
    return row


@once("api_token.rotate", again=_again)
@transaction.atomic
def rotate_token(actor: Actor, token_id: int, *, old_for_hours: int = 0, key: str = "") -> ApiToken:
    """A new secret under the same row: ``shown`` holds the whole text, this once.

    The old one ends at once, or after ``old_for_hours`` (one of OLD_SECRET_HOURS); the one before it in any case.
    """
    require(actor, Duty.GOVERN)
    row = locked_token(actor, token_id)
    if old_for_hours not in OLD_SECRET_HOURS:
        raise BadInput("Choose one of the times offered.", field="old_for_hours")
    _give_secret(row, old_for=timedelta(hours=old_for_hours))
    row.rotated_at = timezone.now()
    row.save()
    ending = f"the old one ends in {old_for_hours} h" if old_for_hours else "the old one has ended"
    _write(actor, "api_token.rotated", row, f"a new secret; {ending}")
    return row


@transaction.atomic
def revoke_token(actor: Actor, token_id: int) -> None:
    """Ends it for good. What was asked with it and is under way goes on, but no power change is sent any more."""
    row = locked_token(actor, token_id)
    row.revoked_at, row.sealed_secrets = timezone.now(), ""
    row.save(update_fields=["revoked_at", "sealed_secrets"])
    _write(actor, "api_token.revoked", row, "")


@transaction.atomic
def choose_signed_only(actor: Actor, token_id: int, *, signed_only: bool) -> ApiToken:
    """Whether a billing system's token is refused when it is shown as it is. Asked for what it is already, nothing changes."""
    require(actor, Duty.GOVERN)
    row = locked_token(actor, token_id)
    if not row.sealed_secrets:
        raise WrongState(
            "This token cannot sign. Make a new secret of it first, or a token of a billing system."
        )
    if row.signed_only != signed_only:
        row.signed_only = signed_only
        row.save(update_fields=["signed_only"])
        _write(actor, "api_token.changed", row, "signed calls only" if signed_only else "also as it is")
    return row


@transaction.atomic
def refresh_tokens() -> int:
    """Key rotation, for those whose secret is kept: under the first vault key, and digests under the present secret key."""
    rows = list(ApiToken.objects.select_for_update().exclude(sealed_secrets=""))
    for row in rows:
        kept = vault.unseal(row.sealed_secrets, row=VAULT_ROW)
        row.sealed_secrets = vault.reseal(row.sealed_secrets)
        row.digest = digest_of(kept["current"], OF_PROGRAMS)
        if "previous" in kept:
            row.previous_digest = digest_of(kept["previous"], OF_PROGRAMS)
        row.save(update_fields=["sealed_secrets", "digest", "previous_digest"])
    return len(rows)


def locked_token(actor: Actor, token_id: int) -> ApiToken:
    """One in use that the actor may change: staff who govern, and people of the client that holds it. Raises NotHere."""
    if not (actor.is_client and actor.user_id is not None):
        _require_person(actor)
    rows = queries.tokens_visible_to(actor).select_for_update(of=("self",))
    row = rows.filter(pk=token_id).first()
    if row is None:
        raise NotHere
    if row.revoked_at is not None:
        raise WrongState("This token was revoked. Make a new one.")
    return row


def _of_own_client(actor: Actor, form: TokenForm) -> TokenForm:
    """What a person of a client may ask for, whatever was sent."""
    if not set(form.scopes) <= set(SCOPES_OF_CLIENTS):
        raise BadInput("Choose at least one scope from the list.", field="scopes")
    if queries.tokens_visible_to(actor).filter(revoked_at=None).count() >= MOST_OF_A_CLIENT:
        raise WrongState(
            f"There are {MOST_OF_A_CLIENT} tokens already. Revoke one first.", code="too_many_tokens"
        )
    return replace(form, client_id=actor.client_id, billing_system="", signed_only=False)


def _require_person(actor: Actor) -> None:
    require(actor, Duty.GOVERN)
    if actor.user_id is None:
        raise NotAllowed("A person makes tokens, not a program.")


def _give_secret(row: ApiToken, *, old_for: timedelta = timedelta(0)) -> None:
    secret = Secret(_random(40))
    kept = {"current": secret}
    row.previous_digest, row.previous_until = "", None
    if old_for:
        row.previous_digest, row.previous_until = row.digest, timezone.now() + old_for
        before = vault.unseal(row.sealed_secrets, row=VAULT_ROW)
        kept |= {"previous": before["current"]} if before else {}
    row.digest = digest_of(secret, OF_PROGRAMS)
    if row.billing_system:
        row.sealed_secrets = vault.seal(kept, row=VAULT_ROW)
    row.shown = Secret(f"dh_{row.handle}_{secret.reveal()}")


def _random(length: int) -> str:
    return "".join(secrets.choice(_SIGNS) for _ in range(length))


def _scopes(given: Sequence[str]) -> list[str]:
    known = [scope.value for scope in Scope if scope.value in given]
    if not known or set(given) - set(known):
        raise BadInput("Choose at least one scope from the list.", field="scopes")
    return known


def _networks(given: Sequence[str]) -> list[str]:
    lines = [line.strip() for line in given if line.strip()]
    if len(lines) > MOST_NETWORKS:
        raise BadInput(f"At most {MOST_NETWORKS} networks.", field="networks")
    try:
        return [str(ipaddress.ip_network(line, strict=False)) for line in lines]
    except ValueError as error:
        raise BadInput("Write addresses such as 192.0.2.7 or 192.0.2.0/24.", field="networks") from error


def _write(actor: Actor, verb: str, row: ApiToken, sentence: str) -> None:
    record.write(
        actor, verb, ("api_token", row.pk), target_label=row.name, sentence=sentence, client_id=row.client_id
    )
