"""/metrics, /healthz and pushed usage over HTTP, on the loopback address only: a proxy brings them elsewhere."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_WR
from threading import Thread
from typing import TYPE_CHECKING, Final

from millicent.kit import metrics

if TYPE_CHECKING:
    from millicent.network.push.door import PushDoor

LOOPBACK = "127.0.0.1"
HealthCheck = Callable[[], dict[str, str]]
_SILENT_SECONDS = 30  # a connection that brings nothing for so long is given up
_UNREAD_BYTES = 8 * 1024 * 1024
_NO_HEADERS: Final[Mapping[str, str]] = {}


class HealthServer:
    """Answers in threads of its own until `stop`. `health` gives one word for each store: "ok" or what is wrong.

    `push` is the door for usage; without it nothing can be posted.
    """

    def __init__(self, *, port: int, health: HealthCheck, push: "PushDoor | None" = None) -> None:
        self._server = ThreadingHTTPServer((LOOPBACK, port), _answering(health, push))
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, name="millicent-health", daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Answer what has begun, then close the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _answering(health: HealthCheck, push: "PushDoor | None") -> type[BaseHTTPRequestHandler]:
    class Answering(BaseHTTPRequestHandler):
        """Two paths to get, one to post to; nothing of the request is written to a log."""

        timeout = _SILENT_SECONDS

        def do_POST(self) -> None:
            if push is None:
                self._answer(404, b"nothing is posted here\n", "text/plain; charset=utf-8")
                return
            answer = push.answer(self.path, headers=dict(self.headers.items()), read=self.rfile.read)
            content = json.dumps(answer.content).encode()
            self._answer(answer.status, content, answer.content_type, headers=answer.headers)
            if answer.status != 202:
                self._let_it_be_read()

        def _let_it_be_read(self) -> None:
            """Take what is still coming: closing on unread bytes would throw our answer away at the other end."""
            with suppress(OSError):
                self.wfile.flush()
                self.connection.shutdown(SHUT_WR)
                self.connection.settimeout(1)
                left = _UNREAD_BYTES
                while left > 0 and (piece := self.connection.recv(65_536)):
                    left -= len(piece)

        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, metrics.exposition(), "text/plain; version=0.0.4; charset=utf-8")
            elif self.path == "/healthz":
                stores = health()
                well = all(word == "ok" for word in stores.values())
                self._answer(200 if well else 503, json.dumps(stores).encode(), "application/json")
            else:
                self._answer(404, b"/metrics and /healthz are here\n", "text/plain; charset=utf-8")

        def _answer(
            self, status: int, body: bytes, content_type: str, *, headers: Mapping[str, str] = _NO_HEADERS
        ) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            return

    return Answering
