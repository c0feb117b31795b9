"""FastAPI and Django, under real servers."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest

from omium_async.local import Fault

from .needs import need

need("uvicorn")


def ask(url, body=None, **headers):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.status, json.load(answer)


def test_fastapi(serve, local):
    need("fastapi")
    with serve("uvicorn", "fastapi_app:app", "--port", "{port}", "--log-level", "warning") as address:
        status, started = ask(f"{address}/reports", {"day": 3}, **{"Idempotency-Key": "mine"})
        assert (status, started["workflow_id"]) == (202, "report")
        assert ask(f"{address}/reports", {"day": 3}, **{"Idempotency-Key": "mine"})[1]["id"] == started["id"]
        seen = {}
        while started["id"] not in seen:  # the background task asks the service until it has ended
            seen = ask(f"{address}/finished")[1]
        assert seen[started["id"]] == "completed"
        read = ask(f"{address}/reports/{started['id']}")[1]
        assert (read["input_data"], read["output_data"]) == ({"day": 3, "title": "daily"}, {"day": 3})

        local.inject(Fault(method="POST", path="/executions", when="after", action="drop"))
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(f"{address}/reports", {"day": 4})
        assert (refused.value.code, refused.value.read()) == (502, b"outcome: unknown")
        refused.value.close()


@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["", "preload"])
def test_django_under_gunicorn(serve, local, preload):
    need("django")
    with serve("gunicorn", "django_site:wsgi", "-b", "127.0.0.1:{port}", "-w", "2", *preload) as address:
        ids = {ask(f"{address}/start", {"day": day})[1]["id"] for day in range(8)}
    assert len(ids) == 8
    assert local.counts["POST /executions"] == 8


def test_django_under_asgi(serve, local):
    need("django")
    with serve("uvicorn", "django_site:asgi", "--port", "{port}", "--log-level", "warning") as address:
        started = [ask(f"{address}/async/start", {"day": day})[1]["id"] for day in range(3)]
        rows = ask(f"{address}/async/latest")[1]["rows"]
    assert [row["id"] for row in rows] == started[::-1]
