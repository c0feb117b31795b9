"""The path of ``request`` is relative, escaped and below the base URL; it may have a query."""

from __future__ import annotations

import pytest

from omium_async import AsyncOmium
from omium_async._arguments import relative_path
from omium_async.local import LocalOmium


async def test_a_query_in_the_path_and_params_go_together():
    async with LocalOmium() as local, AsyncOmium(local.api_key, base_url=local.url) as omium:
        for _ in range(3):
            await omium.executions.create("w")
        answer = await omium.request("GET", "/executions?page=2", params={"page_size": 2})
        assert (answer.json()["page"], len(answer.json()["items"])) == (2, 1)


@pytest.mark.parametrize(
    ("path", "wire"),
    [
        ("workflows", "/workflows"),
        ("/a b", "/a%20b"),
        ("/a%2Fb", "/a%2Fb"),
        ("/50%", "/50%25"),
        ("/x?q=a b&r=/..", "/x?q=a%20b&r=/.."),
        ("/x?redirect=https://y", "/x?redirect=https://y"),
    ],
)
def test_escaped(path, wire):
    assert relative_path(path) == wire


@pytest.mark.parametrize("path", ["/api/v1/executions", "api/v1", "//api/v1/x"[1:], "/api/v1?x=1"])
async def test_the_path_of_the_base_url_is_not_repeated(raw, path: str) -> None:
    async with raw.pair() as (omium, server, _attempts):
        with pytest.raises(ValueError, match=r"begins with '/api/v1'.*such as '/workflows'"):
            await omium.request("GET", path)
        await omium.request("GET", "/api/v10")
    assert [request.target for request in server.requests] == ["/api/v1/api/v10"]
