"""One converter for all data: a hook that is replaced is used in every call."""

from __future__ import annotations

import asyncio
import copy
import json
import threading
from datetime import UTC, datetime
from typing import Annotated, Any, get_args, get_origin

import attrs
import cattrs
import pytest

import omium_async
import omium_sync
from omium_async import (
    AsyncOmium,
    Checkpoint,
    ConfigurationError,
    Execution,
    ExecutionDetail,
    ExecutionPage,
    ExecutionRequest,
    ExecutionStatus,
    InvalidResponseError,
    ReplayResult,
    RollbackResult,
    make_converter,
)
from omium_async.local import LocalOmium

MODELS = [Checkpoint, Execution, ExecutionDetail, ExecutionPage, ReplayResult, RollbackResult]
NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)
DETAIL = {"id": "e", "status": "failed", "created_at": "2025-01-01T12:00:00", "checkpoints": [{"id": "c"}]}
PAGE = {"items": [DETAIL | {"checkpoints": None}], "total": 1}
BODY = json.dumps(DETAIL).encode()


@attrs.define
class Money:
    cents: int


def is_timestamp(kind: Any) -> bool:
    return get_origin(kind) is Annotated and get_args(kind)[0] is datetime


def hooked() -> Any:
    """Return a converter on which the hooks of all that responses contain leave a mark."""
    converter = make_converter()
    for cls in MODELS:
        own = converter.get_structure_hook(cls)

        def marked(value: Any, cls: Any, own: Any = own) -> Any:
            assert isinstance(value, dict)  # decoded, never bytes
            found = own(value, cls)
            found.extra["read by"] = cls.__name__
            return found

        converter.register_structure_hook(cls, marked)
    converter.register_structure_hook(ExecutionStatus, lambda value, _: ExecutionStatus(f"seen {value}"))
    converter.register_structure_hook_func(is_timestamp, lambda value, _: NOON)
    converter.register_unstructure_hook(Money, lambda money: {"sent": money.cents})
    return converter


def is_marked(model: Any) -> bool:
    if isinstance(model, ExecutionPage):
        return model.extra["read by"] == "ExecutionPage" and all(is_marked(row) for row in model)
    if isinstance(model, ExecutionDetail):
        assert all(checkpoint.extra["read by"] == "Checkpoint" for checkpoint in model.checkpoints)
    moments = {getattr(model, "created_at", None), getattr(model, "updated_at", None)}
    return (
        model.extra["read by"] == type(model).__name__ and model.status.startswith("seen ") and moments <= {None, NOON}
    )


ENDED = [ExecutionStatus("seen failed")]


@pytest.fixture
async def local() -> Any:
    server = LocalOmium()

    @server.workflow("work")
    async def work(run: Any) -> Any:
        await run.step("first", lambda: 1)
        if run.input_data == {"sent": 2}:
            raise ValueError("no")
        await asyncio.Event().wait()

    async with server:
        yield server


async def test_a_replaced_hook_is_used_in_every_call(local: LocalOmium) -> None:
    until = [*ENDED, ExecutionStatus("seen running")]
    options: dict[str, Any] = {"poll_interval": 0.01}
    async with AsyncOmium(local.api_key, base_url=local.url, converter=hooked()) as omium:
        executions = omium.executions
        created = await executions.create("work", Money(1), metadata={"of": [Money(5)]})
        failed = await executions.run("work", Money(2), until=ENDED, **options)
        assert [checkpoint.name for checkpoint in failed.checkpoints] == ["first"]
        got = await executions.get(created.id)
        assert (got.input_data, got.metadata["of"]) == ({"sent": 1}, [{"sent": 5}])
        of = {"of": [Money(5)]}
        assert [row.id async for row in executions.list(metadata=of)] == [created.id]
        results = [
            *(created, failed, got, await executions.page()),
            *[row async for row in executions.list()],
            *[row async for page in executions.pages(page_size=1) for row in page],
            await executions.wait(failed.id, until=until, **options),
            *[row async for row in executions.wait_many([failed.id], until=until, **options)],
            await executions.replay(failed.id),
            await executions.wait(failed.id, until=ENDED, **options),
            await executions.rollback(failed.id, checkpoint_name="first"),
        ]
        assert [result for result in results if not is_marked(result)] == []


