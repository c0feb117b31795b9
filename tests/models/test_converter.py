"""One converter is the way in and out: a hook that is replaced is used in every call, by whatever road."""

from __future__ import annotations

import asyncio
import copy
import json
import threading
from datetime import UTC, datetime
from typing import Any

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
from omium_async._data.converter import OmiumConverter
from omium_async._models.base import Timestamp
from omium_async.local import LocalOmium

MODELS = [Checkpoint, Execution, ExecutionDetail, ExecutionPage, ReplayResult, RollbackResult]
NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)
DETAIL = {"id": "e", "status": "failed", "created_at": "2025-01-01T12:00:00", "checkpoints": [{"id": "c"}]}
PAGE = {"items": [DETAIL | {"checkpoints": None}], "total": 1}


@attrs.define
class Money:
    cents: int


def hooked() -> Any:
    """A converter on which the hooks of all that answers hold are replaced by ones that leave a mark."""
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
    converter.register_structure_hook_func(lambda kind: kind == Timestamp, lambda value, _: NOON)
    converter.register_unstructure_hook(Money, lambda money: {"sent": money.cents})
    return converter


def is_marked(model: Any) -> bool:
    if isinstance(model, ExecutionPage):
        return model.extra["read by"] == "ExecutionPage" and all(is_marked(row) for row in model)
    if isinstance(model, ExecutionDetail):
        assert all(checkpoint.extra["read by"] == "Checkpoint" for checkpoint in model.checkpoints)
    moments = (getattr(model, "created_at", None), getattr(model, "updated_at", None))
    return (
        model.extra["read by"] == type(model).__name__
        and model.status.startswith("seen ")
        and set(moments) <= {None, NOON}
    )


async def test_a_replaced_hook_is_used_in_every_call(tmp_path: Any) -> None:
    local = LocalOmium()
    gates = {1: asyncio.Event()}

    @local.workflow("work")
    async def work(run: Any) -> Any:
        await run.step("first", lambda: 1)
        if run.input_data == {"sent": 2}:
            raise ValueError("no")
        await gates[1].wait()

    ended = [ExecutionStatus("seen failed")]
    until = [*ended, ExecutionStatus("seen running")]
    options: dict[str, Any] = {"poll_interval": 0.01}
    async with local, AsyncOmium(local.api_key, base_url=local.url, converter=hooked()) as omium:
        executions = omium.executions
        created = await executions.create("work", Money(1), metadata={"of": [Money(5)]})
        assert is_marked(created)
        failed = await executions.run("work", Money(2), until=ended, **options)
        assert is_marked(failed)
        assert [checkpoint.name for checkpoint in failed.checkpoints] == ["first"]
        got = await executions.get(created.id)
        assert is_marked(got)
        assert (got.input_data, got.metadata["of"]) == ({"sent": 1}, [{"sent": 5}])
        assert is_marked(await executions.page())
        assert [is_marked(row) async for row in executions.list()] == [True, True]
        assert [is_marked(page.items[0]) async for page in executions.pages(page_size=1)] == [True, True]
        of = {"of": [Money(5)]}
        assert [row.id async for row in executions.list(metadata=of)] == [created.id]
        assert [len(page) async for page in executions.pages(metadata=of)] == [1]
        assert is_marked(await executions.wait(failed.id, until=until, **options))
        assert [is_marked(detail) async for detail in executions.watch(failed.id, until=until, **options)] == [True]
        assert [is_marked(row) async for row in executions.wait_many([failed.id], until=until, **options)] == [True]
        assert is_marked(await executions.replay(failed.id))
        await executions.wait(failed.id, until=ended, **options)
        assert is_marked(await executions.rollback(failed.id, checkpoint_name="first"))
        with omium_sync.Omium(local.api_key, base_url=local.url, converter=hooked()) as sync:
            assert is_marked(await asyncio.to_thread(sync.executions.get, created.id))
        for journal in (None, tmp_path / "create", tmp_path / "create"):
            requests = [ExecutionRequest("work", Money(2), {"of": [Money(7)]})]
            outcomes = [outcome async for outcome in executions.create_many(requests, journal=journal)]
            assert [is_marked(outcome.execution) for outcome in outcomes] == [True]
        for journal in (None, tmp_path / "replay", tmp_path / "replay"):
            rows = executions.replay_many(status="failed", journal=journal)
            replays = [outcome async for outcome in rows]
            assert replays
            assert all(is_marked(outcome.execution) and is_marked(outcome.result) for outcome in replays)
            async for _ in executions.wait_many([outcome.execution.id for outcome in replays], until=ended):
                pass


