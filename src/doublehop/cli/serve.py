"""``doublehop serve``: the web server and the worker as children of one small process that keeps both running."""

import argparse
import sys

from doublehop.cli import lifeline, ports
from doublehop.cli.supervisor import GRACE_SECONDS, Part, Supervisor
from doublehop.site.environment import Environment

_SELF = (sys.executable, "-m", "doublehop.cli")


def run(options: argparse.Namespace, environment: Environment) -> int:
    ports.refuse_taken(options.host, options.port)
    if options.lifeline is not None:
        lifeline.end_with_pipe(options.lifeline)
    web = Part("web", (*_SELF, "web", "--host", options.host, "--port", str(options.port)))
    # A worker that lost its supervisor a moment ago may still be finishing its last job.
    worker = Part("worker", (*_SELF, "worker", "--patience", str(GRACE_SECONDS + 5)))
    print(f"doublehop: web and worker, listening at {options.host}:{options.port}", flush=True)
    return Supervisor([web, worker]).run()
