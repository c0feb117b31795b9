"""`omiumctl help`, `version` and `completion`: about the program itself."""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import CompletionItem, get_completion_class

from omium_sync import __version__

from ..app import COMMANDS, COMPLETION_VARIABLE, unknown_command
from ..connection import local_command

_SHELLS: Final = ("bash", "zsh", "fish")


def _names(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in COMMANDS if name.startswith(incomplete)]


@local_command("help", "omiumctl help", "omiumctl help replay")
@click.argument("name", metavar="[COMMAND]", required=False, shell_complete=_names)
@click.pass_context
def help_command(context: click.Context, /, name: str | None) -> None:
    """Show the help of COMMAND, or the list of commands."""
    root = context.find_root()
    if name is None:
        click.echo(root.get_help())
        return
    found = root.command.get_command(root, name) if isinstance(root.command, click.Group) else None
    if found is None:
        raise click.UsageError(unknown_command(name))
    click.echo(click.Context(found, info_name=name, parent=root).get_help())


@local_command("version", "omiumctl version")
def version_command() -> None:
    """Print the version of omium-async."""
    click.echo(f"omiumctl {__version__}")


@local_command(
    "completion",
    'eval "$(omiumctl completion bash)"          # in ~/.bashrc',
    'eval "$(omiumctl completion zsh)"           # in ~/.zshrc',
    "omiumctl completion fish > ~/.config/fish/completions/omiumctl.fish",
)
@click.argument("shell", type=click.Choice(_SHELLS), metavar="SHELL")
@click.pass_context
def completion_command(context: click.Context, /, shell: str) -> None:
    """Print a script for SHELL. With it, the Tab key completes commands, options and their values."""
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"this version of click does not support {shell}")
    click.echo(found(context.find_root().command, {}, "omiumctl", COMPLETION_VARIABLE).source())
