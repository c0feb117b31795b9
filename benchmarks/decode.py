"""Compare the decoding of a page of a list into models with other decoders.

Rows take three forms: as in the service's document; as the live service sends them (naive timestamps, more fields); and
with a field that this release does not know. Peers: `orjson.loads` to dicts, pydantic v2 with typed models, msgspec
with a typed `Struct`.

    python benchmarks/decode.py [--smoke] [--rows 100] [--rounds 9] [--json PATH]

`--smoke` runs for a second or two and checks no floor. Otherwise the exit status is 1 if a floor is missed.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import datetime
from itertools import count
from typing import Any

import _report
import msgspec
import orjson
import pydantic

from omium_async import ExecutionPage, make_converter

Decoder = Callable[[bytes], object]
FORMS = {"document": "as documented", "live": "as the live service sends it", "new field": "with a new field"}
#: The largest ratio to pydantic's time.
BOUNDS = {"document": {"pydantic": 0.8}, "live": {"pydantic": 0.8}, "new field": {"pydantic": 1.0}}


class PydanticRow(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow", strict=False)
    id: str
    workflow_id: str | None = None
    status: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    input_data: Any = None
    output_data: Any = None
    error: str | None = None
    metadata: dict[str, Any] | None = None
    agent_id: str | None = None


class PydanticPage(pydantic.BaseModel):
    items: list[PydanticRow]
    total: int | None = None
    page: int | None = None
    page_size: int | None = None


class StructRow(msgspec.Struct):
    id: str
    workflow_id: str | None = None
    status: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    input_data: Any = None
    output_data: Any = None
    error: str | None = None
    metadata: dict[str, Any] | None = None
    agent_id: str | None = None


class StructPage(msgspec.Struct):
    items: list[StructRow]
    total: int | None = None
    page: int | None = None
    page_size: int | None = None


def row(form: str, number: int) -> dict[str, Any]:
    """Return one row in one of the three forms."""
    found: dict[str, Any] = {
        "id": f"exec_{number:08x}",
        "workflow_id": "workflow_xyz",
        "status": ("running", "completed", "failed")[number % 3],
        "created_at": f"2025-01-01T12:{number % 60:02}:00Z",
        "updated_at": f"2025-01-01T13:{number % 60:02}:00Z",
        "input_data": {"query": "latest AI trends", "depth": number},
        "output_data": None,
    }
    if form == "live":
        found |= {
            "agent_id": "agent_7",
            "tenant_id": "7b0c8e9e-4f8e-4f6e-9a52-1f6d2f1f0c11",
            "metadata": {"user_id": "user_123", "priority": "high"},
            "created_at": f"2026-04-24T20:{number % 60:02}:47.060023",
            "updated_at": f"2026-04-24T21:{number % 60:02}:47.160023",
            "started_at": f"2026-04-24T20:{number % 60:02}:48.260023",
            "completed_at": f"2026-04-24T21:{number % 60:02}:47.360023",
            "error_message": None,
        }
    elif form == "new field":
        found["region"] = "eu-central-1"
    return found


def page(form: str, rows: int) -> bytes:
    """Return a page of the list as JSON without white space, as services send it."""
    items = [row(form, number) for number in range(rows)]
    return json.dumps({"items": items, "total": 5000, "page": 1, "page_size": rows}, separators=(",", ":")).encode()


def per_call(decode: Decoder, body: bytes, seconds: float) -> float:
    """Return the seconds that one call takes, measured for about ``seconds``."""
    decode(body)
    for calls in count():
        if calls == 0:
            start = time.perf_counter()
        decode(body)
        if (elapsed := time.perf_counter() - start) > seconds:
            return elapsed / (calls + 1)
    raise AssertionError


def measure(form: str, rows: int, rounds: int, seconds: float) -> dict[str, list[float]]:
    """Return the seconds of a call of each decoder in each round; the decoders take turns."""
    body = page(form, rows)
    converter = make_converter()
    decoders: dict[str, Decoder] = {
        "omium-async": lambda body: converter.decode(body, ExecutionPage),
        "orjson, to dicts": orjson.loads,
        "msgspec": msgspec.json.Decoder(StructPage).decode,
        "pydantic": PydanticPage.model_validate_json,
    }
    found: dict[str, list[float]] = {name: [] for name in decoders}
    for _ in range(rounds):
        for name, decode in decoders.items():
            found[name].append(per_call(decode, body, seconds))
    return found


def main() -> int:
    parser = _report.options(__doc__, rounds=9)
    parser.add_argument("--rows", type=int, default=100)
    given = parser.parse_args()
    report = _report.Report(__file__, given)
    rounds, seconds = (5, 0.01) if given.smoke else (given.rounds, 0.1)
    for form, description in FORMS.items():
        times = measure(form, given.rows, rounds, seconds)
        rows = {name: [each / given.rows * 1e6 for each in taken] for name, taken in times.items()}
        what = f"a page of {given.rows} rows, {description}"
        report.add(_report.Comparison(what, "µs a row", "omium-async", rows, bounds=BOUNDS[form]))
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
