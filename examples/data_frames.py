"""Executions as pandas and polars data frames, with true datetimes."""

from __future__ import annotations

import attrs
import pandas as pd
import polars as pl

from omium_sync import Omium


def pandas_frame(omium: Omium, workflow_id: str) -> pd.DataFrame:
    """Return a frame with one column for each field; ``input_data`` is one column of dictionaries."""
    return pd.DataFrame(attrs.asdict(row, recurse=False) for row in omium.executions.list(workflow_id=workflow_id))


def pandas_inputs(omium: Omium, workflow_id: str) -> pd.DataFrame:
    """Return a frame with a column for each field of ``input_data`` too, such as ``input_data.day``."""
    rows = omium.executions.list(workflow_id=workflow_id)
    return pd.json_normalize([attrs.asdict(row, recurse=False) for row in rows], max_level=1)


def polars_frame(omium: Omium, workflow_id: str) -> pl.DataFrame:
    """Return a frame with id, status and time of creation (in UTC)."""
    rows = omium.executions.list(workflow_id=workflow_id)
    return pl.DataFrame([{"id": row.id, "status": str(row.status), "created_at": row.created_at} for row in rows])
