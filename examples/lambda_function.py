"""A function that is frozen between two calls, as on AWS Lambda: the client is made once and outlives the freeze.

Connections that died meanwhile are noticed before a request goes out on them; nothing is ever sent twice for it.
"""

from __future__ import annotations

from typing import Any

from omium_async import OmiumError
from omium_sync import Omium

omium = Omium()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    try:
        # The event's id is the key: a platform that delivers an event again does not start another run.
        created = omium.executions.create("report", event["input"], idempotency_key=event["id"])
    except OmiumError as error:
        return {"statusCode": 503 if error.outcome == "not_applied" else 500, "outcome": str(error.outcome)}
    return {"statusCode": 202, "id": created.id}
