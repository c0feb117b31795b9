"""A server for processes under test: it notes each request and the end of held ones, and answers on request."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs

LONG = 30.0
ROWS = 1000


def row(number: int, status: str = "completed") -> dict[str, Any]:
    return {"id": f"exec_{number}", "workflow_id": "w", "status": status}


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # many clients connect at once


class Recorder:
    """What arrived, in order: `(what, port of the client)`, where ``what`` is such as ``"GET hold"`` or ``"POST w"``.

    A request about an execution or workflow whose name begins with ``hold`` is answered only after `release`; of a list
    filtered by such a workflow, all windows but the first.
    """

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []
        self.gone: list[tuple[str, int]] = []  # held requests whose client went away
        self._changed = threading.Condition()
        self._released = threading.Event()
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"recorder": self}))
        self._server.daemon_threads = True
        self._server.block_on_close = False
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self.release()
        self._server.shutdown()
        self._server.server_close()

    def release(self) -> None:
        self._released.set()

    def note(self, events: list[tuple[str, int]], what: str, port: int) -> None:
        with self._changed:
            events.append((what, port))
            self._changed.notify_all()

    def count(self, what: str) -> int:
        return sum(seen == what for seen, _ in self.seen)

    def ports(self, what: str) -> set[int]:
        return {port for seen, port in self.seen if seen == what}

    def wait_for(self, what: str, times: int = 1) -> None:
        """Wait until such a request has arrived so many times."""
        self._until(lambda: self.count(what) >= times, f"{what} did not arrive")

    def wait_for_end_of(self, what: str, times: int = 1) -> None:
        """Wait until the clients of so many held requests have gone."""
        self._until(lambda: sum(seen == what for seen, _ in self.gone) >= times, f"the client of {what} did not go")

    def _until(self, true: Callable[[], bool], complaint: str) -> None:
        with self._changed:
            assert self._changed.wait_for(true, LONG), f"{complaint}: {self.seen}, {self.gone}"

    def hold(self, connection: socket.socket, what: str, port: int) -> bool:
        """Wait for the release; whether the client is still there then."""
        connection.settimeout(0.01)
        deadline = time.monotonic() + LONG
        while not self._released.is_set() and time.monotonic() < deadline:
            try:
                if connection.recv(1, socket.MSG_PEEK) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            connection.settimeout(None)
            return True
        self.note(self.gone, what, port)
        return False


class _Handler(BaseHTTPRequestHandler):
    recorder: ClassVar[Recorder]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        name = path.rpartition("/")[2]
        if name == "nothing":
            self._after_note("GET nothing", 404, {"detail": "Execution not found"})
            return
        if name != "executions":
            self._after_note(f"GET {name}", 200, row(0) | {"id": name, "checkpoints": [{"id": "c1", "name": "one"}]})
            return
        asked = {key: values[0] for key, values in parse_qs(query).items()}
        page, size = int(asked["page"]), int(asked["page_size"])
        rows = [row(number) for number in range(ROWS)[(page - 1) * size : page * size]]
        what = "LIST first" if page == 1 else f"LIST {asked.get('workflow_id', 'more')}"
        self._after_note(what, 200, {"items": rows, "total": ROWS, "page": page, "page_size": size})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        name = body.get("workflow_id") or self.path.rpartition("/")[2]
        self._after_note(f"POST {name}", 201, row(self.recorder.count(f"POST {name}"), "pending"))

    def do_PUT(self) -> None:
        self._after_note(f"PUT {self.path.rpartition('/')[2]}", 200, {})

    def _after_note(self, what: str, status: int, answer: Any) -> None:
        port = self.client_address[1]
        self.recorder.note(self.recorder.seen, what, port)
        if what.partition(" ")[2].startswith("hold") and not self.recorder.hold(self.connection, what, port):
            self.close_connection = True
            return
        data = json.dumps(answer).encode()
        head = f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        self.wfile.write(head.encode() + data)

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:  # the process under test has ended
            self.close_connection = True

    def log_message(self, *args: object) -> None: ...
