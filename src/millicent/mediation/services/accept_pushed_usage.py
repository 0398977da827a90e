"""Usage that comes by itself: CloudEvents pushed to us."""

import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from millicent.kit.errors import BadInput
from millicent.kit.tenancy import tenant_scope
from millicent.mediation.road import source_named
from millicent.mediation.services.collect_file import BatchReport, collect_file
from millicent.mediation.stores import MediationStores
from millicent.mediation.usage_events import UsageEvents

MOST_EVENTS = 100_000


def accept_pushed_usage(
    events: Sequence[Mapping[str, Any]], *, tenant_id: UUID, stores: MediationStores, source: str, now: datetime
) -> BatchReport:
    """Take CloudEvents of usage (structured mode) as one batch; the answer says what became of each kind.

    Idempotent: an event with the `source` and `id` of an earlier one is a duplicate, and the same push again is the
    same batch. The events are on disk before anything else happens, so a killed push is found by `resume_pushes`.
    """
    if not events or len(events) > MOST_EVENTS:
        raise BadInput(f"{len(events)} events", where="push", cure=f"Send 1 to {MOST_EVENTS} events at a time.")
    with tenant_scope(tenant_id):
        if source_named(source).format != UsageEvents.code:
            raise BadInput(f"source {source!r} takes no events", where="push", cure=f"Its format: {UsageEvents.code}.")
    lines = [json.dumps(event, sort_keys=True, ensure_ascii=False) for event in events]
    content = "".join(f"{line}\n" for line in lines).encode()
    folder = stores.folder / "pushed" / str(tenant_id) / source
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"push-{sha256(content).hexdigest()[:32]}.jsonl"
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    report = collect_file(tenant_id=tenant_id, stores=stores, source=source, url=str(path), now=now)
    path.unlink()
    return report


def resume_pushes(*, tenant_id: UUID, stores: MediationStores, source: str, now: datetime) -> list[BatchReport]:
    """Finish pushes that were cut off."""
    reports = []
    for path in sorted((stores.folder / "pushed" / str(tenant_id) / source).glob("push-*.jsonl")):
        reports.append(collect_file(tenant_id=tenant_id, stores=stores, source=source, url=str(path), now=now))
        path.unlink()
    return reports
