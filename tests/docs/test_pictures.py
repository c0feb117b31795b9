"""The drawings are what their script draws, and ask for nothing from elsewhere."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

SCRIPT = Path(__file__).parents[2] / "docs" / "pictures" / "draw.py"
_SPEC = importlib.util.spec_from_file_location("draw", SCRIPT)
assert _SPEC is not None
assert _SPEC.loader is not None
draw = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(draw)

MAKE_ANEW = "make them anew: python docs/pictures/draw.py"


def test_the_hash_is_that_of_the_script():
    assert draw.HASH.read_text().strip() == draw.inputs(), MAKE_ANEW


@pytest.mark.parametrize("name", list(draw.drawn()))
def test_a_drawing_is_what_the_script_draws(name):
    text = (draw.FOLDER / name).read_text()
    assert text == draw.drawn()[name], MAKE_ANEW
    ET.fromstring(text)
    assert re.findall(r"(?:href|src)=|url\((?!#)", text) == []
    assert 'font-family="system-ui, sans-serif"' in text


def test_there_are_no_others():
    assert {path.name for path in draw.FOLDER.glob("*.svg")} == set(draw.drawn())


def test_every_picture_is_shown_somewhere():
    root = SCRIPT.parents[1]
    pages = "".join(page.read_text() for page in [root.parent / "README.md", *root.rglob("*.md")])
    assert [path.name for path in draw.FOLDER.glob("*.[sp][vn]g") if path.name not in pages] == []
