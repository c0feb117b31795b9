"""`omiumctl request`: any other endpoint of the service, with the same safety."""

from __future__ import annotations

import sys
from typing import Any

import click

from ..arguments import json_option
from ..connection import Connection, connection_options, pass_connection
from ..failures import sdk_arguments
from ..filters import pair
from ..render import printable, write_json

__all__ = ["request"]


@click.command(
    short_help="Call any other endpoint.",
    epilog="""\b
Examples:
  omiumctl request GET /workflows --param limit=5
  omiumctl request POST /executions/exec_abc/execute --json '{"inputs": {}}'
  omiumctl request DELETE /executions/exec_abc""",
)
@click.argument("method")
@click.argument("path")
@click.option("--param", "params", type=pair, multiple=True, metavar="NAME=VALUE", help="A parameter of the query.")
@json_option("--json", "body", "The body: JSON, @FILE, or @- for stdin.")
@connection_options()
@pass_connection
def request(connection: Connection, /, method: str, path: str, params: tuple[tuple[str, str], ...], body: Any) -> None:
    """Call PATH, below the base URL, with METHOD, and print what is answered.

    Everything but GET, HEAD and OPTIONS counts as a write: it carries an Idempotency-Key, and is sent again only when
    it was surely not applied.
    """
    with connection.client() as omium, sdk_arguments():
        answer = omium.request(method, path, params=dict(params) or None, json=body)
    if not answer.body:
        return
    try:
        write_json(answer.json())
    except ValueError:
        if not sys.stdout.isatty():
            sys.stdout.buffer.write(answer.body)
            sys.stdout.buffer.flush()
            return
        for line in answer.body.decode(errors="replace").splitlines():
            click.echo(printable(line))
