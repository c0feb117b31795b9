"""A column more, anywhere among the others: answers show it, and nothing else has to know."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys

import pytest

from omium_async.local import columns

#: Serves with a column more, here among the columns of answers, and shows what it answers.
SERVING = """
import asyncio, importlib.util, json, sys

name = "omium_async.local.columns"
spec = importlib.util.spec_from_file_location(name, sys.argv[1])
columns = sys.modules[name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(columns)
place, at_once = map(int, sys.argv[2:])
more = columns.Column("priority", "TEXT NOT NULL DEFAULT 'high'", "priority", {"type": "string"})
columns.COLUMNS = (*columns.COLUMNS[:place], more, *columns.COLUMNS[place:])
columns.SHOWN = tuple(column for column in columns.COLUMNS if column.shown is not None)

from omium_async import AsyncOmium
from omium_async.local import LocalOmium, lists

lists._AT_ONCE = at_once

async def main():
    local = LocalOmium()

    @local.workflow("double")
    async def double(run):
        return run.input_data * 2

    async with local, AsyncOmium(local.api_key, base_url=local.url, max_retries=0, patience=1) as omium:
        ids = [(await omium.executions.run("double", n, metadata={"n": n})).id for n in range(3)]
        answers = [await omium.request("GET", f"/executions/{id}") for id in ids]
        answers.append(await omium.request("GET", "/executions"))
        print(json.dumps([json.loads(answer.body) for answer in answers]))

asyncio.run(main())
"""


@pytest.mark.parametrize("at_once", [0, 10**6], ids=["row by row", "at once"])
@pytest.mark.parametrize("place", [2, 9, len(columns.COLUMNS) - 2, len(columns.COLUMNS)])
async def test_a_column_more(root, place, at_once):
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", SERVING, columns.__file__, str(place), str(at_once)],
        env={**os.environ, "PYTHONPATH": root},
        check=True,
        stdout=subprocess.PIPE,
    )
    *details, page = json.loads(done.stdout)
    shown = [column.shown for column in columns.COLUMNS]
    shown.insert(place, "priority")
    expected = [name for name in shown if name is not None]
    for rows in (details, page["items"][::-1]):
        assert [list(row)[: len(expected)] for row in rows] == [expected] * 3
        assert [row["priority"] for row in rows] == ["high"] * 3
        assert [(row["input_data"], row["output_data"], row["metadata"]["n"]) for row in rows] == [
            (n, 2 * n, n) for n in range(3)
        ]
