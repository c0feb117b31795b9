"""A client whose requests are answered by aioresponses."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any
from unittest.mock import Mock

import aiohttp
import pytest
from aioresponses import aioresponses

from omium_async import AsyncOmium

API = "https://omium.test/api/v1"


class _Response(aiohttp.ClientResponse):
    """aiohttp 3.14 requires a stream writer, which aioresponses does not pass."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "stream_writer" in inspect.signature(aiohttp.ClientResponse.__init__).parameters:
            kwargs.setdefault("stream_writer", Mock(output_size=0))
        super().__init__(*args, **kwargs)


class Service:
    """The answers of a service, and the requests that it received."""

    def __init__(self, mocked: aioresponses) -> None:
        self._mocked = mocked

    def answers(self, method: str, path: str, **answer: Any) -> None:
        """Answer the next request to this path."""
        self._mocked.add(API + path, method, response_class=_Response, **answer)

    @property
    def received(self) -> list[tuple[str, str]]:
        """Method and path of each request."""
        return [
            (method, str(url).removeprefix(API))
            for (method, url), calls in self._mocked.requests.items()
            for _ in calls
        ]

    def options(self, method: str) -> dict[str, Any]:
        """What was passed to aiohttp with the only request of a method."""
        ((_, calls),) = [item for item in self._mocked.requests.items() if item[0][0] == method]
        return calls[0].kwargs


@pytest.fixture
def service() -> Iterator[Service]:
    with aioresponses() as mocked:
        yield Service(mocked)


@pytest.fixture
async def omium(service: Service) -> AsyncIterator[AsyncOmium]:
    async with AsyncOmium("omium_test_0123456789", base_url=API, max_retries=0, backoff=(0, 0)) as client:
        yield client
