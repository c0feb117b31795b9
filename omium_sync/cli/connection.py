"""How to reach the service: the options that all commands share, and the client made from them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import attrs
import click

from .endings import USAGE, CommandFailed
from .options import Number
from .output import complain

if TYPE_CHECKING:
    from omium_async import AsyncOmium
    from omium_sync import ConfigurationError, Omium

__all__ = ["Connection", "connection_options", "examples", "key_of_file", "service_command", "show_log"]

#: The options whose name is not that of the setting.
_OPTION_OF: Final = {
    "base_url": "--url",
    "api_key": "the key of --api-key-file",
    "max_retries": "--retries",
    "rate_limit": "--rate",
}
_NO_KEY: Final = "no API key: use --api-key-file, set OMIUM_API_KEY, or write api_key into ~/.omium/config.json"
_LONGEST_KEY_FILE: Final = 64 * 1024  # bytes

C = TypeVar("C")
F = TypeVar("F", bound=Callable[..., Any])


@attrs.define
class Connection:
    """The values of the shared options; with ``None`` the environment, the config file or the default decides."""

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
        """Create a client.

        :param more: further arguments of `Omium`.
        :raises CommandFailed: a setting is missing or invalid.
        """
        from omium_sync import Omium  # noqa: PLC0415 - `--help` does not need the SDK

        return self._create(Omium, more)

    def async_client(self, **more: Any) -> AsyncOmium:
        """Create an async client.

        :param more: further arguments of `AsyncOmium`.
        :raises CommandFailed: a setting is missing or invalid.
        """
        from omium_async import AsyncOmium  # noqa: PLC0415 - `--help` does not need the SDK

        return self._create(AsyncOmium, more)

    def _create(self, kind: Callable[..., C], more: dict[str, Any]) -> C:
        from omium_sync import ConfigurationError  # noqa: PLC0415 - `--help` does not need the SDK

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
            raise CommandFailed(_message(error), USAGE) from None


def _message(error: ConfigurationError) -> str:
    """Return the message with the names of options instead of arguments."""
    if error.setting == "api_key" and error.source is None:
        return _NO_KEY
    setting = error.setting or ""
    option = _OPTION_OF.get(setting, "--" + setting.replace("_", "-"))
    message = error.message.replace(f"{setting} (argument)", option, 1)
    return message.partition(", or None")[0].replace("allow_insecure_http=True", "--allow-insecure-http")


def key_of_file(path: Path) -> str:
    """Read a key from a file. No message contains the path: a user may have given the key instead of a file."""
    try:
        with path.open("rb") as file:
            body = file.read(_LONGEST_KEY_FILE + 1)
    except OSError as error:
        raise click.UsageError(
            f"the file of --api-key-file cannot be read: {error.strerror}; give the name of a file with the key"
        ) from None
    if len(body) > _LONGEST_KEY_FILE:
        raise click.UsageError("the file of --api-key-file is too large to be a key")
    try:
        return body.decode().strip()
    except UnicodeDecodeError:
        raise click.UsageError("the file of --api-key-file is not text") from None


def _refuse_key(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    if value is not None:
        raise click.UsageError(
            "all users of this machine can read a key on the command line: set OMIUM_API_KEY, write api_key into"
            " ~/.omium/config.json, or use --api-key-file",
            ctx,
        )


def _keep(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def keep(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
        if value is not None and value is not False:  # 0 was given: the client checks it
            setattr(ctx.ensure_object(Connection), name, value)

    return keep


_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "--url": {
        "metavar": "URL",
        "help": "The service. Default: OMIUM_API_URL, the config file, https://api.omium.ai.",
    },
    "--api-key-file": {
        "type": click.Path(path_type=Path),
        "metavar": "FILE",
        "help": "A file with the key. Default: OMIUM_API_KEY, the config file.",
    },
    "--auth": {"type": click.Choice(["x-api-key", "bearer"]), "help": "How the key is sent."},
    "--timeout": {
        "type": Number(float),
        "metavar": "SECONDS",
        "help": "For one whole call with its retries. Default: OMIUM_TIMEOUT, the config file, 120.",
    },
    "--attempt-timeout": {
        "type": Number(float),
        "metavar": "SECONDS",
        "help": "For one attempt of a call. Default: 30.",
    },
    "--retries": {
        "type": Number(int),
        "metavar": "N",
        "help": "Attempts after the first. Default: OMIUM_RETRY_ATTEMPTS, the config file, 3.",
    },
    "--patience": {
        "type": Number(float),
        "metavar": "SECONDS",
        "help": "How long waits, lists and batches wait out an outage. Default: OMIUM_PATIENCE, 300.",
    },
    "--allow-insecure-http": {"is_flag": True, "help": "Allow http:// to a host that is not this machine."},
    "--verbose": {"is_flag": True, "help": "Log attempts and retries to stderr."},
}


def connection_options(*, hidden: bool = True, without: tuple[str, ...] = ()) -> Callable[[F], F]:
    """Add the shared options. They may stand before or after the command's name; the help lists them once, before."""

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


def examples(*lines: str) -> str:
    """Return the end of a help text."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


_pass_connection: Final = click.make_pass_decorator(Connection, ensure=True)


def service_command(
    name: str, *lines: str, without: tuple[str, ...] = (), **settings: Any
) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a command of a function whose first argument is a `Connection`.

    :param lines: the examples in the help.
    :param without: shared options that the command defines itself.
    """

    def add(function: Callable[..., Any]) -> click.Command:
        with_options = connection_options(without=without)(_pass_connection(function))
        return click.command(name, click.Command, epilog=examples(*lines), **settings)(with_options)

    return add


class _LineHandler(logging.Handler):
    """Writes each log record as one line to stderr."""

    shows_records = True

    def emit(self, record: logging.LogRecord) -> None:
        complain(f"{record.levelname.lower()}: {self.format(record)}")


def show_log(*, verbose: bool) -> None:
    """Show warnings of the SDK on stderr, with ``verbose`` also attempts and retries."""
    log = logging.getLogger("omium_async")
    handler = _LineHandler(logging.DEBUG if verbose else logging.WARNING)
    if verbose:
        log.setLevel(logging.DEBUG)
    else:
        handler.addFilter(lambda record: record.name != "omium_async.transport")
    log.handlers = [*(other for other in log.handlers if not isinstance(other, _LineHandler)), handler]
