"""What terminals show in the README and the documentation is what the real commands show."""

from __future__ import annotations

import re
import sys

import pytest

from . import sessions

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(sys.platform == "win32", reason="there are no terminals such as POSIX has"),
]


@pytest.mark.slow
@pytest.mark.parametrize("name", list(sessions.SESSIONS))
def test_it_is_shown_again(name):
    assert sessions.record(name) == sessions.recorded(name), f"record it anew: python tests/docs/sessions.py {name}"


def test_pages_show_what_was_recorded():
    for page in sessions.PAGES:
        text = page.read_text()
        assert text == sessions.filled(text), f"{page}: run python tests/docs/sessions.py again"
        # Nothing that a terminal shows is written by hand.
        assert len(re.findall(r"^```console", text, re.MULTILINE)) == len(sessions._BLOCK.findall(text)), page


def test_every_recording_is_shown_somewhere():
    pages = "".join(page.read_text() for page in sessions.PAGES)
    shown = {found[1] for found in sessions._BLOCK.findall(pages)} | set(sessions.PICTURED)
    assert shown == set(sessions.SESSIONS)
    assert {path.stem for path in sessions.FOLDER.glob("*.ansi")} == set(sessions.SESSIONS)


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("one\ntwo\n", "one\ntwo\n"),
        ("a\x1b[1mb\x1b[0mc", "abc\n"),
        ("bar 10 %\r\x1b[2Kdone\n", "done\n"),
        ("bar\n\x1b[1A\x1b[2Kdone\nmore", "done\nmore\n"),
        ("\x1b[?25lshown\x1b[?25h   \n\n", "shown\n"),
        ("12345\rab", "ab345\n"),
    ],
)
def test_the_screen_shows_what_a_terminal_does(written, seen):
    assert sessions.Screen().feed(written).plain() == seen


def test_styles_are_kept_and_what_is_unknown_is_an_error():
    styled = "\x1b[1;32mgood\x1b[0m and \x1b[31mbad\x1b[0m\n"
    assert sessions.Screen().feed(styled).styled() == styled
    with pytest.raises(ValueError, match="unknown to this terminal"):
        sessions.Screen().feed("\x1b[5;5H")
