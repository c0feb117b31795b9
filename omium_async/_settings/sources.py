"""Where settings come from besides arguments: the environment and ``~/.omium/config.json``."""

from __future__ import annotations

import difflib
import json
import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn, cast

import attrs
import msgspec

from .._data.masked import Secret, masked
from .._data.text import one_line
from .._errors import ConfigurationError

__all__ = ["ConfigFile", "environment"]

_log = logging.getLogger("omium_async.settings")

#: Settings of the service's own command line in the same file.
_FOREIGN: Final = frozenset({"region", "checkpoint_manager_url", "use_remote_api", "consensus_coordinator_url"})
_SHOWN: Final = 40  # characters of an unknown name, which may be a key in the wrong place
_warned: set[tuple[str, str]] = set()


def environment(name: str) -> Secret | None:
    """Return a variable, masked because it may be the key; an empty one counts as unset."""
    return Secret(os.environ.get(name, "")) or None


@attrs.frozen
class ConfigFile:
    """The values of the config file; empty if there is no file."""

    values: Mapping[str, Any] = attrs.field(factory=dict[str, Any], repr=False)
    path: str = ""

    @classmethod
    def read(cls, known: Iterable[str]) -> ConfigFile:
        """Read the file of this user.

        :param known: the settings that the file may have; others are logged once.
        :raises ConfigurationError: the file cannot be read.
        """
        try:
            path = Path.home() / ".omium" / "config.json"
        except RuntimeError:  # there is no home directory
            return cls()
        try:
            body = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return cls()
        except OSError as error:
            _reject(path, f"cannot be read: {error.strerror}")
        values = _decode(body)
        if values is None:
            problem = _problem(body)
            del body  # it may hold the key, and tracebacks may show local variables
            _reject(path, problem)
        del body
        wanted = frozenset(known)
        for name in values.keys() - wanted - _FOREIGN:
            _warn_of_unknown(str(path), name, sorted(wanted))
        # Masked: any of them may be the key.
        plain = {name: value for name, value in values.items() if isinstance(value, (int, float)) and name in wanted}
        return cls({name: plain.get(name, masked(values[name])) for name in wanted & values.keys()}, str(path))


def _reject(path: Path, problem: str) -> NoReturn:
    raise ConfigurationError(
        f"the config file {path} {problem}; correct or remove it", source=str(path), outcome="not_applied"
    ) from None


def _decode(body: bytes) -> dict[str, Any] | None:
    try:
        data: Any = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", data) if isinstance(data, dict) else None


def _problem(body: bytes) -> str:
    """Return what is wrong with the file, and where."""
    try:
        json.loads(body.decode())
    except json.JSONDecodeError as error:
        return f"is not JSON at line {error.lineno}, column {error.colno} ({error.msg})"
    except UnicodeDecodeError as error:
        before = body[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        return f"is not JSON at line {line}, column {column} (not UTF-8)"
    except (ValueError, RecursionError):
        return "is not JSON that can be read"
    return "is not a JSON object"


def _warn_of_unknown(path: str, name: str, known: list[str]) -> None:
    if (path, name) in _warned:
        return
    _warned.add((path, name))
    near = difflib.get_close_matches(name, known, 1, 0.5)
    _log.warning(
        "the config file %s has an unknown setting %r, which is ignored%s; known are %s",
        path,
        one_line(name, _SHOWN),
        f" (did you mean {near[0]}?)" if near else "",
        ", ".join(known),
        extra={"omium_setting": one_line(name, _SHOWN), "omium_source": path},
    )
