"""Django in one file, under WSGI (``gunicorn django_site:wsgi``) and under ASGI (``uvicorn django_site:asgi``).

WSGI views use the sync client. Each worker that gunicorn forks, also with ``--preload``, has its own event loop and
connections. ASGI views use the async client, which needs no ``async with``: it opens at its first call.
"""

from __future__ import annotations

import json
import os

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

from omium_async import AsyncOmium, OmiumError
from omium_sync import Omium

settings.configure(
    SECRET_KEY=os.environ.get("DJANGO_SECRET_KEY", "only for this example"),
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    ROOT_URLCONF=__name__,
)
django.setup()

omium = Omium()  # opens its connections at the first call in each worker
async_omium = AsyncOmium()


def _failed(error: OmiumError) -> JsonResponse:
    return JsonResponse({"outcome": error.outcome, "request_id": error.request_id}, status=502)


def start(request: HttpRequest) -> JsonResponse:
    try:
        execution = omium.executions.create("report", json.loads(request.body))
    except OmiumError as error:
        return _failed(error)
    return JsonResponse(execution.to_dict(), status=202)


async def start_async(request: HttpRequest) -> JsonResponse:
    try:
        execution = await async_omium.executions.create("report", json.loads(request.body))
    except OmiumError as error:
        return _failed(error)
    return JsonResponse(execution.to_dict(), status=202)


async def latest_async(_: HttpRequest) -> JsonResponse:
    rows = [row.to_dict() async for row in async_omium.executions.list(workflow_id="report", limit=10)]
    return JsonResponse({"rows": rows})


urlpatterns = [path("start", start), path("async/start", start_async), path("async/latest", latest_async)]
wsgi = get_wsgi_application()
asgi = get_asgi_application()
