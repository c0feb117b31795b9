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

    :ivar settings: the client's arguments that shared options set. The environment, the config file or the default
        decides the others.
    :ivar verbose: whether attempts and retries are logged to stderr.
    """

    settings: dict[str, Any] = attrs.field(factory=dict[str, Any])
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
        try:
            return kind(**self.settings | more)
        except ConfigurationError as error:
            raise CommandFailed(_message(error), USAGE) from None


def _message(error: ConfigurationError) -> str:
    """Return the message with the names of options instead of arguments."""
    if error.setting == "api_key" and error.source is None:
        return _NO_KEY
    options = {option.setting: option.names[0] for option in SHARED_OPTIONS if option.setting is not None}
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


class SharedOption:
    """An option of all commands that reach the service. It may stand before or after the command's name.

    :param names: the option, and its short form if it has one.
    :param text: its help.
    :param setting: the client's argument that it sets; ``None`` if ``apply`` does something else with the value.
    :param apply: what a value changes; by default the argument ``setting``.
    :param click_options: further arguments of `click.option`.
    """

    def __init__(
        self,
        *names: str,
        text: str,
        setting: str | None = None,
        apply: Callable[[Connection, Any], None] | None = None,
        **click_options: Any,
    ) -> None:
        self.names, self.setting = names, setting
        self._apply = apply or self._set
        self._click_options: dict[str, Any] = {"help": text, **click_options}

    def _set(self, connection: Connection, value: Any) -> None:
        connection.settings[str(self.setting)] = value

    def _on_value(self, context: click.Context, _parameter: click.Parameter, value: Any) -> None:
        if value is not None and value is not False:  # 0 is a value: the client checks it
            self._apply(context.ensure_object(Connection), value)

    def add_to(self, function: F, *, hidden: bool) -> F:
        """Add the option to a command or group."""
        decorate = click.option(
            *self.names, hidden=hidden, expose_value=False, callback=self._on_value, **self._click_options
        )
        return decorate(function)


def _set_key(connection: Connection, file: str) -> None:
    connection.settings["api_key"] = key_of_file(file)


def _set_verbose(connection: Connection, verbose: bool) -> None:
    connection.verbose = verbose


#: The options that all commands share. A new one is an entry here, and no more if it sets an argument of the client.
SHARED_OPTIONS: Final = (
    SharedOption(
        "--url",
        setting="base_url",
        text="The service. Default: OMIUM_API_URL, the config file, https://api.omium.ai.",
        metavar="URL",
    ),
    SharedOption(
        "--api-key-file",
        apply=_set_key,
        text="A file with the key. Default: OMIUM_API_KEY, the config file.",
        metavar="FILE",
        type=click.Path(),
    ),
    SharedOption("--auth", setting="auth", text="How the key is sent.", type=click.Choice(["x-api-key", "bearer"])),
    SharedOption(
        "--timeout",
        setting="timeout",
        text="For one whole call with its retries. Default: OMIUM_TIMEOUT, the config file, 120.",
        metavar="SECONDS",
        type=Number(float),
    ),
    SharedOption(
        "--attempt-timeout",
        setting="attempt_timeout",
        text="For one attempt of a call. Default: 30.",
        metavar="SECONDS",
        type=Number(float),
    ),
    SharedOption(
        "--retries",
        setting="max_retries",
        text="Attempts after the first. Default: OMIUM_RETRY_ATTEMPTS, the config file, 3.",
        metavar="N",
        type=Number(int),
    ),
    SharedOption(
        "--patience",
        setting="patience",
        text="How long waits, lists and batches wait out an outage. Default: OMIUM_PATIENCE, 300.",
        metavar="SECONDS",
        type=Number(float),
    ),
    SharedOption(
        "--allow-insecure-http",
        setting="allow_insecure_http",
        text="Allow http:// to a host that is not this machine.",
        is_flag=True,
    ),
    SharedOption("--verbose", "-v", apply=_set_verbose, text="Log attempts and retries to stderr.", is_flag=True),
)


def connection_options(*, hidden: bool = True, without: tuple[str, ...] = ()) -> Callable[[F], F]:
    """Add the shared options, and refuse a key on the command line. The help lists them once, before commands.

    :param without: options that the command defines itself.
    """

    def add(function: F) -> F:
        refuse = click.option("--api-key", hidden=True, expose_value=False, is_eager=True, callback=_refuse_key)
        function = refuse(function)
        for option in reversed(SHARED_OPTIONS):
            if option.names[0] not in without:
                function = option.add_to(function, hidden=hidden)
        return function

    return add


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
