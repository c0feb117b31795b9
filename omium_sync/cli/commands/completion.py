"""`omiumctl completion`: what a shell needs to complete commands and options."""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import get_completion_class

__all__ = ["VARIABLE", "completion"]

#: Set by what `completion` prints, whenever the shell asks.
VARIABLE: Final = "_OMIUMCTL_COMPLETE"
_SHELLS: Final = ("bash", "zsh", "fish")


@click.command(
    short_help="Let your shell complete commands and options.",
    epilog="""\b
Examples:
  eval "$(omiumctl completion bash)"          # in ~/.bashrc
  eval "$(omiumctl completion zsh)"           # in ~/.zshrc
  omiumctl completion fish > ~/.config/fish/completions/omiumctl.fish""",
)
@click.argument("shell", type=click.Choice(_SHELLS), metavar="SHELL")
@click.pass_context
def completion(context: click.Context, /, shell: str) -> None:
    """Print a script for SHELL, after which the Tab key completes commands, options and their values."""
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"{shell} is not supported by this version of click")
    click.echo(found(context.find_root().command, {}, "omiumctl", VARIABLE).source())
