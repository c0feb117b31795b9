"""`omiumctl request`: any other endpoint of the service."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from typing import Any

import click

from omium_async._caller import READS
from omium_sync import Omium

from ..connection import client_command
from ..endings import note_at_interrupt, sdk_arguments
from ..options import json_option, pair
from ..output import printable, write_json


@client_command(
    "request",
    "omiumctl request GET /failures --param limit=5",
    "omiumctl request POST /executions/exec_abc/execute --json '{\"inputs\": {}}'",
)
@click.argument("method")
@click.argument("path")
@click.option("--param", "params", type=pair, multiple=True, metavar="NAME=VALUE", help="A parameter of the query.")
@json_option("--json", "body", "The body: JSON, @FILE, or @- for stdin.")
def request_command(omium: Omium, /, method: str, path: str, params: tuple[tuple[str, str], ...], body: Any) -> None:
    """Send a request with METHOD to PATH, which is relative to the base URL, and print the body of the response.

    All methods except GET, HEAD and OPTIONS are writes: they carry an Idempotency-Key, and are retried only if they
    were certainly not applied.
    """
    unknown = f"it is not known whether the {printable(method)} was applied"
    with sdk_arguments(), nullcontext() if method.upper() in READS else note_at_interrupt(unknown):
        response = omium.request(method, path, params=dict(params) or None, json=body)
    if not response.body:
        return
    try:
        write_json(response.json())
    except ValueError:
        if not sys.stdout.isatty():
            sys.stdout.buffer.write(response.body)
            sys.stdout.buffer.flush()
            return
        for line in response.body.decode(errors="replace").splitlines():
            click.echo(printable(line))
