"""What a service has used of its contract in the period that runs."""

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from django.utils import timezone

from doublehop.bandwidth.contract import Contract, Period
from doublehop.bandwidth.queries.metered import horizon
from doublehop.bandwidth.reckoning import Reckoned, share_of
from doublehop.bandwidth.slots import start_of
from doublehop.organisations.actor import Actor
from doublehop.services.charging import Span, Subject, count, spans, subject_of
from doublehop.services.queries.services import service


@dataclass(frozen=True)
class Usage:
    """So far: ``reckoned`` is of the slots from ``counted_from`` to ``until``, with N of the whole period.

    A 95th so far is what it would be if nothing more came, and so at most what it will be.
    """

    contract: Contract
    period: Period
    counted_from: datetime
    until: datetime
    reckoned: Reckoned
    share: Fraction | None
    """Of the commit or the allowance, 1 = all of it; None where nothing is included."""
    services: tuple[str, ...]
    """Of a pool all that are added up, such as S-3001; otherwise the service alone."""
    from_totals: bool
    """Counted by an upstream, by day or hour."""
    sample_history: bool


def usage(actor: Actor, service_id: int, *, now: datetime | None = None) -> Usage | None:
    """None where no contract is in force, or no machine was there. Raises NotHere.

    A client reads it of its own services; of a pool they are all its own.
    """
    subject = subject_of(service(actor, service_id))
    moment = now or timezone.now()
    return None if subject is None else usage_of(subject, moment)


def usage_of(subject: Subject, now: datetime) -> Usage | None:
    """For lists, whose actor was asked before (``charging.subjects``)."""
    span = current_span(subject, now)
    if span is None:
        return None
    until = min(horizon(subject.windows, now), span.period.end_slot)
    counted = count(subject, span, horizon=until)
    return Usage(
        contract=span.contract,
        period=span.period,
        counted_from=span.counted_from,
        until=start_of(until),
        reckoned=counted.reckoned,
        share=share_of(span.contract, counted.reckoned.quantity),
        services=tuple(str(one) for one in subject.members),
        from_totals=counted.metered is None,
        sample_history=counted.sample_history,
    )


def current_span(subject: Subject, now: datetime) -> Span | None:
    running = (span for span in spans(subject, now) if span.period.start <= now < span.period.end)
    return next(running, None)
