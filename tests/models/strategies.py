"""JSON of every kind, and answers that are close to the service's, in all the ways they may be off."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import strategies as st

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
INTEGERS = st.integers() | st.sampled_from([2**63, 2**64, -(2**64), 10**30, -(10**200), 0])
SCALARS = st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False, allow_infinity=False) | TEXT


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)


FIELDS = (
    "id",
    "workflow_id",
    "status",
    "created_at",
    "updated_at",
    "started_at",
    "completed_at",
    "input_data",
    "output_data",
    "error",
    "metadata",
    "agent_id",
    "tenant_id",
    "error_message",
    "checkpoints",
    "checkpoint_name",
    "name",
    "message",
    "replay_execution_id",
    "items",
    "executions",
    "total",
    "page",
    "page_size",
    "extra",
    "_sent",
    "sent",
    "self",
    "cls",
    "__class__",
    "to_dict",
)
KEYS = TEXT | st.sampled_from(FIELDS)
JSON = st.recursive(SCALARS, _containers, max_leaves=8)

TIMESTAMPS = st.one_of(
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    st.datetimes().map(lambda moment: moment.isoformat() + "+05:30"),
    st.sampled_from(
        [
            "2025-01-01T12:00:00Z",
            "2026-04-24T20:48:47.060023",
            "2026-04-24T20:48:47.060023999Z",
            "9999-12-31T23:59:59.9999999Z",
            "0001-01-01T00:00:00+14:00",
            "2026-04-24 20:48:47",
            "2026-04-24",
            "2016-12-31T23:59:60Z",
            "...",
            "",
        ]
    ),
)
STATUSES = st.sampled_from(["running", "completed", "failed", "pending", "weird", ""]) | TEXT


def _or_null(value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | value


def _answer(fitting: dict[str, st.SearchStrategy[Any]], odd: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Objects with any of the fields, their values of the right type, and keys of any kind beside them."""
    fields = {name: _or_null(value) for name, value in fitting.items() if name != "id"}
    known = st.fixed_dictionaries({"id": fitting["id"]}, optional=fields)
    unknown = st.dictionaries(KEYS.filter(lambda key: key not in fitting), odd, max_size=2)
    return st.builds(lambda a, b: {**b, **a}, known, st.just({}) | unknown)


CHECKPOINTS = _answer({"id": TEXT, "name": TEXT, "created_at": TIMESTAMPS, "checkpoint_name": TEXT}, JSON)
METADATA = st.dictionaries(KEYS, JSON, max_size=2) | st.fixed_dictionaries(
    {"checkpoints": st.lists(CHECKPOINTS, max_size=2) | JSON}
)
ROW_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "id": TEXT,
    "workflow_id": TEXT,
    "status": STATUSES,
    "created_at": TIMESTAMPS,
    "updated_at": TIMESTAMPS,
    "started_at": TIMESTAMPS,
    "completed_at": TIMESTAMPS,
    "input_data": JSON,
    "output_data": JSON,
    "error": TEXT,
    "metadata": METADATA,
    "agent_id": TEXT,
    "tenant_id": JSON,
    "error_message": TEXT,
}
ROWS = _answer(ROW_FIELDS, JSON)
DETAILS = _answer({**ROW_FIELDS, "checkpoints": st.lists(CHECKPOINTS, max_size=3)}, JSON)
REPLAYS = _answer(
    {"id": TEXT, "status": STATUSES, "message": TEXT, "replay_execution_id": TEXT, "new_execution_id": TEXT}, JSON
)
COUNTS = _or_null(INTEGERS)


@st.composite
def page_of(draw: st.DrawFn, rows: st.SearchStrategy[Any]) -> Any:
    """A page of such rows, now and then in the old form."""
    counts = {"total": COUNTS, "page": COUNTS, "page_size": COUNTS}
    if draw(st.integers(0, 2)):
        return draw(st.fixed_dictionaries({"items": st.lists(rows, max_size=4)}, optional=counts))
    old = {"items": st.none(), "next": JSON, **counts}
    return draw(st.fixed_dictionaries({"executions": st.lists(rows, max_size=4)}, optional=old))


PAGES = page_of(ROWS)


@st.composite
def spoilt(draw: st.DrawFn, answers: st.SearchStrategy[Any]) -> Any:
    """An answer with one value anywhere in it, or one field of it, replaced by any JSON."""
    answer = copy.deepcopy(draw(answers))
    place = answer
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place))) if isinstance(place, list) else []
        if not keys:
            return answer
        key = draw(st.sampled_from(keys))
        if not isinstance(place[key], (dict, list)) or draw(st.booleans()):
            break
        place = place[key]
    if isinstance(place, dict) and draw(st.booleans()):
        key = draw(st.sampled_from(FIELDS))
    place[key] = draw(JSON)
    return answer


@st.composite
def bodies(draw: st.DrawFn, answers: st.SearchStrategy[Any]) -> bytes:
    """The bytes of an answer: with escapes or without, with white space or without, cut off or with bytes changed."""
    answer = draw(answers)
    body = json.dumps(answer, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1]))).encode()
    damage = draw(st.sampled_from(["none"] * 6 + ["cut", "byte", "twice", "escape"]))
    if damage == "cut":
        return body[: draw(st.integers(0, len(body)))]
    if damage == "byte":
        at = draw(st.integers(0, len(body) - 1))
        return body[:at] + draw(st.binary(min_size=1, max_size=2)) + body[at + 1 :]
    if damage == "twice":  # a key given twice, with another value the second time
        return body.replace(b'"id"', b'"id":%s,"id"' % json.dumps(draw(SCALARS)).encode(), 1)
    if damage == "escape":
        return body.replace(b'"id"', b'"\\u0069d"').replace(b'"status"', rb'"st\u0061tus"')
    return body
