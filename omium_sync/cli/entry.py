"""From a command to the exit status of the process: every failure becomes one line, none a traceback."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Final

import click
from click.shell_completion import shell_complete

from omium_async import ConfigurationError, OmiumError

from .commands.completion import VARIABLE
from .failures import INTERRUPTED, REFUSED, USAGE, Failure
from .group import omiumctl
from .render import complain

__all__ = ["run"]

_DONE: Final = 0


def run(arguments: Sequence[str] | None) -> int:
    """Run one command; its exit status."""
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison] - closed by the caller: `>&-`
        complain("stdout is closed: there is nowhere to write to")
        return REFUSED
    _prepare_streams()
    if instruction := os.environ.get(VARIABLE):  # a shell asks what may follow
        return shell_complete(omiumctl, {}, "omiumctl", VARIABLE, instruction)
    code: object = _DONE
    try:
        # Not by way of click's own `main`: it has other exit statuses, and more to say than a line.
        with omiumctl.make_context("omiumctl", list(sys.argv[1:] if arguments is None else arguments)) as context:
            code = omiumctl.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as end:
        code = end.exit_code
    except BrokenPipeError:
        pass  # whoever read the output has had enough (`| head`): no failure, and nothing to say
    except BaseException as error:  # noqa: BLE001 - whatever it is, it ends as a line and a status
        code = _explain(error)
    _give_up_output()
    return code if isinstance(code, int) else _DONE


def _prepare_streams() -> None:
    if sys.stderr is None:  # pyright: ignore[reportUnnecessaryComparison] - closed by the caller: `2>&-`
        # Its number must lead nowhere, lest a database gets it, and with it what is written to stderr.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2, inheritable=True)
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # what a terminal cannot show is no reason to fail


def _give_up_output() -> None:
    """What could not be written goes nowhere, or the interpreter would complain about it at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _explain(error: BaseException) -> int:
    match error:
        case click.UsageError():
            place = error.ctx.command_path if error.ctx is not None else "omiumctl"
            said = " ".join(map(str.strip, error.format_message().splitlines()))
            complain(f"{said} (see {place} --help)", name=place)
            return USAGE
        case click.ClickException():
            complain(error.format_message())
            return REFUSED
        case click.Abort() | KeyboardInterrupt():
            before = error.__context__  # a second Ctrl-C, after a command has said how to go on
            told = isinstance(before, Failure) and before.code == INTERRUPTED
            complain(str(before) if told else "interrupted")
            return INTERRUPTED
        case Failure():
            complain(str(error))
            return error.code
        case ConfigurationError():
            complain(str(error))
            return USAGE
        case OmiumError():
            complain(str(error))
            return REFUSED
        case OSError():
            complain(f"{error.filename or 'the output could not be written'}: {error.strerror or error}")
            return REFUSED
        case _:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            complain(f"this is a defect: {type(error).__name__}: {error} ({frame.filename}:{frame.lineno})")
            return REFUSED