async def test_a_replaced_hook_is_used_in_batches_and_their_journals(local: LocalOmium, tmp_path: Any) -> None:
    async with AsyncOmium(local.api_key, base_url=local.url, converter=hooked()) as omium:
        for journal in (None, tmp_path / "create", tmp_path / "create"):
            requests = [ExecutionRequest("work", Money(2), {"of": [Money(7)]})]
            outcomes = [outcome async for outcome in omium.executions.create_many(requests, journal=journal)]
            assert [is_marked(outcome.execution) for outcome in outcomes] == [True]
            ids = [outcome.execution.id for outcome in outcomes if outcome.execution]
            assert [is_marked(row) async for row in omium.executions.wait_many(ids, until=ENDED)] == [True]
        for journal in (tmp_path / "replay", tmp_path / "replay"):
            replays = [outcome async for outcome in omium.executions.replay_many(status="failed", journal=journal)]
            assert replays
            assert all(is_marked(outcome.execution) and is_marked(outcome.result) for outcome in replays)


def test_only_the_client_with_a_converter_uses_it() -> None:
    assert is_marked(hooked().loads(BODY, ExecutionDetail))
    assert Execution.from_dict(DETAIL).status == "failed"
    assert make_converter().structure(DETAIL, ExecutionDetail).checkpoints == (Checkpoint("c"),)


@pytest.mark.parametrize(("cls", "data"), [(Execution, DETAIL), (ExecutionDetail, DETAIL), (ExecutionPage, PAGE)])
@pytest.mark.parametrize("replaced", [str, Execution, Checkpoint, ExecutionStatus, "timestamp"])
def test_any_hook_may_be_replaced_at_any_time(cls: Any, data: Any, replaced: Any) -> None:
    converter = make_converter()
    body = json.dumps(data).encode()
    expected = converter.loads(body, cls)
    assert expected == cls.from_dict(data)
    used: list[Any] = []

    def noted(value: Any, kind: Any) -> Any:
        used.append(value)
        return NOON if replaced == "timestamp" else own(value, kind)

    if replaced == "timestamp":
        converter.register_structure_hook_func(is_timestamp, noted)
    else:
        own = converter.get_structure_hook(replaced)
        converter.register_structure_hook(replaced, noted)
    occurs = {Execution: cls is not ExecutionDetail, Checkpoint: cls is ExecutionDetail}.get(replaced, True)
    for each in (converter, converter.copy(), copy.copy(converter), copy.deepcopy(converter)):
        used.clear()
        assert each.loads(body, cls) == expected
        assert bool(used) is occurs


def test_a_hook_that_was_looked_up_before_uses_those_registered_later() -> None:
    converter = make_converter()
    held = converter.get_structure_hook(ExecutionDetail)
    decode = converter.decoder(ExecutionDetail)
    assert held(DETAIL, ExecutionDetail) == decode(BODY)
    converter.register_structure_hook(ExecutionStatus, lambda value, _: ExecutionStatus("later"))
    assert [held(DETAIL, ExecutionDetail).status, decode(BODY).status] == ["later", "later"]

    @converter.register_structure_hook_factory(is_timestamp)
    def make(kind: Any) -> Any:
        return lambda value, _: NOON.replace(year=2000)

    assert held(DETAIL, ExecutionDetail).created_at == decode(BODY).created_at == NOON.replace(year=2000)


def test_it_is_a_new_converter_of_cattrs() -> None:
    assert isinstance(make_converter(), cattrs.Converter)
    assert make_converter() is not make_converter()
    assert omium_sync.make_converter is omium_async.make_converter
    converter = make_converter()

    @converter.register_structure_hook
    def read(value: Any, _: Any) -> Money:
        return Money(value)

    @converter.register_unstructure_hook
    def write(money: Money) -> Any:
        return money.cents

    assert converter.structure(5, Money) == Money(5)
    assert converter.unstructure([Money(5)]) == [5]


@pytest.mark.parametrize("copied", [lambda converter: converter.copy(), copy.copy, copy.deepcopy])
def test_a_copy_has_the_hooks_and_keeps_them(copied: Any) -> None:
    first = make_converter()
    first.register_unstructure_hook(Money, lambda money: money.cents)
    assert first.loads(BODY, ExecutionDetail).checkpoints == (Checkpoint("c"),)
    second = copied(first)
    first.register_unstructure_hook(Money, lambda money: "changed")
    first.register_structure_hook(Checkpoint, lambda value, _: Checkpoint("changed"))
    assert second.dumps({"a": [Money(5)]}) == b'{"a":[5]}'
    assert second.loads(BODY, ExecutionDetail).checkpoints == (Checkpoint("c"),)
    assert first.loads(BODY, ExecutionDetail).checkpoints == (Checkpoint("changed"),)


def test_a_copy_with_other_options_reads_models_too() -> None:
    second = make_converter().copy(detailed_validation=False, forbid_extra_keys=True)
    found = second.loads(json.dumps({**DETAIL, "new": 1}).encode(), ExecutionDetail)
    assert found == ExecutionDetail.from_dict({**DETAIL, "new": 1})
    assert second.unstructure(found) == found.to_dict()


