"""``doublehop operations``: looked at, taken back and settled from the shell, by whoever runs the installation."""

import argparse
import json
import os
import pwd
from collections.abc import Callable
from dataclasses import replace

from doublehop.cli import upkeep
from doublehop.cli.operations_shown import as_json, in_full, in_table
from doublehop.cli.stopping import CannotGoOn
from doublehop.organisations.actor import SYSTEM, Actor
from doublehop.organisations.models import Organisation
from doublehop.organisations.refusals import NotHere, Refusal
from doublehop.services import actions
from doublehop.services.lifecycle import OperationState
from doublehop.services.models import Operation
from doublehop.services.queries import operation, steps_of
from doublehop.services.queries.operators import NOT_ENDED, Wanted, operations_wanted
from doublehop.site.environment import Environment


def run(options: argparse.Namespace, environment: Environment) -> int:
    upkeep.refuse_old_database()
    deeds: dict[str, Callable[[argparse.Namespace], None]] = {
        "list": _list,
        "show": _show,
        "settle": _settle,
        "cancel": _cancel,
    }
    deeds[options.deed](options)
    return 0


def operator() -> Actor:
    """Whoever sits at the shell, with everything that the system may do. The owner's staff read the name in their journal; to
    every other organisation it is a level above."""
    root = Organisation.objects.filter(parent=None).first()
    return replace(
        SYSTEM,
        label=f"{_name_of_user()}, operator",
        organisation_id=root.pk if root is not None else 0,
        organisation_label=root.name if root is not None else "",
    )


def _name_of_user() -> str:
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = f"uid {os.getuid()}"
    before = "".join(sign for sign in os.environ.get("SUDO_USER", "")[:60] if sign.isprintable())
    return f"{before} (as {name})" if before and before != name else name


def _list(options: argparse.Namespace) -> None:
    wanted = Wanted(
        states=_states(options.state),
        server=options.server,
        service=options.service,
        organisation=options.organisation,
        since=options.since,
    )
    try:
        found = list(operations_wanted(SYSTEM, wanted)[: options.limit + 1])
    except Refusal as refusal:
        raise CannotGoOn(refusal.sentence) from refusal
    shown, more = found[: options.limit], len(found) > options.limit
    if options.json:
        print(json.dumps({"operations": [as_json(row) for row in shown], "more": more}, indent=2))
    else:
        print("\n".join(in_table(shown, more=more)))


def _states(named: list[str] | None) -> tuple[OperationState, ...]:
    if not named:
        return NOT_ENDED
    return tuple(OperationState) if "all" in named else tuple(map(OperationState, named))


def _show(options: argparse.Namespace) -> None:
    row = _found(options.reference)
    steps = steps_of(SYSTEM, row)
    if options.json:
        print(json.dumps(as_json(row, steps), indent=2))
    else:
        print("\n".join(in_full(row, steps)))


def _settle(options: argparse.Namespace) -> None:
    def settle(actor: Actor, reference: str) -> Operation:
        return actions.settle(actor, reference, happened=options.happened, why=options.why)

    _decide(options.reference, settle)


def _cancel(options: argparse.Namespace) -> None:
    _decide(options.reference, actions.cancel)


def _decide(reference: str, deed: Callable[[Actor, str], Operation]) -> None:
    row = _found(reference)
    try:
        row = deed(operator(), row.reference)
    except Refusal as refusal:
        raise CannotGoOn(
            f"{row.reference} is {row.state}, and stays so. {refusal.sentence}"
            f" `doublehop operations show {row.reference}` says what may be done."
        ) from refusal
    print(f"{row.reference} is {row.state} now. Nothing was sent. It stands in the journal with your name.")


def _found(reference: str) -> Operation:
    try:
        return operation(SYSTEM, reference)
    except NotHere:
        raise CannotGoOn(
            f"There is no operation {reference}. `doublehop operations list --state all` names the newest."
        ) from None
