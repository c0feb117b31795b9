"""`load_workflows` finds the workflows of a module by its name or path; its errors are one line."""

from __future__ import annotations

import sys

import pytest

from omium_async.local import LocalOmiumError, load_workflows

ONE = "async def one(run): ...\n"
SERVED = "from omium_async.local import LocalOmium\nlocal = LocalOmium()\n@local.workflow('served')\n" + ONE


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a module into a folder that is not on the path; it is unloaded at the end."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    known = set(sys.modules)

    def write(name, text):
        path = tmp_path / f"{name}.py"
        path.write_text(text, encoding="utf-8")
        return path

    yield write
    for name in set(sys.modules) - known:
        del sys.modules[name]


@pytest.mark.parametrize("by", ["name", "path"])
def test_a_mapping_of_names_to_functions_is_found(write, monkeypatch, by):
    path = write("local_agents", ONE + "workflows = {'w': one}\n")
    monkeypatch.chdir(path.parent)
    found = load_workflows("local_agents" if by == "name" else str(path))
    assert [(name, function.__name__) for name, function in found.items()] == [("w", "one")]


@pytest.mark.parametrize("server", ["omium_async.local", "omium_sync"])
def test_workflows_registered_at_a_server_of_the_module_are_found(write, server):
    path = write("local_served", SERVED.replace("omium_async.local", server))
    assert list(load_workflows(str(path))) == ["served"]
    both = write("local_both", SERVED + "workflows = {'w': one}\n")
    assert list(load_workflows(str(both))) == ["served", "w"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no workflows"),
        ("workflows = {}", "no workflows"),
        ("workflows = {'': print}", "''"),
        ("workflows = {3: print}", "3"),
        ("workflows = {'w': 3}", "'w'"),
        ("\nraise SystemExit('no')", r"SystemExit: no \(.*local_wrong.py, line 2\)"),
        ("if", "SyntaxError: .*local_wrong.py, line 1"),
    ],
)
def test_a_wrong_module_is_refused_in_one_line(write, text, words):
    with pytest.raises(LocalOmiumError, match=words) as caught:
        load_workflows(str(write("local_wrong", text)))
    assert "local_wrong" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_ctrl_c_within_a_module_is_not_taken_for_its_error(write):
    with pytest.raises(KeyboardInterrupt):
        load_workflows(str(write("local_interrupt", "raise KeyboardInterrupt")))


def test_a_missing_file_and_a_name_that_is_taken_are_refused(write, tmp_path):
    with pytest.raises(LocalOmiumError, match="there is no file"):
        load_workflows(str(tmp_path / "nowhere.py"))
    for name in ("json", "sys"):
        with pytest.raises(LocalOmiumError, match="another module"):
            load_workflows(str(write(name, ONE)))
