"""What all pages share: the questions, the poll, the forms that were sent, the templates."""

from __future__ import annotations

import asyncio
from functools import partial
from operator import attrgetter
from typing import Any, Final

from aiohttp import web

from omium_async import AsyncOmium, ExecutionDetail

from .bulk import Bulks
from .listing import Listing, Rows
from .live import Live, Pace, Watch
from .meter import Meter
from .moves import Moves
from .once import Once
from .overview import Counting, Overview
from .questions import Questions
from .relations import Relations
from .rendering import Renderer
from .view import View

__all__ = ["MAX_FORM", "SITE", "Site", "form_of"]

MAX_FORM: Final = 64 * 2**20  # bytes, as browsers escape it
_FIRST: Final = 3.0  # seconds that a page waits for its first answer before it is shown without

# With these a list page costs 60 requests a minute at most: 27 for looks at its rows, 15 for searches anew, 15 for its
# overview. While nothing changes it costs 12: one in 9.2 seconds for its rows, and at most five in 54 for its overview.
# What is answered is on the page half a second later: rows within 10 seconds, counts within 60.
_ROWS: Final = Pace(quick=2.2, slow=9.2, each_request=2.2)
_EXECUTION: Final = Pace(quick=2.2, slow=9.2, each_request=2.2)
_OVERVIEW: Final = Pace(quick=10.0, slow=54.0, each_request=4.0)


class Site:
    """One console."""

    def __init__(self, omium: AsyncOmium) -> None:
        self.meter = Meter()
        self.live = Live(self.meter)
        self.questions = Questions(omium, self.meter)
        self.once = Once()
        self.relations = Relations()
        self.moves = Moves()
        self.bulks = Bulks(self.questions.acting, self.moves, self.relations.note, self.live.soon)
        self.renderer = Renderer(repr(omium).strip("<>"))

    async def open(self) -> None:
        """Begin to listen to the client's warnings."""
        self.meter.open()

    async def close(self) -> None:
        """Ask for nothing more, and give writes under way a moment."""
        self.meter.detach()
        self.live.close()
        await asyncio.gather(self.bulks.close(), self.once.close())

    def rows(self, view: View) -> Watch[Rows]:
        """The rows of a view."""
        watch = self.live.look(("rows", view), lambda: Listing(self.questions, view).read, _ROWS)
        watch.true_at = attrgetter("as_of")

        def changed() -> None:
            overview = self.live.known(("overview", view.workflow_id))
            if overview is not None and overview.awake:
                overview.hurry()

        watch.on_change = changed
        return watch

    def overview(self, view: View) -> Watch[Overview]:
        """Counts and failures of a view's workflow, or of all."""
        workflow_id = view.workflow_id
        return self.live.look(("overview", workflow_id), lambda: Counting(self.questions, workflow_id).read, _OVERVIEW)

    def execution(self, execution_id: str) -> Watch[ExecutionDetail]:
        """One execution."""
        ask = partial(self.questions.execution, execution_id)
        watch = self.live.look(("execution", execution_id), lambda: ask, _EXECUTION)
        watch.has_ended = _has_ended
        return watch

    async def settled(self, watch: Watch[Any], request: web.Request) -> None:
        """Wait for a page's first answer; a look does not wait."""
        if "have" not in request.query:
            await watch.settle(_FIRST)


SITE: Final = web.AppKey("SITE", Site)


def _has_ended(execution: ExecutionDetail) -> bool:
    """Whether only a rollback can still change it; what failed may be replayed elsewhere, and recovers by itself."""
    return execution.status in ("completed", "cancelled", "rolled_back")


async def form_of(request: web.Request) -> dict[str, str]:
    """The fields of a form, also of one that is larger than what the application takes elsewhere.

    :raises web.HTTPRequestEntityTooLarge: even so.
    """
    posted = await request.clone(client_max_size=MAX_FORM).post()
    return {name: value for name, value in posted.items() if isinstance(value, str)}
