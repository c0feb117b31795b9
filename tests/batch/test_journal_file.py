"""The journal's file and the thread that owns it, below the batch."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from omium_async import ExecutionRequest, Journal, JournalError
from omium_async._journal.commits import Mark
from omium_async._journal.file import JournalFile
from omium_async._journal.schema import Identity
from omium_async._journal.settings import journal_of
from omium_async._journal.writer import Writer

from .conftest import collect

IDENTITY = Identity("create", "http://127.0.0.1/api/v1", "omium_batch_key")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "batch.journal"


def mark(item_id: int) -> Mark:
    return Mark(item_id, "key", item_id, 1, "digest", 0.0, None, None, None)


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "omium-journal"]


async def test_the_file_is_in_the_format_that_the_first_release_wrote(omium, path):
    """Else a batch that an older one began could not go on: a change of it needs an upgrade."""
    requests = [ExecutionRequest("work", number, key=key) for number, key in enumerate([None, "first", None, "second"])]
    await collect(omium.executions.create_many(requests, concurrency=1, journal=path))
    connection = sqlite3.connect(path)
    marks = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
    ids = connection.execute("SELECT id, position FROM items ORDER BY position").fetchall()
    connection.close()
    assert marks == [int.from_bytes(b"OmiJ"), 1]
    assert ids == [(0, 0), (2**40, 1), (2, 2), (2**40 + 1, 3)]


async def test_a_journal_that_is_refused_is_let_go_of_at_once(path):
    """Also while somebody looks at the error, whose traceback holds all that was in hand."""
    await (await JournalFile.open(path, IDENTITY)).close()
    with pytest.raises(JournalError, match="another kind") as refused:
        await JournalFile.open(path, Identity("replay", IDENTITY.base_url, IDENTITY.key_field))
    assert threads() == []
    await (await JournalFile.open(path, IDENTITY)).close()
    assert refused.value.__traceback__ is not None
    assert threads() == []


async def test_who_gives_up_waiting_for_a_journal_need_not_wait_for_it(path):
    holding = await JournalFile.open(path, IDENTITY)
    waiting = asyncio.create_task(JournalFile.open(path, IDENTITY, wait=50))
    began = time.monotonic()
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert time.monotonic() - began < 25
    await holding.close()


async def test_a_job_that_fails_is_undone_and_takes_nothing_else_with_it(path):
    """What was asked for while it ran is told as recorded, and is."""
    file, told = await JournalFile.open(path, IDENTITY), []
    loop = asyncio.get_running_loop()
    await file.mark(mark(0), again=False)

    def failing(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE items SET position = 99")
        loop.call_soon_threadsafe(file.record_soon, 0, "created", "exec_1", None, told.append)
        raise LookupError("mine")

    with pytest.raises(JournalError, match=f"the journal {path} cannot be used: mine"):
        await file.do(failing)
    await file.close()
    again = await JournalFile.open(path, IDENTITY)
    found = await again.find(0)
    assert (told, found.execution_id, found.position) == ([None], "exec_1", 0)
    await again.close()


async def test_what_is_sent_again_has_no_outcome_until_that_is_known(path):
    """Else it would be told as refused, though the second time it may have been applied."""
    file = await JournalFile.open(path, IDENTITY)
    await file.mark(mark(0), again=False)
    await file.record(0, "rejected", None, "{}")
    assert (await file.find(0)).state == "rejected"
    await file.mark(mark(0), again=True)
    assert (await file.find(0)).state is None
    await file.close()


class Bytes(os.PathLike[bytes]):
    def __fspath__(self) -> bytes:
        return b"batch.journal"


@pytest.mark.parametrize(
    ("make", "kind", "said"),
    [
        (lambda: Journal(Bytes()), TypeError, "path: it is bytes; give a path as text"),
        (lambda: Journal(5), TypeError, "path: 5 is not a path; give a path"),
        (lambda: Journal(""), ValueError, "path: '' is empty; give a path"),
        (lambda: Journal("a", key_field=""), ValueError, "key_field"),
        (lambda: Journal("a", key_field=5), TypeError, "key_field"),
        (lambda: Journal("a", wait=-1), ValueError, "wait"),
        (lambda: journal_of(5), TypeError, "journal: 5 is neither; give a path or a Journal"),
    ],
)
def test_what_is_no_journal_is_refused_in_plain_words(make, kind, said):
    with pytest.raises(kind, match=said):
        make()


async def test_commits_are_so_far_apart_as_was_asked_for(path):
    """What comes meanwhile is written together."""
    file = await JournalFile.open(path, IDENTITY, interval=0.3)
    began = time.monotonic()
    await file.mark(mark(0), again=False)
    await file.mark(mark(1), again=False)
    assert time.monotonic() - began >= 0.29
    await file.close()


async def test_the_loop_goes_on_while_the_last_is_written_and_then_the_thread_is_gone(path):
    go_on, went_on = threading.Event(), []

    class Lingering(Writer):
        def _live(self) -> None:
            super()._live()
            threading.Timer(0.2, lingered.set).start()
            lingered.wait(30)

    lingered = threading.Event()
    writer = Lingering(path)
    writer.submit(lambda _: go_on.wait(30), went_on.append)
    ending = asyncio.create_task(writer.end())
    await asyncio.sleep(0)
    go_on.set()
    await ending
    assert (went_on, threads()) == ([True], [])
