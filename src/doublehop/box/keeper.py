"""``python -m doublehop.box.keeper FOLDER BMC_PORT SWITCH_PORT``: runs the emulators until its input ends.

Says where they are in one line of JSON. Its input is a pipe that the box never writes to: when the box ends, even by
``kill -9``, the pipe closes, and the emulators end too.
"""

import dataclasses
import json
import os
import signal
import socket
import sys
from pathlib import Path

from doublehop.box.emulators import Emulators, EmulatorsUnavailable
from doublehop.box.machines import MACHINES, SPARE_SWITCH_PORTS


def main(folder: str, bmc_port: str, switch_port: str) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    place = Emulators(
        Path(folder),
        MACHINES,
        spare_ports=SPARE_SWITCH_PORTS,
        bmc_port=free_or_any(int(bmc_port), socket.SOCK_STREAM),
        switch_port=free_or_any(int(switch_port), socket.SOCK_DGRAM),
    )
    try:
        with place:
            print(json.dumps(dataclasses.asdict(place.addresses)), flush=True)
            while os.read(0, 1):
                pass
    except EmulatorsUnavailable as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def free_or_any(port: int, kind: socket.SocketKind) -> int:
    """The port of the last time, as the installation knows it; 0 (any) when somebody else has it now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
        return port


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
