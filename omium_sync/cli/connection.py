"""How to reach the service: the options that all commands share, the client made from them, and the commands' frame."""

from __future__ import annotations

import functools
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

_NO_KEY: Final = "no API key: use --api-key-file, set OMIUM_API_KEY, or write api_key into ~/.omium/config.json"
_LONGEST_KEY_FILE: Final = 64 * 1024  # bytes

C = TypeVar("C")
F = TypeVar("F", bound=Callable[..., Any])


@attrs.define
class Connection:
    """How to reach the service.

    :ivar given: the values of the shared options, by the names of a client's arguments. The environment, the config
        file or the default decides the others.
    """

    given: dict[str, Any] = attrs.field(factory=dict[str, Any])

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

        settings = {**self.given, **more}
        show_log(verbose=settings.pop("verbose", False))
        try:
            return kind(**settings)
        except ConfigurationError as error:
            raise CommandFailed(_message(error), USAGE) from None


def _message(error: ConfigurationError) -> str:
    """Return the message with the names of options instead of arguments."""
    if error.setting == "api_key" and error.source is None:
        return _NO_KEY
    options = {setting: option for option, (setting, _) in _SHARED.items()}
    options |= {"api_key": "the key of --api-key-file", "rate_limit": "--rate"}
    setting = error.setting or ""
    option = options.get(setting, "--" + setting.replace("_", "-"))
    message = error.message.replace(f"{setting} (argument)", option, 1)
    return message.partition(", or None")[0].replace("allow_insecure_http=True", "--allow-insecure-http")


def key_of_file(name: str | Path) -> str:
    """Read a key from a file. No message contains the name: a user may have given the key instead of a file."""
    try:
        with Path(name).open("rb") as file:
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


def _shared(setting: str, text: str, metavar: str | None = None, **more: Any) -> tuple[str, dict[str, Any]]:
    return setting, {"help": text, "metavar": metavar, **more}


#: The options that all commands share, each with the client's argument that it sets.
_SHARED: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "--url": _shared("base_url", "The service. Default: OMIUM_API_URL, the config file, https://api.omium.ai.", "URL"),
    "--api-key-file": _shared(
        "api_key", "A file with the key. Default: OMIUM_API_KEY, the config file.", "FILE", type=click.Path()
    ),
    "--auth": _shared("auth", "How the key is sent.", type=click.Choice(["x-api-key", "bearer"])),
    "--timeout": _shared(
        "timeout",
        "For one whole call with its retries. Default: OMIUM_TIMEOUT, the config file, 120.",
        "SECONDS",
        type=Number(float),
    ),
    "--attempt-timeout": _shared(
        "attempt_timeout", "For one attempt of a call. Default: 30.", "SECONDS", type=Number(float)
    ),
    "--retries": _shared(
        "max_retries",
        "Attempts after the first. Default: OMIUM_RETRY_ATTEMPTS, the config file, 3.",
        "N",
        type=Number(int),
    ),
    "--patience": _shared(
        "patience",
        "How long waits, lists and batches wait out an outage. Default: OMIUM_PATIENCE, 300.",
        "SECONDS",
        type=Number(float),
    ),
    "--allow-insecure-http": _shared(
        "allow_insecure_http", "Allow http:// to a host that is not this machine.", is_flag=True
    ),
    "--verbose": _shared("verbose", "Log attempts and retries to stderr.", is_flag=True),
}


def connection_options(*, hidden: bool = True, without: tuple[str, ...] = ()) -> Callable[[F], F]:
    """Add the shared options. They may stand before or after the command's name; the help lists them once, before."""

    def add(function: F) -> F:
        function = click.option("--api-key", hidden=True, expose_value=False, is_eager=True, callback=_refuse_key)(
            function
        )
        for option, (setting, settings) in reversed(_SHARED.items()):
            if option not in without:
                names = (option, "-v") if option == "--verbose" else (option,)
                keep = functools.partial(_keep, setting)
                function = click.option(*names, hidden=hidden, expose_value=False, callback=keep, **settings)(function)
        return function

    return add


def _keep(setting: str, context: click.Context, _parameter: click.Parameter, value: Any) -> None:
    if value is not None and value is not False:  # 0 was given: the client checks it
        context.ensure_object(Connection).given[setting] = key_of_file(value) if setting == "api_key" else value


def _refuse_key(context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        raise click.UsageError(
            "all users of this machine can read a key on the command line: set OMIUM_API_KEY, write api_key into"
            " ~/.omium/config.json, or use --api-key-file",
            context,
        )


# -- the three kinds of commands ---------------------------------------------------------------------------------------


def local_command(name: str, *examples: str, **settings: Any) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a command of a function that needs no service.

    :param examples: the examples at the end of the help.
    :param settings: further arguments of `click.command`.
    """
    epilog = "\b\nExamples:\n" + "\n".join(f"  {line}" for line in examples)
    return click.command(name, click.Command, epilog=epilog, **settings)


def service_command(
    name: str, *examples: str, without: tuple[str, ...] = (), **settings: Any
) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a command of a function whose first argument is a `Connection`.

    :param examples: the examples at the end of the help.
    :param without: shared options that the command defines itself.
    :param settings: further arguments of `click.command`.
    """

    def add(function: Callable[..., Any]) -> click.Command:
        with_connection = click.make_pass_decorator(Connection, ensure=True)(function)
        return local_command(name, *examples, **settings)(connection_options(without=without)(with_connection))

    return add


def client_command(name: str, *examples: str) -> Callable[[Callable[..., Any]], click.Command]:
    """Turn a function into a command. Its first argument is a client, which is closed when the command ends.

    :param examples: the examples at the end of the help.
    """

    def add(function: Callable[..., Any]) -> click.Command:
        @functools.wraps(function)
        def with_client(connection: Connection, /, **values: Any) -> Any:
            with connection.client() as omium:
                return function(omium, **values)

        return service_command(name, *examples)(with_client)

    return add


# -- the log -----------------------------------------------------------------------------------------------------------


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
