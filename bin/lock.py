"""Locks the dependencies of pyproject.toml with their hashes: `make lock`. ``--check`` only compares, offline.

Each file begins with the fingerprint of what it was made from, so that a changed pyproject.toml is noticed without
asking any registry.
"""

import hashlib
import json
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXTRAS: dict[str, list[str]] = {"runtime": [], "demo": ["build", "box"], "dev": ["build", "box", "dev"]}
OPTIONS = [
    "--universal",
    "--python-version",
    "3.11",
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-header",
    "--quiet",
]


def heading(extras: list[str]) -> str:
    """What the project asks for, in one line."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = {
        "python": project["requires-python"],
        "runtime": sorted(project["dependencies"]),
        **{extra: sorted(project["optional-dependencies"][extra]) for extra in extras},
    }
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
    return f"# Made by `make lock` from pyproject.toml, whose dependencies have the fingerprint {digest}\n"


def target(name: str) -> Path:
    return ROOT / "requirements" / f"{name}.txt"


def lock(name: str, extras: list[str]) -> None:
    chosen = [argument for extra in extras for argument in ("--extra", extra)]
    command = [sys.executable, "-m", "uv", "pip", "compile", *OPTIONS, *chosen, "pyproject.toml"]
    subprocess.run([*command, "-o", str(target(name))], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    target(name).write_text(heading(extras) + target(name).read_text(encoding="utf-8"), encoding="utf-8")


def main(arguments: list[str]) -> int:
    if arguments != ["--check"]:
        for name, extras in EXTRAS.items():
            lock(name, extras)
        return 0
    old = [
        name for name, extras in EXTRAS.items() if not target(name).read_text().startswith(heading(extras))
    ]
    for name in old:
        sys.stderr.write(f"requirements/{name}.txt does not fit pyproject.toml: run `make lock`\n")
    return 1 if old else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
