"""`omiumctl demo`: the life of real executions within a minute, told while it happens."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Final

import click

from omium_sync import Omium

from ..connection import show_log
from ..console import console_beside, require_console
from ..demo.corpus import Corpus, choose
from ..demo.story import Story
from ..demo.workspace import Workspace, default_database
from ..failures import Failure

__all__ = ["demo"]

_EXECUTIONS: Final = 120
_NAP: Final = 0.5  # seconds of sleep at a time: Ctrl-C wakes nobody where the system gives it to another thread


@click.command(
    short_help="See all of it at work, on real files, on this machine.",
    epilog="""\b
Examples:
  omiumctl demo
  omiumctl demo ~/notes --executions 500""",
)
@click.argument("path", type=click.Path(exists=True, file_okay=False, path_type=Path), required=False)
@click.option(
    "--database",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where executions are kept [a file of its own under ~/.local/state]; a second run finds those of the first.",
)
@click.option(
    "--executions",
    "wanted",
    type=click.IntRange(100, 5000),
    default=_EXECUTIONS,
    show_default=True,
    metavar="N",
    help="How many to create.",
)
@click.option("--ui", is_flag=True, help="Serve the console beside it, the page of `omiumctl ui`, until Ctrl-C.")
def demo(path: Path | None, database: Path | None, wanted: int, ui: bool) -> None:
    """See executions, checkpoints, replay and rollback at work, on real files, on this machine alone.

    A workflow of four steps measures each file of PATH [source files of Python's standard library]. Some fail for a
    real reason; one is mended and replayed, one that was done is rolled back. Nothing is written into PATH.
    """
    if ui:
        require_console()
    kept = True
    if database is None:
        database, kept = default_database()
    corpus = choose(path, wanted - 2, without=Workspace.beside(database))
    if not corpus.files:
        also = f" ({'; '.join(corpus.remarks)})" if corpus.remarks else ""
        raise click.UsageError(f"there is no file to measure in {corpus.folder}{also}")
    show_log(verbose=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # what other people's sources do is not news
        warnings.simplefilter("ignore", DeprecationWarning)
        _tell(corpus, database, wanted, kept=kept, ui=ui)


def _tell(corpus: Corpus, database: Path, wanted: int, *, kept: bool, ui: bool) -> None:
    from omium_async.local import DatabaseInUseError, LocalOmiumError  # noqa: PLC0415 - only here is a server needed
    from omium_sync import LocalOmium  # noqa: PLC0415 - likewise

    try:
        with LocalOmium(database) as local, Omium(local.api_key, base_url=local.url, max_retries=3) as omium:
            workspace = Workspace.prepare(database, corpus.files)
            story = Story(local, omium, corpus, workspace, database)
            if not ui:
                story.tell(wanted, kept=kept)
                return
            with console_beside(local.api_key, local.url) as url:
                click.echo(f"Console: {url}")
                story.tell(wanted, kept=kept)
                click.echo("The console stays until Ctrl-C:")
                click.echo(url)
                while True:
                    time.sleep(_NAP)
    except DatabaseInUseError as error:
        raise Failure(f"{error}; for a second demo at the same time: --database FILE") from None
    except LocalOmiumError as error:
        raise Failure(str(error)) from None
