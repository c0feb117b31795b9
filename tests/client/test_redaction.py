"""A key that a failed response echoes is replaced, in four forms, before anything is cut off."""

from __future__ import annotations

import html
import json
from urllib.parse import quote

import pytest

import omium_async as om

KEY = 'omium_"quoted"/<key>+&é'
FORMS = {
    "verbatim": KEY,
    "percent-encoded": quote(KEY, safe=""),
    "percent-encoded in a path": quote(KEY),
    "percent-encoded in lower case": quote(KEY, safe="").replace("%2F", "%2f").replace("%C3", "%c3").replace(
        "%3C", "%3c").replace("%3E", "%3e").replace("%2B", "%2b").replace("%A9", "%a9"),
    "JSON-escaped": json.dumps(KEY)[1:-1],
    "JSON-escaped as UTF-8": json.dumps(KEY, ensure_ascii=False)[1:-1],
    "HTML-escaped": html.escape(KEY),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
async def test_an_echoed_key_is_replaced_in_message_body_headers_and_attempts(raw, form: str) -> None:
    echo = FORMS[form]
    response = raw.answer(400, f"no: {echo}.".encode()).replace(b"\r\n\r\n", f"\r\nX-Echo: {echo}\r\n\r\n".encode(), 1)
    async with raw.pair(lambda request: request.send(response), api_key=KEY) as (omium, _, _):
        with pytest.raises(om.BadRequestError) as caught:
            await omium.request("GET", "/x", headers={"X-Y": "z"})
    error = caught.value
    seen = [str(error), repr(error.args), error.body.decode(), *error.headers.values(), repr(error.attempts)]
    assert not [text for text in seen if echo in text]
    assert error.body == b"no: ***."
    assert error.headers["x-echo"] == "***"


@pytest.mark.parametrize("form", ["verbatim", "JSON-escaped"])
async def test_a_body_that_is_cut_inside_an_echoed_key_keeps_no_character_of_it(raw, form: str) -> None:
    beginning, echo = b'{"id": "', FORMS[form].encode()
    response = raw.answer(200, beginning + echo * 2)
    for kept in range(0, len(echo) * 2, 3):
        limit = len(beginning) + kept
        pair = raw.pair(lambda request: request.send(response), api_key=KEY, max_response_bytes=limit)
        async with pair as (omium, _, _):
            with pytest.raises(om.InvalidResponseError) as caught:
                await omium.executions.get("e")
        assert caught.value.body == beginning + b"***" * (kept // len(echo))


async def test_an_error_page_that_is_cut_inside_an_echoed_key_keeps_no_character_of_it(raw) -> None:
    for kept in (1, 5, 20):
        filling = b"x" * (2**16 - kept)
        for rest, expected in ((FORMS["HTML-escaped"].encode(), filling), (KEY.encode()[:kept], None)):
            response = raw.answer(400, filling + rest)
            async with raw.pair(lambda request, body=response: request.send(body), api_key=KEY) as (omium, _, _):
                with pytest.raises(om.BadRequestError) as caught:
                    await omium.executions.get("e")
            assert caught.value.body == (expected or filling + rest)  # a whole body may end as the key begins


async def test_data_of_successes_stays_as_sent(raw) -> None:
    key = "omium_0123456789abcdef"
    response = raw.answer(200, f'{{"id": "{key}"}}'.encode())
    async with raw.pair(lambda request: request.send(response), api_key=key) as (omium, _, _):
        assert (await omium.executions.get("e")).id == key


async def test_a_key_shorter_than_eight_characters_is_not_replaced(raw) -> None:
    async with raw.pair(lambda request: request.send(raw.answer(400, b"a short text")), api_key="short") as (
        omium,
        _,
        _,
    ):
        with pytest.raises(om.BadRequestError, match="a short text"):
            await omium.executions.get("e")
