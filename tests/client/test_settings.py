"""The sources of settings, their order, and the messages for invalid values."""

from __future__ import annotations

import json
import ssl

import aiohttp
import pytest

import omium_async as om
from omium_async._settings.configure import OptionChanges

KEY = "omium_test_0123456789abcdef"


def settings_of(client: om.AsyncOmium):
    return client._caller.shared.settings


def options_of(client: om.AsyncOmium):
    return client._caller.options


def key_of(client: om.AsyncOmium) -> str:
    return str(settings_of(client).api_key)


def refused(*named: str, **arguments) -> str:
    with pytest.raises(om.ConfigurationError) as caught:
        om.AsyncOmium(**arguments)
    assert isinstance(caught.value, ValueError)
    for name in named:
        assert name in str(caught.value)
    assert KEY not in str(caught.value)
    return str(caught.value)


# -- order -----------------------------------------------------------------------------------------------------------


def test_argument_then_environment_then_file_then_default(monkeypatch, home) -> None:
    home.write_text(
        json.dumps({"api_key": "of-file", "api_url": "https://file.test", "timeout": 7, "retry_attempts": 8})
    )
    client = om.AsyncOmium()
    assert (key_of(client), settings_of(client).base_url) == ("of-file", "https://file.test/api/v1")
    assert (options_of(client).timeout, options_of(client).max_retries) == (7.0, 8)
    for name, value in (("KEY", "of-env"), ("URL", "https://env.test")):
        monkeypatch.setenv(f"OMIUM_API_{name}", value)
    monkeypatch.setenv("OMIUM_TIMEOUT", "1.5")
    monkeypatch.setenv("OMIUM_RETRY_ATTEMPTS", "0")
    client = om.AsyncOmium()
    assert (key_of(client), settings_of(client).base_url) == ("of-env", "https://env.test/api/v1")
    assert (options_of(client).timeout, options_of(client).max_retries) == (1.5, 0)
    client = om.AsyncOmium("of-argument", base_url="https://argument.test", timeout=2, max_retries=1)
    assert (key_of(client), settings_of(client).base_url) == ("of-argument", "https://argument.test/api/v1")
    assert (options_of(client).timeout, options_of(client).max_retries) == (2.0, 1)


def test_defaults() -> None:
    client = om.AsyncOmium(KEY)
    assert settings_of(client).base_url == "https://api.omium.ai/api/v1"
    options = options_of(client)
    assert (options.timeout, options.attempt_timeout, options.max_retries) == (120.0, 30.0, 3)
    assert settings_of(client).max_connections == 100
    assert settings_of(client).max_response_bytes == 64 * 2**20
    assert settings_of(client).rate_limit is None


@pytest.mark.parametrize("timeout", [None, 60.0, 60])
def test_a_value_given_is_given_also_when_it_is_none_or_the_default(monkeypatch, timeout) -> None:
    monkeypatch.setenv("OMIUM_TIMEOUT", "5")
    monkeypatch.setenv("OMIUM_RETRY_ATTEMPTS", "5")
    options = options_of(om.AsyncOmium(KEY, timeout=timeout, max_retries=3))
    assert options.timeout == timeout
    assert options.max_retries == 3


def test_an_empty_variable_is_unset(monkeypatch, home) -> None:
    home.write_text(json.dumps({"api_key": "of-file", "timeout": 7}))
    for name in ("OMIUM_API_KEY", "OMIUM_API_URL", "OMIUM_TIMEOUT", "OMIUM_RETRY_ATTEMPTS"):
        monkeypatch.setenv(name, "")
    client = om.AsyncOmium()
    assert (key_of(client), options_of(client).timeout, options_of(client).max_retries) == ("of-file", 7.0, 3)


def test_the_file_is_read_only_while_key_or_url_is_open(monkeypatch, home) -> None:
    home.write_text("broken")
    om.AsyncOmium(KEY, base_url="https://omium.test")
    monkeypatch.setenv("OMIUM_API_KEY", KEY)
    monkeypatch.setenv("OMIUM_API_URL", "https://omium.test")
    om.AsyncOmium()
    monkeypatch.delenv("OMIUM_API_URL")
    refused("config.json")


def test_a_broken_file_is_named(home) -> None:
    for text in ("", "broken", "[]", "null", '"x"', "{", "\x00", '{"a": 1} x', "[" * 100_000):
        home.write_text(text)
        refused(str(home))
        refused(str(home), api_key=KEY)


