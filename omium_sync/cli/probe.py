"""`omiumctl check --probe`: what a service does that its document does not say.

The report has names, numbers of seconds and rows of a page, and yes or no. It contains no key, no id and no data.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, cast

import click

from omium_async import APIStatusError, AsyncOmium, OmiumError, RawResponse, __version__

_SIZES: Final = (1000, 500, 200, 100, 50, 20)
_LISTS: Final = ("items", "executions", "checkpoints", "workflows", "events", "stats")
_ENVELOPE: Final = (*_LISTS, "total", "page", "page_size", "limit", "offset")
_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
_RATE_LIMIT: Final = re.compile(r"(x-)?rate-?limit[a-z-]{0,40}|retry-after(-ms)?")
_NO_ROUTE: Final = re.compile(r"no Route matched|^Not Found$")
_PLAIN_ID: Final = re.compile(r"[0-9A-Za-z_-]+")
_FIELD: Final = re.compile(r"[A-Za-z_]{1,40}")  # a name of a schema; an id or data as a key has digits or spaces
_MOST_FIELDS: Final = 40
_TYPES: Final = {str: "text", bool: "boolean", int: "number", float: "number", dict: "object", list: "list"}
_NOT_KNOWN: Final = "not known"
#: The sister endpoints; {} is the id of an execution that the list shows.
_SISTERS: Final = (
    ("GET", "/checkpoints?execution_id={}&limit=1"),
    ("GET", "/executions/{}/checkpoints"),
    ("GET", "/workflows?page=1&page_size=1"),
    ("GET", "/failures?limit=1"),
    ("GET", "/failures/stats"),
    ("OPTIONS", "/executions/{}"),
    ("OPTIONS", "/executions/{}/status"),
    ("OPTIONS", "/executions/{}/execute"),
)
_LOGS: Final = "/executions/{}/logs?tail=5"
_EXECUTIONS_WITH_LOGS: Final = 3  # that are tried: those without a log entry show no form


async def probe(connect: Callable[..., AsyncOmium]) -> dict[str, Any]:
    """Make at most 22 requests, all reads without retries, and return the report.

    :param connect: creates a client with further settings.
    :raises OmiumError: the first request failed.
    """
    found = _Probe(connect)
    async with found.client("x-api-key"), found.client("bearer"):
        return await found.report()


class _Probe:
    def __init__(self, connect: Callable[..., AsyncOmium]) -> None:
        self._requests = 0
        self._clients = {
            auth: connect(auth=auth, max_retries=0, on_attempt=self._count) for auth in ("x-api-key", "bearer")
        }
        self._rate_limit_headers: set[str] = set()
        self._skews: list[float] = []
        self._auth = "x-api-key"

    def client(self, auth: str) -> AsyncOmium:
        return self._clients[auth]

    def _count(self, _: object) -> None:
        self._requests += 1

    async def report(self) -> dict[str, Any]:
        """Ask one question after the other."""
        authentication = {auth: await self._accepts(auth) for auth in self._clients}
        self._auth = next((auth for auth, answer in authentication.items() if answer == "accepted"), self._auth)
        largest, body = await self._largest_page()
        rows = _rows(body)
        ids = [row["id"] for row in rows if _PLAIN_ID.fullmatch(str(row.get("id")))] or ["unknown"]
        total = body.get("total")
        endpoints = {f"{method} {path}": await self._endpoint(method, path, ids[0]) for method, path in _SISTERS}
        endpoints[f"GET {_LOGS}"] = await self._logs(ids[:_EXECUTIONS_WITH_LOGS])
        return {
            "omium_async": __version__,
            "authentication": authentication,
            "largest_page_size": largest,
            "envelope": [name for name in _ENVELOPE if name in body],
            "total_given": isinstance(total, int),
            "total_right": await self._is_right(total, len(rows)) if isinstance(total, int) else _NOT_KNOWN,
            "lists_show_metadata": any("metadata" in row for row in rows) if rows else _NOT_KNOWN,
            "order_of_lists": _order(rows),
            "endpoints": endpoints,
            "rate_limit_headers": sorted(self._rate_limit_headers),
            "clock_skew_seconds": self._skew(),
            "requests": self._requests,
        }

    async def _get(self, path: str, *, method: str = "GET", auth: str | None = None) -> RawResponse:
        began = datetime.now(UTC)
        try:
            response = await self._clients[auth or self._auth].request(method, path)
        except APIStatusError as error:
            self._note(began, error.headers)
            raise
        self._note(began, response.headers)
        return response

    def _note(self, began: datetime, headers: Any) -> None:
        """Keep the names of rate-limit headers, and how far the service's clock is from ours."""
        for name, value in dict(headers).items():
            if _RATE_LIMIT.fullmatch(name.lower()):
                self._rate_limit_headers.add(name.lower())
            if name.lower() == "date":
                ended = datetime.now(UTC)
                try:
                    date = parsedate_to_datetime(value)
                    self._skews.append((date - (began + (ended - began) / 2)).total_seconds())
                except (TypeError, ValueError):
                    continue

    def _skew(self) -> float | str:
        """Return how far the service's clock is ahead. The header has whole seconds, so each answer is up to 1 low."""
        if not self._skews:
            return _NOT_KNOWN
        return round((max(self._skews) + min(self._skews) + 1) / 2, 1) + 0.0

    async def _accepts(self, auth: str) -> str:
        try:
            await self._get("/executions?page=1&page_size=1", auth=auth)
        except APIStatusError as error:
            return f"refused with {error.status}"
        return "accepted"

    async def _largest_page(self) -> tuple[int | str, dict[str, Any]]:
        """Find the largest page size that the service honours; also return a page."""
        refusal = OmiumError("the service refuses every page size")
        for size in _SIZES:
            try:
                body = _object(await self._get(f"/executions?page=1&page_size={size}"))
            except APIStatusError as error:
                refusal = error
                continue
            rows, said, total = len(_rows(body)), body.get("page_size"), body.get("total")
            if rows == size:
                return size, body
            if isinstance(total, int) and total > rows:  # a limit of the page, or a wrong total?
                following = await self._get(f"/executions?page=2&page_size={size}")
                if _rows(_object(following)):
                    return rows, body
            if isinstance(said, int):
                return said, body
            # The list is shorter than the page. The number of executions is data: report a size below it.
            return next((f"at least {smaller}" for smaller in _SIZES if smaller <= rows), _NOT_KNOWN), body
        raise refusal

    async def _is_right(self, total: int, rows: int) -> bool:
        """Compare the total with the last page, and check that the page after it is empty."""
        if total <= rows or not rows:
            return total == rows
        size = min(rows, 100)
        last = -(-total // size)
        body = _object(await self._get(f"/executions?page={last}&page_size={size}"))
        after = _object(await self._get(f"/executions?page={last + 1}&page_size={size}"))
        return len(_rows(body)) == body.get("total", total) - (last - 1) * size and not _rows(after)

    async def _endpoint(self, method: str, path: str, execution_id: str) -> str:
        try:
            response = await self._get(path.format(execution_id), method=method)
        except OmiumError as error:
            return _refusal(error)
        if method == "OPTIONS":
            allowed = dict(response.headers).get("Allow", "").replace(" ", "").upper().split(",")
            shown = sorted(_METHODS.intersection(allowed))
        else:
            body = _object(response)
            shown = [name for name in _ENVELOPE if name in body]
        return f"answers ({', '.join(shown)})" if shown else "answers"

    async def _logs(self, execution_ids: list[str]) -> str:
        """Return the form of an execution's logs: the first one that has any."""
        forms: list[str] = []
        for execution_id in execution_ids:
            try:
                body = _object(await self._get(_LOGS.format(execution_id)))
            except OmiumError as error:
                return _refusal(error)
            forms.append(f"answers ({_form(body, _type_with_items)})")
            if body.get("logs"):
                return forms[-1]
        return forms[0]


def _refusal(error: OmiumError) -> str:
    if not isinstance(error, APIStatusError):
        return type(error).__name__
    is_missing = error.status == 405 or (error.status == 404 and _NO_ROUTE.search(error.message))
    return "missing" if is_missing else f"answers with {error.status}"


def _form(fields: dict[str, Any], type_of: Callable[[Any], str]) -> str:
    """Return the keys and types of an object, such as ``{level: text}``, and none of its content."""
    names = sorted(filter(_FIELD.fullmatch, fields))[:_MOST_FIELDS]
    shown = [f"{name}: {type_of(fields[name])}" for name in names]
    return f"{{{', '.join(shown + ['...'] * (len(names) < len(fields)))}}}"


def _type(value: object) -> str:
    return next((name for kind, name in _TYPES.items() if isinstance(value, kind)), "null")


def _type_with_items(value: Any) -> str:
    """Return the type; of a list also the forms of its items. Keys of objects further inside may be data."""
    if not isinstance(value, list):
        return _type(value)
    forms = dict.fromkeys(map(_type_of_item, cast("Iterable[Any]", value)))
    return f"[{' or '.join(forms)}]"


def _type_of_item(item: Any) -> str:
    return _form(cast("dict[str, Any]", item), _type) if isinstance(item, dict) else _type(item)


def print_report(report: dict[str, Any]) -> None:
    """Print the report for people."""
    for name, value in report.items():
        label = name.replace("_", " ")
        if isinstance(value, dict):
            answers = cast("dict[str, str]", value)
            click.echo(f"{label}:")
            click.echo("\n".join(f"  {question}: {answer}" for question, answer in answers.items()))
        else:
            text = ("no", "yes")[value] if isinstance(value, bool) else value
            click.echo(f"{label}: {', '.join(cast('list[str]', text)) or 'none' if isinstance(text, list) else text}")


def _object(response: RawResponse) -> dict[str, Any]:
    """Return the body of a response; of a page that is not JSON, such as one of a gateway, nothing."""
    try:
        body = response.json()
    except ValueError:
        return {}
    return cast("dict[str, Any]", body) if isinstance(body, dict) else {}


def _rows(body: dict[str, Any]) -> list[dict[str, Any]]:
    rows: Any = body.get("items", body.get("executions"))
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []  # pyright: ignore[reportUnknownVariableType]


def _order(rows: list[dict[str, Any]]) -> str:
    times = [row["created_at"] for row in rows if isinstance(row.get("created_at"), str)]
    if len(set(times)) < 2:
        return _NOT_KNOWN
    if times == sorted(times, reverse=True):
        return "newest first"
    return "oldest first" if times == sorted(times) else "neither newest nor oldest first"
