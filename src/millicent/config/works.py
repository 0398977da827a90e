"""What `millicent up` does again and again: a table of works, each a function of a stage that is due now and then."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from uuid import UUID

import structlog

from millicent.kit import metrics
from millicent.kit.errors import MillicentError

Work = Callable[..., int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """`function` is "module:name", called with `tenant_id` and `now`; it returns how many things it did."""

    function: str
    every_seconds: int


# A work opens its own `tenant_scope`, may be killed at any point and be called again, and takes one step at a time.
WORKS: dict[str, Declared] = {
    "collect usage": Declared(function="millicent.config.watching:watch_sources", every_seconds=30),
}


def load_works(declared: Mapping[str, Declared] = WORKS) -> dict[str, Work]:
    """Import the function of every declared work."""
    works: dict[str, Work] = {}
    for name, each in declared.items():
        module, _, function = each.function.partition(":")
        works[name] = getattr(import_module(module), function)
    return works


def do_work(name: str, work: Work, *, tenant_id: UUID, now: datetime) -> int:
    """One step of one work. An error is counted and logged, never passed on: the other works go on."""
    log = structlog.get_logger("millicent.works")
    try:
        with metrics.timed(name):
            count = work(tenant_id=tenant_id, now=now)
    except MillicentError as error:
        metrics.FAULTS.labels(code=error.code).inc()
        log.error("work failed", work=name, code=error.code, message=error.message)
        return 0
    except Exception:
        metrics.FAULTS.labels(code="defect").inc()
        log.exception("work failed", work=name, code="defect")
        return 0
    if count:
        log.info("work done", work=name, count=count)
    return count
