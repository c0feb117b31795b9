"""How an answer may echo a secret: plain, or escaped for URLs, JSON, HTML, source code, or several of them at once."""

from __future__ import annotations

import re
from html.entities import codepoint2name
from typing import Any, Final

__all__ = ["MASK", "SHORTEST", "Echo"]

MASK: Final = "***"
SHORTEST: Final = 8  # striking anything shorter would garble messages that mean something else

_ANCHOR: Final = 4  # characters by which an echo is found; the rest is followed one by one
_ESCAPES: Final = re.compile(r"[%\\&+]")
_UNFINISHED: Final = re.compile(r"[%\\&][\w#;%]{0,12}")  # an escape that a cut has ended


class Echo:
    """One secret in all its forms."""

    __slots__ = ("_anchor", "_secret", "_steps")

    def __init__(self, secret: str) -> None:
        self._secret = secret
        # Patterns are compiled when the first answer needs them: most clients never meet one.
        self._anchor: re.Pattern[str] | None = None
        self._steps: list[re.Pattern[str]] = []

    def __repr__(self) -> str:
        return "Echo()"

    def struck_from(self, text: str, *, cut: bool) -> str:
        """``text`` without the secret.

        :param cut: whether the secret's beginning at the end of the text is one too.
        """
        if self._secret in text:
            text = text.replace(self._secret, MASK)
        if _ESCAPES.search(text) is None:
            return self._without_beginning(text) if cut else text
        return self._follow(text, cut=cut)

    def _without_beginning(self, text: str) -> str:
        for length in range(min(len(self._secret) - 1, len(text)), SHORTEST - 1, -1):
            if text.endswith(self._secret[:length]):
                return text[:-length] + MASK
        return text

    def _follow(self, text: str, *, cut: bool) -> str:
        if self._anchor is None:
            self._compile()
        pieces: list[str] = []
        done = 0
        anchor: Any = self._anchor
        while (found := anchor.search(text, done)) is not None:
            end = self._end_of(text, found.end(), cut=cut)
            pieces += [text[done : found.start()], MASK] if end else [text[done : found.start() + 1]]
            done = end or found.start() + 1
        return "".join([*pieces, text[done:]]) if pieces else text

    def _end_of(self, text: str, place: int, *, cut: bool) -> int:
        """Where the echo ends whose anchor ends at ``place``; 0 where there is none."""
        for count, step in enumerate(self._steps[_ANCHOR:], _ANCHOR):
            found = step.match(text, place)
            if found is None:
                at_cut = place == len(text) or _UNFINISHED.fullmatch(text, place) is not None
                return len(text) if cut and count >= SHORTEST and at_cut else 0
            place = found.end()
        return place

    def _compile(self) -> None:
        known = {character: _forms_of(character) for character in {*self._secret}}
        compiled = {character: re.compile(form) for character, form in known.items()}
        self._steps = [compiled[character] for character in self._secret]
        self._anchor = re.compile("".join(known[character] for character in self._secret[:_ANCHOR]))


def _forms_of(character: str) -> str:
    """A pattern for one character as it may be echoed; each escape may itself be escaped again."""
    point = ord(character)
    forms = [
        re.escape(character),
        "".join(f"%(?:25)*{_hex(f'{byte:02x}')}" for byte in character.encode()),
        "".join(rf"\\+u{_hex(unit)}" for unit in _utf16(character)),
        rf"&(?:amp;)*\#(?:0*{point}|[xX]0*{_hex(f'{point:x}')});?",
    ]
    if point < 256:
        forms.append(rf"\\+x{_hex(f'{point:02x}')}")
    if name := codepoint2name.get(point):
        forms.append(f"&(?:amp;)*{name};?")
    if not character.isalnum():
        forms.append(r"\\+" + ("" if character == "\\" else re.escape(character)))
    if character == " ":
        forms.append(r"\+")
    return f"(?:{'|'.join(forms)})"


def _hex(digits: str) -> str:
    return "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in digits)


def _utf16(character: str) -> list[str]:
    units = character.encode("utf-16-be")
    return [units[place : place + 2].hex() for place in range(0, len(units), 2)]
