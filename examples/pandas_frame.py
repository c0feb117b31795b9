"""pandas: executions as a data frame, the fields of ``input_data`` as columns of their own."""

from __future__ import annotations

import pandas as pd

from omium_sync import Omium


def frame(omium: Omium, workflow_id: str) -> pd.DataFrame:
    rows = [row.to_dict() for row in omium.executions.list(workflow_id=workflow_id)]
    table = pd.json_normalize(rows, max_level=1)
    for name in ("created_at", "updated_at", "started_at", "completed_at"):
        table[name] = pd.to_datetime(table[name], utc=True, format="ISO8601")
    return table.set_index("id")
