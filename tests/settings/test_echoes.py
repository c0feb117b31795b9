"""Secrets are struck out in whatever form an answer echoes them, also across a cut, and slices of them are masked."""

from __future__ import annotations

import html
import json
import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import omium_async as om
from omium_async._data.masked import Secret
from omium_async._settings.secret import Redactor

KEYS = st.text(
    st.characters(exclude_categories=("C", "Z")) | st.sampled_from("<&>\"'\\/%+=-_"), min_size=8, max_size=40
)


def lower(text: str) -> str:
    """Escapes of URLs in lower case."""
    return quote(text, safe="").replace("%2F", "%2f").replace("%3D", "%3d").replace("%C3", "%c3")


def units(text: str) -> str:
    """Each character as a JSON escape."""
    raw = text.encode("utf-16-be")
    return "".join(f"\\u{raw[i : i + 2].hex()}" for i in range(0, len(raw), 2))


FORMS = {
    "plain": str,
    "URL": lambda key: quote(key, safe=""),
    "path": quote,
    "form": quote_plus,
    "lower case": lower,
    "every byte": lambda key: "".join(f"%{byte:02X}" for byte in key.encode()),
    "JSON": lambda key: json.dumps(key)[1:-1],
    "JSON as UTF-8": lambda key: json.dumps(key, ensure_ascii=False)[1:-1],
    "JSON, slashes too": lambda key: json.dumps(key)[1:-1].replace("/", "\\/"),
    "JSON, all": units,
    "HTML": html.escape,
    "HTML by number": lambda key: "".join(f"&#{ord(c)};" for c in key),
    "HTML in hexadecimal": lambda key: "".join(f"&#x{ord(c):X};" for c in key),
    "HTML, padded": lambda key: "".join(f"&#X{ord(c):06X};" for c in key),
    "braces": lambda key: "".join(f"\\u{{{ord(c):x}}}" for c in key),
    "octal": lambda key: "".join(f"\\{ord(c):03o}" if ord(c) <= 0xFF else c for c in key),
    "repr": lambda key: ascii(key)[1:-1],
}

EACH_CHARACTER = (
    "HTML by number", "HTML in hexadecimal", "HTML, padded", "JSON, all", "braces", "every byte", "octal",
)  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=15, deadline=None)
@given(key=KEYS, around=st.sampled_from(["", "the key ", "&", "%2", "\\"]))
def test_every_form_is_struck(form: str, key: str, around: str) -> None:
    redactor = Redactor(key)
    echo = FORMS[form](key)
    assert redactor.text(f"{around} {echo} {around}") == f"{around} *** {around}"
    assert redactor.body(b"\xff" + f"<{echo}>".encode()) == b"\xff<***>"


@settings(max_examples=40, deadline=None)
@given(key=KEYS, outer=st.sampled_from(sorted(FORMS)), inner=st.sampled_from(["URL", "HTML", "JSON", "JSON, all"]))
def test_escaped_twice(key: str, outer: str, inner: str) -> None:
    once = FORMS[inner](key)
    if outer in EACH_CHARACTER and once != key:
        return  # an escape of which each character is escaped again: nobody does that
    assert "***" in Redactor(key).text(f"seen: {FORMS[outer](once)}.")


@settings(max_examples=40, deadline=None)
@given(key=KEYS, form=st.sampled_from(sorted(FORMS)), data=st.data())
def test_what_a_cut_leaves_of_it_is_struck(key: str, form: str, data: st.DataObject) -> None:
    echo = FORMS[form](key)
    kept = data.draw(st.integers(0, len(echo) - 1))
    left = Redactor(key).text(f"echo: {echo[:kept]}", cut=True)
    assert left == f"echo: {echo[:kept]}" or left == "echo: ***"
    shortest = len(FORMS[form](key[:8]))
    if kept >= shortest + 8:
        assert left == "echo: ***"


@given(text=st.text(st.sampled_from("abcdefgh%2&#;\\u"), max_size=60))
def test_other_text_stays(text: str) -> None:
    assert Redactor("0123456789-another-key").text(text, cut=True) == text


def test_short_secrets_would_garble_what_means_something_else() -> None:
    assert Redactor("word").text("a word") == "a word"


def test_slices_of_a_masked_key_are_masked() -> None:
    key = Secret("omium_test_0123456789abcdef")
    for part in (key[:20], key[3:], key[::2], key[0]):
        assert repr(part) == "'***'"
    assert str(key[:5]) == "omium"


@pytest.mark.parametrize("given_key", [" omium_key_1 ", "omium_key_1\u00a0", "\u2003omium_key_1"])
def test_spaces_around_a_key_are_not_part_of_it(given_key: str) -> None:
    client = om.AsyncOmium(given_key, base_url="https://omium.test")
    assert str(client._caller.shared.settings.api_key) == "omium_key_1"
    assert client._caller.shared.settings.redactor.text("no key omium_key_1") == "no key ***"


def test_a_password_of_a_proxy_in_any_bytes() -> None:
    client = om.AsyncOmium("k", base_url="https://omium.test", proxy="http://me:%FFsecret%20word@proxy.example:3128")
    settings = client._caller.shared.settings
    assert settings.proxy is not None
    assert str(settings.proxy.authorization) == "Basic bWU6/3NlY3JldCB3b3Jk"
    assert "secret" not in settings.redactor.text("407: \ufffdsecret word is wrong")
    with pytest.raises(om.ConfigurationError, match="no URL of an HTTP proxy"):
        om.AsyncOmium("k", base_url="https://omium.test", proxy="http://me:\udcffsecret@proxy.example")


@pytest.mark.parametrize(
    "page", [b"\\" * 64_000, b"%5C" * 20_000, b"&amp;" * 13_000, b"%25" * 20_000, b"o%6d" * 16_000]
)
@pytest.mark.parametrize("key", ["omium_test_0123456789abcdef", "\\" * 40])
def test_a_page_made_to_be_slow_is_not(key: str, page: bytes) -> None:
    redactor = Redactor(key)
    redactor.text("% to compile what is needed")
    started = time.process_time()
    redactor.body(page, cut=True)
    assert time.process_time() - started < 1
