"""``python -m tests.bench``: builds scratch installations, measures, prints figures and ratios. Ends by itself."""

import tempfile
from pathlib import Path

from tests.bench import api, collecting, doorbell, faces, growth, octets, rates, rounds, serving, whmcs


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="doublehop-bench-") as folder:
        growth.report(Path(folder))
        api.report(Path(folder))
        serving.report(Path(folder))
        faces.report(Path(folder))
        doorbell.report(Path(folder))
        rates.report(Path(folder))
        octets.report(Path(folder))
        rounds.report(Path(folder))
        collecting.report(Path(folder))
        whmcs.report(Path(folder))


if __name__ == "__main__":
    main()
