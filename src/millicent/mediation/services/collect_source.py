"""Collect what is new where a source keeps its files: one look at a file, a folder, a bucket or an SFTP server."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from millicent.kit.clock import to_ms
from millicent.kit.errors import BadInput
from millicent.kit.tenancy import tenant_scope
from millicent.mediation.fetching import FoundFile, files_at, is_local, storage_options_of
from millicent.mediation.models import UsageBatch
from millicent.mediation.road import PrepareRoad, SourceFacts, prepare_roads, source_named
from millicent.mediation.services.close_lost_sessions import close_lost_sessions
from millicent.mediation.services.collect_file import BatchReport, OnProgress, collect_file
from millicent.mediation.states import BatchState
from millicent.mediation.stores import MediationStores

OnFile = Callable[[FoundFile], None]
_DONE = (BatchState.CLOSED.value, BatchState.REPEATED.value)


def new_files(*, tenant_id: UUID, stores: MediationStores, source: str, now: datetime) -> list[FoundFile]:
    """Files that were not collected to the end and are not being written any more, by name.

    A file is known by its name and size without being read; one that comes again under another name is read, and its
    digest tells that it is a repetition. Files stay where they are.
    """
    with tenant_scope(tenant_id):
        facts = source_named(source)
        known = set(
            UsageBatch.objects.filter(source_id=facts.source_id, state__in=_DONE).values_list("name", "size_bytes")
        )
    if not facts.url:
        raise BadInput(f"source {source!r} has no url", where=f"source {source}", cure="Declare url, or name a file.")
    options = {} if is_local(facts.url) else storage_options_of(facts.storage_options)
    found = files_at(facts.url, pattern=facts.rules.pattern, storage_options=options)
    return [
        each for each in found if (each.name, each.size_bytes) not in known and _is_stable(each, source=facts, now=now)
    ]


def _is_stable(file: FoundFile, *, source: SourceFacts, now: datetime) -> bool:
    """Nothing was added to it for as long as the source declares. A store without times has whole files only."""
    if file.changed_at_seconds is None:
        return True
    return file.changed_at_seconds + source.rules.stable_seconds <= to_ms(now) // 1_000


def collect_source(
    *,
    tenant_id: UUID,
    stores: MediationStores,
    source: str,
    now: datetime,
    on_file: OnFile = lambda file: None,
    on_progress: OnProgress = lambda count: None,
    prepare: PrepareRoad | None = None,
) -> list[BatchReport]:
    """Collect every new file of a source, then close its lost sessions. The watch of a folder is this, again and again.

    A damaged file stops alone: its batch says where, and the others are collected. `prepare` may share what it reads
    with the next source of the tenant.
    """
    reports, prepare = [], prepare or prepare_roads()
    for file in new_files(tenant_id=tenant_id, stores=stores, source=source, now=now):
        on_file(file)
        reports.append(
            collect_file(
                tenant_id=tenant_id, stores=stores, source=source, url=file.url, now=now, on_progress=on_progress,
                prepare=prepare,
            )
        )  # fmt: skip
    return reports + close_lost_sessions(tenant_id=tenant_id, stores=stores, source=source, now=now, prepare=prepare)
