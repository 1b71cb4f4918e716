"""The verifier and the house agree, and whatever is tampered with is noticed."""

import json
import random
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from doublehop import verify_statement
from doublehop.bandwidth.charts import Slots
from doublehop.bandwidth.contract import Contract, Cut, Method, PeriodKind, Unit, period_of
from doublehop.bandwidth.figures import Piece
from doublehop.bandwidth.queries.metered import Metered, OutsideSlots
from doublehop.bandwidth.reckoning import Hours, reckon
from doublehop.bandwidth.slots import start_of
from doublehop.cli.main import main
from doublehop.organisations.models import Client, Organisation
from doublehop.services import paper
from doublehop.services.charging import Count, Span, Subject
from doublehop.services.models import Product, Service

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu")
CURRENCIES = ("EUR", "USD", "JPY", "KWD", "CLF")


def a_contract(chance, **values):
    defaults = {
        "method": chance.choice(list(Method)),
        "unit": chance.choice(list(Unit)),
        "period": chance.choice(list(PeriodKind)),
        "zone": chance.choice(ZONES),
        "anchor": date(2024, 1, 1) + timedelta(days=chance.randrange(400)),
        # Short ones too: then 5 % is a handful of slots.
        "rolling_days": chance.choice((1, 3, 7, 30)),
        "commit": chance.choice((None, Decimal(chance.randrange(200)) / 4)),
        "allowance": chance.choice((None, Decimal(chance.randrange(40_000)) / 8)),
        "price": Decimal(chance.randrange(40_000)) / 1000,
        "currency": chance.choice(CURRENCIES),
        "cut": chance.choice(list(Cut)),
    }
    return Contract(**{**defaults, **values})


def a_subject():
    organisation, client = Organisation(name="Alder Hosting"), Client(name="Quillfeather, Books & Sons")
    product = Product(name='Dedicated "M"')
    service = Service(number=3001, organisation=organisation, client=client, product=product)
    return Subject(service, (service,), product, (), (), None)


