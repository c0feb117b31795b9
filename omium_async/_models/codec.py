"""JSON: what the service answers is decoded into models; what users give is checked and encoded in `sending`."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any, TypeVar

import msgspec

from .._data.sending import encode, plain
from .converter import Answer, Misfit, structure
from .fast import (
    DETAIL_FIELDS,
    ROW_FIELDS,
    AwareDetail,
    AwareRow,
    LooseAwareRow,
    LooseDetail,
    LooseRow,
    WireDetail,
    WirePage,
    WireRow,
    add_unknown,
    detail_of,
    executions_of,
    learn,
)
from .types import Execution, ExecutionDetail, ExecutionPage

__all__ = [
    "Misfit",
    "NotJSON",
    "decode",
    "decode_detail",
    "decode_execution",
    "decode_json",
    "decode_page",
    "encode",
    "plain",
]

A = TypeVar("A", bound=Answer)


class NotJSON(Misfit):
    """The body is no JSON at all, cut off perhaps: of a read it is worth asking again."""


_decode_any = msgspec.json.Decoder().decode
# A service may well answer a create with the execution in full, of which a row has no checkpoints.
_Created, _BEYOND_A_ROW = learn(AwareRow, ("checkpoints",))
_decode_created = msgspec.json.Decoder(_Created).decode
_decode_row = msgspec.json.Decoder(WireRow).decode
_decode_aware_detail = msgspec.json.Decoder(AwareDetail).decode
_decode_detail = msgspec.json.Decoder(WireDetail).decode

# msgspec's own, text that is no UTF-8, and depth: why a body may not fit a struct
_UNFIT = (msgspec.MsgspecError, ValueError, RecursionError)


def decode_json(body: bytes) -> Any:
    """Any JSON.

    :raises NotJSON: it is none. :raises Misfit: it holds what Python cannot: an integer of more than 4,300 digits, a
        number beyond the range of floats, more depth than the interpreter allows.
    """
    try:
        return _decode_any(body)
    except msgspec.ValidationError:
        return _decode_extremes(body)
    except (msgspec.MsgspecError, ValueError) as error:
        raise NotJSON(f"the body is not JSON: {error}") from None
    except RecursionError:
        raise Misfit("the body is JSON nested too deeply") from None


def _decode_extremes(body: bytes) -> Any:
    """JSON with numbers that msgspec refuses: it counts the minus sign as one of the 4,300 digits."""
    try:
        found = json.loads(body.decode(), parse_float=_finite, parse_constant=_finite)
        encode(found)  # where msgspec refuses lone surrogates, of which json makes text
    except (msgspec.MsgspecError, UnicodeError, json.JSONDecodeError) as error:
        raise NotJSON(f"the body is not JSON: {error}") from None
    except (ValueError, RecursionError):
        raise Misfit("the body holds a number that cannot be read, or is nested too deeply") from None
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def decode(body: bytes, cls: type[A]) -> A:
    """Any answer, by way of the converter.

    :raises NotJSON: the body is no JSON. :raises Misfit: it is of the wrong form.
    """
    return structure(decode_json(body), cls)


def decode_page(body: bytes) -> ExecutionPage:
    """A page of a list. Raises as `decode` does."""
    return _pages.decode(body)


class _Pages:
    """Reads pages of lists, and learns the fields that rows keep carrying although no release knows them.

    A page with such fields takes twice as long, so what many pages had becomes part of the structs. Bounded: a
    service that sends ever new names is read the slower way, at no growing cost.
    """

    after = 4  # pages with a field before it is learned
    most = 32  # fields learned
    watched = 256  # names counted

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()
        self._use(())

    def _use(self, names: tuple[str, ...]) -> None:
        aware, learned = learn(AwareRow, names)
        either, _ = learn(WireRow, names)
        decode_aware = msgspec.json.Decoder(WirePage[aware]).decode  # type: ignore[valid-type]
        decode_either = msgspec.json.Decoder(WirePage[either]).decode  # type: ignore[valid-type]
        self._ways: tuple[Any, Any, dict[str, str]] = (decode_aware, decode_either, learned)  # at once, for threads

    def decode(self, body: bytes) -> ExecutionPage:
        decode_aware, decode_either, learned = self._ways
        try:
            page, naive = decode_aware(body), False
        except _UNFIT:
            try:
                page, naive = decode_either(body), True
            except _UNFIT:
                return self._decode_odd(body)
        items = executions_of(page.items, naive=naive, learned=learned)
        return ExecutionPage(tuple(items), page.total, page.page, page.page_size)

    def _decode_odd(self, body: bytes) -> ExecutionPage:
        """A page whose rows have fields that nobody has seen yet, or that needs the converter."""
        data = decode_json(body)
        for kind, naive in ((WirePage[LooseAwareRow], False), (WirePage[LooseRow], True)):
            try:
                page: WirePage[Any] = msgspec.convert(data, kind)
            except _UNFIT:
                continue
            items = executions_of(page.items, naive=naive)
            self._notice(add_unknown(items, data["items"], ROW_FIELDS))
            return ExecutionPage(tuple(items), page.total, page.page, page.page_size)
        return structure(data, ExecutionPage)

    def _notice(self, names: frozenset[str]) -> None:
        known = tuple(self._ways[2].values())
        if len(known) >= self.most:
            return
        if len(self._seen) > self.watched:
            self._seen.clear()
        self._seen.update(name for name in names if name.isidentifier())  # msgspec refuses some others
        often = sorted(name for name in names.difference(known) if self._seen[name] >= self.after)
        if often:
            self._use((*known, *often)[: self.most])


_pages = _Pages()


def decode_execution(body: bytes) -> Execution:
    """One execution as ``create`` answers it. Raises as `decode` does."""
    try:
        return executions_of((_decode_created(body),), naive=False, learned=_BEYOND_A_ROW)[0]
    except _UNFIT:
        pass
    try:
        return executions_of((_decode_row(body),), naive=True)[0]
    except _UNFIT:
        data = decode_json(body)
    try:
        found = executions_of((msgspec.convert(data, LooseRow),), naive=True)[0]
    except _UNFIT:
        return structure(data, Execution)
    add_unknown((found,), (data,), ROW_FIELDS)
    return found


def decode_detail(body: bytes) -> ExecutionDetail:
    """One execution in full. Raises as `decode` does."""
    try:
        return detail_of(_decode_aware_detail(body), naive=False)
    except _UNFIT:
        pass
    try:
        return detail_of(_decode_detail(body), naive=True)
    except _UNFIT:
        data = decode_json(body)
    try:
        found = detail_of(msgspec.convert(data, LooseDetail), naive=True)
    except _UNFIT:
        return structure(data, ExecutionDetail)
    add_unknown((found,), (data,), DETAIL_FIELDS)
    return found