def test_a_file_that_is_no_utf8_or_no_file_is_named(home) -> None:
    home.write_bytes(b'{"api_key": "\xff"}')
    refused(str(home))
    home.unlink()
    home.mkdir()
    refused(str(home), "cannot be read")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("api_key", [5, ["x"], {}, "a\nb", "  "]),
        ("api_url", [5, "nonsense", "http://omium.example"]),
        ("timeout", ["5", -1, 0, True, []]),
        ("retry_attempts", [1.5, -1, "3", False]),
    ],
)
def test_a_bad_value_in_the_file_names_it_and_the_file(home, name: str, values: list) -> None:
    for value in values:
        home.write_text(json.dumps({"api_key": KEY, name: value}))
        assert "Secret" not in refused(name, str(home))


def test_what_is_null_or_empty_or_unknown_in_the_file_is_absent(home) -> None:
    home.write_text(json.dumps({"api_key": KEY, "api_url": None, "timeout": None, "retry_attempts": "", "more": [1]}))
    client = om.AsyncOmium()
    assert settings_of(client).base_url == "https://api.omium.ai/api/v1"
    assert (options_of(client).timeout, options_of(client).max_retries) == (120.0, 3)
    home.write_text(json.dumps({"api_key": ""}))
    refused("no API key")


def test_no_key_says_how_to_give_one() -> None:
    refused("api_key", "OMIUM_API_KEY", "config.json")


def test_no_home_is_no_file(monkeypatch) -> None:
    monkeypatch.setattr("pathlib.Path.home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    om.AsyncOmium(KEY)


@pytest.mark.parametrize(
    ("variable", "values"),
    [
        ("OMIUM_TIMEOUT", ["x", "nan", "inf", "0", "-1", "5s", " "]),
        ("OMIUM_RETRY_ATTEMPTS", ["1.5", "-1", "many"]),
        ("OMIUM_API_URL", ["omium.test"]),
        ("OMIUM_API_KEY", ["a\tb", " "]),
    ],
)
def test_a_bad_variable_is_named(monkeypatch, variable: str, values: list) -> None:
    monkeypatch.setenv("OMIUM_API_KEY", KEY)
    for value in values:
        monkeypatch.setenv(variable, value)
        refused(variable, "environment")


async def coroutine_function(attempt: om.Attempt) -> None: ...


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("timeout", [0, -1, float("nan"), float("inf"), "5", True, [], 10**400]),
        ("attempt_timeout", [0, -0.1, float("nan"), "5", False]),
        ("max_retries", [-1, 1.0, "3", True, None]),
        ("max_connections", [0, -1, 1.5, "3", True, None]),
        (
            "rate_limit",
            [0, -1, float("nan"), float("inf"), "3", True, (3,), (3, 0), (3, None), ("3", 4), (1, 2, 3), ()],
        ),
        ("max_response_bytes", [0, -1, 1.5, None]),
        ("agent_id", ["", 5, "\ud800"]),
        ("headers", [[], "x", {"a": 1}, {1: "a"}, {"a b": "c"}, {"": "c"}, {"a": "b\r\nc"}, {"a": "\ud800"}]),
        ("proxy", ["", "nonsense", "socks5://x:1", "http://", 5, "http://x:99999", "http://a b"]),
        ("ssl", ["yes", 1, object()]),
        ("session", ["x", 5]),
        ("on_attempt", ["x", 5, coroutine_function]),
        ("auth", ["basic", None, 5]),
        ("allow_insecure_http", ["yes", 1, None]),
        ("retry_ambiguous_writes", ["yes", 1, None]),
        ("patience", [-1, "5", True, float("nan"), float("inf")]),
        ("backoff", [(1,), (1, 2, 3), 1, (1, None), (-1, 2), (2, 1), "12", [True, 2]]),
        ("poll_interval", [(0, 1), (1,), None, (1, float("nan"))]),
        ("api_key", ["", " ", "a\r", "a\nb", "a\x00b", "a\x7fb", "a\x85b", "\ud800", 5, b"x"]),
        ("base_url", [5, b"https://x"]),
    ],
)
def test_a_bad_argument_is_named(name: str, values: list) -> None:
    for value in values:
        refused(f"{name} (argument)", **({"api_key": KEY} | {name: value}))
        if name in OptionChanges.__annotations__:
            with pytest.raises(om.ConfigurationError, match=rf"{name} \(argument\)"):
                om.AsyncOmium(KEY).with_options(**{name: value})  # type: ignore[misc]


