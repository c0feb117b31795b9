"""What the client itself does: its pace, its retries, outages, and what went wrong last."""

from __future__ import annotations

import statistics
from typing import Final

from aiohttp import web

from .site import SITE

__all__ = ["routes"]

routes: Final = web.RouteTableDef()

_MINUTES: Final = 30
_ANEW: Final = 2.0  # seconds; it asks the service nothing


@routes.get("/client")
async def show(request: web.Request) -> web.StreamResponse:
    """The page. It tells what is known in this process, and asks the service nothing."""
    site = request.app[SITE]
    meter = site.meter
    elapsed = meter.elapsed()
    return site.renderer.live(
        request,
        "client.html",
        ("client",),
        due_in=_ANEW,
        meter=meter,
        minutes=meter.minutes(_MINUTES),
        median=statistics.median(elapsed) if elapsed else None,
        slowest=elapsed[-1] if elapsed else None,
        asked=meter.in_the_last(60),
        watches=site.live.awake(),
        failing=site.live.failing(),
    )