def some_slots(seed, period):
    """A start without a machine, gaps, half-known slots, equal values, and sometimes a made-up day."""
    noise = np.random.default_rng(seed)
    size = period.slots
    scale = int(noise.choice([1, 3, 10**6, 10**11]))
    octets_in, octets_out = (noise.integers(0, 9 * scale, size) // scale * scale for _ in range(2))
    expected = np.arange(size) >= noise.integers(0, size // 2)
    measured = expected & (noise.random(size) > noise.choice([0, 0.01, 0.3]))
    part = expected & ~measured & (noise.random(size) > 0.5)
    for side in (octets_in, octets_out):
        side[~(measured | part)] = 0
    made_up = np.arange(size) < (size // 3 if noise.random() < 0.1 else 0)
    return Metered(
        Slots(period.first, octets_in, octets_out, measured, expected), measured, made_up, (), True, ()
    )


def some_totals(chance, period):
    """One a day, of which one in ten was read before the day was over."""
    starts = [period.start + timedelta(days=day) for day in range(min(20, period.slots // 300))]
    return tuple(
        Piece(
            start,
            start + timedelta(days=1),
            chance.randrange(10**13),
            chance.randrange(10**13),
            "theirs",
            "GB",
            period.end if chance.random() < 0.9 else start,
            counted_seconds=chance.choice((None, 86400, 86100, 7)),
        )
        for start in starts
    )


def a_statement(seed, **values):
    """(document, slots) as the house keeps them."""
    chance = random.Random(seed)  # noqa: S311
    contract = a_contract(chance, **values)
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=chance.randrange(1_000_000))
    period = period_of(contract, moment)
    found, pieces, days = some_slots(seed, period), (), ()
    if chance.random() < 0.2:
        pieces = some_totals(chance, period)
        # The first of them is not asked for, and the last day that is asked for never came.
        days = ((period.start + timedelta(days=1), period.start + timedelta(days=len(pieces) + 1)),)
    if not pieces or chance.random() < 0.5:
        gaps = (OutsideSlots(period.first + 5, period.first + 9, 10**9 + seed, 7),) * chance.randrange(3)
        found = replace(found, outside=gaps)
    else:
        nothing = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=bool)
        found = replace(found, slots=Slots(period.first, nothing[0], nothing[0], nothing[1], nothing[1]))
        found = replace(found, made_up=nothing[1], is_wired=False)
    made_up = bool((found.made_up & found.slots.measured).any())
    of_no_slot = (*found.outside, *pieces)
    counted = sum((one.counted for one in pieces[1:] if one.is_over), timedelta(0))
    hours = Hours(24 * len(pieces), counted // timedelta(hours=1))
    volume = (sum(one.octets_in for one in of_no_slot), sum(one.octets_out for one in of_no_slot))
    reckoned = reckon(contract, period, found.slots, volume, hours=hours, sample_history=made_up)
    counted = Count(reckoned, made_up, found if found.is_wired else None, pieces, days)
    span = Span(contract, period, period.start)
    document = paper.document_of(a_subject(), span, counted, seller="Alder")
    return document, paper.pack(counted.metered, period.first, period.slots)


def files_of(document, slots):
    return {"json": paper.as_json("T-7", document, slots), "csv": paper.as_csv("T-7", document, slots)}


def outcome(text):
    lines = verify_statement.verify(verify_statement.read(text))
    return [name for name, computed, stated in lines if computed != stated]


@pytest.mark.parametrize(
    "seeds", [range(15), pytest.param(range(15, 200), marks=pytest.mark.long)], ids=["some", "many"]
)
def test_two_hundred_statements_agree(seeds):
    for seed in seeds:
        files = files_of(*a_statement(seed))
        # Both say the same; the larger ones are read once to spare time.
        for kind in ("json", "csv") if seed % 10 == 0 else (("json", "csv")[seed % 2],):
            assert outcome(files[kind]) == [], (seed, kind)


def test_what_a_total_of_an_earlier_version_was_counted_of_is_all_of_it():
    seed = next(one for one in range(200) if a_statement(one)[0]["totals"])
    document, slots = a_statement(seed)
    assert outcome(paper.as_json("T-7", {**document, "version": 2}, slots)) == ["hours_counted"]
    whole = sum(
        86400 for one in document["totals"][1:] if one["complete"]
    )  # the first lies in no day that is asked for
    figures = {**document["figures"], "hours_counted": whole // 3600}
    assert outcome(paper.as_json("T-7", {**document, "version": 2, "figures": figures}, slots)) == []


def a_busy_month():
    return a_statement(
        4,
        method=Method.P95_MAX,
        unit=Unit.DECIMAL,
        period=PeriodKind.ROLLING,
        rolling_days=3,
        commit=Decimal("0.01"),
        price=Decimal("2.5"),
        currency="EUR",
        cut=Cut.FLOOR,
    )


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_every_figure_that_is_changed_is_noticed(kind):
    document, slots = a_busy_month()
    for name, value in document["figures"].items():
        other = {
            "direction": "sum",
            "deciding_slot": "2026-01-01T00:00:00Z",
            "amount": "99999.99",
        }.get(name, "1" if str(value) != "1" else "2")
        tampered = {**document, "figures": {**document["figures"], name: other}}
        assert outcome(files_of(tampered, slots)[kind]) == [name]


def test_names_do_not_become_formulas_and_the_file_is_read_all_the_same(tmp_path, capsys):
    document, slots = a_busy_month()
    names = {
        "organisation": "@Alder",
        "client": "=HYPERLINK(1)",
        "product": "+M",
        "services": ["S-3001", "-1"],
    }
    files = files_of({**document, **names}, slots)
    lines = files["csv"].splitlines()
    assert {
        "organisation,'@Alder",
        "client,'=HYPERLINK(1)",
        "product,'+M",
        "services.0,S-3001",
        "services.1,'-1",
    } <= set(lines)
    assert not [line for line in lines if ",'" in line and not line.startswith((*names, "services."))]
    for kind, text in files.items():
        assert outcome(text) == []
        (tmp_path / kind).write_text(text, encoding="utf-8")
        assert main(["verify-statement", str(tmp_path / kind)]) == 0
    assert "HYPERLINK(1)" in capsys.readouterr().out


def test_changed_slots_are_noticed():
    document, slots = a_busy_month()
    whole = json.loads(files_of(document, slots)["json"])
    rows = whole["slots"]
    measured = next(number for number, row in enumerate(rows) if row[3] == "measured")
    nothing = next(number for number, row in enumerate(rows) if row[3] == "none")

    def changed(number, row):
        return outcome(json.dumps({**whole, "slots": [*rows[:number], *row, *rows[number + 1 :]]}))

    start, inward, out, state = rows[measured]
    assert "volume_in" in changed(measured, [[start, inward + 1, out, state]])
    assert "slots_measured" in changed(measured, [[start, inward, out, "part"]])
    assert "sample history" in changed(measured, [[start, inward, out, "made_up"]])
    assert "one slot for each 5 minutes" in changed(measured, [])
    assert "one slot for each 5 minutes" in changed(measured, [rows[measured], rows[measured]])
    assert "what was not measured is zero" in changed(nothing, [[rows[nothing][0], 5, 0, "none"]])


@pytest.mark.parametrize(
    ("name", "value", "noticed"),
    [
        ("contract.price", "2.6", "amount"),
        ("contract.commit", "0", "over"),
        ("contract.unit", "binary", "quantity"),
        ("contract.method", "p95_sum", "direction"),
        ("contract.currency", "JPY", "amount"),
        ("sample_history", "true", "sample history"),
        ("counted_from", "2037-01-01T00:00:00Z", "nothing from before it is counted from"),
    ],
)
def test_a_changed_contract_is_noticed(name, value, noticed):
    text = files_of(*a_busy_month())["csv"]
    line = next(line for line in text.splitlines() if line.startswith(f"{name},"))
    assert noticed in outcome(text.replace(line, f"{name},{value}"))


def test_octets_outside_of_the_period_do_not_count():
    document, slots = a_busy_month()
    late = start_of(10**7)
    gap = {"start": f"{late:%Y-%m-%dT%H:%M:%SZ}", "end": f"{late:%Y-%m-%dT%H:%M:%SZ}", "in": 5, "out": 5}
    assert "outside_slots within the period" in outcome(
        files_of({**document, "outside_slots": [gap]}, slots)["json"]
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "neither a JSON nor a CSV"),
        ("{", "damaged"),
        ("[1]", "neither"),
        ('{"format": "bandwidth-statement"}', "list of slots"),
        ('{"slots": []}', "no bandwidth statement"),
        ('{"format": "bandwidth-statement", "version": 4, "slots": []}', "version 4"),
        ('{"format": "bandwidth-statement", "version": 1, "slots": [[1]]}', "start, in, out, state"),
        ('{"format": "bandwidth-statement", "version": 1, "slots": []}', "period.start is missing"),
        ("format,bandwidth-statement\nversion,1\nstart,in,out,state\nx,1,2,measured\n", "no time"),
        (
            "format,bandwidth-statement\nversion,1\nstart,in,out,state\n2026-11-01T00:00:00Z,-1,2,measured\n",
            "whole number",
        ),
        ("a,b,c\n", "neither"),
        ("format,bandwidth-statement\na,b,c\n", "columns"),
        ('{"a":' * 5000, "damaged"),
    ],
)
def test_what_is_no_statement_is_a_clear_error(tmp_path, capsys, text, reason):
    path = tmp_path / "what.json"
    path.write_text(text)
    assert verify_statement.main([str(path)]) == 2
    told = capsys.readouterr().err
    assert reason in told
    assert "Traceback" not in told


def test_it_runs_alone_on_an_empty_python(tmp_path):
    """Copied somewhere else, without site packages and without this project."""
    script = tmp_path / "verify.py"
    script.write_bytes(Path(verify_statement.__file__).read_bytes())
    document, slots = a_busy_month()
    good, bad = tmp_path / "good.csv", tmp_path / "bad.json"
    good.write_text(files_of(document, slots)["csv"], newline="")
    bad.write_text(
        files_of({**document, "figures": {**document["figures"], "amount": "0.01"}}, slots)["json"]
    )

    def run(path):
        return subprocess.run(
            [sys.executable, "-I", "-S", str(script), str(path)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={},
        )

    fine, wrong, missing = run(good), run(bad), run(tmp_path / "nothing.csv")
    assert (fine.returncode, wrong.returncode, missing.returncode) == (0, 1, 2)
    assert "figures agree" in fine.stdout
    (differs,) = (line for line in wrong.stdout.splitlines() if line.endswith("DIFFERS"))
    assert differs.startswith("amount (EUR)")
    assert "No such file" in missing.stderr


def test_the_command_needs_no_installation(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("os.environ", {})
    path = tmp_path / "one.json"
    path.write_text(files_of(*a_busy_month())["json"])
    assert main(["verify-statement", str(path)]) == 0
    assert "T-7 for Quillfeather" in capsys.readouterr().out
