"""The pictures in the documentation show the console as it is."""

from __future__ import annotations

import pytest

from .pictures import FOLDER, HASH, inputs

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="the documentation is not here: there are no pictures")


def test_they_were_made_of_the_console_as_it_is() -> None:
    assert HASH.read_text().strip() == inputs(), "make them anew: python tests/ui/pictures.py"


def test_all_are_there() -> None:
    wanted = {
        f"console-{name}-{scheme}.png"
        for name in ("list", "execution", "create", "replay")
        for scheme in ("light", "dark")
    }
    assert {path.name for path in FOLDER.glob("console-*.png")} == wanted
