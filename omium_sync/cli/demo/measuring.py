"""The demo's workflow: one execution measures one file, in four steps.

After the demo, `omiumctl serve --database FILE --workflows omium_sync.cli.demo.measuring` goes on with what it left.
"""

from __future__ import annotations

import ast
import hashlib
import io
import json
import threading
import tokenize
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from ..private_files import make_private_folder, write_private

if TYPE_CHECKING:
    from omium_async.local import WorkflowRun
    from omium_async.local.run import WorkflowFunction

__all__ = ["STEPS", "WORKFLOW_ID", "measuring", "workflows"]

WORKFLOW_ID: Final = "measure-file"
STEPS: Final = ("identify", "read", "parse", "measure")

_LANGUAGES: Final = {".py": "python", ".pyi": "python", ".json": "json", ".toml": "toml"}

OnStep = Callable[[str, str], None]


#: Before 3.11.8, Python counted the depth of all parsing threads together, and now and then raised SystemError for it.
_PARSER: Final = threading.Lock()


def measuring(on_step: OnStep) -> WorkflowFunction:
    """The workflow function; ``on_step`` is told of each step that really runs: (execution id, step)."""

    async def measure_file(run: WorkflowRun) -> dict[str, Any]:
        """Its input is {"path": the file, "workspace": a folder for the working copy}."""

        def really(step: str, function: Callable[..., Any]) -> Callable[..., Any]:
            def counted(*args: Any) -> Any:
                on_step(run.execution_id, step)
                return function(*args)

            return counted

        path = run.input_data["path"]
        copy = str(Path(run.input_data["workspace"], run.execution_id))
        kind = await run.step("identify", really("identify", identify), path)
        size = await run.step("read", really("read", read), path, copy)
        parts = await run.step("parse", really("parse", parse), copy, kind, Path(path).name)
        measures = await run.step("measure", really("measure", measure), copy, kind)
        return {"path": path, "language": kind, **size, **measures, **parts}

    return measure_file


def identify(path: str) -> str:
    """Step 1: what the name says about the language."""
    return _LANGUAGES.get(Path(path).suffix, "text")


def read(path: str, copy: str) -> dict[str, Any]:
    """Step 2: a working copy of the file, which the next steps use; the original is only read."""
    content = Path(path).read_bytes()
    make_private_folder(Path(copy).parent)
    write_private(Path(copy), content)
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def parse(copy: str, kind: str, name: str) -> dict[str, int]:
    """Step 3: the parts of the file; what does not parse fails here."""
    content = Path(copy).read_bytes()
    match kind:
        case "python":
            with _PARSER:
                tree = ast.parse(content, name)
            kinds = [type(node) for node in ast.walk(tree)]
            functions = kinds.count(ast.FunctionDef) + kinds.count(ast.AsyncFunctionDef)
            return {"functions": functions, "classes": kinds.count(ast.ClassDef)}
        case "json":
            return {"values": _values(json.loads(content))}
        case "toml":
            return {"values": _values(tomllib.loads(content.decode()))}
        case _:
            return {}


def measure(copy: str, kind: str) -> dict[str, int]:
    """Step 4: lines and words."""
    content = Path(copy).read_bytes()
    text = _python_text(content) if kind == "python" else content.decode(errors="replace")
    lines = text.splitlines()
    return {
        "lines": len(lines),
        "blank": sum(not line.strip() for line in lines),
        "words": len(text.split()),
        "longest_line": max(map(len, lines), default=0),
    }


def _python_text(content: bytes) -> str:
    encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
    return content.decode(encoding, errors="replace")


def _values(value: Any) -> int:
    inside: Iterable[Any] = ()
    if isinstance(value, dict):
        inside = cast("Any", value).values()
    elif isinstance(value, list):
        inside = cast("Any", value)
    return 1 + sum(map(_values, inside))


#: What `omiumctl serve --workflows` looks for.
workflows: Final[dict[str, WorkflowFunction]] = {WORKFLOW_ID: measuring(lambda _execution_id, _step: None)}
