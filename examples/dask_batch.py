"""Dask: a batch on the workers of a cluster. Each worker takes its settings from its own environment."""

from __future__ import annotations

from distributed import Client

from omium_async import ExecutionRequest, cluster


def run(client: Client, days: int, journals: str) -> list[str]:
    """Create an execution for each day. A second run with the same folder of journals sends nothing twice."""
    requests = [ExecutionRequest("report", {"day": day}, key=f"day-{day}") for day in range(days)]
    ids: list[str] = []
    for outcome in cluster.create_many(client, requests, journals=journals, shard_size=10):
        if outcome.execution is None:
            raise RuntimeError(f"{outcome.request}: {outcome.state}: {outcome.error}")
        ids.append(outcome.execution.id)
    return ids
