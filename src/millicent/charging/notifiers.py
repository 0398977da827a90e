"""Ways to hand notifications over: a log, a file of lines, a webhook. Adapters of `ports.Notifier`."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import structlog

from millicent.charging.ports import Message, Notifier, StatusReport
from millicent.kit.errors import BadInput, Outage

_TIMEOUT_SECONDS = 10


class LogNotifier:
    """Writes each notification to the log, without what it says or whom it reaches: logs are for operators."""

    def deliver(self, message: Message) -> None:
        structlog.get_logger("millicent.notifications").info("notification", key=message.key, kind=message.kind)


class FileNotifier:
    """Adds one JSON line a notification to a file that others read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def deliver(self, message: Message) -> None:
        try:
            with self._path.open("a", encoding="utf-8") as lines:
                lines.write(_document(message) + "\n")
        except OSError as fault:
            raise Outage(f"{self._path} cannot be written: {fault.strerror}") from fault


class WebhookNotifier:
    """Posts each notification as JSON; an answer of 200 to 299 takes it over. `Idempotency-Key` tells repeats apart."""

    def __init__(self, url: str) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise BadInput(f"{url!r} is no address of a webhook", cure="Write https://...")
        self._url = url

    def deliver(self, message: Message) -> None:
        headers = {"Content-Type": "application/json", "Idempotency-Key": message.key}
        request = Request(self._url, data=_document(message).encode(), headers=headers, method="POST")  # noqa: S310
        try:
            with urlopen(request, timeout=_TIMEOUT_SECONDS):  # noqa: S310 - the scheme was checked
                return
        except (URLError, OSError) as fault:
            raise Outage(f"the webhook does not take notifications: {fault}") from fault


def notifier_of(target: str) -> Notifier:
    """ "log", "file:PATH" or an address of a webhook."""
    if target == "log":
        return LogNotifier()
    if target.startswith("file:"):
        return FileNotifier(Path(target.removeprefix("file:")))
    return WebhookNotifier(target)


def _document(message: Message) -> str:
    return json.dumps(asdict(message), ensure_ascii=False, sort_keys=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusMessages:
    """A StatusListener that hands reports to wherever notifications go, as messages of kind "spending_status"."""

    notifier: Notifier

    def tell(self, report: StatusReport) -> None:
        self.notifier.deliver(
            Message(
                key=f"{report.reference}:{report.number}",
                kind="spending_status",
                language="en",
                text="",
                facts={
                    "reference": report.reference,
                    "subscription_id": str(report.subscription_id),
                    "final": str(report.final).lower(),
                    **{f"counter.{counter}": status for counter, status in report.statuses.items()},
                },
            )
        )