def test_only_the_client_that_has_it_uses_a_converter() -> None:
    own = hooked()
    assert is_marked(own.loads(json.dumps(DETAIL).encode(), ExecutionDetail))
    assert Execution.from_dict(DETAIL).status == "failed"
    assert make_converter().structure(DETAIL, ExecutionDetail).checkpoints == (Checkpoint("c"),)


@pytest.mark.parametrize(
    ("cls", "answer"),
    [(Execution, {**DETAIL, "checkpoints": None}), (ExecutionDetail, DETAIL), (ExecutionPage, PAGE)],
)
@pytest.mark.parametrize("replaced", [str, dict[str, Any], Execution, Checkpoint, ExecutionStatus, Timestamp])
def test_any_hook_may_be_replaced_at_any_time(cls: Any, answer: Any, replaced: Any) -> None:
    converter = make_converter()
    body = json.dumps(answer).encode()
    for _ in range(3):
        assert converter.loads(body, cls) == cls.from_dict(answer)
    used: list[Any] = []
    own = converter.get_structure_hook(replaced)

    def noted(value: Any, kind: Any) -> Any:
        used.append(value)
        return own(value, kind)

    converter.register_structure_hook_func(lambda kind: kind == replaced, noted)
    if replaced is str or replaced is ExecutionStatus:
        converter.register_structure_hook(replaced, noted)  # for their classes cattrs looks here first
    holds = {Execution: cls is not ExecutionDetail, Checkpoint: cls is ExecutionDetail, dict[str, Any]: False}
    assert converter.loads(body, cls) == cls.from_dict(answer)
    assert bool(used) is holds.get(replaced, True)
    used.clear()
    assert converter.copy().loads(body, cls) == cls.from_dict(answer)
    assert bool(used) is holds.get(replaced, True)


@pytest.mark.parametrize(
    "register",
    [
        lambda converter, hook: converter.register_structure_hook(ExecutionStatus, hook),
        lambda converter, hook: converter.register_structure_hook_func(_is_moment, lambda value, _: NOON),
        lambda converter, hook: converter.register_structure_hook_factory(_is_moment, lambda _: lambda value, _: NOON),
        lambda converter, hook: converter.register_structure_hook_factory(_is_moment)(lambda _: lambda value, _: NOON),
    ],
)
def test_a_hook_that_somebody_holds_looks_up_those_registered_later(register: Any) -> None:
    converter = make_converter()
    answer = {**DETAIL, "created_at": "2020-01-01T00:00:00Z"}
    held = converter.get_structure_hook(ExecutionDetail)
    before = held(answer, ExecutionDetail)
    register(converter, lambda value, _: ExecutionStatus("later"))
    for found in (held(answer, ExecutionDetail), held.loads(json.dumps(answer).encode())):
        assert found != before
        assert found.status == "later" or found.created_at == NOON


def _is_moment(kind: Any) -> bool:
    return bool(kind == Timestamp)


def test_hooks_registered_while_answers_are_read_are_found() -> None:
    converter = make_converter()
    body = json.dumps(PAGE).encode()
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            converter.loads(body, ExecutionPage)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(50):
        text = f"status {number}"
        converter.register_structure_hook(ExecutionStatus, lambda value, _, text=text: ExecutionStatus(text))
        assert converter.loads(body, ExecutionPage).items[0].status == text
    stop.set()
    for thread in threads:
        thread.join()


