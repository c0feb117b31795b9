"""`omiumctl`: the group of all commands."""

from __future__ import annotations

import click

from omium_sync import __version__

from .commands.batch import batch
from .commands.check import check
from .commands.completion import completion
from .commands.count import count
from .commands.create import create
from .commands.demo import demo
from .commands.list import list_
from .commands.replay import replay
from .commands.request import request
from .commands.rollback import rollback
from .commands.serve import serve
from .commands.show import show
from .commands.ui import ui
from .commands.wait import wait
from .connection import Connection, connection_options
from .failures import USAGE

__all__ = ["omiumctl"]


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  omiumctl check
  omiumctl list --status failed --since 1d
  omiumctl replay --status failed --since 1d --yes

Exit status: 0 done, 1 the service refused or failed, 2 wrong usage, 130 interrupted. The options above may also stand
behind a command's name. The key is never taken from the command line, where others see it.""",
)
@connection_options(hidden=False)
@click.version_option(__version__, prog_name="omiumctl", message="%(prog)s %(version)s")
@click.pass_context
def omiumctl(context: click.Context) -> int | None:
    """Executions of the Omium API: list them, start them, replay them, roll them back.

    New here? `omiumctl demo` shows all of it on this machine, without an account and without a network.
    """
    context.ensure_object(Connection)
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        return USAGE
    return None


for _command in (
    demo,
    serve,
    ui,
    list_,
    count,
    show,
    create,
    replay,
    rollback,
    wait,
    batch,
    request,
    check,
    completion,
):
    omiumctl.add_command(_command)
