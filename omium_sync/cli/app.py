"""The program: its commands, and the way from an error to one line and an exit status."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import io
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any, Final

import click
from click.shell_completion import CompletionItem, shell_complete

from .connection import Connection, connection_options
from .endings import INTERRUPTED, REFUSED, USAGE, CommandFailed, notes_of
from .output import complain

#: Set by the script that `omiumctl completion` prints, when the shell asks for completions.
COMPLETION_VARIABLE: Final = "_OMIUMCTL_COMPLETE"

#: The commands, each with the file in `commands/` that defines `NAME_command`, and its line in the help.
COMMANDS: Final = {
    "demo": ("demo", "Watch executions, replay, rollback and cancel on real files."),
    "serve": ("serve", "Serve a local Omium with your workflows."),
    "ui": ("ui", "Open the console, a web page over your executions."),
    "list": ("list", "List executions."),
    "count": ("list", "Count executions."),
    "show": ("show", "Show executions."),
    "create": ("create", "Start an execution."),
    "wait": ("create", "Wait until executions have settled."),
    "replay": ("replay", "Run one execution, or many, again from a checkpoint."),
    "rollback": ("replay", "Take an execution back to a checkpoint."),
    "cancel": ("cancel", "Cancel executions."),
    "delete": ("cancel", "Delete executions permanently."),
    "batch": ("batch", "Start an execution for each line of a file."),
    "checkpoints": ("show", "List the checkpoints of an execution."),
    "workflows": ("show", "List workflows, or show one."),
    "request": ("request", "Call any other endpoint."),
    "check": ("check", "Check the key and the URL; probe the service."),
    "completion": ("help", "Print the completion script of your shell."),
    "help": ("help", "Show the help of a command."),
    "version": ("help", "Print the version."),
}


def unknown_command(name: str) -> str:
    """Say that there is no such command, and suggest a similar one."""
    similar = difflib.get_close_matches(name, COMMANDS, n=1)
    return f"No such command {name!r}." + "".join(f" Did you mean {each}?" for each in similar)


class Commands(click.Group):
    """A group that imports a command when it is used: `omiumctl --help` and completion import none."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f".commands.{COMMANDS[cmd_name][0]}", __package__)
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of the arguments."""
        if args[0] not in COMMANDS and not ctx.resilient_parsing:
            ctx.fail(unknown_command(args[0]))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the names of commands and of the shared options."""
        names = [CompletionItem(name, help=text) for name, (_, text) in COMMANDS.items() if name.startswith(incomplete)]
        return names + click.Command.shell_complete(self, ctx, incomplete)


def _version(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        from omium_sync import __version__  # noqa: PLC0415 - `--help` does not need the SDK

        click.echo(f"omiumctl {__version__}")
        context.exit()


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  omiumctl check
  omiumctl list --status failed --since 1d
  omiumctl replay --status failed --since 1d --yes

Exit status: 0 done, 1 the service refused or failed, 2 wrong usage, 130 interrupted. The options above may also stand
after the name of a command. There is no option for the key itself, because other users of a machine can read command
lines.""",
)
@connection_options(hidden=False)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
)
@click.pass_context
def omiumctl(context: click.Context) -> int | None:
    """Work with executions of the Omium API: list, start, replay, roll back and cancel them.

    New here? `omiumctl demo` shows all of this on your machine, without an account and without a network.
    """
    context.ensure_object(Connection)
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        return USAGE
    return None


def run(arguments: Sequence[str] | None) -> int:
    """Run one command and return its exit status."""
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison] - closed by the caller: `>&-`
        complain("stdout is closed; there is nowhere to write to")
        return REFUSED
    _prepare_streams()
    if instruction := os.environ.get(COMPLETION_VARIABLE):
        return shell_complete(omiumctl, {}, "omiumctl", COMPLETION_VARIABLE, instruction)
    code: Any = 0
    try:
        # Not click's own `main`: it has other exit statuses and longer messages.
        with omiumctl.make_context("omiumctl", list(sys.argv[1:] if arguments is None else arguments)) as context:
            code = omiumctl.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as end:
        code = end.exit_code
    except BrokenPipeError:
        pass  # the reader has closed the pipe (`| head`): this is no failure
    except BaseException as error:  # noqa: BLE001 - each error ends as one line and an exit status
        code = _explain(error)
    _discard_unwritten()
    return code if isinstance(code, int) else 0


def _prepare_streams() -> None:
    if sys.stderr is None:  # pyright: ignore[reportUnnecessaryComparison] - closed by the caller: `2>&-`
        # Occupy descriptor 2. Otherwise the next database file gets it, and messages are written into that file.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2, inheritable=True)
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # escape characters that the terminal cannot show


def _discard_unwritten() -> None:
    """Discard output that cannot be written. Otherwise the interpreter prints an error and exits with 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _explain(error: BaseException) -> int:
    from omium_sync import ConfigurationError, OmiumError  # noqa: PLC0415 - `--help` does not need the SDK

    match error:
        case click.UsageError():
            place = error.ctx.command_path if error.ctx is not None else "omiumctl"
            complain(f"{_usage_message(error)} (see {place} --help)", name=place)
            return USAGE
        case click.ClickException():
            complain(error.format_message())
            return REFUSED
        case click.Abort() | KeyboardInterrupt():
            complain(_interrupted(error))
            return INTERRUPTED
        case CommandFailed():
            complain(str(error))
            return error.code
        case ConfigurationError():
            complain(str(error))
            return USAGE
        case OmiumError():
            complain(_with_execution(error))
            return REFUSED
        case OSError():
            complain(f"{error.filename or 'the output cannot be written'}: {error.strerror or error}")
            return REFUSED
        case _:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            complain(f"this is a defect: {type(error).__name__}: {error} ({frame.filename}:{frame.lineno})")
            return REFUSED


def _usage_message(error: click.UsageError) -> str:
    if isinstance(error, click.NoSuchOption) and error.option_name in {"--json", "--jsonl", "--csv"}:
        return f"No such option {error.option_name}. Did you mean --output {error.option_name[2:]}?"
    return " ".join(map(str.strip, error.format_message().splitlines()))


def _interrupted(error: BaseException) -> str:
    before = error.__context__
    if isinstance(before, CommandFailed) and before.code == INTERRUPTED:
        return str(before)  # a second Ctrl-C while the command said how to continue
    return ": ".join(["interrupted", *filter(None, ["; ".join(notes_of(error))])])


def _with_execution(error: Any) -> str:
    message, execution_id = str(error), error.execution_id
    return message if execution_id is None or execution_id in message else f"{message} [execution {execution_id}]"