class TestAsAConverter:
    def test_it_is_one(self) -> None:
        assert isinstance(make_converter(), cattrs.Converter)
        assert make_converter() is not make_converter()
        assert omium_sync.make_converter is omium_async.make_converter

    @pytest.mark.parametrize("copied", [OmiumConverter.copy, copy.copy, copy.deepcopy])
    def test_a_copy_has_the_hooks_and_is_its_own(self, copied: Any) -> None:
        first = make_converter()
        first.register_unstructure_hook(Money, lambda money: money.cents)
        first.register_structure_hook(Money, lambda value, _: Money(value))
        assert first.decode(json.dumps(DETAIL).encode(), ExecutionDetail).checkpoints == (Checkpoint("c"),)
        second = copied(first)
        first.register_unstructure_hook(Money, lambda money: "changed")
        first.register_structure_hook(Checkpoint, lambda value, _: Checkpoint("changed"))
        assert second.dumps({"a": [Money(5)]}) == b'{"a":[5]}'
        assert second.loads(b"[5]", list[Money]) == [Money(5)]
        second.register_structure_hook(ExecutionStatus, lambda _, __: ExecutionStatus.PAUSED)
        found = {one: one.decode(json.dumps(DETAIL).encode(), ExecutionDetail) for one in (first, second)}
        assert (found[first].status, found[first].checkpoints) == ("failed", (Checkpoint("changed"),))
        assert (found[second].status, found[second].checkpoints) == ("paused", (Checkpoint("c"),))

    def test_decorators_and_factories_of_cattrs_work(self) -> None:
        converter = make_converter()

        @converter.register_structure_hook
        def read(value: Any, _: Any) -> Money:
            return Money(value)

        @converter.register_unstructure_hook
        def write(money: Money) -> Any:
            return money.cents

        @converter.register_structure_hook_factory(lambda kind: kind is ExecutionStatus.__class__)
        def make(kind: Any) -> Any:
            raise AssertionError

        # `from __future__ import annotations` leaves text in annotations, which cattrs resolves.
        assert converter.structure(5, Money) == Money(5)
        assert converter.unstructure([Money(5)]) == [5]

    def test_dumps_refuses_what_json_would_change(self) -> None:
        converter = make_converter()
        sent = converter.dumps({"n": 2**70, "at": NOON})
        assert sent == b'{"n":1180591620717411303424,"at":"2025-01-01T12:00:00Z"}'
        for value, kind in ((float("nan"), ValueError), ({1}, TypeError), ({1: 2}, TypeError), ("\ud800", ValueError)):
            for call in (converter.dumps, converter.unstructure):
                with pytest.raises(kind):
                    call({"a": [value]})

    def test_loads_raises_as_it_should(self) -> None:
        converter = make_converter()
        for body in (b'{"id": 4}', b'{"id"', b"[]"):
            with pytest.raises(InvalidResponseError) as caught:
                converter.loads(body, Execution)
            assert caught.value.outcome == "not_applied"
        with pytest.raises(
            InvalidResponseError, match=r"^items\[0\]\.id: expected text, got a whole number$"
        ) as caught:
            converter.structure({"items": [{"id": 4}]}, ExecutionPage)
        assert caught.value.path == "items[0].id"
        with pytest.raises(cattrs.BaseValidationError):
            converter.loads(b'{"cents": "5"}', Money)
        with pytest.raises(cattrs.BaseValidationError):
            converter.structure([{"id": 4}], list[Execution])
        with pytest.raises(cattrs.StructureHandlerNotFoundError):
            converter.structure(5, threading.Lock)

    def test_models_go_out_and_come_back(self) -> None:
        converter = make_converter()
        for cls, sent in ((ExecutionDetail, DETAIL), (ExecutionPage, PAGE), (Checkpoint, {"id": "c", "new": 1})):
            model = cls.from_dict(sent)
            assert converter.unstructure(model) == model.to_dict()
            assert converter.loads(converter.dumps(model), cls) == model
            assert converter.loads(converter.dumps([model]), list[cls]) == [model]  # type: ignore[valid-type]


