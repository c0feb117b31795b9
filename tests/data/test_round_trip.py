"""Whatever is of a type that can be read comes back equal from being sent."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import HealthCheck, given, settings

from omium_async import AsyncOmium, make_converter
from omium_async._data.codec import decode_json, encode
from omium_async._data.plain import plain
from omium_async._data.reading import check_type, matches, read_typed
from omium_async.local import LocalOmium, WorkflowRun

from .strategies import typed_values

CONVERTER = make_converter()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(typed_value=typed_values())
def test_a_value_of_any_type_comes_back_equal(typed_value: tuple[Any, Any]) -> None:
    kind, value = typed_value
    check_type(CONVERTER, kind)
    matches(CONVERTER, value, kind, "input_data")
    sent = plain(value, "input_data", CONVERTER)
    arrived = decode_json(encode(sent))
    assert repr(arrived) == repr(sent)
    found = read_typed(CONVERTER, arrived, kind, "output_data")
    assert found == value
    assert repr(found) == repr(value)  # tells 1 from 1.0 and True


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(typed_value=typed_values())
def test_a_value_of_any_type_comes_back_equal_from_a_workflow(typed_value: tuple[Any, Any]) -> None:
    kind, value = typed_value
    given_type, data = dict[str, kind], {"value": value}  # type: ignore[valid-type]

    async def echo(run: WorkflowRun, data: Any) -> Any:
        return await run.step("echo", lambda: data, result_type=given_type)

    echo.__annotations__["data"] = given_type

    async def through() -> Any:
        async with LocalOmium() as local, AsyncOmium(local.api_key, base_url=local.url) as omium:
            local.workflow("echo")(echo)
            run = await omium.workflow("echo", given_type, given_type).start(data)
            return await run.result(poll_interval=0.002)

    found = asyncio.run(through())
    assert found == data
    assert repr(found) == repr(data)
