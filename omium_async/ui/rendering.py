"""From templates to answers: whole pages, and the parts of a page that changed since the browser last looked.

A page that is live is made of parts. Each carries a digest of its own markup; a look says which digests the browser
has, and gets the parts that differ, which htmx puts in place (``hx-swap-oob``), or 204.
It is htmx 2.0.11, as npm has it, with its licence beside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from . import words
from .view import STATUSES

__all__ = ["Renderer", "escaped_id"]

_HERE: Final = Path(__file__).parent
_PART: Final = Markup('<div id="part-{name}" data-part="{name}" data-digest="{digest}"{oob}>{html}</div>')
_OOB: Final = Markup(' hx-swap-oob="true"')
_TITLE: Final = Markup("<title>{title}{titled}</title>")
_TITLED: Final = " \N{EN DASH} Omium console"  # how every title ends
_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".txt": "text/plain"}
_SOONEST: Final = 0.3
_LATEST: Final = 2.0  # looks keep the poll awake: see `live.LOOK`


def escaped_id(execution_id: str) -> str:
    """An id as one segment of a path."""
    return quote(execution_id, safe="")


class Renderer:
    """Makes pages of templates; what they show is escaped by default.

    :param service: which service the console talks to, in words, at the foot of every page.
    """

    def __init__(self, service: str) -> None:
        self._static = {path.name: path.read_bytes() for path in sorted((_HERE / "static").iterdir())}
        self._stamp = hashlib.sha256(b"".join(self._static.values())).hexdigest()[:12]
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {
            "iso": words.iso,
            "exact": words.exact,
            "span": words.span,
            "said": words.said,
            "advice": words.advice,
            "headline": words.headline,
            "status": words.plain_status,
            "segment": escaped_id,
        }
        self._everywhere: dict[str, Any] = {
            "service": service,
            "stamp": self._stamp,
            "STATUSES": STATUSES,
            "titled": _TITLED,
        }
        for name in self._templates.list_templates():
            self._templates.get_template(name, globals=self._everywhere)  # once, before anybody waits for it

    def page(self, name: str, *, depth: int = 0, status: int = 200, **context: Any) -> web.Response:
        """A page.

        :param depth: how many folders below the console's root its address is: links are relative, so that the console
            works under any prefix.
        """
        html = self._html(name, depth, context)
        return web.Response(text=html, content_type="text/html", status=status)

    def live(
        self,
        request: web.Request,
        name: str,
        parts: Sequence[str],
        *,
        due_in: float,
        depth: int = 0,
        status: int = 200,
        **context: Any,
    ) -> web.Response:
        """A page that is looked at again and again, or what changed of it.

        :param parts: of what it is made: templates ``part_NAME.html``. :param due_in: seconds until news may be there.
        """
        made = {part: self._html(f"part_{part}.html", depth, context) for part in parts}
        digests = {part: hashlib.blake2b(html.encode(), digest_size=9).hexdigest() for part, html in made.items()}
        if "have" in request.query and request.headers.get("HX-Request") == "true":
            answer = self._changes(request.query["have"], made, digests, self._title(name, context))
        else:
            shown = {part: _as_part(part, digests[part], html) for part, html in made.items()}
            last = "./" + request.rel_url.raw_path.rpartition("/")[2]  # whose colon would else end a scheme
            here = "?".join(filter(None, (last, request.rel_url.raw_query_string)))
            answer = self.page(name, depth=depth, status=status, parts=shown, here=here, **context)
        answer.headers["X-Next-Look"] = f"{min(max(due_in + 0.15, _SOONEST), _LATEST):.2f}"
        return answer

    def fragment(self, name: str, *, depth: int = 0, **context: Any) -> web.Response:
        """A piece of a page that was asked for by itself."""
        return web.Response(text=self._html(name, depth, context), content_type="text/html")

    def static(self, request: web.Request, name: str) -> web.Response:
        """A file that pages load."""
        body = self._static.get(name)
        kind = _TYPES.get(Path(name).suffix)
        if body is None or kind is None:
            raise web.HTTPNotFound
        answer = web.Response(body=body, content_type=kind, charset="utf-8")
        lasting = request.query.get("v") == self._stamp
        answer.headers["Cache-Control"] = "max-age=31536000, immutable" if lasting else "no-cache"
        return answer

    def _html(self, name: str, depth: int, context: dict[str, Any]) -> str:
        return self._templates.get_template(name).render(base="../" * depth or "./", **context)

    def _title(self, name: str, context: dict[str, Any]) -> Markup:
        """The title of a page, which says how things stand; htmx takes it over."""
        template = self._templates.get_template(name)
        title = "".join(template.blocks["title"](template.new_context(context)))
        return _TITLE.format(title=Markup(title), titled=_TITLED)  # noqa: S704 - escaped by the template

    def _changes(self, have: str, made: dict[str, str], digests: dict[str, str], title: Markup) -> web.Response:
        known = set(have.split(","))
        changed = [name for name in made if f"{name}:{digests[name]}" not in known]
        if not changed:
            return web.Response(status=204)
        html = title + Markup().join(_as_part(name, digests[name], made[name], oob=True) for name in changed)
        return web.Response(text=html, content_type="text/html")


def _as_part(name: str, digest: str, html: str, *, oob: bool = False) -> Markup:
    # The template that made the markup has escaped what it shows.
    return _PART.format(name=name, digest=digest, html=Markup(html), oob=_OOB if oob else "")  # noqa: S704
