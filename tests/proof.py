"""``python -m tests.proof ROUNDS [PART ...]``: every test, round after round, each in another order and with other made-up examples;
before them two proofs that are deeper than a round's. With PARTS (deep, traffic, quick, long) only these.

The figures go into docs/proof.md, with the seed of each round, so that a round that failed can be run again by itself.
"""

import os
import platform
import secrets
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as Tree
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAPER = ROOT / "docs" / "proof.md"


@dataclass(frozen=True)
class Part:
    """``environment`` is set while it runs; ``rounds``: as often as there are rounds, otherwise once."""

    about: str
    options: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    rounds: bool = False


PARTS = {
    "deep": Part(
        "2,000 runs of `tests/proofs/test_never_twice.py`, everything asked by everybody: half an hour on two cores",
        ("-m", "long", "-n", "2", "tests/proofs/test_never_twice.py"),
        {"DOUBLEHOP_RUNS": "2000", "DOUBLEHOP_DEEDS": "40"},
    ),
    "traffic": Part(
        "10,000 port-months of `tests/proofs/test_traffic.py`, counters with every trouble: some minutes",
        ("-m", "long", "-n", "2", "tests/proofs/test_traffic.py"),
        {"DOUBLEHOP_PORT_MONTHS": "10000"},
    ),
    "quick": Part("every quick test", ("-m", "not long", "-n", "2"), rounds=True),
    "long": Part("every long test", ("-m", "long", "--timeout", "600"), rounds=True),
}


@dataclass
class Round:
    """``counted``: what tests told of themselves, added up."""

    kind: str
    seed: int
    passed: int
    skipped: int
    failed: list[str]
    seconds: float
    counted: Counter[str]


def run(kind: str, seed: int) -> Round:
    part = PARTS[kind]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        seeds = [f"--randomly-seed={seed}", f"--hypothesis-seed={seed}", f"--junitxml={report}"]
        begin = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *part.options, *seeds],
            cwd=ROOT,
            env={**os.environ, **part.environment},
        )
        took = time.monotonic() - begin
        cases = list(Tree.parse(report).iter("testcase")) if report.exists() else []  # noqa: S314 (pytest wrote it)
    failed = [
        _name(case) for case in cases if case.find("failure") is not None or case.find("error") is not None
    ]
    skipped = sum(case.find("skipped") is not None for case in cases)
    if done.returncode and not failed:
        failed = [f"pytest ended with {done.returncode}"]
    counted: Counter[str] = Counter()
    for told in (one for case in cases for one in case.iter("property")):
        counted[told.get("name", "")] += float(told.get("value", 0))
    return Round(kind, seed, len(cases) - skipped - len(failed), skipped, failed, took, counted)


def _name(case: Tree.Element) -> str:
    return f"{case.get('classname')}.{case.get('name')}"


def write(rounds: list[Round], command: str) -> None:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    lines = [
        "# Proof",
        "",
        f"Written by `{command}`. `make proof` runs every part below; the rounds each in another order and with other made-up examples.",
        "`make test SEED=…` and `make test-long SEED=…` repeat one.",
        "",
        *(f"* *{kind}*: {part.about}." for kind, part in PARTS.items()),
        "",
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit.stdout.strip() or 'unknown'}, "
        f"Python {platform.python_version()}, {os.cpu_count()} cores.",
        "",
        "| tests | seed | passed | skipped | failed | seconds |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {one.kind} | {one.seed} | {one.passed} | {one.skipped} | {len(one.failed)} | {one.seconds:.0f} |"
        for one in rounds
    ]
    if missing := [kind for kind in PARTS if kind not in {one.kind for one in rounds}]:
        lines += ["", f"**Not run** here: {', '.join(missing)}."]
    broken = [f"* seed {one.seed}: `{name}`" for one in rounds for name in one.failed]
    if broken:
        lines += ["", "Failed:", "", *broken]
    for kind in PARTS:
        counted = sum(
            (one.counted for one in rounds if one.kind == kind and not PARTS[kind].rounds), Counter()
        )
        if counted:
            lines += ["", f"What *{kind}* met:", "", "| count | of |", "| ---: | --- |"]
            lines += [f"| {value:,.0f} | {name} |" for name, value in counted.items()]
    PAPER.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main(count: int, only: list[str]) -> int:
    unknown = [kind for kind in only if kind not in PARTS]
    if unknown:
        print(f"No part {', '.join(unknown)}; there are {', '.join(PARTS)}.")
        return 2
    wanted = only or list(PARTS)
    command = "make proof" + (f' ROUNDS={count} ONLY="{" ".join(only)}"' if only else f" ROUNDS={count}")
    rounds: list[Round] = []
    order = [kind for kind in wanted if not PARTS[kind].rounds]
    order += [kind for _ in range(count) for kind in wanted if PARTS[kind].rounds]
    for kind in order:
        rounds.append(run(kind, secrets.randbelow(2**31)))
        write(rounds, command)
    return 1 if any(one.failed for one in rounds) else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
