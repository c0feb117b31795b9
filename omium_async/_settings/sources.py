"""Where settings come from besides arguments: the environment and ``~/.omium/config.json``."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, cast

import attrs
import msgspec

from .._data.masked import Secret, masked
from .._data.text import one_line
from .._errors import ConfigurationError

__all__ = ["ConfigFile", "environment"]

_log = logging.getLogger("omium_async.settings")

#: What the service's own command line keeps in the same file.
_OF_OTHERS: Final = frozenset({"region", "checkpoint_manager_url", "use_remote_api", "consensus_coordinator_url"})
_SHOWN: Final = 40  # characters of an unknown name, which may be a key in the wrong place
_told: set[tuple[str, str]] = set()


def environment(name: str) -> Secret | None:
    """A variable, masked, for it may be the key; an empty one is unset."""
    return Secret(os.environ.get(name, "")) or None


@attrs.frozen
class ConfigFile:
    """What the config file says: nothing, when there is none."""

    values: Mapping[str, Any] = attrs.field(factory=dict[str, Any], repr=False)
    path: str = ""

    @classmethod
    def read(cls, known: Iterable[str]) -> ConfigFile:
        """The file of this user.

        :param known: the settings that are read in it; others are told, once.
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
            raise _refused(path, f"cannot be read: {error.strerror}") from None
        values = _decode(body)
        if values is None:
            problem = _problem(body)
            del body  # it may hold the key, and tracebacks may show local variables
            raise _refused(path, problem)
        del body
        wanted = frozenset(known)
        for name in values.keys() - wanted - _OF_OTHERS:
            _tell_unknown(str(path), name, sorted(wanted))
        # Masked: any of them may be the key.
        plain = {name: value for name, value in values.items() if isinstance(value, (int, float)) and name in wanted}
        return cls({name: plain.get(name, masked(values[name])) for name in wanted & values.keys()}, str(path))


def _refused(path: Path, problem: str) -> ConfigurationError:
    return ConfigurationError(
        f"the config file {path} {problem}; mend or remove it", source=str(path), outcome="not_applied"
    )


def _decode(body: bytes) -> dict[str, Any] | None:
    try:
        data: Any = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", data) if isinstance(data, dict) else None


def _problem(body: bytes) -> str:
    """What is wrong with the file, and where."""
    try:
        json.loads(body.decode())
    except json.JSONDecodeError as error:
        return f"is no JSON at line {error.lineno}, column {error.colno} ({error.msg})"
    except UnicodeDecodeError as error:
        before = body[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        return f"is no JSON at line {line}, column {column} (no UTF-8)"
    except (ValueError, RecursionError):
        return "is no JSON that can be read"
    return "is no JSON object"


def _tell_unknown(path: str, name: str, known: list[str]) -> None:
    if (path, name) in _told:
        return
    _told.add((path, name))
    import difflib  # noqa: PLC0415 - for a message that is rare

    near = difflib.get_close_matches(name, known, 1, 0.5)
    _log.warning(
        "the config file %s has an unknown setting %r, which is ignored%s; known are %s",
        path,
        one_line(name, _SHOWN),
        f" (did you mean {near[0]}?)" if near else "",
        ", ".join(known),
        extra={"omium_setting": one_line(name, _SHOWN), "omium_source": path},
    )
