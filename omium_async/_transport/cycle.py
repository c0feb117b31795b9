"""What a server lets through in a cycle, from the end of one block to the end of the next.

A server that counts by the minute blocks for most of a cycle, and then takes as many at once as before; one whose
allowance fills up drop by drop blocks for a moment, and then takes one or two. And others may take their share of
either. So what came through in a cycle is given to the next in two parts: as much as the share of the block in the
cycle at once, when the block ends, and the rest evenly spaced.
"""

from __future__ import annotations

from typing import Final

__all__ = ["Cycle"]

_MARGIN: Final = 1.5  # times the spacing at which the server refused
_CLOSER: Final = 0.8  # an answer: what goes out to find out how much more is allowed follows so much sooner
_WIDEST: Final = 10.0  # seconds


class Cycle:
    """What the last cycles taught.

    :ivar at_once: how many requests may follow a block without a pause; ``None``: there was no block as yet.
    :ivar spacing: seconds between two requests beyond those.
    """

    def __init__(self) -> None:
        self.at_once: int | None = None
        self.spacing = 0.0
        self._began: float | None = None
        self._refused_again = False

    def blocked(self, seconds: float, until: float, accepted: int, *, told: bool) -> None:
        """A block begins.

        :param accepted: requests since the last one.
        :param told: whether the server said how long, or that is a guess.
        """
        whole = seconds if self._began is None else until - self._began
        if not accepted:  # so the cycle lasts on
            self._refused_again = True
            if told:
                self.spacing = min(max(self.spacing, whole), _WIDEST)
            return
        guessed_too_low = self._refused_again and not told
        self.at_once = accepted if guessed_too_low or not whole else max(1, int(accepted * seconds / whole))
        # Of the first cycle nobody saw the beginning: how much would have come through in all of it is not known.
        self.spacing = 0.0 if self._began is None else min(_MARGIN * whole / accepted, _WIDEST)
        self._began, self._refused_again = until, False

    def allowed_more(self) -> None:
        """A request beyond what was known to be allowed was accepted."""
        self.spacing *= _CLOSER
