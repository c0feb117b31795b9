"""Where both packages say what they do: loggers by concern, silent by default, shown on stderr by ``OMIUM_LOG``.

Loggers are children of ``omium_async``, named after what speaks (``omium_async.transport``, ``.streaming``,
``.waiting``, ``.batch``, ``.journal``, ``.settings``, ``.local``), and ``omium_sync``. What a message says that
programs may want, its record carries as fields too, by ``extra=``, each named ``omium_...``.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from typing import Final

_VARIABLE: Final = "OMIUM_LOG"
_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}
_LOGGERS: Final = ("omium_async", "omium_sync")
_SHORT: Final = 8  # what is as long may be a key in the wrong place, and is not shown


class OnStderr(logging.Handler):
    """Shows records on stderr, unless something that the application has set up shows them already."""

    def emit(self, record: logging.LogRecord) -> None:
        if any(_shows(handler, record) for handler in _handlers_of(record)):
            return
        try:
            if sys.stderr is not None:  # pyright: ignore[reportUnnecessaryComparison] - in a process without one it is
                sys.stderr.write(f"{self.format(record)}\n")
        except Exception:  # noqa: BLE001 - logging never fails what it speaks of
            self.handleError(record)


def _handlers_of(record: logging.LogRecord) -> Iterator[logging.Handler]:
    logger: logging.Logger | None = logging.getLogger(record.name)
    while logger is not None:
        yield from logger.handlers
        logger = logger.parent if logger.propagate else None


def _shows(handler: logging.Handler, record: logging.LogRecord) -> bool:
    """Whether a handler writes records somewhere. The application's handlers do, and those that are marked so."""
    if record.levelno < handler.level or isinstance(handler, (OnStderr, logging.NullHandler)):
        return False
    shows: bool = getattr(handler, "shows_records", handler in logging.getLogger().handlers)
    return shows or isinstance(handler, (logging.StreamHandler, logging.FileHandler))


def set_up() -> None:
    """Silence both packages until a handler is added, or show them as the environment asks."""
    for name in _LOGGERS:
        logging.getLogger(name).addHandler(logging.NullHandler())
    asked = os.environ.get(_VARIABLE, "").strip()
    if not asked:
        return
    handler = OnStderr()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(_LEVELS.get(asked.lower(), logging.WARNING))
    if asked.lower() not in _LEVELS:
        logging.getLogger("omium_async.settings").warning(
            "%s (environment): %s is no level, so only warnings are shown; give %s",
            _VARIABLE,
            repr(asked) if len(asked) < _SHORT else "this text",
            ", ".join(_LEVELS),
            extra={"omium_setting": _VARIABLE},
        )
