"""A create whose response has an id that cannot be used raises an error with the outcome `applied`."""

from __future__ import annotations

from typing import Any

import pytest

import omium_async as om

from .conftest import Service


async def _start_and_wait(omium: om.AsyncOmium) -> Any:
    run = await omium.workflow("w").start()
    return await run.result()


CALLS = {
    "run": lambda omium: omium.executions.run("w"),
    "execute": lambda omium: omium.workflow("w").execute(),
    "result": _start_and_wait,
}


@pytest.mark.parametrize("id", ["", "..", "live", "compare", "a\nb"])
@pytest.mark.parametrize("call", CALLS)
async def test_an_applied_create_without_a_usable_id_is_reported_as_applied(
    service: Service, omium: om.AsyncOmium, call: str, id: str
):
    service.answers("POST", "/executions", status=201, payload={"id": id, "status": "running"})
    with pytest.raises(om.InvalidResponseError) as raised:
        await CALLS[call](omium)
    assert (raised.value.outcome, raised.value.path, raised.value.execution_id) == ("applied", "id", id)
    assert b'"running"' in (raised.value.body or b"")
    assert len(service.received) == 1
