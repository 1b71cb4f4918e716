"""How far an order is, what a service costs, and when it is due: in the words of the person who ordered it."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.utils import timezone

from doublehop.organisations.actor import Actor
from doublehop.panels import words
from doublehop.panels.looks import Look
from doublehop.services.lifecycle import ServiceStatus
from doublehop.services.queries import billing
from doublehop.services.queries.welcome import Welcome, welcome_of

CYCLE = {"monthly": "a month", "quarterly": "every 3 months", "annually": "a year"}
READY_FOR = timedelta(days=1)
"""How long a finished order is still told on the server's page."""
ORDER_LOOKS = {
    ServiceStatus.PENDING: Look(tone="working", icon="clock", word="We prepare it"),
    ServiceStatus.ACTIVE: Look(tone="on", icon="circle-check", word="Ready"),
    ServiceStatus.SUSPENDED: Look(tone="suspended", icon="player-pause", word="Suspended"),
    ServiceStatus.TERMINATED: Look(tone="off", icon="circle-off", word="Ended"),
    ServiceStatus.CANCELLED: Look(tone="off", icon="circle-off", word="Cancelled"),
    ServiceStatus.FRAUD: Look(tone="failed", icon="ban", word="Refused"),
}


@dataclass(frozen=True)
class ProgressStep:
    """``state`` is a key of the table "step" in looks."""

    state: str
    what: str
    note: str = ""
    moment: datetime | None = None


@dataclass(frozen=True)
class Progress:
    heading: str
    steps: tuple[ProgressStep, ...]


def sends_welcome(product: Any) -> bool:
    return bool(product.welcome_body.strip())


def fills_itself(product: Any) -> bool:
    """Whether an order is filled without a person, as long as a server is there for it."""
    return product.server_group_id is not None


def progress_of(actor: Actor, service: Any, now: datetime | None = None) -> Progress | None:
    """Of an order that waits, or was finished lately. None for all others: they have other things to say."""
    ordered = ProgressStep("done", "Ordered", f"Your order is {service}.", service.created_at)
    if service.status == ServiceStatus.PENDING:
        by_itself = fills_itself(service.product) and not service.waits_because
        note = "It is being prepared now." if by_itself else "Our staff prepares your server."
        preparing = ProgressStep("sent", "We prepare your server", f"{note} This page changes by itself.")
        return Progress(
            "Your order", (ordered, preparing, ProgressStep("pending", "Ready", _comes(service.product)))
        )
    since = service.activated_at
    if service.status != ServiceStatus.ACTIVE or since is None or (now or timezone.now()) - since > READY_FOR:
        return None
    prepared = ProgressStep("done", "We prepared your server")
    return Progress(
        "Your order", (ordered, prepared, ProgressStep("done", "Ready", _came(actor, service), since))
    )


def _comes(product: Any) -> str:
    if sends_welcome(product):
        return "Your sign-in data come by mail once the server is really there."
    return "Its addresses and its username then stand on this page."


def _came(actor: Actor, service: Any) -> str:
    welcome = welcome_of(actor, service)
    if welcome is Welcome.NONE:
        return "Its addresses and its username stand below."
    if welcome is Welcome.NOT_SENT:
        return "Its addresses and its username stand below. Ask us for the rest of your sign-in data."
    if service.welcomed_at is None:
        return "The mail with your sign-in data follows as soon as the server has been read."
    written = words.clock(service.welcomed_at)
    return f"The mail with your sign-in data was written, {written}. Ask us if it does not arrive."


def what_happens_next(product: Any) -> tuple[str, ...]:
    """Before somebody orders: what follows, without a time that nobody could keep."""
    if fills_itself(product):
        prepares = "A server is prepared by itself if one is there; else our staff prepares it."
    else:
        prepares = "Our staff prepares your server."
    arrives = (
        "Your sign-in data come by mail once the server is really there."
        if sends_welcome(product)
        else "Its addresses and its username then stand on its page."
    )
    return (prepares, "How far it is stands under Orders.", arrives)


def cost_of(row: Any, cycle: str) -> str:
    """ "€ 129.00 a month" of a product or a service; "free of charge" for nothing."""
    if not row.price:
        return "free of charge"
    return f"{words.money(row.price, row.currency)} {CYCLE[cycle]}"


def order_look(service: Any) -> Look:
    return ORDER_LOOKS[ServiceStatus(service.status)]


@dataclass(frozen=True)
class Due:
    """What has to be paid and when, of a service whose due dates are kept here."""

    on: date
    money: str
    days_late: int
    """0 while it is not overdue."""
    last_day: date | None
    """After it, it is suspended by itself; None where nothing happens by itself."""

    @property
    def heading(self) -> str:
        return f"{self.money} was due on {words.day(self.on)}"

    @property
    def sentence(self) -> str:
        late = "1 day" if self.days_late == 1 else f"{self.days_late} days"
        said = f"This is {late} overdue. Nothing is deleted for it."
        if self.last_day is None:
            return said
        if self.last_day < timezone.now().date():
            return f"{said} Until the payment has come in, the server may be suspended at any time."
        return (
            f"{said} If the payment has not come in by {words.day(self.last_day)}, the server is suspended."
        )


def due_of(service: Any) -> Due | None:
    """None where another system keeps the due dates, where nothing is due, and for what does not run."""
    if service.billed_by or service.next_due_on is None or not service.price:
        return None
    if service.status not in {ServiceStatus.ACTIVE, ServiceStatus.SUSPENDED}:
        return None
    late = (timezone.now().date() - service.next_due_on).days if billing.is_overdue(service) else 0
    grace = service.product.overdue_grace_days
    return Due(
        on=service.next_due_on,
        money=words.money(service.price, service.currency),
        days_late=max(0, late),
        last_day=None if grace is None else service.next_due_on + timedelta(days=grace),
    )
