"""Parts of the server by themselves: what is committed together, what is carried to its end, what is no JSON."""

from __future__ import annotations

import asyncio
import queue

import pytest

from omium_async.local.database import _JOBS_PER_COMMIT, Database
from omium_async.local.jsontext import NotJSONError, decode_untrusted
from omium_async.local.shielded import to_the_end


def batches_of(*jobs):
    """What the writer takes of jobs that wait, before it would wait itself."""
    database = Database.__new__(Database)
    database._jobs = queue.SimpleQueue()
    for job in jobs:
        database._jobs.put(job)
    while not database._jobs.empty():
        yield database._next_batch()


def test_what_waits_is_committed_together_up_to_a_bound():
    jobs = [object() for _ in range(_JOBS_PER_COMMIT + 3)]
    assert list(batches_of(*jobs[:3])) == [jobs[:3]]
    assert list(batches_of(*jobs)) == [jobs[:_JOBS_PER_COMMIT], jobs[_JOBS_PER_COMMIT:]]


def test_the_end_comes_after_all_that_waited():
    job = object()
    assert list(batches_of(job, None)) == [[job], []]
    assert list(batches_of(None)) == [[]]


async def test_what_is_carried_to_its_end_gives_what_it_gives():
    async def work(result):
        if isinstance(result, Exception):
            raise result
        return result

    assert await to_the_end(work(1)) == 1
    with pytest.raises(ValueError, match="no"):
        await to_the_end(work(ValueError("no")))


@pytest.mark.parametrize("end", ["result", "error", "cancelled"])
async def test_who_is_cancelled_meanwhile_waits_for_the_end_and_no_error_is_left_over(end):
    begun, go, tasks = asyncio.Event(), asyncio.Event(), []

    async def work():
        tasks.append(asyncio.current_task())
        begun.set()
        await go.wait()
        if end == "error":
            raise ValueError("nobody waits for it any more")
        if end == "cancelled":
            raise asyncio.CancelledError

    caller = asyncio.create_task(to_the_end(work()))
    await begun.wait()
    for _ in range(2):
        caller.cancel()
        await asyncio.sleep(0)
        assert not caller.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert tasks[0].done()
    assert not tasks[0]._log_traceback  # else asyncio would say that nobody asked for its error


@pytest.mark.parametrize("wrong", [b"NaN", b"-Infinity", b"1e999", b'"\\ud800"'])
def test_beside_an_integer_of_many_digits_all_else_is_refused_as_ever(wrong):
    long = b"-" + b"1" * 4300
    assert decode_untrusted(long) == int(long)
    assert decode_untrusted(b"[" + long + b', 1.5, "a"]') == [int(long), 1.5, "a"]
    with pytest.raises(NotJSONError):
        decode_untrusted(b"[" + long + b", " + wrong + b"]")
