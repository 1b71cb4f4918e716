"""Signed calls of billing systems: each is taken once, and a token is bound to the installation that signed with it first.

A copied billing system (the same database and licence on a test machine) holds the same secret, and would suspend what its old
invoices say. It shows another fingerprint: it is refused from its first call on, while the original goes on.
"""

from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from doublehop.jobs.actions import ring
from doublehop.organisations import record
from doublehop.organisations.actions.tokens import locked_token
from doublehop.organisations.actor import Actor, ActorKind
from doublehop.organisations.models import ApiToken, OtherInstallation, UsedNonce
from doublehop.organisations.queries import token_actor
from doublehop.organisations.refusals import NotHere, WrongState

NONCES_KEPT_FOR = timedelta(minutes=15)
"""A time stamp may be five minutes ahead, and is taken until five minutes after it."""
MOST_OTHERS = 20
"""Other installations that are written down of one token. More are refused as well."""


class OtherInstallationCalled(WrongState):
    default_code = "other_installation"

    def __init__(self) -> None:
        super().__init__(
            "This token is bound to another installation of the billing system. If this one has replaced it, "
            "staff press Accept the new installation at the token."
        )


def use_nonce(token_id: int, nonce: str) -> bool:
    """False when a call with it was taken before: the unique constraint decides, also between two of one moment."""
    try:
        with transaction.atomic():
            UsedNonce.objects.create(token_id=token_id, nonce=nonce)
    except IntegrityError:
        return False
    return True


def forget_old_nonces() -> int:
    """Those that no time stamp could make fit any more. Answers with how many."""
    count, _ = UsedNonce.objects.filter(at__lt=timezone.now() - NONCES_KEPT_FOR).delete()
    return count


def hold_to_installation(row: ApiToken, fingerprint: str, source: str) -> None:
    """The first signed call binds the token to its installation. Raises OtherInstallationCalled for any other one.

    ``row`` is as it was read with this call, and is only read again where that decides something.
    """
    if row.installation == fingerprint:
        return
    if not row.installation and _bind(row, fingerprint, source):
        return
    if ApiToken.objects.filter(pk=row.pk, installation=fingerprint).exists():
        return  # bound by another call of the same moment, or accepted by staff just now
    _note_other(row, fingerprint, source)
    raise OtherInstallationCalled


@transaction.atomic
def _bind(row: ApiToken, fingerprint: str, source: str) -> bool:
    unbound = ApiToken.objects.filter(pk=row.pk, installation="")
    if not unbound.update(installation=fingerprint, installation_since=timezone.now()):
        return False
    _write(_caller(row), "api_token.bound", row, f"to the installation {fingerprint}, called from {source}")
    return True


@transaction.atomic
def _note_other(row: ApiToken, fingerprint: str, source: str) -> None:
    """Journal and mail once for each copy: it calls every few minutes."""
    if OtherInstallation.objects.filter(token=row).count() >= MOST_OTHERS:
        return
    other, is_first = OtherInstallation.objects.get_or_create(
        token=row, fingerprint=fingerprint, defaults={"first_from": source[:64]}
    )
    if is_first:
        sentence = f"another installation called from {source}, and was refused: {fingerprint}"
        _write(_caller(row), "api_token.other_installation", row, sentence, result="refused")
        ring(
            "notices.other_installation", key=f"other-installation:{other.pk}", payload={"other_id": other.pk}
        )


@transaction.atomic
def accept_installation(actor: Actor, token_id: int, other_id: int) -> ApiToken:
    """From now on the token belongs to the other installation, and the one before is refused."""
    row = locked_token(actor, token_id)
    other = _other(row, other_id)
    row.installation, row.installation_since = other.fingerprint, timezone.now()
    row.save(update_fields=["installation", "installation_since"])
    other.delete()
    _write(actor, "api_token.installation_accepted", row, f"the installation {row.installation}")
    return row


@transaction.atomic
def keep_refusing(actor: Actor, token_id: int, other_id: int) -> None:
    """Staff know of the copy: it does not wait for a person any more, and stays refused."""
    row = locked_token(actor, token_id)
    other = _other(row, other_id)
    if other.dismissed_at is None:
        other.dismissed_at = timezone.now()
        other.save(update_fields=["dismissed_at"])
        _write(actor, "api_token.copy_dismissed", row, f"the installation {other.fingerprint} stays refused")


def _other(row: ApiToken, other_id: int) -> OtherInstallation:
    other = OtherInstallation.objects.select_for_update().filter(token=row, pk=other_id).first()
    if other is None:
        raise NotHere
    return other


def _caller(row: ApiToken) -> Actor:
    actor = token_actor(row)
    if actor is None:  # it ended between its check and this line
        return Actor(
            kind=ActorKind.PROGRAM, label=f"API token {row.name}", organisation_id=row.organisation_id
        )
    return actor


def _write(actor: Actor, verb: str, row: ApiToken, sentence: str, *, result: str = "done") -> None:
    record.write(actor, verb, ("api_token", row.pk), target_label=row.name, sentence=sentence, result=result)
