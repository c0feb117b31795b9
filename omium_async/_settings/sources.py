"""Where settings come from besides arguments: the environment and ``~/.omium/config.json``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import attrs
import msgspec

from .._errors import ConfigurationError
from .secret import Secret, kind_of, masked

__all__ = ["ConfigFile", "environment", "environment_number"]

_KNOWN = ("api_key", "api_url", "timeout", "retry_attempts")
_SHORT = 8  # what is as long may be a key in the wrong place, and is not shown


def environment(name: str) -> Secret | None:
    """A variable, masked, for it may be the key; an empty one is unset."""
    return Secret(os.environ.get(name, "")) or None


def environment_number(name: str, kind: type[int | float], what: str) -> float | int | None:
    """A variable that must be a number.

    :raises ConfigurationError: it is none.
    """
    text = environment(name)
    if text is None:
        return None
    try:
        return kind(text)
    except ValueError:
        shown = f", not {str(text)!r}" if len(text) < _SHORT else ""
    raise ConfigurationError(f"{name} (environment) must be {what}{shown}")


@attrs.frozen
class ConfigFile:
    """What the config file says: nothing, when there is none."""

    values: Mapping[str, Any] = attrs.field(factory=dict[str, Any], repr=False)
    path: str = ""

    @classmethod
    def read(cls) -> ConfigFile:
        """The file of this user.

        :raises ConfigurationError: there is one and it cannot be read; it is never taken for none.
        """
        try:
            path = Path.home() / ".omium" / "config.json"
        except RuntimeError:  # no home: then there is no such file
            return cls()
        try:
            body = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return cls()
        except OSError as error:
            raise ConfigurationError(f"the config file {path} cannot be read: {error.strerror}") from None
        values = _known_values(body)
        del body
        if values is None:
            raise ConfigurationError(f"the config file {path} is no JSON object: mend or remove it")
        return cls(values, str(path))

    def source(self, setting: str) -> str:
        """How messages name a setting of the file."""
        return f"{setting} (in {self.path})"

    def text(self, setting: str) -> Secret | None:
        """A setting that must be text; an empty one is unset.

        :raises ConfigurationError: it is something else.
        """
        value = self.values.get(setting)
        if value is not None and not isinstance(value, str):
            raise ConfigurationError(f"{self.source(setting)} must be text, not {kind_of(value)}")
        return Secret(value) if value else None


def _known_values(body: bytes) -> dict[str, Any] | None:
    try:
        data: Any = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    values = cast("dict[str, Any]", data)
    return {
        name: value if isinstance(value := values[name], (int, float)) else masked(value)
        for name in _KNOWN
        if name in values
    }
