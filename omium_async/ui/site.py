"""What all pages share: the questions, the poll, the forms that were sent, the templates."""

from __future__ import annotations

import logging
from typing import Any, Final

from aiohttp import web

from omium_async import AsyncOmium, ExecutionDetail

from .bulk import Bulks
from .live import Live, Pace, Watch
from .meter import Meter
from .once import Once
from .questions import Overview, Questions, Rows
from .rendering import Renderer
from .view import View

__all__ = ["MAX_FORM", "SITE", "Site", "form_of"]

MAX_FORM: Final = 64 * 2**20  # bytes, as browsers escape it
_FIRST: Final = 3.0  # seconds that a page waits for its first answer before it is shown without

# With these a list page costs 60 requests a minute at most, and 12 while nothing changes: 60/8.8 for its rows, and five
# in 55 seconds for its overview, of which the rows answer one. Rows are news within 8.8 seconds and a look.
_ROWS: Final = Pace(quick=2.2, slow=8.8, each_request=2.2)
_EXECUTION: Final = Pace(quick=2.2, slow=8.8, each_request=2.2)
_OVERVIEW: Final = Pace(quick=30.0, slow=55.0, each_request=2.0)

_REMEMBERED: Final = 10_000


class Site:
    """One console."""

    def __init__(self, omium: AsyncOmium) -> None:
        self.meter = Meter()
        self.live = Live(self.meter)
        self.questions = Questions(omium, self.meter)
        self.once = Once()
        self.bulks = Bulks(self.questions.acting, self.remember_replay, self.live.soon)
        self.renderer = Renderer(repr(omium).strip("<>"))
        self._origins: dict[str, str] = {}
        self._replays: dict[str, str] = {}

    async def open(self) -> None:
        """Begin to listen to the client's warnings."""
        logging.getLogger("omium_async").addHandler(self.meter)

    async def close(self) -> None:
        """Ask for nothing more, and give writes under way a moment."""
        logging.getLogger("omium_async").removeHandler(self.meter)
        self.live.close()
        await self.bulks.close()
        await self.once.close()

    def rows(self, view: View) -> Watch[Rows]:
        """The rows of a view."""
        watch = self.live.look(("rows", view), lambda: self.questions.rows(view), _ROWS)

        def changed() -> None:
            overview = self.live.known(("overview", view.workflow_id))
            if overview is not None and overview.awake:
                overview.hurry()

        watch.on_change = changed
        return watch

    def overview(self, view: View) -> Watch[Overview]:
        """Counts and failures of a view's workflow, or of all."""
        workflow_id = view.workflow_id
        return self.live.look(("overview", workflow_id), lambda: self.questions.overview(workflow_id), _OVERVIEW)

    def execution(self, execution_id: str) -> Watch[ExecutionDetail]:
        """One execution."""
        return self.live.look(("execution", execution_id), lambda: self.questions.execution(execution_id), _EXECUTION)

    async def settled(self, watch: Watch[Any], request: web.Request) -> None:
        """Wait for a page's first answer; a look does not wait."""
        if "have" not in request.query:
            await watch.settle(_FIRST)

    def remember_replay(self, origin: str, execution_id: str) -> None:
        """A replay that the service made a new execution of."""
        if origin != execution_id:
            self._origins[execution_id], self._replays[origin] = origin, execution_id
            for known in (self._origins, self._replays):
                while len(known) > _REMEMBERED:
                    del known[next(iter(known))]

    def relatives(self, execution_id: str) -> dict[str, str]:
        """Executions that a replay made by this console links with one: id by what it is called."""
        found: dict[str, str] = {}
        if execution_id in self._origins:
            found["replay of"] = self._origins[execution_id]
        if execution_id in self._replays:
            found["replayed as"] = self._replays[execution_id]
        return found


SITE: Final = web.AppKey("SITE", Site)


async def form_of(request: web.Request) -> dict[str, str]:
    """The fields of a form, also of one that is larger than what the application takes elsewhere.

    :raises web.HTTPRequestEntityTooLarge: even so.
    """
    posted = await request.clone(client_max_size=MAX_FORM).post()
    return {name: value for name, value in posted.items() if isinstance(value, str)}