class TestHooksThatFail:
    async def test_of_an_answer(self) -> None:
        converter = make_converter()
        converter.register_structure_hook(Execution, lambda value, _: {}["cents"])
        local = LocalOmium()
        local.workflow("w")(_nothing)
        async with local, AsyncOmium(local.api_key, base_url=local.url, converter=converter) as omium:
            with pytest.raises(InvalidResponseError, match="KeyError: 'cents'") as caught:
                await omium.executions.create("w")
            assert caught.value.outcome == "unknown"
            with pytest.raises(InvalidResponseError, match="KeyError") as caught:
                await omium.executions.page()
            assert caught.value.path == "items[0]"

    def test_of_data(self) -> None:
        converter = make_converter()
        converter.register_unstructure_hook(Money, lambda money: {}["cents"])
        with pytest.raises(
            ValueError, match=r"^the value\[0\]: the hook of Money failed: KeyError: 'cents'$"
        ) as caught:
            converter.dumps([Money(1)])
        assert isinstance(caught.value.__cause__, KeyError)

    def test_that_give_back_what_they_got(self) -> None:
        converter = make_converter()
        converter.register_unstructure_hook(Money, lambda money: money)
        with pytest.raises(TypeError, match="the hook of Money returned a Money"):
            converter.dumps(Money(1))

    def test_whose_result_json_would_change(self) -> None:
        converter = make_converter()
        converter.register_unstructure_hook(Money, lambda money: {"cents": {money.cents}})
        with pytest.raises(TypeError, match=r"^the value\.a\.cents: set has no form"):
            converter.dumps({"a": Money(1)})


def test_hooks_of_users_datetimes_are_not_those_of_the_models() -> None:
    converter = make_converter()
    converter.register_structure_hook(datetime, lambda value, _: value)
    converter.register_unstructure_hook(datetime, lambda value: "at noon")
    found = converter.loads(json.dumps(DETAIL).encode(), ExecutionDetail)
    assert found.created_at == NOON
    assert converter.unstructure(found)["created_at"] == "2025-01-01T12:00:00Z"
    assert converter.dumps([NOON]) == b'["at noon"]'
    assert converter.structure("noon", datetime) == "noon"
    assert make_converter().structure("2025-01-01T12:00:00", datetime).tzinfo is None  # naive stays naive


def test_copies_with_other_options_read_models_as_well() -> None:
    several: list[dict[str, Any]] = [{"detailed_validation": False}, {"forbid_extra_keys": True}, {"use_alias": True}]
    for options in several:
        second = make_converter().copy(**options)
        found = second.loads(json.dumps({**DETAIL, "new": 1}).encode(), ExecutionDetail)
        assert found == ExecutionDetail.from_dict({**DETAIL, "new": 1})
        assert second.unstructure(found) == found.to_dict()
        with pytest.raises(InvalidResponseError, match="expected text, got a whole number"):
            second.loads(b'{"items": [{"id": 5}]}', ExecutionPage)


def test_hooks_of_built_in_types_are_not_asked_about_untyped_data() -> None:
    converter = make_converter()
    for kind in (str, int, float, bool, dict, list):
        converter.register_unstructure_hook(kind, lambda value: "changed")
    value = {"a": [1, 1.5, True, "x", None, (2,)], "b": Money(3)}
    assert json.loads(converter.dumps(value)) == {"a": [1, 1.5, True, "x", None, [2]], "b": {"cents": 3}}


def test_hooks_of_classes_below_built_in_types_are() -> None:
    class Masked(str):
        __slots__ = ()

    converter = make_converter()
    converter.register_unstructure_hook(Masked, lambda value: "***")
    assert converter.dumps([Masked("secret"), "plain"]) == b'["***","plain"]'


@pytest.mark.parametrize("wrong", [cattrs.Converter(), object(), "converter", 5, make_converter])
def test_another_converter_is_refused(wrong: Any) -> None:
    for client in (AsyncOmium, omium_sync.Omium):
        with pytest.raises(ConfigurationError, match=r"^converter \(argument\): .*make_converter\(\)"):
            client("omium_key_of_a_test", converter=wrong)


def test_a_converter_and_its_copy_are_taken() -> None:
    for converter in (make_converter(), make_converter().copy(), copy.copy(make_converter()), None):
        AsyncOmium("omium_key_of_a_test", converter=converter)


async def _nothing(run: Any) -> None: ...
