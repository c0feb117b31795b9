"""`omiumctl completion`: the script with which a shell completes commands and options."""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import get_completion_class

from ..app import COMPLETION_VARIABLE
from ..connection import examples

_SHELLS: Final = ("bash", "zsh", "fish")


@click.command(
    "completion",
    epilog=examples(
        'eval "$(omiumctl completion bash)"          # in ~/.bashrc',
        'eval "$(omiumctl completion zsh)"           # in ~/.zshrc',
        "omiumctl completion fish > ~/.config/fish/completions/omiumctl.fish",
    ),
)
@click.argument("shell", type=click.Choice(_SHELLS), metavar="SHELL")
@click.pass_context
def command(context: click.Context, /, shell: str) -> None:
    """Print a script for SHELL. With it, the Tab key completes commands, options and their values."""
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"this version of click does not support {shell}")
    click.echo(found(context.find_root().command, {}, "omiumctl", COMPLETION_VARIABLE).source())
