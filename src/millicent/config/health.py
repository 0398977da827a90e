"""/metrics and /healthz over HTTP, on the loopback address only: who wants them elsewhere puts a proxy there."""

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from millicent.kit import metrics

LOOPBACK = "127.0.0.1"
HealthCheck = Callable[[], dict[str, str]]


class HealthServer:
    """Answers in threads of its own until `stop`. `health` gives one word for each store: "ok" or what is wrong."""

    def __init__(self, *, port: int, health: HealthCheck) -> None:
        self._server = ThreadingHTTPServer((LOOPBACK, port), _answering(health))
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


def _answering(health: HealthCheck) -> type[BaseHTTPRequestHandler]:
    class Answering(BaseHTTPRequestHandler):
        """GET only; two paths; nothing of the request is written to a log."""

        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, metrics.exposition(), "text/plain; version=0.0.4; charset=utf-8")
            elif self.path == "/healthz":
                stores = health()
                well = all(word == "ok" for word in stores.values())
                self._answer(200 if well else 503, json.dumps(stores).encode(), "application/json")
            else:
                self._answer(404, b"/metrics and /healthz are here\n", "text/plain; charset=utf-8")

        def _answer(self, status: int, body: bytes, content_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            return

    return Answering
