"""Each call of the reference as a curl command. The tests run these commands, and compare them with the calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the tests run where Sphinx is not installed
    from sphinx.application import Sphinx


def _curl(path: str, *options: str) -> str:
    lines = ['curl --fail-with-body -H "X-API-Key: $OMIUM_API_KEY"', *options, f'"$OMIUM_API_URL/api/v1{path}"']
    return " \\\n  ".join(lines)


def _post(path: str, body: str) -> str:
    return _curl(path, f'-H "Content-Type: application/json" -d {body}')


_EXECUTION = _curl("/executions/$EXECUTION_ID")
_CREATE = _post("/executions", """'{"workflow_id": "report", "input_data": {"day": 3}}'""")
_CHECKPOINT = '"{\\"checkpoint_id\\": \\"$CHECKPOINT_ID\\"}"'

#: The call of each method, and the curl command that sends the same requests.
CURL: dict[str, tuple[str, str]] = {
    "AsyncOmium.request": ('request("GET", "/failures", params={"limit": 5})', _curl("/failures?limit=5")),
    "Executions.create": ('create("report", {"day": 3})', _CREATE),
    "Executions.get": ("get(EXECUTION_ID)", _EXECUTION),
    "Executions.page": ('page(2, 50, status="failed")', _curl("/executions?page=2&page_size=50&status=failed")),
    "Executions.count": ('count(status="failed")', _curl("/executions?page=1&page_size=1&status=failed")),
    "Executions.list": ('list(status="failed")', _curl("/executions?page=1&page_size=100&status=failed")),
    "Executions.pages": ('pages(status="failed")', _curl("/executions?page=1&page_size=100&status=failed")),
    "Executions.replay": (
        "replay(EXECUTION_ID, CHECKPOINT_ID)",
        _post("/executions/$EXECUTION_ID/replay", _CHECKPOINT),
    ),
    "Executions.rollback": (
        "rollback(EXECUTION_ID, CHECKPOINT_ID)",
        _post("/executions/$EXECUTION_ID/rollback", _CHECKPOINT),
    ),
    "Executions.cancel": (
        "cancel(EXECUTION_ID)",
        f"{_EXECUTION}  # continue if it has not ended\n"
        + _curl("/executions/$EXECUTION_ID/status?status=cancelled", "-X PATCH"),
    ),
    "Executions.delete": ("delete(EXECUTION_ID)", _curl("/executions/$EXECUTION_ID", "-X DELETE")),
    "Executions.wait": ("wait(EXECUTION_ID)", f"{_EXECUTION}  # again, until its status has settled"),
    "Executions.watch": ("watch(EXECUTION_ID)", f"{_EXECUTION}  # again, until its status has settled"),
    "Checkpoints.list": ("list(EXECUTION_ID)", _curl("/checkpoints?execution_id=$EXECUTION_ID&limit=50&offset=0")),
    "Checkpoints.get": ("get(CHECKPOINT_ID)", _curl("/checkpoints/$CHECKPOINT_ID?include_state=true")),
    "Workflows.list": ("list()", _curl("/workflows?page=1&page_size=100")),
    "Workflows.get": ('get("report")', _curl("/workflows/report")),
}


def show(_: Sphinx, what: str, name: str, __: Any, ___: Any, lines: list[str]) -> None:
    """Add the command to the entry of a call."""
    key = name.partition(".")[2]
    call, command = CURL.get(key) or CURL.get(f"Async{key}") or ("", "")  # omium_sync has `Omium`
    if what == "method" and call:
        shown = [f"   {line}" for line in command.splitlines()]
        lines += [
            f"The same as ``{call}`` :doc:`with curl </reference/wire>`:",
            "",
            ".. code-block:: sh",
            "",
            *shown,
            "",
        ]


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", show)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