def test_with_options_knows_its_options() -> None:
    with pytest.raises(TypeError, match="max_connections"):
        om.AsyncOmium(KEY).with_options(max_connections=5)  # type: ignore[call-arg]


def test_with_options_changes_a_copy() -> None:
    client = om.AsyncOmium(KEY)
    copy = client.with_options(timeout=None, max_retries=0)
    assert (options_of(copy).timeout, options_of(copy).max_retries, options_of(copy).attempt_timeout) == (None, 0, 30.0)
    assert options_of(client).timeout == 120.0
    assert copy._caller.shared is client._caller.shared


def test_every_kind_of_ssl_setting() -> None:
    for value in (True, False, None, ssl.create_default_context(), aiohttp.Fingerprint(b"x" * 32)):
        om.AsyncOmium(KEY, ssl=value)


def test_a_key_of_any_form_works() -> None:
    for key in ("k", "omium_x", "ключ", "a b", "x" * 5000):
        assert key_of(om.AsyncOmium(key)) == key


async def test_a_session_that_trusts_the_environment_is_refused() -> None:
    async with aiohttp.ClientSession(trust_env=True) as session:
        refused("session", "netrc", api_key=KEY, session=session)


# -- URLs ----------------------------------------------------------------------------------------------------------

HOST = "https://api.omium.ai"


URLS = {
    **dict.fromkeys(
        [f"{HOST}{end}" for end in ("", "/", "//", "/api/v1", "/api/v1/", "/API/V1", "/api/v1/api/v1/", "//api//v1")],
        f"{HOST}/api/v1",
    ),
    "HTTPS://API.Omium.AI/Api/V1": f"{HOST}/api/v1",
    f" {HOST} ": f"{HOST}/api/v1",
    f"{HOST}:8443": f"{HOST}:8443/api/v1",
    f"{HOST}/proxy/api/v1": f"{HOST}/proxy/api/v1",
    f"{HOST}/api/v1x": f"{HOST}/api/v1x/api/v1",
    f"{HOST}/%7Ea/ü": f"{HOST}/%7Ea/%C3%BC/api/v1",
    "https://bücher.example": "https://xn--bcher-kva.example/api/v1",
    "https://faß.example": "https://xn--fa-hia.example/api/v1",
    "http://localhost:8000": "http://localhost:8000/api/v1",
    "http://127.1.2.3": "http://127.1.2.3/api/v1",
    "http://[::1]:8000/": "http://[::1]:8000/api/v1",
    "https://[2001:db8::1]": "https://[2001:db8::1]/api/v1",
}


def test_every_form_of_the_url() -> None:
    assert {given: settings_of(om.AsyncOmium(KEY, base_url=given)).base_url for given in URLS} == URLS


def test_urls_that_cannot_be_used() -> None:
    for url in (
        "", " ", "api.omium.ai", "//api.omium.ai", "ftp://api.omium.ai", "https://", "https:///x", "https://api omium.ai",  # noqa: E501
        "https://api.omium.ai?x=1", "https://api.omium.ai#x", "https://api.omium.ai/../x", "https://api.omium.ai/%2e%2E/x",
        "https://user:pass@api.omium.ai", "https://api.omium.ai:99999", "https://api.omium.ai:0", "https://api.omium.ai:x",
        "https://[::1", "https://api.omium.ai\\@evil.example", "https://api.omium.ai\r\nX: y", "https://api.omium.ai/\x00",
        "https://" + "a" * 64 + ".example", "https://a..example", "https://a%00.example", "https://api.test/\ud800",
        "http://api.omium.ai", "http://127.0.0.1.evil.example", "http://localhost.evil.example", "http://128.0.0.1",
        "http://0.0.0.0", "http://omium.localhost", "http://[2001:db8::1]", "http://10.0.0.1",
    ):  # fmt: skip
        assert "user" not in refused("base_url (argument)", api_key=KEY, base_url=url)


def test_plain_http_by_permission() -> None:
    client = om.AsyncOmium(KEY, base_url="http://omium.example", allow_insecure_http=True)
    assert settings_of(client).base_url == "http://omium.example/api/v1"
