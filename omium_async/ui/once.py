"""A form sent twice does it once: the console remembers the forms that it has sent, and what became of each.

Every form that writes carries a token that is good for one write. It is signed with a secret of this process: after a
restart the console does not know any more what it sent, so it refuses the tokens of before instead of sending again.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import attrs

from omium_async import OmiumError, WriteOutcome

__all__ = ["Once", "StaleForm", "Verdict", "WrittenOtherwise"]

_GOOD_FOR: Final = 12 * 3600.0  # seconds for which a form may be left open
_REMEMBERED_FOR: Final = 2 * _GOOD_FOR  # longer than its token is good for: what was forgotten cannot be sent again


class StaleForm(Exception):  # noqa: N818 - it is the form that is stale
    """The form is older than what the console remembers, or was made by another process."""


class WrittenOtherwise(Exception):  # noqa: N818 - likewise
    """The form was sent before with other content.

    :ivar verdict: what became of it then.
    """

    def __init__(self, verdict: Verdict) -> None:
        super().__init__("this form was sent before with other content")
        self.verdict = verdict


@attrs.frozen
class Verdict:
    """What became of a write.

    :ivar outcome: whether it was applied. :ivar execution_id: the execution to look at, where there is one.
    :ivar origin: the execution that it was about. :ivar message: what the service said, or what went wrong.
    :ivar request_id: to quote to the service's support.
    """

    outcome: WriteOutcome
    message: str
    execution_id: str | None = None
    origin: str | None = None
    request_id: str | None = None


@attrs.define
class _Sent:
    content: bytes
    task: asyncio.Task[Verdict]
    when: float


class Once:
    """The forms that were sent."""

    def __init__(self) -> None:
        self._secret = os.urandom(32)
        self._sent: dict[str, _Sent] = {}

    def token(self) -> str:
        """A token for one form."""
        nonce = f"{os.urandom(12).hex()}.{time.monotonic():.0f}"
        return f"{nonce}.{self._signature(nonce)}"

    def verdict(self, receipt: str) -> Verdict | None:
        """What became of the write whose token begins so, once it has ended."""
        sent = self._sent.get(receipt)
        ended = sent is not None and sent.task.done() and not sent.task.cancelled() and sent.task.exception() is None
        return sent.task.result() if sent is not None and ended else None

    @staticmethod
    def receipt(token: str) -> str:
        """What stands for a write that was sent: no token, so that an address may carry it."""
        return token.partition(".")[0]

    async def do(self, token: str, content: Any, write: Callable[[str], Awaitable[Verdict]]) -> Verdict:
        """What became of the form's write: it is sent if the form was never sent before.

        :param content: all that the form says. :param write: sends it, under an idempotency key.
        :raises StaleForm: the console does not know whether it was sent. :raises WrittenOtherwise: it was, differently.
        """
        self._check(token)
        receipt, digest = self.receipt(token), hashlib.sha256(repr(content).encode("utf-8", "replace")).digest()
        sent = self._sent.get(receipt)
        if sent is None:
            self._forget()
            task = asyncio.create_task(_verdict(write(f"console-{receipt}")))
            sent = self._sent[receipt] = _Sent(digest, task, time.monotonic())
        verdict = await asyncio.shield(sent.task)  # it goes on when the browser does not wait for it
        if sent.content != digest:
            raise WrittenOtherwise(verdict)
        return verdict

    async def close(self) -> None:
        """Give writes under way a moment, then cut them off."""
        tasks = [sent.task for sent in self._sent.values() if not sent.task.done()]
        if tasks:
            await asyncio.wait(tasks, timeout=5)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _signature(self, nonce: str) -> str:
        return hmac.new(self._secret, nonce.encode(), hashlib.sha256).hexdigest()[:32]

    def _check(self, token: str) -> None:
        nonce, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode("utf-8", "replace"), self._signature(nonce).encode()):
            raise StaleForm
        if time.monotonic() - float(nonce.partition(".")[2]) > _GOOD_FOR:
            raise StaleForm

    def _forget(self) -> None:
        old = time.monotonic() - _REMEMBERED_FOR
        for receipt, sent in list(self._sent.items()):
            if sent.when > old:
                return  # they stand in the order of their sending
            if sent.task.done():
                del self._sent[receipt]


async def _verdict(write: Awaitable[Verdict]) -> Verdict:
    """Of every end of a write: an error says itself whether it was applied."""
    try:
        return await write
    except OmiumError as error:
        return Verdict(error.outcome, error.message, error.execution_id, request_id=error.request_id)
    except (TypeError, ValueError) as error:  # before anything was sent
        return Verdict(WriteOutcome.NOT_APPLIED, str(error))
    except asyncio.CancelledError:
        return Verdict(WriteOutcome.UNKNOWN, "the console was stopped while it was under way")
