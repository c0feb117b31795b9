"""Hashes of the inputs of each picture, in `NAME.sha256` beside it, with paths from the root.

`sha256sum --check --quiet docs/pictures/*.sha256` and the tests report stale pictures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]


def beside(picture: Path) -> Path:
    """Return the path of a picture's hashes."""
    return picture.with_name(f"{picture.name}.sha256")


def write(picture: Path, inputs: Iterable[Path]) -> None:
    """Record the hashes of an existing picture and of its inputs."""
    lines = [f"{_hash(path)}  {path.relative_to(ROOT).as_posix()}" for path in [picture, *sorted(set(inputs))]]
    beside(picture).write_text("".join(f"{line}\n" for line in lines))


def changed(picture: Path) -> list[str]:
    """Return the paths that differ from those recorded: the picture itself, or inputs."""
    if not beside(picture).exists():
        return [beside(picture).name]
    lines = beside(picture).read_text().splitlines()
    return [path for known, _, path in (line.partition("  ") for line in lines) if known != _hash(ROOT / path)]


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "missing"
