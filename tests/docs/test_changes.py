"""Every file of changes/ has a name that towncrier finds, and the site shows it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

import pytest

from .conftest import ROOT

CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["towncrier"]
FILES = sorted(path for path in (ROOT / "changes").rglob("*") if path.is_file() and path.name != "README.md")
FOLDERS = {each["path"] for each in CONFIG["section"]}
KINDS = {each["directory"] for each in CONFIG["type"]}


def test_each_file_has_a_name_of_a_known_kind_in_a_known_folder():
    for path in FILES:
        named = re.fullmatch(r"(\+[\w-]+|\d+)\.(\w+)\.md", path.name)
        assert named, f"{path.name}: see changes/README.md"
        assert (named[2] in KINDS, path.parent.name in FOLDERS) == (True, True), path
        text = path.read_text()
        assert text.strip(), path
        assert not text.startswith(("-", "#")), path


def test_the_readme_of_changes_names_all_folders_and_kinds():
    rules = (ROOT / "changes" / "README.md").read_text()
    assert [word for word in FOLDERS | KINDS if f"`{word}`" not in rules] == []


@pytest.mark.slow
def test_towncrier_takes_them_all():
    command = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "9.9.9", "--date", "2026-01-02"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "## 9.9.9 (2026-01-02)" in done.stdout
    assert done.stdout.count("\n- ") == len(FILES)
    assert CONFIG["start_string"] in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.slow
def test_the_site_shows_them(site):
    page = (site / "changes.html").read_text()
    assert page.count("Not yet released</a>") >= bool(FILES)
    assert len(re.findall(r"<li><p>", page)) >= len(FILES)
