"""The console: a web page over any client that shows executions and replays, cancels and creates them.

It needs the extra ``ui`` (``pip install 'omium-async[ui]'``).

.. code-block:: python

    from aiohttp import web
    from omium_async import AsyncOmium
    from omium_async.ui import console

    web.run_app(console(AsyncOmium()), host="127.0.0.1", port=8080)
"""

from __future__ import annotations

import importlib.util

if importlib.util.find_spec("jinja2") is None:
    raise ModuleNotFoundError("the console needs jinja2: pip install 'omium-async[ui]'", name="jinja2")

from .application import console

__all__ = ["console"]

console.__module__ = __name__
