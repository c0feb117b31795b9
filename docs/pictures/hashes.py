"""Beside each picture stands what it was made of: `NAME.sha256`, as `sha256sum` writes it, paths from the root.

    sha256sum --check --quiet docs/pictures/*.sha256

says which are stale, and so do the tests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]


def beside(picture: Path) -> Path:
    """Where the hashes of a picture are."""
    return picture.with_name(f"{picture.name}.sha256")


def write(picture: Path, inputs: Iterable[Path]) -> None:
    """Say of what a picture was made, which is there already."""
    lines = [f"{_hash(path)}  {path.relative_to(ROOT).as_posix()}" for path in [picture, *sorted(set(inputs))]]
    beside(picture).write_text("".join(f"{line}\n" for line in lines))


def changed(picture: Path) -> list[str]:
    """What is not any more as it was when the picture was made: the picture itself, or an input."""
    if not beside(picture).exists():
        return [beside(picture).name]
    lines = beside(picture).read_text().splitlines()
    return [path for known, _, path in (line.partition("  ") for line in lines) if known != _hash(ROOT / path)]


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "gone"
