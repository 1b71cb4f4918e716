"""The WHMCS module in its stand-in host: what it adds to the HTTP calls that it waits for. Aim: under 20 ms."""

import json
import os
import shutil
import subprocess
from pathlib import Path

from tests.whmcs.conftest import Provider, php, stand_in

TURNS = 20
HERE = Path(__file__).parent


def report(folder: Path) -> None:
    if shutil.which("php") is None:
        print("\nWHMCS module: not measured, there is no php")
        return
    home = folder / "whmcs"
    home.mkdir()
    provider = Provider(home)
    try:
        with stand_in(home / "host", f"http://127.0.0.1:{provider.port}/leap/api.php") as host:
            host.add("tblclients", id=1, firstname="Mara", lastname="Quill", email="mara@books.example")
            record = host.server_record(f"http://127.0.0.1:{provider.port}", provider.token)
            service = host.order(host.settings(provider.products["By hand"]), 1, server=record)
            host.save(service, provider.ids["alpha"])
            host.press(service, "CreateAccount")
            done = subprocess.run(
                [php(), str(HERE / "whmcs.php"), str(service), str(TURNS)],
                env={**os.environ, "WHMCS_STAND_IN": str(host.folder)},
                capture_output=True,
                text=True,
                timeout=600,
                check=True,
            )
    finally:
        provider.end()
    print(f"\nWHMCS module, median of {TURNS}, its own time beside what it waits for the panel")
    for name, one in json.loads(done.stdout).items():
        print(
            f"{name:14}{one['own']:>7.1f} ms (best {one['best']:.1f}, worst {one['worst']:.1f}), waits {one['waited']:.0f} ms"
        )
