"""Is the port free? Asked before anything starts, so that the answer is one sentence."""

import errno
import socket

from doublehop.cli.stopping import CANNOT_START, CannotGoOn

LARGEST_PORT = 65535


def refuse_taken(host: str, port: int) -> None:
    """Raises CannotGoOn when nobody could listen at ``host``:``port``."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        raise CannotGoOn(_sentence(host, port, error), exit_code=CANNOT_START) from error


def _sentence(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is taken by another program; choose another one, for example PORT={_other(port)}."
    if error.errno == errno.EACCES:
        return f"Port {port} is reserved for root; choose one above 1023, for example PORT=8000."
    return f"Nobody can listen at {host}, port {port}: {error.strerror or error}."


def _other(port: int) -> int:
    return port + 1 if port < LARGEST_PORT else port - 1
