"""Makes .venv from the locked parts, with Python's standard library alone. Does nothing that is done already."""

import contextlib
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
DONE = VENV / "doublehop.json"
"""What is installed: {"root": ..., "demo": hash of requirements/demo.txt, "project": hash of pyproject.toml}."""
CONTAINS = {"demo": ["demo"], "dev": ["dev", "demo"]}
"""Whoever has the tests' parts has the demo's."""
FITS = "import sys, pip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))"
STEPS = 7
"""Of `make run`; doublehop.box goes on with the third."""


class Stop(Exception):
    """One sentence for the person at the terminal."""


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in {"demo", "dev", "run"}:
        sys.stderr.write("usage: bin/bootstrap demo|dev|run\n")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if arguments == ["run"]:
            refuse_taken_port(os.environ.get("PORT") or "8000")
        prepare("demo" if arguments == ["run"] else arguments[0])
    except Stop as stop:
        sys.stderr.write(f"{stop}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    if arguments == ["run"]:
        # The box takes over this very process, so that signals to it need no messenger.
        os.execv(PYTHON, [str(PYTHON), "-m", "doublehop.box", "--end-with-parent"])
    return 0


def refuse_taken_port(text: str) -> None:
    """Raises Stop when nobody could listen there, before anything is fetched."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise Stop(f"PORT={text} is no port: a number from 1 to 65535 is needed.")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(text)))
            probe.listen(1)
        except PermissionError as error:
            raise Stop(f"Port {text} is reserved for root; try `make run PORT=8000`.") from error
        except OSError as error:
            raise Stop(
                f"Port {text} is taken by another program; try another one: `make run PORT={int(text) % 65535 + 1}`."
            ) from error


def prepare(parts: str) -> None:
    lock = ROOT / "requirements" / f"{parts}.txt"
    done = read_done()
    if done.get("root") != str(ROOT) or not fits(PYTHON):
        with step(1, "Python environment"):
            make_environment()
        done = {"root": str(ROOT)}
    if done.get(parts) != digest(lock):
        with step(2, "Python parts, checked against their hashes (first time: a minute)"):
            pip("--require-hashes", "-r", str(lock))
        for name in CONTAINS[parts]:
            done[name] = digest(ROOT / "requirements" / f"{name}.txt")
        done.pop("project", None)
    if done.get("project") != digest(ROOT / "pyproject.toml"):
        pip("--no-deps", "--no-build-isolation", "--editable", str(ROOT))
        done["project"] = digest(ROOT / "pyproject.toml")
    DONE.write_text(json.dumps(done, indent=1), encoding="utf-8")


def read_done() -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads(DONE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fits(python: Path) -> bool:
    """Whether it starts, has a version that we support, and has pip."""
    return python.exists() and subprocess.run([python, "-c", FITS], capture_output=True).returncode == 0


def make_environment() -> None:
    if fits(PYTHON) and not DONE.exists():
        return  # made by somebody else: used as it is
    need_ensurepip()
    run([sys.executable, "-m", "venv", "--clear", str(VENV)], "The Python environment could not be made")


def need_ensurepip() -> None:
    """Debian leaves it out of python3. As root it is installed, else named."""
    if has_ensurepip():
        return
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    if Path(sys.executable).resolve().name == Path("/usr/bin/python3").resolve().name:
        package = "python3-venv"
    if os.geteuid() == 0 and Path("/usr/bin/apt-get").exists():
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "-y", "--no-install-recommends", package]
        if subprocess.run(install, env=environment, **quiet).returncode:
            subprocess.run(["apt-get", "update"], env=environment, **quiet)
            subprocess.run(install, env=environment, **quiet)
    if not has_ensurepip():
        raise Stop(
            f"The Debian package {package} is missing: install it as root with `apt-get install {package}`."
        )


def has_ensurepip() -> bool:
    command = [sys.executable, "-c", "import ensurepip, venv; ensurepip.version()"]
    return subprocess.run(command, capture_output=True).returncode == 0


def pip(*arguments: str) -> None:
    command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    run([*command, "--root-user-action=ignore", *arguments], "pip could not install the locked parts")


def run(command: list[str], trouble: str) -> None:
    """Quietly; its last words are shown when it fails. Ended with us, whatever ends us."""
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, process_group=0
    )
    try:
        words, _ = process.communicate()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        raise Stop(f"{trouble}; it said:\n{words.strip()[-3000:]}")


@contextlib.contextmanager
def step(number: int, text: str) -> Iterator[None]:
    begin = time.monotonic()
    sys.stdout.write(f"{number}/{STEPS} {text} ... ")
    sys.stdout.flush()
    try:
        yield
    except BaseException:
        # At once: what went wrong is said on the other stream, and must not stand behind these dots.
        sys.stdout.write("\n")
        sys.stdout.flush()
        raise
    sys.stdout.write(f"{time.monotonic() - begin:.0f} s\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
