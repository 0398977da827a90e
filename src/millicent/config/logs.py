"""Structured logs on standard error: for people (`console`) or for programs (`json`), one line each.

Stages ask for a logger with `structlog.get_logger("millicent.<stage>")`. Whatever is logged under a name in
`PERSONAL` is hidden, and a line break inside a value is escaped, so a record cannot forge a log line.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

# Names of fields that identify a person or say whom they spoke to.
PERSONAL = frozenset(
    [
        "msisdn",
        "imsi",
        "iccid",
        "email",
        "address",
        "calling",
        "called",
        "calling_number",
        "called_number",
        "other_party",
        "subscriber",
        "identifier",
        "given_name",
        "family_name",
        "person",
        "tax_number",
        "password",
        "url",
        "database_url",
        "content",
        "line",
        "record",
        "raw",
    ]
)
HIDDEN = "(hidden)"


def configure_logs(*, log_format: str, log_level: str) -> None:
    """Send our own logs and those of libraries the same road. Idempotent."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        hide_personal,
        structlog.processors.format_exc_info,
        escape_line_breaks,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(log_format)],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(log_level.upper())


def _renderer(log_format: str) -> structlog.typing.Processor:
    if log_format == "json":
        return structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
    return structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "logger", "event"], bool_as_flag=False)


def hide_personal(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace the value of every personal field."""
    for name in event.keys() & PERSONAL:
        event[name] = HIDDEN
    return event


def escape_line_breaks(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Show control characters of every text as escapes. A traceback becomes one line too."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = "".join(char if char.isprintable() else _escape(char) for char in value)
    return event


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode()
