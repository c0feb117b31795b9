"""The same promises for the example of each framework: what the model reads, and how many executions there are."""

from __future__ import annotations

import asyncio

import pytest

from omium_async.local import Fault

from .conftest import EXAMPLES
from .drivers import DRIVERS
from .needs import needs

PARAMETERS = [pytest.param(driver, id=driver.__name__, marks=needs(module)) for driver, module in DRIVERS.items()]

pytestmark = pytest.mark.filterwarnings("ignore::ImportWarning", "ignore::DeprecationWarning:crewai")


@pytest.fixture(params=PARAMETERS)
def driver(request):
    return request.param


@pytest.fixture
def ask(driver, example):
    """Return a function that lets the model call the tool with each day, and returns what it reads after each call."""

    async def run(*days):
        return await driver(example, list(days))

    return run


async def test_the_model_reads_the_result(ask, local):
    (text,) = await ask(3)
    assert "day 3" in text
    assert local.counts["POST /executions"] == 1


async def test_a_failed_workflow_is_a_text_and_runs_once(ask, local):
    (text,) = await ask(-1)
    assert "no such day" in text
    assert "do not send it again" in text
    assert "Traceback" not in text
    assert local.counts["POST /executions"] == 1


async def test_a_refusal_is_a_text_that_says_what_to_do(ask, local):
    local.inject(Fault(method="POST", path="/executions", status=402))
    (text,) = await ask(3)
    assert "out of credits" in text
    assert local.counts["POST /executions"] == 1


async def test_input_of_a_wrong_type_is_a_text_and_nothing_is_sent(ask, local):
    (text,) = await ask("third")
    assert text
    assert local.counts == {}


@pytest.mark.parametrize("driver", [each for each in PARAMETERS if each.id != "autogen"], indirect=True)
async def test_the_input_may_be_an_attrs_class(driver, example, local, tmp_path, monkeypatch):
    for program in EXAMPLES.glob("*.py"):
        text = program.read_text().replace("from dataclasses import dataclass", "from attrs import frozen as dataclass")
        (tmp_path / program.name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))

    (done,) = await driver(example, [3])
    assert "day 3" in done
    (text,) = await driver(example, ["third"])
    assert text
    assert local.counts["POST /executions"] == 1


async def test_the_model_may_call_again_only_if_nothing_was_written(ask, client, local):
    local.inject(Fault(method="POST", path="/executions", status=501))
    refused, done = await ask(3, 4)  # another day: CrewAI itself refuses the same call twice
    assert "not applied and may be sent again" in refused
    assert "day 4" in done
    assert await client.executions.count() == 1

    local.inject(Fault(method="POST", path="/executions", when="after", action="drop"))
    (lost,) = await ask(3)
    assert "outcome unknown" in lost
    assert await client.executions.count() == 2


async def test_cancelling_the_agent_cancels_the_execution(ask, client, local):
    agent = asyncio.create_task(ask(40))
    running = asyncio.create_task(local.running.wait())
    await asyncio.wait([agent, running], return_when="FIRST_COMPLETED")
    agent.cancel()
    with pytest.raises(asyncio.CancelledError):
        await agent
    (row,) = (await client.executions.page()).items
    ended = await client.executions.wait(row.id)
    assert ended.status == "cancelled"
    assert local.counts["POST /executions"] == 1
