"""``python -m tests.bench``: builds scratch installations, measures, prints figures and ratios. Ends by itself."""

import tempfile
from pathlib import Path

from tests.bench import faces, growth, serving


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="doublehop-bench-") as folder:
        growth.report(Path(folder))
        serving.report(Path(folder))
        faces.report(Path(folder))


if __name__ == "__main__":
    main()
