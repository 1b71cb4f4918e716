"""``doublehop web``: granian, one process of a few threads."""

import argparse
import importlib
import os
from collections.abc import Callable
from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels

from doublehop.cli import lifeline, ports, standstill
from doublehop.site.environment import WEB_THREADS, Environment

KILL_AFTER_SECONDS = 8
"""A page that still runs so long after the request to end is cut off; the supervisor would do it at ten."""
SECRETS = (
    "DOUBLEHOP_SECRET_KEY",
    "DOUBLEHOP_VAULT_KEYS",
    "DATABASE_URL",
    "DOUBLEHOP_MAIL_URL",
    "DOUBLEHOP_METRICS_TOKEN",
)


def run(options: argparse.Namespace, environment: Environment) -> int:
    ports.refuse_taken(options.host, options.port)
    if options.lifeline is not None:
        lifeline.end_with_pipe(options.lifeline)
    # Held until this process ends, so that no restore takes the database away below it.
    serving = standstill.serve(environment.data_dir)
    server = Granian(
        "doublehop.site.wsgi:application",
        address=options.host,
        port=options.port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        websockets=False,
        workers=1,
        blocking_threads=WEB_THREADS,
        workers_kill_timeout=KILL_AFTER_SECONDS,
        log_level=LogLevels.warning,
        # Addresses of visitors are the proxy's business, and a query string may hold what somebody searched for.
        log_access=False,
    )
    server.serve(target_loader=load_application, wrap_loader=False)
    serving.close()
    return 0


def load_application() -> Callable[..., Any]:
    """Called in the process that answers requests."""
    lifeline.end_with_parent_process()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "doublehop.site.settings")
    application: Callable[..., Any] = importlib.import_module("doublehop.site.wsgi").application
    for name in SECRETS:
        # The settings have been read. The server copies what is left here into every request.
        os.environ.pop(name, None)
    return application
