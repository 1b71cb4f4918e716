"""An import is carried out: row by row, each in a transaction of its own. What is attached is written down; no machine is asked."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, replace

from django.db import transaction
from django.utils import timezone

from doublehop.organisations import record
from doublehop.organisations.actions import create_client, update_client
from doublehop.organisations.actor import Actor
from doublehop.organisations.models import Client
from doublehop.organisations.queries import clients_visible_to
from doublehop.organisations.refusals import BadInput, Refusal, WrongState
from doublehop.services.actions.changing import change_service
from doublehop.services.actions.orders import create_service
from doublehop.services.actions.services import attach_unread, hostname_of, locked_service
from doublehop.services.importing import Row
from doublehop.services.models import Service
from doublehop.services.queries.importing import ImportLine, ImportOptions, Verdict, preview_import

LONGEST_CLIENT_NAME = 120


@dataclass(frozen=True)
class Brought:
    """What came of one row: the service, or why not."""

    line: int
    reference: str
    service: Service | None
    why_not: str = ""


def bring_in(
    actor: Actor, content: bytes, options: ImportOptions, *, chosen: Collection[int], mark: str
) -> list[Brought]:
    """Attaches the chosen lines of the preview that ``mark`` names. What is refused does not stop the others.

    Raises WrongState ("preview_changed") when the preview would be another one by now, and BadInput (lines) for a line that
    cannot be chosen.
    """
    preview = preview_import(actor, content, options)
    if preview.mark != mark:
        raise WrongState("Something changed since the preview. Look at it again.", code="preview_changed")
    offered = {line.row.line: line for line in preview.lines if line.may_be_chosen}
    if strangers := sorted(set(chosen) - offered.keys()):
        raise BadInput(f"Line {strangers[0]} cannot be brought in.", field="lines")
    if not chosen:
        raise BadInput("Choose at least one line.", field="lines")
    # The billing system's own hand: what is made belongs to it, and what belongs to another is refused.
    hand = replace(actor, billing_system=options.billing_system)
    made = _Clients()
    told = [_bring(hand, offered[line], made) for line in sorted(chosen)]
    done = sum(one.service is not None for one in told)
    record.write(
        actor,
        "services.imported",
        ("organisation", actor.organisation_id),
        target_label=options.billing_system,
        sentence=f"{done} of {len(told)} chosen, of {len(preview.lines)} in the file; preview {mark}",
    )
    return told


class _Clients:
    """Those of this import. Rows of one client share it, as the preview finds clients: by the other system's id, else by an
    e-mail address (or, without one, a name) that only one has. A row may have the id, and another of the same client not."""

    def __init__(self) -> None:
        self._by: defaultdict[tuple[str, str], dict[int, Client]] = defaultdict(dict)

    def add(self, row: Row, client: Client) -> None:
        named = (
            ("reference", row.client_reference),
            ("email", row.email.casefold()),
            ("name", row.client_name.casefold()),
        )
        for key in named:
            if key[1]:
                self._by[key][client.pk] = client

    def referred(self, row: Row) -> Client | None:
        return self._one("reference", row.client_reference) if row.client_reference else None

    def of(self, row: Row) -> Client | None:
        found = self._one("email", row.email) if row.email else self._one("name", row.client_name)
        if found is not None and row.client_reference and found.billing_reference:
            return None  # it is another client of that system
        return found

    def _one(self, kind: str, value: str) -> Client | None:
        rows = self._by.get((kind, value if kind == "reference" else value.casefold()), {})
        return next(iter(rows.values())) if len(rows) == 1 else None


def _bring(hand: Actor, line: ImportLine, made: _Clients) -> Brought:
    try:
        with transaction.atomic():
            service = _attached(hand, line) if line.verdict is Verdict.ATTACHED else _made(hand, line, made)
    except Refusal as refusal:
        return Brought(line.row.line, line.row.reference, None, refusal.sentence)
    # Only now: a client that was made for a row that came to nothing is not there.
    made.add(line.row, service.client)
    return Brought(line.row.line, line.row.reference, service)


def _attached(hand: Actor, line: ImportLine) -> Service:
    """A service that is here already becomes the billing system's."""
    service = _unclaimed(hand, line)
    if line.row.client_reference and not service.client.billing_reference:
        _claim(hand, service.client, line)
    return change_service(hand, service.pk, billing_reference=line.row.reference)


def _made(hand: Actor, line: ImportLine, made: _Clients) -> Service:
    row = line.row
    if line.service is not None:
        service = line.service
        if service.billing_reference != row.reference:
            service = change_service(hand, _unclaimed(hand, line).pk, billing_reference=row.reference)
    else:
        client = _client(hand, line, made)
        assert line.product is not None  # noqa: S101  a line without one cannot be chosen
        service = create_service(
            hand,
            client_id=client.pk,
            product_id=line.product.pk,
            hostname=_hostname(row.hostname),
            billing_reference=row.reference,
        )
    assert line.server is not None  # noqa: S101  likewise
    service = attach_unread(hand, service.pk, line.server.pk)
    if service.welcomed_at is None:
        # It has had its server for a long time: nobody is welcomed to it now.
        service.welcomed_at = timezone.now()
        service.save(update_fields=["welcomed_at"])
    return service


def _unclaimed(hand: Actor, line: ImportLine) -> Service:
    assert line.service is not None  # noqa: S101  by whom it was called
    service = locked_service(hand, line.service.pk)
    if service.billing_reference:
        raise WrongState(f"{service} stands for {service.billing_reference} by now.", code="reference_taken")
    return service


def _client(hand: Actor, line: ImportLine, made: _Clients) -> Client:
    row = line.row
    known = made.referred(row) or line.client or made.of(row)
    if known is None:
        name = (row.client_name or row.email)[:LONGEST_CLIENT_NAME]
        return create_client(hand, name=name, email=row.email, billing_reference=row.client_reference)
    if row.client_reference and not known.billing_reference:
        return _claim(hand, known, line)
    return known


def _claim(hand: Actor, client: Client, line: ImportLine) -> Client:
    """From now on it stands for the one there. The preview may have found it for two who are called alike there."""
    client, reference = clients_visible_to(hand).get(pk=client.pk), line.row.client_reference
    if client.billing_reference == reference:
        return client
    if client.billing_reference:
        told = f"{client.name} stands for {client.billing_reference} by now."
        raise WrongState(told, code="reference_taken")
    return update_client(hand, client.pk, name=client.name, email=client.email, billing_reference=reference)


def _hostname(text: str) -> str:
    """What the other system calls a domain need not be a host name; then the machine says its own."""
    try:
        return hostname_of(text)
    except BadInput:
        return ""
