"""Statements: closed by the clock when their period is over, frozen from then on; adjustments beside them by staff."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from doublehop.bandwidth.queries.metered import totals_are_due
from doublehop.organisations import record, texts
from doublehop.organisations.actions.billing_systems import refuse_other_billing
from doublehop.organisations.actor import Actor, Duty, house_of
from doublehop.organisations.once import once
from doublehop.organisations.queries import brand_of_organisation
from doublehop.organisations.refusals import BadInput, NotAllowed, NotHere, WrongState
from doublehop.services import paper
from doublehop.services.charging import Count, Span, Subject, count, spans, subjects
from doublehop.services.models import (
    Adjustment,
    Attachment,
    ContractVersion,
    EarlierProduct,
    Service,
    Statement,
)
from doublehop.services.recounting import recount

log = structlog.get_logger(__name__)

CLOSED_AFTER = timedelta(hours=25)
"""A reading may arrive a day late (bandwidth.slots.LATEST_MS): after that the period is as complete as it gets."""
TOTALS_WITHIN = timedelta(days=3)
"""An upstream that cannot be read for so long after that does not keep a bill from being written; what is missing is said."""
AT_ONCE = 500
"""Services looked at together."""


# ---------------------------------------------------------------- closing


def close_due(now: datetime | None = None) -> int:
    """Closes every period that is over, of every service. Answers with how many statements were made.

    A service that cannot be closed does not keep the others from it: it is tried again the next time.
    """
    moment = now or timezone.now()
    made = 0
    for subject in _everything():
        try:
            made += close_subject(subject, moment)
        except Exception:
            names = [str(member) for member in subject.members]
            log.exception("a statement could not be closed", product=subject.product.pk, services=names)
    return made


def close_subject(subject: Subject, now: datetime) -> int:
    made = 0
    for span in spans(subject, now):
        settled = span.period.end + CLOSED_AFTER
        if settled > now:
            break
        counted = count(subject, span)
        # An upstream corrects its figures for some days, and is read by the hour: they are read once more before.
        if now < settled + TOTALS_WITHIN and totals_are_due(counted.bare, settled):
            break
        made += _close(subject, span, counted, now)
    return made


def _everything() -> Iterator[Subject]:
    """Batch by batch, oldest client first; a pool is not cut in two."""
    with_contract = ContractVersion.objects.values("product")
    # One that became a product without a contract owes what its earlier product has not charged yet.
    was_charged = EarlierProduct.objects.filter(product__in=with_contract).values("service")
    charged = Service.objects.filter(
        Q(product__in=with_contract) | Q(pk__in=was_charged), pk__in=Attachment.objects.values("service")
    )
    keys = list(
        charged.order_by("client_id", "product_id", "pk").values_list("client_id", "product_id", "pk")
    )
    start = 0
    while start < len(keys):
        end = min(start + AT_ONCE, len(keys))
        while end < len(keys) and keys[end][:2] == keys[end - 1][:2]:
            end += 1
        yield from subjects(Service.objects.filter(pk__in=[key[2] for key in keys[start:end]]))
        start = end


def _close(subject: Subject, span: Span, counted: Count, now: datetime) -> int:
    one = subject.members[0]
    statement = Statement(
        organisation=one.organisation,
        client=one.client,
        product=subject.product_at(span.counted_from),
        service=subject.service,
        label=span.period.label,
        start=span.period.start,
        end=span.period.end,
        source=Statement.Source.TOTALS if counted.metered is None else Statement.Source.SLOTS,
        source_names=", ".join(sorted({f"{piece.source} ({piece.unit})" for piece in counted.totals}))[:200],
        amount=counted.reckoned.amount,
        currency=span.contract.currency,
        expected=counted.reckoned.expected,
        measured=counted.reckoned.measured,
        is_thin=counted.reckoned.is_thin,
        sample_history=counted.sample_history,
        document=paper.document_of(
            subject, span, counted, seller=brand_of_organisation(one.organisation_id).name
        ),
        slots=paper.pack(counted.metered, span.period.first, span.period.slots),
        closed_at=now,
    )
    try:
        with transaction.atomic():
            statement.save(force_insert=True)
            sentence = f"{span.period.label}: {statement.amount} {statement.currency}"
            if statement.is_thin:
                sentence += ", less than 98 % of it measured"
            _write(
                house_of(one.organisation_id, one.organisation.name), "statement.closed", statement, sentence
            )
    except IntegrityError:
        return 0  # another worker was quicker
    return 1


# ---------------------------------------------------------------- adjustments


def _adjustment_again(actor: Actor, adjustment_id: int) -> Adjustment:
    own = Adjustment.objects.filter(statement__organisation_id=actor.organisation_id)
    row = own.filter(pk=adjustment_id).first()
    if row is None or not actor.is_staff:
        raise NotHere
    return row


@once("statement.adjust", again=_adjustment_again)
@transaction.atomic
def adjust(
    actor: Actor, statement_id: int, *, reason: str, seen_difference: str, key: str = ""
) -> Adjustment:
    """A credit or a debit line: what the readings that are kept now come to, less what was stated and adjusted before.

    ``seen_difference`` is the amount that the preview showed. The statement itself stays as it is. Raises WrongState when
    there is nothing to adjust, or when it is no longer what was seen.
    """
    rows = Statement.objects.select_for_update(of=("self",)).filter(organisation_id=actor.organisation_id)
    statement = rows.filter(pk=statement_id).first() if actor.is_staff else None
    if statement is None:
        raise NotHere
    if not actor.has(Duty.SELL):
        raise NotAllowed("Your role does not reach this. Billing, an owner or admin can do it.")
    if statement.service is not None:
        refuse_other_billing(actor, statement.service.billed_by, str(statement.service))
    reason = texts.remark(reason, field="reason")[:300]
    if not reason:
        raise BadInput("A reason is needed: the client reads it beside the amount.", field="reason")
    found = recount(statement)
    if found.why_not:
        raise WrongState(found.why_not, code="nothing_to_adjust")
    if seen_difference != str(found.difference):
        raise WrongState(
            "More readings have come in since you looked. Look at the new preview.", code="preview_changed"
        )
    row = Adjustment.objects.create(
        statement=statement,
        amount=found.difference,
        reason=reason,
        document=found.document,
        slots=found.slots,
        made_by=actor.label,
    )
    sentence = f"{_signed(found.difference)} {statement.currency}: {reason}"
    _write(actor, "statement.adjusted", statement, sentence)
    return row


def _signed(amount: Decimal) -> str:
    return f"{amount:+f}"


def _write(actor: Actor, verb: str, statement: Statement, sentence: str) -> None:
    record.write(
        actor,
        verb,
        ("statement", statement.pk),
        target_label=str(statement),
        sentence=sentence,
        service_id=statement.service_id,
        client_id=statement.client_id,
    )
