"""Both packages have the same names, signatures, annotations and docstrings."""

from __future__ import annotations

import collections.abc
import inspect
import typing

import pytest

import omium_async
import omium_async.local
import omium_sync
import omium_sync._client
import omium_sync._local
from omium_async._executions import Executions as AsyncExecutions

#: core, facade, and how names of the core read in the facade
PAIRS = [
    (omium_async.AsyncOmium, omium_sync.Omium, {"aclose": "close", "__aenter__": "__enter__", "__aexit__": "__exit__"}),
    (AsyncExecutions, omium_sync._client.Executions, {}),
    (omium_async.Checkpoints, omium_sync.Checkpoints, {}),
    (omium_async.Workflows, omium_sync.Workflows, {}),
    (omium_async.Workflow, omium_sync.Workflow, {}),
    (omium_async.Run, omium_sync.Run, {}),
    (omium_async.local.LocalOmium, omium_sync.LocalOmium, {"__aenter__": "__enter__", "__aexit__": "__exit__"}),
]
SPECIAL = {"__init__", "__aenter__", "__aexit__", "__repr__", "__reduce_ex__"}


#: The client alone creates these.
CREATED_BY_THE_CLIENT = {AsyncExecutions, omium_async.Checkpoints, omium_async.Workflows, omium_async.Run}
same_pairs = pytest.mark.parametrize(
    ("core", "facade", "names"), PAIRS, ids=[facade.__name__ for _, facade, _ in PAIRS]
)


def members(core, facade, names):
    """Yield each member of the core that users call, with its name and the facade's member of that name."""
    for name, member in vars(core).items():
        if (not name.startswith("_") or name in SPECIAL) and (callable(member) or isinstance(member, property)):
            yield name, vars(facade).get(names.get(name, name)), member


def function_of(member):
    return member.fget if isinstance(member, property) else member


@same_pairs
def test_signatures(core, facade, names):
    for name, ours, theirs in members(core, facade, names):
        assert ours is not None, f"{facade.__name__} has no {name}"
        assert isinstance(ours, property) == isinstance(theirs, property), name
        if name == "__init__" and core in CREATED_BY_THE_CLIENT:
            continue
        signature, original = inspect.signature(function_of(ours)), inspect.signature(function_of(theirs))
        assert list(map(described, signature.parameters.values())) == list(map(described, original.parameters.values()))
        assert signature.return_annotation == expected_return(original, function_of(theirs)), name


def described(parameter):
    # The type of the default too: some defaults are distinguished from an equal value that was given.
    return parameter.name, parameter.kind, parameter.annotation, parameter.default, type(parameter.default)


def expected_return(signature, function):
    found = str(signature.return_annotation)
    if found.startswith("AsyncGenerator["):
        assert not inspect.iscoroutinefunction(function)
        item = found.removeprefix("AsyncGenerator[").removesuffix("]")
        name, _, parameter = item.partition("[")
        kind = getattr(omium_async, name, typing.Any)
        if parameter:
            kind = kind[typing.Any if parameter == "Any]" else omium_sync._workflow.Out]
        return collections.abc.Iterator[kind]
    if found.startswith("Callable["):
        return collections.abc.Callable[[typing.Any], typing.Any]
    return found


@same_pairs
def test_docstrings(core, facade, names):
    for name, ours, theirs in members(core, facade, names):
        assert name.startswith("_") or (ours.__doc__ and ours.__doc__ == theirs.__doc__), name


def test_docstrings_of_the_classes():
    ours, theirs = omium_sync._client.Executions.__doc__, AsyncExecutions.__doc__
    assert ours.partition(":param")[0].split() == theirs.partition(":param")[0].split()
    for core, facade, mark in (
        (omium_async.AsyncOmium, omium_sync.Omium, ":param api_key:"),
        (omium_async.local.LocalOmium, omium_sync.LocalOmium, ":param database:"),
    ):
        ours, theirs = inspect.getdoc(facade), inspect.getdoc(core)
        assert mark in theirs
        assert ours.partition(mark)[2] == theirs.partition(mark)[2]
        assert "async with" not in ours
        assert "\n    :" not in facade.__doc__  # each field begins its line, whatever the compiler does to docstrings


@same_pairs
def test_the_facade_has_no_names_of_its_own(core, facade, names):
    known = {names.get(name, name) for name in {*dir(core), *inspect.get_annotations(core)}}
    assert {name for name in dir(facade) if not name.startswith("_")} <= known


def test_the_core_gives_iterators_where_the_facade_does():
    for name, member in vars(AsyncExecutions).items():
        if name.startswith("_") or not callable(member):
            continue
        annotation = inspect.signature(member).return_annotation
        is_stream = str(annotation).startswith("AsyncGenerator")
        assert is_stream != inspect.iscoroutinefunction(member), name


def test_options_are_typed_as_in_the_core():
    ours = omium_sync.Omium.with_options
    assert inspect.signature(ours) == inspect.signature(omium_async.AsyncOmium.with_options)


def test_same_models_and_errors():
    own = {"Checkpoints", "Executions", "Run", "Workflow", "Workflows"}
    for name in set(omium_async.__all__) - own - {"AsyncOmium"}:
        assert getattr(omium_sync, name) is getattr(omium_async, name)
    assert {*omium_async.__all__, "Omium", "LocalOmium", "Fault"} - {"AsyncOmium"} == set(omium_sync.__all__)
    assert omium_sync.Fault is omium_async.local.Fault


def test_iterators_are_iterators():
    client = omium_sync.Omium("a-key-of-tests")
    for iterator in (
        client.executions.list(),
        client.executions.pages(),
        client.executions.watch("a"),
        client.executions.create_many([]),
        client.executions.replay_many(),
        client.executions.wait_many([]),
    ):
        assert isinstance(iterator, collections.abc.Iterator)
        assert iter(iterator) is iterator
        iterator.close()
        assert list(iterator) == []
    client.close()


def test_attribute_that_is_not_there():
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = omium_sync.Nothing
    assert typing.cast("object", omium_sync.LocalOmium) is omium_sync._local.LocalOmium
