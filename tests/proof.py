"""``python -m tests.proof ROUNDS``: every test, round after round, each in another order and with other made-up examples.

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
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAPER = ROOT / "docs" / "proof.md"
KINDS = (("quick", ["-m", "not long", "-n", "2"]), ("long", ["-m", "long", "--timeout", "600"]))


@dataclass
class Round:
    kind: str
    seed: int
    passed: int
    skipped: int
    failed: list[str]
    seconds: float


def run(kind: str, options: list[str], seed: int) -> Round:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        seeds = [f"--randomly-seed={seed}", f"--hypothesis-seed={seed}", f"--junitxml={report}"]
        begin = time.monotonic()
        done = subprocess.run([sys.executable, "-m", "pytest", *options, *seeds], cwd=ROOT)
        took = time.monotonic() - begin
        cases = list(Tree.parse(report).iter("testcase")) if report.exists() else []  # noqa: S314 (pytest wrote it)
    failed = [
        _name(case) for case in cases if case.find("failure") is not None or case.find("error") is not None
    ]
    skipped = sum(case.find("skipped") is not None for case in cases)
    if done.returncode and not failed:
        failed = [f"pytest ended with {done.returncode}"]
    return Round(kind, seed, len(cases) - skipped - len(failed), skipped, failed, took)


def _name(case: Tree.Element) -> str:
    return f"{case.get('classname')}.{case.get('name')}"


def write(rounds: list[Round]) -> None:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    lines = [
        "# Proof",
        "",
        "Written by `make proof`: every test, round after round, each round in another order and with other made-up examples.",
        "`make test SEED=…` and `make test-long SEED=…` repeat one.",
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
    broken = [f"* seed {one.seed}: `{name}`" for one in rounds for name in one.failed]
    if broken:
        lines += ["", "Failed:", "", *broken]
    PAPER.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main(count: int) -> int:
    rounds: list[Round] = []
    for _ in range(count):
        for kind, options in KINDS:
            rounds.append(run(kind, options, secrets.randbelow(2**31)))
            write(rounds)
    return 1 if any(one.failed for one in rounds) else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
