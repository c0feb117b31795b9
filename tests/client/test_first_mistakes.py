"""Mistakes of newcomers: each message says what to do."""

from __future__ import annotations

from datetime import timedelta

import pytest

import omium_async as om
import omium_sync
from omium_async.local import LocalOmium

KEY = "omium_test_0123456789abcdef"


@pytest.mark.parametrize("client", [om.AsyncOmium, omium_sync.Omium])
def test_a_misspelled_setting_suggests_the_right_one(client) -> None:
    for take in (client, client(KEY).with_options):
        with pytest.raises(TypeError, match=r"no argument 'retries'; did you mean 'max_retries'\?"):
            take(retries=3)
    with pytest.raises(TypeError, match=r"did you mean 'api_key'\?"):
        client(apikey=KEY)


async def test_a_refused_connection_names_the_address() -> None:
    async with om.AsyncOmium(KEY, base_url="http://127.0.0.1:9", max_retries=0) as omium:
        with pytest.raises(om.APIConnectionError, match=r"nothing listens at http://127\.0\.0\.1:9; is"):
            await omium.executions.get("exec_1")


async def test_a_gateway_without_the_route_shows_the_base_url_and_its_source(raw, monkeypatch) -> None:
    async def kong(request) -> None:
        await request.send(raw.answer(404, b'{"message": "no Route matched with those values"}'))

    async with raw.Server(kong) as server:
        monkeypatch.setenv("OMIUM_API_URL", f"{server.url}/v2")
        async with om.AsyncOmium(KEY) as omium:
            with pytest.raises(om.APIStatusError) as caught:
                await omium.executions.create("wf")
    assert f"{server.url}/v2/api/v1" in str(caught.value)
    assert "OMIUM_API_URL" in str(caught.value)


@pytest.mark.parametrize("source", ["argument", "OMIUM_API_KEY", "config.json"])
async def test_a_wrong_key_shows_its_source(raw, monkeypatch, home, source: str) -> None:
    home.write_text(f'{{"api_key": "{KEY}"}}')
    if source == "OMIUM_API_KEY":
        monkeypatch.setenv(source, KEY)
    given = KEY if source == "argument" else None
    refusal = raw.answer(401, b'{"detail": "Invalid API key"}')
    async with (
        raw.Server(lambda request: request.send(refusal)) as server,
        om.AsyncOmium(given, base_url=server.url) as omium,
    ):
        with pytest.raises(om.AuthenticationError, match=rf"the key came from .*{source}"):
            await omium.executions.get("exec_1")


async def test_a_replay_of_a_completed_execution_says_that_sending_it_again_does_not_help() -> None:
    local = LocalOmium()

    @local.workflow("report")
    async def report(run) -> None:
        await run.step("load", int)

    async with local, om.AsyncOmium(local.api_key, base_url=local.url) as omium:
        done = await omium.executions.run("report")
        with pytest.raises(om.ConflictError) as caught:
            await omium.executions.replay(done.id)
        assert "may be sent again" not in str(caught.value)
        assert caught.value.outcome == "not_applied"
        assert [row.id async for row in omium.executions.list(since=timedelta(days=1))] == [done.id]  # an age
