"""Usage that comes by itself: CloudEvents pushed to us."""

import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

from millicent.kit.errors import BadInput
from millicent.kit.tenancy import tenant_scope
from millicent.mediation.family_lock import family_lock
from millicent.mediation.road import PrepareRoad, prepare_road, source_named
from millicent.mediation.services.collect_file import BatchReport, collect_file
from millicent.mediation.stores import MediationStores
from millicent.mediation.usage_events import UsageEvents

MOST_EVENTS = 100_000
PATIENCE_MS = 10_000
_PUSHES = "push-*.jsonl"


def accept_pushed_usage(
    events: Sequence[Mapping[str, Any]],
    *,
    tenant_id: UUID,
    stores: MediationStores,
    source: str,
    now: datetime,
    prepare: PrepareRoad = prepare_road,
) -> BatchReport:
    """Take CloudEvents of usage (structured mode) as one batch; the answer says what became of each kind.

    Idempotent: an event with the `source` and `id` of an earlier one is a duplicate, and the same push again is the
    same batch. The events are on disk before anything else happens, so a killed push is found by `resume_pushes`.
    While a file of the same family is being collected the sender is soon asked to come again: `FamilyBusy`.
    """
    if not events or len(events) > MOST_EVENTS:
        raise BadInput(f"{len(events)} events", where="push", cure=f"Send 1 to {MOST_EVENTS} events at a time.")
    with tenant_scope(tenant_id):
        facts = source_named(source)
    if facts.format != UsageEvents.code:
        raise BadInput(f"source {source!r} takes no events", where="push", cure=f"Its format: {UsageEvents.code}.")
    content = _content(events)
    with family_lock(tenant_id=tenant_id, family=facts.family, patience_ms=PATIENCE_MS):
        path = _keep(content, folder=_folder(stores, tenant_id=tenant_id, source=source))
        report = collect_file(
            tenant_id=tenant_id, stores=stores, source=source, url=str(path), now=now, prepare=prepare
        )
        path.unlink()
    return report


def resume_pushes(*, tenant_id: UUID, stores: MediationStores, source: str, now: datetime) -> list[BatchReport]:
    """Finish pushes that were cut off."""
    folder = _folder(stores, tenant_id=tenant_id, source=source)
    if not any(folder.glob(_PUSHES)):
        return []
    reports = []
    with tenant_scope(tenant_id):
        family = source_named(source).family
    with family_lock(tenant_id=tenant_id, family=family):
        for path in sorted(folder.glob(_PUSHES)):
            reports.append(collect_file(tenant_id=tenant_id, stores=stores, source=source, url=str(path), now=now))
            path.unlink()
    return reports


def _content(events: Sequence[Mapping[str, Any]]) -> bytes:
    lines = [json.dumps(event, sort_keys=True, ensure_ascii=False) for event in events]
    try:
        return "".join(f"{line}\n" for line in lines).encode()
    except UnicodeEncodeError:
        raise BadInput("half a surrogate pair is no text", where="push", cure="Send UTF-8.") from None


def _keep(content: bytes, *, folder: Path) -> Path:
    """On the disk for good under the name of its content. A cut-off write leaves a name that nobody looks for."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"push-{sha256(content).hexdigest()[:32]}.jsonl"
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
    return path


def _folder(stores: MediationStores, *, tenant_id: UUID, source: str) -> Path:
    return stores.folder / "pushed" / str(tenant_id) / source
