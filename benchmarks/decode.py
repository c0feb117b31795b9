"""Decoding a page of a list into models, as ratios against its peers in the same run.

Forms of row: as the service's document shows it; as the live service sends it (naive timestamps, more fields); with a
field that no release of this package has seen, the first time; and with that field once it was seen on many pages.
Peers: `orjson.loads` to dicts, pydantic v2 with typed
models, msgspec with a typed `Struct`. All take turns within each round, and the median over the rounds of each ratio
is reported, for absolute times do not travel between machines.

    python benchmarks/decode.py [--smoke] [--rows 100] [--rounds 9]

`--smoke` runs for a second or two and judges nothing; otherwise a missed bound makes the exit status 1.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from datetime import datetime
from itertools import count
from typing import Any

import msgspec
import orjson
import pydantic

from omium_async import ExecutionPage, make_converter
from omium_async._models.fast import FastReader

Decoder = Callable[[bytes], object]
FORMS = ("document", "live", "new field", "learned")
#: At most so many times the time of orjson.loads and of pydantic.
BOUNDS = {"document": (2.2, 0.8), "live": (2.2, 0.8), "new field": (2.7, None), "learned": (2.2, 0.8)}


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
    """One row in one of the three forms."""
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
    elif form in ("new field", "learned"):
        found["region"] = "eu-central-1"
    return found


def page(form: str, rows: int) -> bytes:
    """A page of the list, without white space as services send it."""
    items = [row(form, number) for number in range(rows)]
    return json.dumps({"items": items, "total": 5000, "page": 1, "page_size": rows}, separators=(",", ":")).encode()


def per_call(decode: Decoder, body: bytes, seconds: float) -> float:
    """Seconds a call, measured for about ``seconds``."""
    decode(body)
    for calls in count():
        if calls == 0:
            start = time.perf_counter()
        decode(body)
        if (elapsed := time.perf_counter() - start) > seconds:
            return elapsed / (calls + 1)
    raise AssertionError


def measure(form: str, rows: int, rounds: int, seconds: float) -> dict[str, list[float]]:
    """Seconds a call of each decoder, one entry a round; the decoders take turns."""
    body = page(form, rows)
    converter = make_converter()
    reader = converter.get_structure_hook(ExecutionPage)
    reader.decode(body)
    pages = FastReader(ExecutionPage)  # one that has learned nothing yet
    reader._looked_up = reader._looked_up._replace(fast=pages)
    pages.after = 1 if form == "learned" else sys.maxsize
    reader.decode(body)
    decoders: dict[str, Decoder] = {
        "orjson": orjson.loads,
        "omium": lambda body: converter.decode(body, ExecutionPage),
        "msgspec": msgspec.json.Decoder(StructPage).decode,
        "pydantic": PydanticPage.model_validate_json,
    }
    found: dict[str, list[float]] = {name: [] for name in decoders}
    for _ in range(rounds):
        for name, decode in decoders.items():
            found[name].append(per_call(decode, body, seconds))
    return found


def ratio(times: dict[str, list[float]], name: str, peer: str) -> float:
    """The median of the rounds' ratios."""
    return statistics.median(a / b for a, b in zip(times[name], times[peer], strict=True))


def main() -> int:
    parser = argparse.ArgumentParser(description="Decode a page of a list: ratios against orjson, msgspec, pydantic.")
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--smoke", action="store_true", help="a quick run that judges nothing")
    options = parser.parse_args()
    rounds, seconds = (5, 0.01) if options.smoke else (options.rounds, 0.1)

    missed: list[str] = []
    print(f"page of {options.rows} rows, {rounds} rounds, Python {sys.version.split()[0]}")
    print(f"{'form':<10} {'orjson, µs a row':>17} {'omium/orjson':>13} {'msgspec/orjson':>15} {'omium/pydantic':>15}")
    for form in FORMS:
        times = measure(form, options.rows, rounds, seconds)
        base = statistics.median(times["orjson"]) / options.rows * 1e6
        to_orjson, to_pydantic = ratio(times, "omium", "orjson"), ratio(times, "omium", "pydantic")
        to_msgspec = ratio(times, "msgspec", "orjson")
        print(f"{form:<10} {base:>17.3f} {to_orjson:>13.2f} {to_msgspec:>15.2f} {to_pydantic:>15.2f}")
        for got, bound, peer in zip((to_orjson, to_pydantic), BOUNDS[form], ("orjson", "pydantic"), strict=True):
            if bound is not None and got > bound:
                missed.append(f"{form}: {got:.2f} times {peer}, at most {bound} wanted")
    if missed and not options.smoke:
        print("\n".join(missed), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
