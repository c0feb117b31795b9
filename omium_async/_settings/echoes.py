"""How an answer may echo a secret: plain, or escaped for URLs, JSON, HTML, source code, or several of them at once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from .._data.masked import MASK

__all__ = ["SHORTEST", "Echo"]

SHORTEST: Final = 8  # striking anything shorter would garble messages that mean something else

_ANCHOR: Final = 4  # characters by which an echo is found; the whole is followed one by one
_MOST_STEPS: Final = 100_000  # in one text; what takes more is made to, and not worth reading
_TIMES: Final = (0, 1, 2)  # that an escape may be escaped again in its own way
_ESCAPES: Final = re.compile(r"[%\\&+]")
_UNFINISHED: Final = re.compile(r"[%\\&][\\\w#;%{}]{0,16}")  # an escape that a cut has ended

# What escapes are made of may be escaped for a URL in turn.
# Bounded, so that a page full of backslashes takes no longer than another.
_BACKSLASHES: Final = r"(?:\\|%(?:25)?5[cC]){1,4}"
_AMP: Final = "(?:&|%(?:25)?26)"
_HASH: Final = r"(?:\#|%(?:25)?23)"
_SEMI: Final = "(?:;|%(?:25)?3[bB])"
_AMP_AGAIN: Final = f"amp{_SEMI}"

_Step = tuple[re.Pattern[str], ...]  # the forms of one character


class Echo:
    """One secret in all its forms."""

    __slots__ = ("_anchor", "_secret", "_steps")

    def __init__(self, secret: str) -> None:
        self._secret = secret
        # Patterns are compiled when the first answer needs them: most clients never meet one.
        self._anchor: re.Pattern[str] | None = None
        self._steps: list[_Step] = []

    def __repr__(self) -> str:
        return "Echo()"

    def struck_from(self, text: str, *, cut: bool) -> str:
        """``text`` without the secret.

        :param cut: whether the secret's beginning at the end of the text is one too.
        """
        if _ESCAPES.search(text) is not None:
            text = self._without_escaped(text, cut=cut)
        if self._secret in text:
            text = text.replace(self._secret, MASK)
        return self._without_beginning(text) if cut else text

    def _without_beginning(self, text: str) -> str:
        for length in range(min(len(self._secret) - 1, len(text)), SHORTEST - 1, -1):
            if text.endswith(self._secret[:length]):
                return text[:-length] + MASK
        return text

    def _without_escaped(self, text: str, *, cut: bool) -> str:
        anchor = self._anchor or self._compile()
        pieces: list[str] = []
        done = start = steps = 0
        while (found := anchor.search(text, start)) is not None:
            start = found.start()
            end, taken = self._follow(text, start, cut=cut)
            if end:
                pieces += [text[done:start], MASK]
                done = end
            steps += taken
            if steps > _MOST_STEPS:
                return "".join([*pieces, text[done:start], MASK])
            start = max(start + 1, end)
        return "".join([*pieces, text[done:]]) if pieces else text

    def _follow(self, text: str, start: int, *, cut: bool) -> tuple[int, int]:
        """Where the echo that begins at ``start`` ends, 0 where there is none; and how many steps that took."""
        places = {start}  # several, for what escapes one character may also be two others
        steps = 0
        for count, forms in enumerate(self._steps):
            if cut and count >= SHORTEST and any(_is_cut(text, place) for place in places):
                return len(text), steps
            steps += len(places) * len(forms)
            places = {found.end() for place in places for form in forms if (found := form.match(text, place))}
            if not places:
                return 0, steps
        return max(places), steps

    def _compile(self) -> re.Pattern[str]:
        forms = {character: [*_forms_of(character)] for character in {*self._secret}}
        compiled = {character: tuple([re.compile(form) for form in each]) for character, each in forms.items()}
        self._steps = [compiled[character] for character in self._secret]
        self._anchor = re.compile("".join(f"(?:{'|'.join(forms[each])})" for each in self._secret[:_ANCHOR]))
        return self._anchor


def _is_cut(text: str, place: int) -> bool:
    return place == len(text) or _UNFINISHED.fullmatch(text, place) is not None


def _forms_of(character: str) -> Iterator[str]:
    """Patterns for one character as it may be echoed."""
    yield from _written(character)
    point = ord(character)
    yield "".join(f"{_BACKSLASHES}u{_hex(unit)}" for unit in _utf16(character))
    yield f"{_BACKSLASHES}U{_hex(f'{point:08x}')}"
    yield rf"{_BACKSLASHES}[uU]\{{0{{0,4}}{_hex(f'{point:x}')}\}}"
    if point <= 0xFF:
        yield f"{_BACKSLASHES}x{_hex(f'{point:02x}')}"
        yield f"{_BACKSLASHES}{point:03o}"
    if character == "\\":
        yield from (f"(?:{'|'.join(_written(character))}){{{times}}}" for times in (2, 4))
    elif not character.isalnum():
        yield from (f"{_BACKSLASHES}{form}" for form in _written(character))


def _written(character: str) -> Iterator[str]:
    """Patterns for one character but for those of source code, in which a backslash tells."""
    from html.entities import codepoint2name  # noqa: PLC0415 - with the patterns, which most clients never need

    point = ord(character)
    yield re.escape(character)
    for times in _TIMES:
        yield "".join(f"%{'25' * times}{_hex(f'{byte:02x}')}" for byte in character.encode())
        yield f"{_AMP}{_AMP_AGAIN * times}{_HASH}(?:0{{0,6}}{point}|[xX]0{{0,6}}{_hex(f'{point:x}')}){_SEMI}"
        if name := codepoint2name.get(point, "apos" if character == "'" else None):
            yield f"{_AMP}{_AMP_AGAIN * times}{name}{_SEMI}"
    if character == " ":
        yield r"\+"


def _hex(digits: str) -> str:
    return "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in digits)


def _utf16(character: str) -> list[str]:
    units = character.encode("utf-16-be")
    return [units[place : place + 2].hex() for place in range(0, len(units), 2)]
