"""Each picture is what its command draws from unchanged inputs, and loads nothing from another origin."""

from __future__ import annotations

import importlib
import re
import sys
from xml.etree import ElementTree as ET

from . import sessions
from .conftest import ROOT

FOLDER = ROOT / "docs" / "pictures"
sys.path.append(str(FOLDER))
MAKERS = {
    "docs/pictures/draw.py": importlib.import_module("draw"),
    "docs/pictures/charts.py": importlib.import_module("charts"),
    "tests/docs/sessions.py": sessions,
}
hashes = importlib.import_module("hashes")

PICTURES = sorted(FOLDER.glob("*.[sp][vn]g"), key=lambda path: path.name)
VECTORS = [path for path in PICTURES if path.suffix == ".svg"]
#: Which script makes which picture, and how it ought to look.
DRAWN = {name: (path, text) for path, maker in MAKERS.items() for name, text in maker.drawn().items()}


def test_no_picture_has_inputs_that_changed():  # of those of the console: tests/ui/test_pictures.py
    stale = {DRAWN[picture.name][0]: hashes.changed(picture) for picture in VECTORS if hashes.changed(picture)}
    assert stale == {}, "run these scripts again"


def test_each_picture_is_what_its_script_draws():
    stale = {maker for name, (maker, text) in DRAWN.items() if (FOLDER / name).read_text() != text}
    assert stale == set(), "run these scripts again"


def test_no_picture_loads_anything_from_another_origin():
    for picture in VECTORS:
        text = picture.read_text()
        ET.fromstring(text)
        assert re.findall(r"(?:href|src)=|url\((?!#)|@font-face|@import", text) == [], picture
        fonts = set(re.findall(r'font-family="([^"]+)"', text))
        assert fonts <= {"system-ui, sans-serif", "ui-monospace, monospace"}, picture


def test_every_vector_is_drawn_by_a_script():
    assert {path.name for path in VECTORS} == set(DRAWN)


def test_no_hash_is_left_of_a_removed_picture():
    kept = {hashes.beside(picture) for picture in PICTURES}
    assert set(FOLDER.glob("*.sha256")) == kept


def test_every_picture_is_shown_somewhere():
    pages = "".join(page.read_text() for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
    assert [path.name for path in PICTURES if path.name not in pages] == []
