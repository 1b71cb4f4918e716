"""All writes of notices: a mail is stored before it is sent, and what became of it is kept."""

from collections.abc import Mapping
from datetime import datetime

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone

from doublehop.driver_kit.secret import Secret
from doublehop.jobs.actions import ring
from doublehop.notices.models import Mail
from doublehop.organisations import record, vault
from doublehop.organisations.actor import SYSTEM, Duty
from doublehop.organisations.queries import staff_with

LONGEST_SUBJECT = 200
LONGEST_ADDRESS = 254


def mark(name: str) -> str:
    """Stands in a stored body where the secret ``name`` belongs; it is put in only while the mail is being sent."""
    return f"[{name}: only in the mail itself]"


@transaction.atomic
def write(
    *,
    organisation_id: int,
    to: str,
    subject: str,
    body: str,
    about: str,
    key: str,
    service_id: int | None = None,
    secrets: Mapping[str, Secret] | None = None,
) -> Mail | None:
    """Stores a mail under the brand of an organisation and rings for its sending. Within the caller's transaction.

    The same ``key`` is written once: again, it answers with the earlier mail. ``secrets`` are put where their ``mark``
    stands in ``body``. Answers with None when ``to`` is no address: nobody is there to be told.
    """
    to = to.strip()
    if not _is_address(to):
        return None
    mail, new = Mail.objects.get_or_create(
        key=key,
        defaults={
            "organisation_id": organisation_id,
            "to": to,
            "subject": one_line(subject)[:LONGEST_SUBJECT],
            "body": body.replace("\x00", ""),
            "sealed_secrets": vault.seal(secrets, row="mail") if secrets else "",
            "about": about,
            "service_id": service_id,
        },
    )
    if new:
        ring_for(mail)
    return mail


def tell_staff(
    *,
    organisation_id: int,
    duty: Duty,
    subject: str,
    body: str,
    about: str,
    key: str,
    brand_id: int | None = None,
    service_id: int | None = None,
) -> int:
    """The same mail to everybody of an organisation who may do something about it, once per ``key`` and person.

    ``brand_id`` is the organisation that speaks, where it is another one. Answers with how many are told.
    """
    told = 0
    for user_id, address in staff_with(organisation_id, duty):
        mail = write(
            organisation_id=brand_id or organisation_id,
            to=address,
            subject=subject,
            body=body,
            about=about,
            key=f"{key}:{user_id}",
            service_id=service_id,
        )
        told += mail is not None
    return told


def ring_for(mail: Mail, *, delay_seconds: float = 0.0, hurry: bool = True) -> None:
    ring(
        "notices.send",
        key=f"mail:{mail.pk}",
        payload={"mail_id": mail.pk},
        lane="mail",
        delay_seconds=delay_seconds,
        hurry=hurry,
    )


def note_attempt(mail: Mail) -> None:
    """Before the first byte: however the sending ends, it was tried."""
    mail.attempts += 1
    mail.save(update_fields=["attempts"])


@transaction.atomic
def settle(mail: Mail, state: Mail.State, *, sent_at: datetime | None = None, text: str = "") -> None:
    """The end of a mail. Its secrets are erased: they are wherever it went, or nowhere."""
    mail.state, mail.sent_at, mail.failure_text, mail.sealed_secrets = state, sent_at, text[:300], ""
    mail.save(update_fields=["state", "sent_at", "failure_text", "sealed_secrets"])
    record.write(
        SYSTEM,
        f"mail.{state.value}",
        ("mail", mail.pk),
        target_label=mail.subject,
        result="failed" if state is Mail.State.FAILED else "done",
        sentence=f"to {mail.to}" + (f": {text}" if text else ""),
        service_id=mail.service_id,
        also=[mail.organisation_id],
    )


def note_failure(mail: Mail, text: str) -> None:
    """It will be tried again."""
    mail.failure_text = text[:300]
    mail.save(update_fields=["failure_text"])


def ring_for_waiting() -> int:
    """Everything that waits is tried now. Answers with how many."""
    waiting = list(Mail.objects.filter(state=Mail.State.WAITING).order_by("pk"))
    for mail in waiting:
        ring_for(mail)
    return len(waiting)


@transaction.atomic
def drop_waiting(*, written_before: datetime, text: str) -> int:
    """What was written before a moment is not sent any more. Answers with how many."""
    waiting = list(
        Mail.objects.filter(state=Mail.State.WAITING, created_at__lt=written_before).order_by("pk")
    )
    for mail in waiting:
        settle(mail, Mail.State.FAILED, text=text)
    return len(waiting)


def reseal_mails() -> int:
    """Key rotation, for what still waits."""
    waiting = Mail.objects.exclude(sealed_secrets="").values_list("pk", "sealed_secrets")
    return sum(Mail.objects.filter(pk=pk).update(sealed_secrets=vault.reseal(text)) for pk, text in waiting)


def sent_now(mail: Mail) -> None:
    settle(mail, Mail.State.SENT, sent_at=timezone.now())


def one_line(text: str) -> str:
    """Fit for a header: neither line breaks nor other signs that mean something to a mail server."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _is_address(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return len(text) <= LONGEST_ADDRESS
