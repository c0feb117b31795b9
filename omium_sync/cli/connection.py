"""How to reach the service: options that every command shares, and the client made of them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs
import click

from omium_sync import ConfigurationError, Omium

from .failures import USAGE, Failure
from .render import complain

__all__ = ["Connection", "connection_options", "key_of_file", "pass_connection", "show_log"]

#: What settings are called here, and what to give.
_NAMES: Final = {
    "base_url": (
        "--url",
        "give the URL of the service, such as https://api.omium.ai (http:// to another machine: --allow-insecure-http)",
    ),
    "api_key": ("the key of --api-key-file", "write the key alone into that file"),
    "attempt_timeout": ("--attempt-timeout", "give a number of seconds above 0"),
    "timeout": ("--timeout", "give a number of seconds above 0"),
    "max_retries": ("--retries", "give a whole number, 0 or more"),
    "patience": ("--patience", "give a number of seconds, 0 or more"),
    "rate_limit": ("--rate", "give a number of requests a minute above 0"),
}
_NO_KEY: Final = "no API key: use --api-key-file, set OMIUM_API_KEY, or write api_key into ~/.omium/config.json"
_LONGEST_KEY_FILE: Final = 64 * 1024  # bytes

C = TypeVar("C")
F = TypeVar("F", bound=Callable[..., Any])


@attrs.define
class Connection:
    """What the shared options say; ``None`` leaves a setting to the environment, the file and the default."""

    url: str | None = None
    api_key_file: Path | None = None
    auth: str | None = None
    timeout: float | None = None
    attempt_timeout: float | None = None
    retries: int | None = None
    patience: float | None = None
    allow_insecure_http: bool = False
    verbose: bool = False

    def client(self, **more: Any) -> Omium:
        """A client of these settings.

        :raises Failure: one of them is missing or makes no sense.
        """
        return self.made(Omium, **more)

    def made(self, kind: Callable[..., C], **more: Any) -> C:
        """A client of this kind, as `client`."""
        show_log(verbose=self.verbose)
        given = {
            "base_url": self.url,
            "auth": self.auth,
            "timeout": self.timeout,
            "attempt_timeout": self.attempt_timeout,
            "max_retries": self.retries,
            "patience": self.patience,
            "api_key": None if self.api_key_file is None else key_of_file(self.api_key_file),
            **more,
        }
        settings: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        try:
            return kind(**settings, allow_insecure_http=self.allow_insecure_http)
        except ConfigurationError as error:
            raise Failure(_as_options(error), USAGE) from None


pass_connection = click.make_pass_decorator(Connection, ensure=True)


def _as_options(error: ConfigurationError) -> str:
    """The same for people who give options, not arguments."""
    if error.setting == "api_key" and error.source is None:
        return _NO_KEY
    named = _NAMES.get(error.setting or "")
    if named is None or error.problem is None or (error.source != "argument" and error.setting != "base_url"):
        return error.message
    option, advice = named
    return f"{option if error.source == 'argument' else error.source}: {error.problem}; {advice}"


def key_of_file(path: Path) -> str:
    """The key that is all a file holds. No message shows the name: it is the key, where somebody mistook the option."""
    try:
        with path.open("rb") as file:
            body = file.read(_LONGEST_KEY_FILE + 1)
    except OSError as error:
        raise click.UsageError(
            f"the file of --api-key-file cannot be read: {error.strerror}; give the name of a file that holds the key"
        ) from None
    if len(body) > _LONGEST_KEY_FILE:
        raise click.UsageError("the file of --api-key-file is too large to be a key")
    try:
        return body.decode().strip()
    except UnicodeDecodeError:
        raise click.UsageError("the file of --api-key-file is no text") from None


def _refuse_key(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    if value is not None:
        raise click.UsageError(
            "a key on the command line is seen by everyone on this machine: set OMIUM_API_KEY, write api_key into"
            " ~/.omium/config.json, or use --api-key-file",
            ctx,
        )


def _keep(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def keep(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
        if value is not None and value is not False:  # 0 is a value, to be refused or taken
            setattr(ctx.ensure_object(Connection), name, value)

    return keep


_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "--url": {"metavar": "URL", "help": "The service; else OMIUM_API_URL, the config file, https://api.omium.ai."},
    "--api-key-file": {
        "type": click.Path(path_type=Path),
        "metavar": "FILE",
        "help": "A file that holds the key; else OMIUM_API_KEY, else the config file.",
    },
    "--auth": {"type": click.Choice(["x-api-key", "bearer"]), "help": "How the key is sent."},
    "--timeout": {
        "type": float,
        "metavar": "SECONDS",
        "help": "For one whole call, all attempts; else OMIUM_TIMEOUT, the config file, 60.",
    },
    "--attempt-timeout": {"type": float, "metavar": "SECONDS", "help": "For one attempt of a call [30]."},
    "--retries": {
        "type": int,
        "metavar": "N",
        "help": "Attempts after the first; else OMIUM_RETRY_ATTEMPTS, the config file, 3.",
    },
    "--patience": {
        "type": float,
        "metavar": "SECONDS",
        "help": "How long waits, lists and batches sit out an outage; else OMIUM_PATIENCE, 300.",
    },
    "--allow-insecure-http": {"is_flag": True, "help": "Allow http:// to a host that is not this machine."},
    "--verbose": {"is_flag": True, "help": "Show attempts and retries on stderr."},
}


def connection_options(*, hidden: bool = True, without: tuple[str, ...] = ()) -> Callable[[F], F]:
    """Adds the shared options to a command. They may stand before its name too; only there the help lists them."""

    def add(function: F) -> F:
        function = click.option("--api-key", hidden=True, expose_value=False, is_eager=True, callback=_refuse_key)(
            function
        )
        for name, settings in reversed(_OPTIONS.items()):
            if name not in without:
                names = (name, "-v") if name == "--verbose" else (name,)
                keep = _keep(name[2:].replace("-", "_"))
                function = click.option(*names, hidden=hidden, expose_value=False, callback=keep, **settings)(function)
        return function

    return add


class _Lines(logging.Handler):
    """What the SDK has to say, one line each, with the traceback of a hook that raised.

    Retries are of interest only to who asks for them.
    """

    shows_records = True

    def emit(self, record: logging.LogRecord) -> None:
        complain(f"{record.levelname.lower()}: {self.format(record)}")


def show_log(*, verbose: bool) -> None:
    log = logging.getLogger("omium_async")
    handler = _Lines(logging.DEBUG if verbose else logging.WARNING)
    if verbose:
        log.setLevel(logging.DEBUG)
    else:
        handler.addFilter(lambda record: record.name != "omium_async.transport")
    log.handlers = [*(other for other in log.handlers if not isinstance(other, _Lines)), handler]
