"""The constructors and `with_options` have exactly the declared settings."""

from __future__ import annotations

import inspect
import json
import types
import typing

import pytest

import omium_async as om
import omium_sync
from omium_async._settings.configure import OptionChanges
from omium_async._settings.declared import Options, Settings, declarations

KEY = "omium_test_0123456789abcdef"
DECLARED = {**declarations(Settings), **declarations(Options)}


@pytest.mark.parametrize("client", [om.AsyncOmium, omium_sync.Omium])
def test_constructors_take_every_setting_by_its_name_and_default(client: type) -> None:
    parameters = inspect.signature(client).parameters
    assert {*DECLARED} <= {*parameters}
    assert {name: parameters[name].default for name in DECLARED} == {
        name: each.default for name, each in DECLARED.items()
    }
    asked_elsewhere = [name for name, each in DECLARED.items() if each.variable is not None]
    assert [name for name in asked_elsewhere if parameters[name].default is not DECLARED[name].default] == []


def test_with_options_takes_the_declared_options_of_their_types() -> None:
    assert list(OptionChanges.__annotations__) == list(declarations(Options))
    said = {name: hint for name, hint in typing.get_type_hints(OptionChanges).items() if name != "headers"}
    assert said == {name: typing.get_type_hints(Options)[name] for name in said}


def test_every_setting_is_described_for_users() -> None:
    assert [name for name in DECLARED if f":param {name}:" not in (om.AsyncOmium.__doc__ or "")] == []
    assert [
        name for name in declarations(Options) if f"``{name}``" not in (om.AsyncOmium.with_options.__doc__ or "")
    ] == []


@pytest.mark.parametrize(
    ("arguments", "environment", "file", "message", "fields"),
    [
        (
            {"timeout": 0}, {}, {},
            "timeout (argument): 0 is not above 0; give a number of seconds above 0, or None for no limit",
            ("timeout", "argument"),
        ),
        (
            {}, {"OMIUM_RETRY_ATTEMPTS": "1.5"}, {},
            "OMIUM_RETRY_ATTEMPTS (environment): '1.5' is not a number; give a whole number, 0 or more",
            ("max_retries", "OMIUM_RETRY_ATTEMPTS"),
        ),
        (
            {}, {"OMIUM_PATIENCE": KEY}, {},
            (
                "OMIUM_PATIENCE (environment): this text is not a number; give a number of seconds, 0 or more, or None "
                "for no limit"
            ),
            ("patience", "OMIUM_PATIENCE"),
        ),
        (
            {}, {}, {"retry_attempts": -1},
            "retry_attempts (in {file}): -1 is below 0; give a whole number, 0 or more",
            ("max_retries", "{file}"),
        ),
        (
            {"base_url": "http://omium.example"}, {}, {},
            (
                "base_url (argument): it would send the key over plain http to omium.example; give https://, or "
                "allow_insecure_http=True"
            ),
            ("base_url", "argument"),
        ),
        (
            {"backoff": (2, 1)}, {}, {},
            (
                "backoff (argument): 2 is more than 1; give two numbers of seconds, 0 or more: the first delay and the "
                "longest"
            ),
            ("backoff", "argument"),
        ),
        (
            {"telemetry": KEY}, {}, {},
            (
                "telemetry (argument): a value of type str is not a Telemetry; give an instance of "
                "omium_async.otel.Telemetry, or None"
            ),
            ("telemetry", "argument"),
        ),
        (
            {}, {"HTTPS_PROXY": "socks5://proxy.example"}, {},
            (
                "HTTPS_PROXY (environment): this is not the URL of an HTTP proxy; give the URL of an HTTP proxy, "
                "such as http://proxy.example:3128 (SOCKS is not supported)"
            ),
            ("proxy", "HTTPS_PROXY"),
        ),
    ],
)  # fmt: skip
def test_messages_say_the_value_first_and_errors_carry_where_it_came_from(
    monkeypatch, home, arguments, environment, file, message, fields
) -> None:
    home.write_text(json.dumps({"api_key": KEY, **file}))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(om.ConfigurationError) as caught:
        om.AsyncOmium(**arguments)
    assert str(caught.value) == message.format(file=home)
    assert (caught.value.setting, caught.value.source) == tuple(each.format(file=home) for each in fields)
    assert caught.value.outcome == "not_applied"
    assert caught.value.__context__ is None


def test_a_missing_key_has_no_source() -> None:
    with pytest.raises(om.ConfigurationError) as caught:
        om.AsyncOmium()
    assert (caught.value.setting, caught.value.source, caught.value.outcome) == ("api_key", None, "not_applied")


@pytest.mark.parametrize("value", [0, 12.5, None])
def test_patience_may_be_anything_from_0_on(monkeypatch, value) -> None:
    assert om.AsyncOmium(KEY, patience=value)._caller.options.patience == value
    monkeypatch.setenv("OMIUM_PATIENCE", "7")
    assert om.AsyncOmium(KEY)._caller.options.patience == 7.0
    assert om.AsyncOmium(KEY, patience=value)._caller.options.patience == value


# -- the config file ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b'{\n  "api_key": "x",\n  "timeout": 5,\n}', "line (3, column 15|4, column 1) "),  # as Python has it
        (b'{"api_key" "x"}', "line 1, column 12"),
        (b'{\n "api_key": "\xff"}', "not JSON that can be read"),
        (b"[1]", "not a JSON object"),
        (b"", "line 1, column 1"),
    ],
)
def test_a_syntax_error_says_where(home, body: bytes, place: str) -> None:
    home.write_bytes(body)
    with pytest.raises(om.ConfigurationError, match=place) as caught:
        om.AsyncOmium()
    assert caught.value.source == str(home)


def test_telemetry_is_known_by_its_class_without_importing_it() -> None:
    own = types.new_class("Telemetry", (), {}, lambda body: body.update(__module__="omium_async.otel"))()
    client = om.AsyncOmium(KEY, telemetry=own)
    assert client._caller.shared.settings.telemetry is own
