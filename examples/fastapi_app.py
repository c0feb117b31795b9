"""FastAPI: one client for the application's life. Run it with ``uvicorn fastapi_app:app``."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import BackgroundTasks, Depends, FastAPI, Header, Request, Response
from pydantic import BaseModel

from omium_async import AsyncOmium, NotFoundError, OmiumError


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    async with AsyncOmium() as omium:
        app.state.omium = omium
        app.state.finished = {}
        yield


app = FastAPI(lifespan=lifespan)


def client(request: Request) -> AsyncOmium:
    return request.app.state.omium


Omium = Annotated[AsyncOmium, Depends(client)]


class ReportInput(BaseModel):
    day: int
    title: str = "daily"


@app.exception_handler(OmiumError)
async def failed(request: Request, error: OmiumError) -> Response:
    """What went wrong behind this application, and whether the caller may send again."""
    if isinstance(error, NotFoundError):
        return Response("no such execution", 404)
    retry = {"Retry-After": "1"} if error.outcome == "not_applied" else {}
    return Response(f"outcome: {error.outcome}", 502, headers=retry)


@app.post("/reports", status_code=202)
async def start_report(
    body: ReportInput, omium: Omium, tasks: BackgroundTasks, idempotency_key: Annotated[str | None, Header()] = None
) -> dict[str, Any]:
    # The model goes out as it is. The caller's own key makes their retry ours as well.
    execution = await omium.executions.create("report", body, idempotency_key=idempotency_key)
    tasks.add_task(wait_in_background, omium, execution.id)
    return execution.to_dict()


async def wait_in_background(omium: AsyncOmium, execution_id: str) -> None:
    """After the answer has gone out. `wait` sits out an outage of the service by itself."""
    done = await omium.executions.wait(execution_id)
    app.state.finished[execution_id] = done.status


@app.get("/reports/{execution_id}")
async def read_report(execution_id: str, omium: Omium) -> dict[str, Any]:
    return (await omium.executions.get(execution_id)).to_dict()


@app.get("/finished")
async def finished() -> dict[str, str]:
    return app.state.finished
