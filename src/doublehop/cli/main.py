"""The ``doublehop`` command: reads the arguments and the settings, then loads the one command that was asked for.

Commands are loaded by name, for two reasons. Django's models can be imported only after the settings are there, and the
settings only after the environment was found good. And ``serve`` only watches others: it should stay as small as Python.
``remote`` works from anywhere, and reads its arguments by itself.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence

import django

from doublehop.cli import env_file
from doublehop.cli.arguments import parser
from doublehop.cli.stopping import CANNOT_START, CannotGoOn
from doublehop.site.environment import BadEnvironment, Environment, read_environment

Command = Callable[[argparse.Namespace, Environment | None], int]
PRIVATE = 0o077
"""What is made here (database, logs, page files) is for this user alone."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Answers with the exit code: 0 fine, 1 something is wrong, 78 it cannot start like this."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["remote"]:
        return int(importlib.import_module("doublehop.cli.remote").run(given[1:]))
    options = parser().parse_args(given)
    try:
        return _run(options)
    except BadEnvironment as error:
        _complain(error.problems)
        return CANNOT_START
    except CannotGoOn as error:
        _complain(str(error).splitlines())
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read has gone, as `head` does. What is left in the buffer has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(options: argparse.Namespace) -> int:
    if not options.needs_installation:
        return _load(options)(options, None)
    os.umask(PRIVATE)
    path = env_file.path_of(os.environ)
    if options.command == "init":
        added = env_file.complete(path, os.environ, base_url=options.base_url)
        print(f"{path}: " + (f"added {', '.join(added)}" if added else "complete, left as it is"))
    env_file.load(path, os.environ)
    environment = read_environment()
    if options.needs_django:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "doublehop.site.settings")
        django.setup()
    return _load(options)(options, environment)


def _load(options: argparse.Namespace) -> Command:
    command: Command = importlib.import_module(f"doublehop.cli.{options.module}").run
    return command


def _complain(sentences: Sequence[str]) -> None:
    if len(sentences) == 1:
        print(f"doublehop: {sentences[0]}", file=sys.stderr)
        return
    print("doublehop: this must be put right first:", file=sys.stderr)
    for sentence in sentences:
        print(f"  - {sentence}", file=sys.stderr)