def test_dumps_rejects_what_json_would_change() -> None:
    converter = make_converter()
    assert converter.dumps({"n": 2**70, "at": NOON}) == b'{"n":1180591620717411303424,"at":"2025-01-01T12:00:00Z"}'
    for value, kind in ((float("nan"), ValueError), ({1}, TypeError), ({1: 2}, TypeError), ("\ud800", ValueError)):
        for call in (converter.dumps, converter.unstructure):
            with pytest.raises(kind):
                call({"a": [value]})


def test_loads_raises_invalid_response_errors_for_models_and_cattrs_errors_for_other_types() -> None:
    converter = make_converter()
    for body in (b'{"id": 4}', b'{"id"', b"[]"):
        with pytest.raises(InvalidResponseError) as caught:
            converter.loads(body, Execution)
        assert caught.value.outcome == "not_applied"
    with pytest.raises(InvalidResponseError) as caught:
        converter.structure({"items": [{"id": 4}]}, ExecutionPage)
    assert caught.value.path == "items[0].id"
    with pytest.raises(cattrs.ClassValidationError):
        converter.loads(b'{"cents": "5"}', Money)
    with pytest.raises(cattrs.IterableValidationError):
        converter.structure([{"id": 4}], list[Execution])
    with pytest.raises(cattrs.StructureHandlerNotFoundError):
        converter.structure(5, threading.Lock)


async def test_a_hook_that_fails_on_a_response_makes_it_invalid(local: LocalOmium) -> None:
    converter = make_converter()
    converter.register_structure_hook(Execution, lambda value, _: {}["cents"])
    async with AsyncOmium(local.api_key, base_url=local.url, converter=converter) as omium:
        with pytest.raises(InvalidResponseError, match="KeyError: 'cents'") as caught:
            await omium.executions.create("work")
        assert caught.value.outcome == "unknown"
        with pytest.raises(InvalidResponseError, match="KeyError") as caught:
            await omium.executions.page()
        assert caught.value.path == "items[0]"


@pytest.mark.parametrize(
    ("hook", "kind", "words"),
    [
        (lambda money: {}["cents"], ValueError, r"a\[0\]: the hook of Money failed: KeyError: 'cents'"),
        (lambda money: {"cents": {money.cents}}, TypeError, r"a\[0\]\.cents: set has no form"),
    ],
)
def test_a_hook_whose_result_is_not_json_is_named_with_its_place(hook: Any, kind: Any, words: str) -> None:
    converter = make_converter()
    converter.register_unstructure_hook(Money, hook)
    with pytest.raises(kind, match=rf"^the value\.{words}"):
        converter.dumps({"a": [Money(1)]})


def test_a_hook_that_returns_its_argument_leaves_it_to_the_package() -> None:
    converter = make_converter()
    converter.register_unstructure_hook(Money, lambda money: money)
    assert converter.dumps([Money(1)]) == b'[{"cents":1}]'


def test_hooks_of_users_datetimes_are_not_those_of_the_models() -> None:
    converter = make_converter()
    converter.register_structure_hook(datetime, lambda value, _: value)
    converter.register_unstructure_hook(datetime, lambda value: "at noon")
    found = converter.loads(BODY, ExecutionDetail)
    assert found.created_at == NOON
    assert converter.unstructure(found)["created_at"] == "2025-01-01T12:00:00Z"
    assert converter.dumps([NOON]) == b'["at noon"]'
    assert converter.structure("noon", datetime) == "noon"
    assert make_converter().structure("2025-01-01T12:00:00", datetime).tzinfo is None


def test_hooks_of_built_in_types_are_not_used_in_untyped_data() -> None:
    class Masked(str):
        __slots__ = ()

    converter = make_converter()
    for kind in (str, int, float, bool, dict, list):
        converter.register_unstructure_hook(kind, lambda value: "changed")
    value = {"a": [1, 1.5, True, "x", None, (2,)], "b": Money(3)}
    assert json.loads(converter.dumps(value)) == {"a": [1, 1.5, True, "x", None, [2]], "b": {"cents": 3}}
    converter.register_unstructure_hook(Masked, lambda value: "***")
    assert converter.dumps([Masked("secret"), "plain"]) == b'["***","plain"]'


@pytest.mark.parametrize("wrong", [cattrs.Converter(), object(), "converter", 5, make_converter])
def test_another_converter_is_rejected(wrong: Any) -> None:
    for client in (AsyncOmium, omium_sync.Omium):
        with pytest.raises(ConfigurationError, match=r"^converter \(argument\): .*make_converter\(\)"):
            client("omium_key_of_a_test", converter=wrong)
