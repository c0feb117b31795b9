"""The pictures in the documentation show the console as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

if not (Path(__file__).parents[2] / "docs" / "pictures").exists():
    pytest.skip("the documentation is not here: there are no pictures", allow_module_level=True)

from .pictures import FOLDER, NAMES, SCHEMES, hashes, picture


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", NAMES)
def test_a_picture_shows_the_console_as_it_is(name: str, scheme: str) -> None:
    changed = hashes.changed(picture(name, scheme))
    assert changed == [], f"run: python tests/ui/pictures.py {name}"


def test_there_are_no_other_pictures() -> None:
    wanted = {picture(name, scheme) for name in NAMES for scheme in SCHEMES}
    assert set(FOLDER.glob("console-*.png")) == wanted
