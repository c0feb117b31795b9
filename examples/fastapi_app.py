"""FastAPI: one client for the life of the application. Run it with ``uvicorn fastapi_app:app``."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI, Header, Request, Response
from pydantic import BaseModel

from omium_async import AsyncOmium, Execution, ExecutionDetail, NotFoundError, OmiumError


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
    """Respond to an error of a call; ``Retry-After`` says that the caller may send the request again."""
    if isinstance(error, NotFoundError):
        return Response("no such execution", 404)
    retry = {"Retry-After": "1"} if error.outcome == "not_applied" else {}
    return Response(f"outcome: {error.outcome}", 502, headers=retry)


@app.post("/reports", status_code=202)
async def start_report(
    body: ReportInput, omium: Omium, tasks: BackgroundTasks, idempotency_key: Annotated[str | None, Header()] = None
) -> Execution:
    # The pydantic model is passed unchanged. If the caller repeats a request, its idempotency key is the same.
    execution = await omium.executions.create("report", body, idempotency_key=idempotency_key)
    tasks.add_task(wait_in_background, omium, execution.id)
    return execution


async def wait_in_background(omium: AsyncOmium, execution_id: str) -> None:
    """Wait for the execution after the response was sent. `wait` continues after outages of the service."""
    done = await omium.executions.wait(execution_id)
    app.state.finished[execution_id] = done.status


@app.get("/reports/{execution_id}")
async def read_report(execution_id: str, omium: Omium) -> ExecutionDetail:
    return await omium.executions.get(execution_id)


@app.get("/finished")
async def finished() -> dict[str, str]:
    return app.state.finished
