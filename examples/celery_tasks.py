"""Celery: a task is retried only if its error says that nothing was written.

Celery's JSON results rebuild an error from its ``args``, which hold all its attributes, also the outcome.
"""

from __future__ import annotations

import os
from typing import Any

from celery import Celery

from omium_async import OmiumError
from omium_sync import Omium

app = Celery(
    "reports",
    broker=os.environ.get("CELERY_BROKER_URL", "memory://"),
    backend=os.environ.get("CELERY_RESULT_BACKEND", "cache+memory://"),
)
app.conf.task_serializer = app.conf.result_serializer = "json"
# With `task_acks_late` another worker would run a task again if its worker dies. That is safe only if the service
# honours the idempotency key below. LocalOmium does; for the hosted service it is not known.
app.conf.task_acks_late = False

omium = Omium()  # opens its connections at the first call in each worker process


@app.task(bind=True, max_retries=5)
def start_report(self: Any, day: int) -> str:
    """Return the id of a new execution. The id of the task, the same at each retry, is the idempotency key."""
    try:
        return omium.executions.create("report", {"day": day}, idempotency_key=self.request.id).id
    except OmiumError as error:
        if error.outcome == "not_applied":
            raise self.retry(exc=error, countdown=0.1 * 2**self.request.retries) from error
        raise  # the write may have been applied: check at the service before you start the task again
