"""Where settings come from besides arguments: the environment and ``~/.omium/config.json``."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

from .._data.masked import Secret, masked
from .._errors.others import ConfigurationError


def environment(name: str) -> Secret | None:
    """Return a variable, masked because it may be the key; an empty one counts as unset."""
    return Secret(os.environ.get(name, "")) or None


class ConfigFile(NamedTuple):
    """The values of the config file, masked; empty if there is no file."""

    values: Mapping[str, Any] = {}
    path: str = ""

    @classmethod
    def read(cls) -> ConfigFile:
        """Read the file of this user.

        :raises ConfigurationError: the file cannot be read.
        """
        try:
            path = Path.home() / ".omium" / "config.json"
        except RuntimeError:  # there is no home directory
            return cls()
        values: dict[str, Any] = {}
        try:
            values, problem = _decode(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return cls()
        except OSError as error:
            problem = f"cannot be read: {error.strerror}"
        if problem:
            raise ConfigurationError(
                f"the config file {path} {problem}; correct or remove it", source=str(path), outcome="not_applied"
            )
        return cls(values, str(path))


def _decode(body: bytes) -> tuple[dict[str, Any], str]:
    """Return the values, and what is wrong with the file."""
    try:
        data: Any = json.loads(body)
    except json.JSONDecodeError as error:
        return {}, f"is not JSON at line {error.lineno}, column {error.colno} ({error.msg})"
    except (ValueError, RecursionError):  # not UTF-8, too many digits, too deep
        return {}, "is not JSON that can be read"
    if not isinstance(data, dict):
        return {}, "is not a JSON object"
    values = cast("dict[str, Any]", data)
    # Masked: any of them may be the key.
    return {name: value if isinstance(value, (int, float)) else masked(value) for name, value in values.items()}, ""
