"""`omiumctl help`."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from ..connection import examples


def _names(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    group = context.find_root().command
    names = group.list_commands(context) if isinstance(group, click.Group) else []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


@click.command(
    "help",
    epilog=examples("omiumctl help", "omiumctl help replay"),
)
@click.argument("name", metavar="[COMMAND]", required=False, shell_complete=_names)
@click.pass_context
def command(context: click.Context, /, name: str | None) -> None:
    """Show the help of COMMAND, or the list of commands."""
    root = context.find_root()
    if name is None:
        click.echo(root.get_help())
        return
    found = root.command.get_command(root, name) if isinstance(root.command, click.Group) else None
    if found is None:
        raise click.UsageError(f"there is no command {name!r}; `omiumctl help` lists them")
    click.echo(click.Context(found, info_name=name, parent=root).get_help())
