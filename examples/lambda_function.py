"""A cloud function, such as on AWS Lambda, whose process is frozen between two calls. The client is created once.

Before it sends a request, the client detects connections that were closed while the process was frozen.
"""

from __future__ import annotations

from typing import Any

from omium_async import OmiumError
from omium_sync import Omium

omium = Omium()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    try:
        # The id of the event is the idempotency key, because the platform may deliver an event twice.
        created = omium.executions.create("report", event["input"], idempotency_key=event["id"])
    except OmiumError as error:
        return {"statusCode": 503 if error.outcome == "not_applied" else 500, "outcome": str(error.outcome)}
    return {"statusCode": 202, "id": created.id}
