"""`omiumctl version`."""

from __future__ import annotations

import click

from omium_sync import __version__

__all__ = ["command"]


@click.command(
    "version",
    epilog="""\b
Examples:
  omiumctl version""",
)
def command() -> None:
    """Print the version of omium-async."""
    click.echo(f"omiumctl {__version__}")
