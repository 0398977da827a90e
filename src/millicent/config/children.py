"""Processes beside `millicent up`: started, started again when they die, ended with their parent."""

import signal
import subprocess
import sys
import time

import structlog

_NS_PER_SECOND = 1_000_000_000
_STOP_SECONDS = 30
_PAUSES = (1, 2, 5, 10, 30)  # seconds before the next start; from the first again once it has lived for a while
_LIVED_SECONDS = 60


class Child:
    """One command of ours in a process of its own."""

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments
        self._running: subprocess.Popen[bytes] | None = None
        self._started_ns = 0
        self._start_at_ns = 0
        self._deaths = 0

    def keep(self) -> None:
        """Start it, or start it again when it has died and its pause is over. Call now and then."""
        now_ns = time.monotonic_ns()
        if self._running is not None:
            status = self._running.poll()
            if status is None:
                return
            self._died(status, now_ns)
        if now_ns >= self._start_at_ns:
            self._running = subprocess.Popen([sys.executable, "-m", "millicent", *self._arguments])
            self._started_ns = now_ns

    def _died(self, status: int, now_ns: int) -> None:
        lived = now_ns - self._started_ns
        self._deaths = 0 if lived > _LIVED_SECONDS * _NS_PER_SECOND else self._deaths + 1
        pause = _PAUSES[min(self._deaths, len(_PAUSES)) - 1] if self._deaths else _PAUSES[0]
        structlog.get_logger("millicent.up").error(
            "process ended", command=" ".join(self._arguments), status=status, again_in_seconds=pause
        )
        self._running = None
        self._start_at_ns = now_ns + pause * _NS_PER_SECOND

    def stop(self) -> None:
        """Ask it to end and wait; kill it when it does not."""
        if self._running is None or self._running.poll() is not None:
            return
        self._running.send_signal(signal.SIGTERM)
        try:
            self._running.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._running.kill()
            self._running.wait()
