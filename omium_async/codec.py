"""JSON: what the service answers is decoded into models; what users give is checked and encoded in `sending`."""

from __future__ import annotations

import json
import math
from typing import Any, TypeVar

import msgspec

from .converter import Answer, Misfit, converter
from .models import Execution, ExecutionDetail, ExecutionPage
from .sending import encode, plain
from .wire import (
    DETAIL_FIELDS,
    ROW_FIELDS,
    AwareRow,
    LooseDetail,
    LooseRow,
    WireDetail,
    WirePage,
    WireRow,
    add_unknown,
    detail_of,
    executions_of,
)

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
_decode_row = msgspec.json.Decoder(WireRow).decode
_decode_detail = msgspec.json.Decoder(WireDetail).decode
_decode_page = msgspec.json.Decoder(WirePage[WireRow]).decode
_decode_aware_page = msgspec.json.Decoder(WirePage[AwareRow]).decode

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
    return converter.structure(decode_json(body), cls)


def decode_page(body: bytes) -> ExecutionPage:
    """A page of a list. Raises as `decode` does."""
    page: WirePage[Any]
    try:
        page = _decode_aware_page(body)
        naive = False
    except _UNFIT:
        try:
            page = _decode_page(body)
            naive = True
        except _UNFIT:
            return _decode_odd_page(body)
    return ExecutionPage(tuple(executions_of(page.items, naive=naive)), page.total, page.page, page.page_size)


def _decode_odd_page(body: bytes) -> ExecutionPage:
    """A page whose rows have fields that nobody has seen yet, or that needs the converter."""
    data = decode_json(body)
    try:
        page = msgspec.convert(data, WirePage[LooseRow])
    except _UNFIT:
        return converter.structure(data, ExecutionPage)
    items = executions_of(page.items, naive=True)
    add_unknown(items, data["items"], ROW_FIELDS)
    return ExecutionPage(tuple(items), page.total, page.page, page.page_size)


def decode_execution(body: bytes) -> Execution:
    """One execution as ``create`` answers it. Raises as `decode` does."""
    try:
        return executions_of((_decode_row(body),), naive=True)[0]
    except _UNFIT:
        data = decode_json(body)
    try:
        found = executions_of((msgspec.convert(data, LooseRow),), naive=True)[0]
    except _UNFIT:
        return converter.structure(data, Execution)
    add_unknown((found,), (data,), ROW_FIELDS)
    return found


def decode_detail(body: bytes) -> ExecutionDetail:
    """One execution in full. Raises as `decode` does."""
    try:
        return detail_of(_decode_detail(body))
    except _UNFIT:
        data = decode_json(body)
    try:
        found = detail_of(msgspec.convert(data, LooseDetail))
    except _UNFIT:
        return converter.structure(data, ExecutionDetail)
    add_unknown((found,), (data,), DETAIL_FIELDS)
    return found
