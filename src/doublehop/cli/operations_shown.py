"""Operations as text for people at a terminal, and as JSON for programs. Times are UTC, and say so."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from doublehop.organisations.actor import SYSTEM
from doublehop.services import wording
from doublehop.services.lifecycle import NATURE, OPERATION_LIFE, Nature, OperationState, StepKind
from doublehop.services.models import Operation, Step
from doublehop.services.queries import can_be_cancelled

_HEADINGS = ("REFERENCE", "STATE", "AGE", "WHAT", "WHERE", "BY")
WIDEST_CELL = 40


def age(then: datetime) -> str:
    """ "90 s", "3 h", "2 days": how long ago."""
    seconds = max(0, int((timezone.now() - then).total_seconds()))
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def in_table(rows: Sequence[Operation], *, more: bool) -> Iterator[str]:
    if not rows:
        yield "No operation is like that. `--state all` shows those that have ended too."
        return
    cells = [_HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEADINGS))]
    for line in cells:
        yield "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
    yield ""
    yield f"{len(rows)} shown, newest first; AGE is since it was asked." + (
        " There are more: narrow it down, or raise --limit." if more else ""
    )


def _cells(row: Operation) -> tuple[str, ...]:
    cells = (
        row.reference,
        row.state,
        age(row.asked_at),
        wording.name_of(row),
        f"{row.server.label}, {row.organisation.name}",
        wording.asked_by(SYSTEM, row),
    )
    return tuple(_cut(text) for text in cells)


def _cut(text: str) -> str:
    """One line that cannot move a terminal's cursor: labels come from upstreams."""
    plain = "".join(sign if sign.isprintable() else "?" for sign in text)
    return plain if len(plain) <= WIDEST_CELL else f"{plain[: WIDEST_CELL - 1]}…"


def in_full(row: Operation, steps: Sequence[Step]) -> Iterator[str]:
    yield f"{row.reference}: {wording.name_of(row)}, {row.state}"
    yield ""
    for name, text in _facts(row):
        yield f"{name:<16}{_line(text)}"
    yield ""
    yield "Steps" if steps else "Steps: none, nothing has to be sent."
    for number, step in enumerate(steps, 1):
        yield f"  {number}. {wording.STEP_NAME.get(step.kind, step.kind)}: {step.state}"
        yield from (f"     {_line(text)}" for text in _known(step))
    yield ""
    yield "What may be done"
    yield from (f"  {line}" for line in _next(row))


def _line(text: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in text)


def _facts(row: Operation) -> Iterator[tuple[str, str]]:
    yield "Server", f"{row.server.label} (id {row.server_id}), through {row.server.upstream.name}"
    if row.service is not None:
        client = f", {row.client.name}" if row.client is not None else ""
        yield "Service", f"{row.service}{client}"
    yield "Organisation", row.organisation.name
    why = f": {row.reason}" if row.reason else ""
    yield "Asked", f"{_at(row.asked_at)} by {row.actor_label} ({row.actor_kind}){why}"
    if row.claimed_at is not None:
        yield "Begun", _at(row.claimed_at)
    if OPERATION_LIFE[OperationState(row.state)]:
        yield "Not sent after", _at(row.send_before)
        yield "To end by", _at(row.settle_before)
    if row.settled_at is not None:
        yield "Ended", _at(row.settled_at)
    if row.settled_by:
        yield "Decided by", f"{row.settled_by}: {row.settled_why}" if row.settled_why else row.settled_by
    if row.staff_text or row.failure_code:
        yield "Note", " ".join(filter(None, (row.staff_text, row.failure_code and f"({row.failure_code})")))
    power = row.server.power_state or "not known"
    read_at = f", read {_at(row.server.power_read_at)}" if row.server.power_read_at is not None else ""
    yield "Power reads", f"{power}{read_at}"


def _known(step: Step) -> Iterator[str]:
    if step.identity_checked_at is not None:
        yield f"the machine was checked to be the right one {_at(step.identity_checked_at)}"
    if step.sent_at is not None and NATURE[StepKind(step.kind)] is Nature.READ:
        yield f"begun {_at(step.sent_at)}"
    elif step.sent_at is not None:
        times = f"{step.times_sent} times, first " if step.times_sent > 1 else ""
        yield f"sent {times}{_at(step.sent_at)}"
        yield (
            f"answered {_at(step.answered_at)}"
            if step.answered_at is not None
            else "no answer came back: nobody knows whether it acted"
        )
    if step.ticket:
        yield f"receipt of the other side: {step.ticket}"
    if step.settled_at is not None:
        yield f"ended {_at(step.settled_at)}"
    if step.note:
        yield step.note


def _next(row: Operation) -> Iterator[str]:
    state = OperationState(row.state)
    deed, reference = "doublehop operations", row.reference
    if state is OperationState.UNKNOWN:
        yield "Look at the machine itself: its silence proves nothing. Then one of these; nothing is sent by them."
        yield f'{deed} settle {reference} --happened --why "how you know"'
        yield f'{deed} settle {reference} --did-not-happen --why "how you know"'
    elif state is OperationState.HELD:
        yield f"An owner or admin approves or refuses all of {row.batch} in the panel, under Operations. This one alone:"
        yield f"{deed} cancel {reference}"
    elif can_be_cancelled(row):
        yield f"{deed} cancel {reference}"
    elif state is OperationState.QUEUED:
        yield "A suspension is taken back by Unsuspend, on the page of the server or the service."
    elif not OPERATION_LIFE[state]:
        yield "Nothing: it has ended."
    else:
        yield f"Nothing from here. It may become {' or '.join(sorted(OPERATION_LIFE[state]))}."


def _at(moment: datetime) -> str:
    """ "2026-11-25 18:04:11 UTC, 3 h ago"; in 5 min for what is to come."""
    text = f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    now = timezone.now()
    return f"{text}, in {age(now - (moment - now))}" if moment > now else f"{text}, {age(moment)} ago"


def as_json(row: Operation, steps: Sequence[Step] | None = None) -> dict[str, Any]:
    """Times in ISO 8601 with their zone, ages in seconds, ids as numbers. ``steps`` only of ``show``."""
    told: dict[str, Any] = {
        "reference": row.reference,
        "kind": row.kind,
        "name": wording.name_of(row),
        "state": row.state,
        "may_become": sorted(OPERATION_LIFE[OperationState(row.state)]),
        "server": {"id": row.server_id, "label": row.server.label, "upstream": row.server.upstream.name},
        "service": str(row.service) if row.service is not None else None,
        "client": row.client.name if row.client is not None else None,
        "organisation": {"id": row.organisation_id, "name": row.organisation.name},
        "asked_by": {"name": row.actor_label, "kind": row.actor_kind},
        "reason": row.reason,
        "age_seconds": int((timezone.now() - row.asked_at).total_seconds()),
        **{
            name: _iso(getattr(row, name))
            for name in ("asked_at", "send_before", "settle_before", "claimed_at", "settled_at")
        },
        "settled_by": row.settled_by,
        "settled_why": row.settled_why,
        "failure_code": row.failure_code,
        "note": row.staff_text,
    }
    if steps is not None:
        told["steps"] = [_step_as_json(step) for step in steps]
    return told


def _step_as_json(step: Step) -> dict[str, Any]:
    return {
        "kind": step.kind,
        "nature": step.nature,
        "state": step.state,
        "times_sent": step.times_sent,
        "ticket": step.ticket,
        "note": step.note,
        **{
            name: _iso(getattr(step, name))
            for name in ("identity_checked_at", "sent_at", "answered_at", "settled_at")
        },
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None
