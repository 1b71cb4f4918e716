"""Do pages grow with the installation? 1,000 services beside 100,000, taken in turns."""

import json
from pathlib import Path

from tests.bench import scratch

SIZES = (1_000, 100_000)
TURNS = 3


def report(folder: Path) -> None:
    facts = {}
    for size in SIZES:
        home = folder / f"size-{size}"
        scratch.prepare(home)
        facts[size] = scratch.run(home, "tests.bench.fill", str(size))
    best: dict[int, dict[str, dict[str, float]]] = {size: {} for size in SIZES}
    for _ in range(TURNS):
        for size in SIZES:
            shown = scratch.run(
                folder / f"size-{size}",
                "tests.bench.pages",
                str(facts[size]["service"]),
                json.dumps(facts[size]["client_services"]),
            )
            for page, figures in shown.items():
                kept = best[size].setdefault(page, figures)
                kept["ms"] = min(kept["ms"], figures["ms"])
    small, large = SIZES
    print(f"\nPages, median of 40 in process, best of {TURNS} turns, SQLite")
    print(f"{'page':26}{small:>10,} ms{large:>10,} ms{'ratio':>8}{'queries':>12}")
    for page, figures in best[small].items():
        other = best[large][page]
        queries = f"{figures['queries']:.0f} / {other['queries']:.0f}"
        print(
            f"{page:26}{figures['ms']:>13.1f}{other['ms']:>13.1f}{other['ms'] / figures['ms']:>8.2f}{queries:>12}"
        )
