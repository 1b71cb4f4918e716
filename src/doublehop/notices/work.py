"""What the worker does with mails: sends what waits, patiently, and says what became of it.

A process that dies between the mail server's answer and our note sends the mail again: better twice than never.
"""

import smtplib
from collections.abc import Mapping
from datetime import timedelta
from email.utils import formataddr, make_msgid
from typing import Any

import structlog
from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.utils import timezone

from doublehop.jobs.engine import JobFunction, Periodic
from doublehop.notices import actions, copies, deliveries
from doublehop.notices.models import Mail
from doublehop.organisations import vault
from doublehop.organisations.installation import in_quarantine
from doublehop.organisations.queries import brand_of_organisation

log = structlog.get_logger(__name__)

PAUSES_SECONDS = (30, 120, 600, 1800, 7200, 21600)
"""Before each further attempt. After the last one the mail has failed."""
LOOK_AFTER_SECONDS = 60
MOST_AT_ONCE = 200


def send(payload: Mapping[str, Any]) -> None:
    """One mail: sent, kept because there is no mail server, tried again later, or failed."""
    if in_quarantine():
        return  # the sweep rings for it until a person has confirmed the restored copy
    mail = Mail.objects.filter(pk=int(payload["mail_id"]), state=Mail.State.WAITING).first()
    if mail is None:
        return
    if not settings.DOUBLEHOP_SENDS_MAIL:
        actions.settle(mail, Mail.State.KEPT)
        return
    actions.note_attempt(mail)
    try:
        message_of(mail).send()
    except vault.VaultClosed as error:
        actions.settle(mail, Mail.State.FAILED, text=str(error))
    except (OSError, smtplib.SMTPException) as error:
        _not_sent(mail, error)
    except ValueError as error:
        # What is in it cannot be put into a mail; no pause changes that.
        log.warning("a mail cannot be written", mail=mail.pk, error=type(error).__name__)
        actions.settle(mail, Mail.State.FAILED, text="It cannot be put into the form of a mail.")
    else:
        actions.sent_now(mail)


def message_of(mail: Mail) -> EmailMessage:
    """The mail as it leaves us: under the brand's name and address, with its secrets. Raises VaultClosed."""
    brand = brand_of_organisation(mail.organisation_id)
    address = brand.support_email or settings.DOUBLEHOP_MAIL_FROM
    body = mail.body
    for name, secret in vault.unseal(mail.sealed_secrets, row="mail").items():
        body = body.replace(actions.mark(name), secret.reveal())
    return EmailMessage(
        subject=actions.one_line(mail.subject),
        body=body,
        from_email=formataddr((actions.one_line(brand.name), address)),
        to=[mail.to],
        # Left to itself it would name this machine.
        headers={"Message-ID": make_msgid(domain=address.rpartition("@")[2])},
        connection=get_connection(),
    )


def _not_sent(mail: Mail, error: Exception) -> None:
    text = _in_words(error)
    log.warning("mail not sent", mail=mail.pk, attempt=mail.attempts, error=type(error).__name__)
    if _is_final(error) or mail.attempts > len(PAUSES_SECONDS):
        actions.settle(mail, Mail.State.FAILED, text=text)
        return
    actions.note_failure(mail, text)
    actions.ring_for(mail, delay_seconds=PAUSES_SECONDS[mail.attempts - 1])


def _is_final(error: Exception) -> bool:
    """The mail server knows the address, and does not want it: asking again changes nothing."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in error.recipients.values())
    return False


def _in_words(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "; ".join(f"{code} {_text(said)}" for code, said in error.recipients.values())
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return "The mail server refuses our login."
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_text(error.smtp_error)}"
    return f"The mail server cannot be reached: {type(error).__name__}."


def _text(said: bytes | str) -> str:
    return actions.one_line(said.decode(errors="replace") if isinstance(said, bytes) else said)


def sweep(payload: Mapping[str, Any]) -> None:
    """Finds waiting mails that nobody rings for. Those that wait for their next attempt are let wait."""
    forgotten = Mail.objects.filter(
        state=Mail.State.WAITING, created_at__lt=timezone.now() - timedelta(seconds=LOOK_AFTER_SECONDS)
    )
    for mail in forgotten.order_by("pk")[:MOST_AT_ONCE]:
        actions.ring_for(mail, hurry=False)


JOBS: dict[str, JobFunction] = {
    "notices.send": send,
    "notices.sweep": sweep,
    **copies.JOBS,
    **deliveries.JOBS,
}
PERIODIC = (Periodic("notices.sweep", LOOK_AFTER_SECONDS), *deliveries.PERIODIC)
