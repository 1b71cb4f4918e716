"""``doublehop import``: the preview of an import, and with its mark the import itself."""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from doublehop.cli import upkeep
from doublehop.cli.operations import operator
from doublehop.cli.stopping import CannotGoOn
from doublehop.organisations.actor import SYSTEM, Actor, house_of
from doublehop.organisations.models import Organisation
from doublehop.organisations.queries import organisations_visible_to
from doublehop.organisations.refusals import Refusal
from doublehop.services.actions.importing import Brought, bring_in
from doublehop.services.importing import LARGEST_FILE
from doublehop.services.queries.importing import (
    ImportLine,
    ImportOptions,
    ImportPreview,
    Verdict,
    billing_systems,
    preview_import,
)
from doublehop.site.environment import Environment

TITLE = {
    Verdict.CERTAIN: "Certain: attached by --apply",
    Verdict.DOUBTFUL: "Doubtful: look at each; --also LINE attaches it",
    Verdict.ATTACHED: "In a service here that no billing system knows: --also LINE makes it that one",
    Verdict.CONFLICT: "Conflicts: nothing is done",
    Verdict.MISSING: "Missing: nothing is done",
    Verdict.PRESENT: "Here already",
    Verdict.ENDED: "Ended where they come from",
}
MOST_SHOWN = 500
"""Of what needs nobody's eyes."""


def run(options: argparse.Namespace, environment: Environment) -> int:
    """0: read, or all that was chosen is attached. 1: the file cannot be used, or a line was refused."""
    upkeep.refuse_old_database()
    content = _content(options)
    actor = _actor(options.organisation)
    try:
        wanted = ImportOptions(_billing_system(actor, options), dict(_products(options.product)))
        preview = preview_import(actor, content, wanted)
        if not options.apply:
            _tell_preview(options, actor, wanted, preview)
            return 0
        chosen = _chosen(options, preview)
        told = bring_in(actor, content, wanted, chosen=chosen, mark=options.apply)
    except Refusal as refusal:
        raise CannotGoOn(refusal.sentence) from refusal
    _tell_outcome(options, told)
    return 0 if all(one.service is not None for one in told) else 1


def _content(options: argparse.Namespace) -> bytes:
    try:
        with options.file.open("rb") as file:
            # One more, so that a file that is too long is known to be.
            content: bytes = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise CannotGoOn(f"{options.file} cannot be read: {error.strerror}.") from error
    return content


def _actor(name: str) -> Actor:
    rows = organisations_visible_to(SYSTEM)
    if not name:
        row = rows.filter(parent=None).first()
    elif name.isascii() and name.isdigit():
        row = rows.filter(pk=int(name[:18])).first()
    else:
        found = list(rows.filter(name__iexact=name)[:2])
        row = found[0] if len(found) == 1 else None
    if row is None:
        raise CannotGoOn(
            f"There is no one organisation called {name}. *Staff and brand* in its panel has its name."
            if name
            else "There is no organisation yet. `doublehop init` makes the first."
        )
    return _by_operator(row)


def _by_operator(row: Organisation) -> Actor:
    return replace(house_of(row.pk, row.name), label=operator().label)


def _billing_system(actor: Actor, options: argparse.Namespace) -> str:
    if options.billing_system:
        return str(options.billing_system)
    known = billing_systems(actor)
    if len(known) != 1:
        told = f" Known are: {', '.join(known)}." if known else ""
        raise CannotGoOn(f"Name the billing system with --billing-system, as its API token does.{told}")
    return known[0]


def _products(given: Sequence[str]) -> Iterator[tuple[str, str]]:
    for text in given:
        there, mark, here = text.rpartition("=")
        if not mark or not here.strip():
            raise CannotGoOn(f"Write --product 'NAME THERE=NAME HERE', not {text!r}.")
        yield there, here


def _chosen(options: argparse.Namespace, preview: ImportPreview) -> set[int]:
    certain = {line.row.line for line in preview.of(Verdict.CERTAIN)}
    return (certain - _lines(options.without)) | _lines(options.also)


def _lines(text: str) -> set[int]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if any(not part.isascii() or not part.isdigit() or len(part) > 9 for part in parts):
        raise CannotGoOn("Lines are numbers with commas between them, such as 4,17.")
    return {int(part) for part in parts}


# ---------------------------------------------------------------- telling


def _tell_preview(
    options: argparse.Namespace, actor: Actor, wanted: ImportOptions, preview: ImportPreview
) -> None:
    if options.json:
        print(json.dumps(_as_json(wanted, preview), indent=2))
        return
    print(
        f"{options.file}, read as {preview.export.encoding}, for {actor.organisation_label}, as {wanted.billing_system}."
    )
    if preview.export.ignored:
        print(f"Columns that are not used: {', '.join(map(_plain, preview.export.ignored))}.")
    for verdict, title in TITLE.items():
        lines = preview.of(verdict)
        if lines:
            print(f"\n{title} ({len(lines)})")
            for line in lines[:MOST_SHOWN]:
                print(f"  {_in_words(line)}")
            if len(lines) > MOST_SHOWN:
                print(f"  … {len(lines) - MOST_SHOWN} more; --json tells all.")
    if preview.export.bad:
        print(f"\nRows that cannot be used ({len(preview.export.bad)})")
        for bad in preview.export.bad[:MOST_SHOWN]:
            print(f"  line {bad.line}: {_plain(bad.why)}")
    print(f"\nNothing was changed. Attach what is certain: the same command with --apply {preview.mark}")


def _in_words(line: ImportLine) -> str:
    what = f"line {line.row.line}: {line.row.reference}"
    client = line.client.name if line.client is not None else f"{line.row.client_name} (new)"
    where = f" -> {line.server.label}" if line.server is not None else ""
    return _plain(f"{what}, {client}, {line.row.hostname or 'no hostname'}{where}. {line.reason}")


def _plain(text: str) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def _as_json(wanted: ImportOptions, preview: ImportPreview) -> dict[str, Any]:
    return {
        "mark": preview.mark,
        "billing_system": wanted.billing_system,
        "encoding": preview.export.encoding,
        "ignored_columns": list(preview.export.ignored),
        "counts": preview.counts(),
        "lines": [
            {
                "line": line.row.line,
                "reference": line.row.reference,
                "verdict": line.verdict.value,
                "reason": line.reason,
                "hostname": line.row.hostname,
                "product": line.product.name if line.product is not None else None,
                "client": {
                    "id": line.client.pk if line.client is not None else None,
                    "name": line.row.client_name,
                },
                "server": {"id": line.server.pk, "label": line.server.label}
                if line.server is not None
                else None,
                "service": str(line.service) if line.service is not None else None,
            }
            for line in preview.lines
        ],
        "bad": [{"line": bad.line, "why": bad.why} for bad in preview.export.bad],
    }


def _tell_outcome(options: argparse.Namespace, told: Sequence[Brought]) -> None:
    if options.json:
        rows = [
            {
                "line": one.line,
                "reference": one.reference,
                "service": str(one.service) if one.service is not None else None,
                "why_not": one.why_not,
            }
            for one in told
        ]
        print(json.dumps({"lines": rows}, indent=2))
        return
    for one in told:
        if one.service is not None:
            print(f"line {one.line}: {_plain(one.reference)} is {one.service}, with {one.service.server}.")
        else:
            print(f"line {one.line}: {_plain(one.reference)} was refused. {_plain(one.why_not)}")
    done = sum(one.service is not None for one in told)
    print(f"\n{done} of {len(told)} are here now. No machine was asked or changed.")
