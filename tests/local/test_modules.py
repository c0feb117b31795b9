"""The workflows of a module: found by its name or its path, and what is wrong with one is said in a line."""

from __future__ import annotations

import sys

import pytest

from omium_async.local import LocalOmiumError, load_workflows


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes a module into a folder that is not on the path; it is forgotten in the end."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    known = set(sys.modules)

    def write(name, text):
        path = tmp_path / f"{name}.py"
        path.write_text(text, encoding="utf-8")
        return path

    yield write
    for name in set(sys.modules) - known:
        del sys.modules[name]


ONE = "async def one(run): ...\n"
SERVED = "from omium_async.local import LocalOmium\nlocal = LocalOmium()\n@local.workflow('served')\n" + ONE


@pytest.mark.parametrize("by", ["name", "path"])
def test_a_mapping(written, monkeypatch, by):
    path = written("mutant_agents", ONE + "workflows = {'w': one}\n")
    monkeypatch.chdir(path.parent)
    found = load_workflows("mutant_agents" if by == "name" else str(path))
    assert [(name, function.__name__) for name, function in found.items()] == [("w", "one")]


@pytest.mark.parametrize("server", ["omium_async.local", "omium_sync"])
def test_what_a_server_has_registered(written, server):
    path = written("mutant_served", SERVED.replace("omium_async.local", server))
    assert list(load_workflows(str(path))) == ["served"]
    both = written("mutant_both", SERVED + "workflows = {'w': one}\n")
    assert list(load_workflows(str(both))) == ["served", "w"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "defines no workflows"),
        ("workflows = {}", "defines no workflows"),
        ("workflows = {'': print}", "'' in workflows is no workflow id"),
        ("workflows = {3: print}", "3 in workflows is no workflow id"),
        ("workflows = {'w': 3}", "'w' in workflows is no async function"),
        ("workflows = {'w': print}", "'w' in workflows is no async function"),
        ("\nraise SystemExit('no')", r"cannot be imported: SystemExit: no \(.*mutant_wrong.py, line 2\)"),
        ("if", "cannot be imported: SyntaxError: .*mutant_wrong.py, line 1"),
    ],
)
def test_what_is_wrong_is_said(written, text, words):
    path = written("mutant_wrong", text)
    with pytest.raises(LocalOmiumError, match=words):
        load_workflows(str(path))


def test_an_interrupt_is_an_interrupt(written):
    with pytest.raises(KeyboardInterrupt):
        load_workflows(str(written("mutant_interrupt", "raise KeyboardInterrupt")))


def test_a_file_that_is_not_there_or_has_the_name_of_another_module(written, tmp_path):
    with pytest.raises(LocalOmiumError, match="there is no file"):
        load_workflows(str(tmp_path / "nowhere.py"))
    for name, where in (("json", "json.*py"), ("sys", "built in")):
        with pytest.raises(LocalOmiumError, match=f"has the name of another module .*{where}"):
            load_workflows(str(written(name, ONE)))
