"""The REST API: requests a second and the slowest, at 1,000 services beside 100,000; and the usage of 10,000 in one call."""

from pathlib import Path

from tests.bench import scratch

SIZES = (1_000, 100_000)
TURNS = 3


def report(folder: Path) -> None:
    facts = {}
    for size in SIZES:
        home = folder / f"size-{size}"
        if not home.exists():  # left behind by the pages
            scratch.prepare(home)
            scratch.run(home, "tests.bench.fill", str(size))
        facts[size] = scratch.run(home, "tests.bench.fill_api")
    best: dict[int, dict[str, dict[str, float]]] = {size: {} for size in SIZES}
    for _ in range(TURNS):
        for size in SIZES:
            seen = scratch.run(
                folder / f"size-{size}",
                "tests.bench.api_calls",
                facts[size]["token"],
                str(facts[size]["service"]),
            )
            for name, figures in seen.items():
                kept = best[size].setdefault(name, figures)
                if figures["ms"] < kept["ms"]:
                    best[size][name] = figures
    small, large = SIZES
    print(
        f"\nREST API in process, one thread, best of {TURNS} turns, SQLite: requests a second (99th percentile)"
    )
    print(f"{'call':26}{small:>22,}{large:>22,}{'ratio':>8}{'queries':>12}")
    for name, figures in best[small].items():
        other = best[large][name]
        told = "".join(f"{1000 / one['ms']:>10.0f} ({one['p99']:>6.1f} ms)" for one in (figures, other))
        queries = f"{figures['queries']:.0f} / {other['queries']:.0f}"
        print(f"{name:26}{told}{other['ms'] / figures['ms']:>8.2f}{queries:>12}")
    whole = best[large]["usage of all services"]
    print(f"{whole['items']:.0f} services in one call of /usage: {whole['ms'] / 1000:.2f} s (aim: under 2 s)")
