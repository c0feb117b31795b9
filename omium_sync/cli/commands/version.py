"""`omiumctl version`."""

from __future__ import annotations

import click

from omium_sync import __version__

from ..connection import examples


@click.command("version", epilog=examples("omiumctl version"))
def command() -> None:
    """Print the version of omium-async."""
    click.echo(f"omiumctl {__version__}")
