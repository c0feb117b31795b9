"""Renders templates: whole pages, and the parts of a page that changed since the browser last looked.

The parts of a page are blocks of its template. Each carries a digest of its markup. A look (a request of the page's
script) sends the digests that the browser has, and receives the parts that differ, which htmx puts in place
(``hx-swap-oob``), or 204. The scripts contain htmx 2.0.11 as published on npm, with its licence beside it.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from .._statuses import NOT_ENDED, REPLAYABLE, UNSUCCESSFUL
from . import words
from .view import STATUSES

_HERE: Final = Path(__file__).parent
_PART: Final = Markup('<div id="part-{name}" data-part="{name}" data-digest="{digest}"{oob}>{html}</div>')
_OOB: Final = Markup(' hx-swap-oob="true"')
_TITLE: Final = Markup("<title>{title}{suffix}</title>")
_SUFFIX: Final = " \N{EN DASH} Omium console"
_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".txt": "text/plain"}
_LONGEST_LINK: Final = 4_000  # characters of an id in an address; servers refuse longer lines


def escape_id(execution_id: str) -> str:
    """Return an id as one segment of a path."""
    return quote(execution_id, safe="")


def _fits(execution_id: str) -> bool:
    return len(escape_id(execution_id)) <= _LONGEST_LINK


@functools.cache
def _load() -> tuple[Environment, dict[str, bytes], str]:
    """Return the compiled templates, the files that pages load, and a digest of the files; once for the process."""
    static = {path.name: path.read_bytes() for path in sorted((_HERE / "static").iterdir())}
    stamp = hashlib.sha256(b"".join(static.values())).hexdigest()[:12]
    templates: Any = Environment(  # whose dictionaries jinja2 types by what it puts in them itself
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {name: getattr(words, name) for name in words.__all__} | {"segment": escape_id}
    templates.tests |= {"linkable": _fits}
    templates.globals |= {"stamp": stamp, "STATUSES": STATUSES, "suffix": _SUFFIX}
    templates.globals |= {"NOT_ENDED": NOT_ENDED, "REPLAYABLE": REPLAYABLE, "UNSUCCESSFUL": UNSUCCESSFUL}
    templates.globals["bits"] = templates.get_template("bits.html").module
    for name in templates.list_templates():
        templates.get_template(name)  # compiles it before the first request
    return templates, static, stamp


class Renderer:
    """Renders the templates, which escape everything by default.

    :param service: the client in words, for the foot of every page.
    """

    def __init__(self, service: str) -> None:
        self._templates, self._static, self._stamp = _load()
        self._service = service

    def page(self, name: str, *, depth: int = 0, status: int = 200, **context: Any) -> web.Response:
        """Render a page.

        :param depth: how many folders its address is below the console's root. Links are relative, so that the console
            works under any prefix.
        """
        html = self._templates.get_template(name).render(base=_base(depth), service=self._service, **context)
        return web.Response(text=html, content_type="text/html", status=status)

    def notice(
        self, title: str, text: str, back: tuple[str, str], *, depth: int = 0, status: int = 404, **context: Any
    ) -> web.Response:
        """Render a page that says one thing and leads elsewhere.

        :param back: where a button leads, relative to the console's root, and its label.
        """
        context = {"error": None, "result": None, "about": None, **context}
        return self.page("notice.html", depth=depth, status=status, title=title, text=text, back=back, **context)

    def unreadable(self, error: Exception, execution_id: str, *, depth: int, status: int) -> web.Response:
        """Render the page that says why an execution could not be read."""
        if status == 404:
            about = words.cut(execution_id)
            text = f"The service has no execution {about}. Check the id, and whose key the console uses."
            return self.notice("No such execution", text, ("", "To the executions"), depth=depth)
        back = (f"executions/{escape_id(execution_id)}", "Back to the execution")
        text = "Nothing was written."
        return self.notice(words.headline(error), text, back, depth=depth, status=status, error=error)

    def stale(self, back: str, *, depth: int = 0) -> web.Response:
        """Render the page that refuses a form which the console does not remember."""
        text = (
            "It was opened before the console was restarted, or too long ago, or it was sent before for something else."
            " Nothing was sent now."
        )
        return self.notice("This form is too old", text, (back, "See how it stands"), depth=depth, status=409)

    def live(
        self,
        request: web.Request,
        name: str,
        parts: Sequence[str],
        *,
        every: float,
        depth: int = 0,
        status: int = 200,
        **context: Any,
    ) -> web.Response:
        """Render a page that looks for changes, or the parts that changed.

        :param parts: blocks of the template. :param every: seconds until the next look.
        """
        context |= {"here": _here(request), "every": every}
        made = {part: self._block(name, part, depth, context) for part in parts}
        digests = {part: hashlib.blake2b(html.encode(), digest_size=9).hexdigest() for part, html in made.items()}
        if is_look(request):
            title = _TITLE.format(title=self._block(name, "title", depth, context), suffix=_SUFFIX)
            response = _changes(request.query["have"], made, digests, title)
            response.headers["X-Next-Look"] = f"{every:.1f}"
            return response
        shown = {part: _part(part, digests[part], html) for part, html in made.items()}
        return self.page(name, depth=depth, status=status, parts=shown, **context)

    def fragment(self, name: str, block: str, *, depth: int = 0, **context: Any) -> web.Response:
        """Render one block of a template."""
        return web.Response(text=self._block(name, block, depth, context), content_type="text/html")

    def static(self, request: web.Request, name: str) -> web.Response:
        """Return a file that pages load."""
        body = self._static.get(name)
        kind = _TYPES.get(Path(name).suffix)
        if body is None or kind is None:
            raise web.HTTPNotFound
        response = web.Response(body=body, content_type=kind, charset="utf-8")
        is_stamped = request.query.get("v") == self._stamp
        response.headers["Cache-Control"] = "max-age=31536000, immutable" if is_stamped else "no-cache"
        return response

    def _block(self, name: str, block: str, depth: int, context: dict[str, Any]) -> Markup:
        template = self._templates.get_template(name)
        made = template.blocks[block](template.new_context({"base": _base(depth), **context}))
        return Markup("".join(made))  # noqa: S704 - the template has escaped it


def is_look(request: web.Request) -> bool:
    """Whether the page's script asks for the parts that changed."""
    return "have" in request.query and request.headers.get("HX-Request") == "true"


def _base(depth: int) -> str:
    return "../" * depth or "./"


def _here(request: web.Request) -> str:
    last = "./" + request.rel_url.raw_path.rpartition("/")[2]  # a colon in it would otherwise end a scheme
    return "?".join(filter(None, (last, request.rel_url.raw_query_string)))


def _changes(have: str, made: dict[str, Markup], digests: dict[str, str], title: Markup) -> web.Response:
    known = set(have.split(","))
    changed = [name for name in made if f"{name}:{digests[name]}" not in known]
    if not changed:
        return web.Response(status=204)
    html = title + Markup().join(_part(name, digests[name], made[name], oob=True) for name in changed)
    return web.Response(text=html, content_type="text/html")


def _part(name: str, digest: str, html: Markup, *, oob: bool = False) -> Markup:
    return _PART.format(name=name, digest=digest, html=html, oob=_OOB if oob else "")
