"""Celery: a task is tried again only when its error says that nothing was written.

Celery's JSON results rebuild an error from its ``args``; all that it carries, the outcome too, is in them.
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
# A task that was taken counts as done even if its worker dies: with `task_acks_late` another worker would send it anew,
# which is safe only where the service honours the key below (LocalOmium does, the hosted one is not known to).
app.conf.task_acks_late = False

omium = Omium()  # opened in each worker process at its first call


@app.task(bind=True, max_retries=5)
def start_report(self: Any, day: int) -> str:
    """The id of the execution. The task's own id is the key of the write: the same at each delivery and each retry."""
    try:
        return omium.executions.create("report", {"day": day}, idempotency_key=self.request.id).id
    except OmiumError as error:
        if error.outcome == "not_applied":
            raise self.retry(exc=error, countdown=0.1 * 2**self.request.retries) from error
        raise  # it may have been written: a person, or a look at the service, decides
