"""The rows yielded so far: an exact set in about 10 bytes a row.

A set of a million digests takes 77 MB. This is one open-addressing table of them, filled to four fifths at most. It
grows without a pause: each new row copies a few slots of the old table to the new one. The list's ``total`` says how
large the next table should be, so a list of a million rows rarely needs another one.

The digest is Python's own hash of the id: 64 bits of SipHash, computed once for each string and kept in it; its key
differs in each process, and it is never used outside. Two different ids have the same digest with a probability of
n²/2⁶⁵ among n rows: 3·10⁻⁸ for a million, 3·10⁻⁶ for ten million. The later of the two would be missed.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Sequence
from hashlib import blake2b
from operator import attrgetter

from .._models.types import Execution

_SMALLEST = 1024
_MOVES_PER_ROW = 16  # slots of the old table that each new row copies: all are copied long before the new table is full


_id: Callable[[Execution], str] = attrgetter("id")


def _long_digest(text: str) -> int:
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


# A 32-bit build has hashes of 32 bits: among 10,000 rows one would be missed in a hundred lists.
_digest: Callable[[str], int] = hash if sys.hash_info.width >= 64 else _long_digest


class Seen:
    """The rows yielded so far."""

    def __init__(self) -> None:
        self._table = array("q", [0]) * _SMALLEST  # 0 is a free slot
        self._old: array[int] | None = None  # the table before, kept until all of it is copied
        self._moved = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def holds(self, row: Execution) -> bool:
        """Whether this row was yielded."""
        digest = _digest(row.id) or 1
        return _find(self._table, digest) or (self._old is not None and _find(self._old, digest))

    def add(self, rows: Sequence[Execution], expected: int | None = None) -> list[Execution]:
        """Add rows, and return those that are new, each once, in their order.

        :param expected: how many rows there may be in all: a hint for the size of the table.
        """
        self._make_room(len(rows), expected)
        self._move(_MOVES_PER_ROW * len(rows))
        new = self._add(rows)
        self._count += len(new)
        return new

    def _add(self, rows: Sequence[Execution]) -> list[Execution]:
        # `_find` is inlined: this loop is most of the time that a row costs.
        table, old = self._table, self._old
        size = len(table)
        new: list[Execution] = []
        keep = new.append
        for row, digest in zip(rows, map(_digest, map(_id, rows)), strict=True):
            if not digest:
                digest = 1  # noqa: PLW2901 - as in `holds`; the empty text hashes to 0
            slot = digest % size
            while found := table[slot]:
                if found == digest:
                    break
                slot -= 1  # -1 is the last slot
            else:
                if old is not None and _find(old, digest):
                    continue
                table[slot] = digest
                keep(row)
        return new

    def _make_room(self, coming: int, expected: int | None) -> None:
        needed = self._count + coming
        if needed * 5 <= len(self._table) * 4:
            return
        if self._old is not None:
            self._move(len(self._old))
        rows = 2 * needed
        if expected is not None and expected > needed:
            # Used as it is only if it is near, because a server may say any number.
            rows = max(needed + needed // 4, expected + expected // 64 if expected <= 8 * needed else 4 * needed)
        self._old, self._moved = self._table, 0
        self._table = array("q", [0]) * (rows * 5 // 4 + 1)

    def _move(self, slots: int) -> None:
        old, table = self._old, self._table
        if old is None:
            return
        size = len(table)
        for digest in old[self._moved : self._moved + slots]:
            if digest:
                slot = digest % size
                while table[slot]:
                    slot -= 1
                table[slot] = digest
        self._moved += slots
        if self._moved >= len(old):
            self._old = None


def _find(table: array[int], digest: int) -> bool:
    slot = digest % len(table)
    while found := table[slot]:
        if found == digest:
            return True
        slot -= 1
    return False
