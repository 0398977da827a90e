"""Collect one file: every record of it counted once, wherever the run was killed before."""

import mmap
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from millicent.kit import metrics
from millicent.kit.clock import to_ms
from millicent.kit.errors import BadInput
from millicent.kit.tenancy import tenant_scope
from millicent.mediation.ahead import ahead
from millicent.mediation.family_lock import family_lock
from millicent.mediation.fetching import LocalFile, is_local, local_file, storage_options_of
from millicent.mediation.formats import format_named
from millicent.mediation.models import EventKeyRun, UsageBatch
from millicent.mediation.refine import RefinedChunk, refine_chunk
from millicent.mediation.road import PrepareRoad, Road, SourceFacts, prepare_road, source_named
from millicent.mediation.rules.declaration import file_sequence_of
from millicent.mediation.services.commit_chunk import ChunkPlace, OnStep, commit_chunk
from millicent.mediation.services.settle_lake import settle_lake
from millicent.mediation.states import BatchState
from millicent.mediation.stores import MediationStores
from millicent.mediation.suspending import ReadRaw
from millicent.mediation.types import FormatOptions

OnProgress = Callable[[int], None]  # bytes read since the last call
_CHUNKS_AHEAD = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReport:
    """What one file led to. A repeated content counts nothing: `repeats` names the batch that has it."""

    batch_id: int
    name: str
    state: str
    records_in: int
    accepted: int
    suspended: int
    rejected: int
    duplicate: int
    usages: int
    joined: int
    repeats: str = ""
    note: str = ""


def collect_file(
    *,
    tenant_id: UUID,
    stores: MediationStores,
    source: str,
    url: str,
    now: datetime,
    on_step: OnStep = lambda step: None,
    on_progress: OnProgress = lambda count: None,
    prepare: PrepareRoad = prepare_road,
) -> BatchReport:
    """Bring every record of a file to the lake or to suspense, or find that its content was collected before.

    Run again after a kill it goes on where the last commit ended. `on_step` hears of every step towards a commit, so
    that a test can stop it there.
    """
    with tenant_scope(tenant_id):
        facts = source_named(source)
    options = {} if is_local(url) else storage_options_of(facts.storage_options)
    with (
        local_file(url, folder=stores.fetched_folder, storage_options=options) as file,
        family_lock(tenant_id=tenant_id, family=facts.family),
    ):
        settle_lake(tenant_id=tenant_id, lake=stores.lake, family=facts.family)
        batch = _open_batch(file, source=facts, tenant_id=tenant_id, now=now)
        if batch.state == BatchState.COLLECTING:
            with tenant_scope(tenant_id):
                road = prepare(facts, stores)
            _collect(
                batch, file=file, road=road, tenant_id=tenant_id, stores=stores, on_step=on_step,
                on_progress=on_progress, now=now,
            )  # fmt: skip
    return report_of(batch.pk, tenant_id=tenant_id)


def report_of(batch_id: int, *, tenant_id: UUID) -> BatchReport:
    with tenant_scope(tenant_id):
        batch = UsageBatch.objects.select_related("repeats").get(pk=batch_id)
        return BatchReport(
            batch_id=batch.pk,
            name=batch.name,
            state=batch.state,
            records_in=batch.records_in,
            accepted=batch.accepted,
            suspended=batch.suspended,
            rejected=batch.rejected,
            duplicate=batch.duplicate,
            usages=batch.usages,
            joined=batch.joined,
            repeats=batch.repeats.name if batch.repeats is not None else "",
            note=batch.note,
        )


def _open_batch(file: LocalFile, *, source: SourceFacts, tenant_id: UUID, now: datetime) -> UsageBatch:
    """The batch of this content: the one begun before, a new one, or one that only says "repeated"."""
    with tenant_scope(tenant_id):
        known = UsageBatch.objects.filter(source_id=source.source_id, sha256=file.sha256)
        first = known.exclude(state=BatchState.REPEATED).first()
        if first is not None and first.state in (BatchState.COLLECTING, BatchState.DAMAGED):
            UsageBatch.objects.filter(pk=first.pk).update(state=BatchState.COLLECTING, note="")
            first.state = BatchState.COLLECTING.value
            return first
        told = known.filter(name=file.name).first()
        if told is not None:
            return told
        return UsageBatch.objects.create(
            source_id=source.source_id,
            name=file.name,
            size_bytes=file.size_bytes,
            sha256=file.sha256,
            state=BatchState.COLLECTING if first is None else BatchState.REPEATED,
            repeats=first,
            file_sequence=file_sequence_of(file.name, source.rules),
            received_at_ms=to_ms(now),
        )


def _collect(
    batch: UsageBatch,
    *,
    file: LocalFile,
    road: Road,
    tenant_id: UUID,
    stores: MediationStores,
    on_step: OnStep,
    on_progress: OnProgress,
    now: datetime,
) -> None:
    around = road.surroundings(batch_id=batch.pk, received_at_ms=batch.received_at_ms)
    number, read_until, last = batch.next_chunk, batch.next_offset, batch.last_sequence_number
    on_progress(read_until)
    note = ""
    with raw_reader(file.path) as read_raw, closing(_refined(batch, file=file, road=road)) as chunks:
        try:
            for refined in chunks:
                on_step("refined")
                place = ChunkPlace(
                    tenant_id=tenant_id,
                    batch_id=batch.pk,
                    source_id=road.source.source_id,
                    number=number,
                    now_ms=to_ms(now),
                    last_sequence_number=last,
                )
                last = commit_chunk(
                    refined, place=place, around=around, stores=stores, index=road.index, read_raw=read_raw,
                    on_step=on_step,
                )  # fmt: skip
                on_progress(refined.next_offset - read_until)
                number, read_until = number + 1, refined.next_offset
        except BadInput as damage:  # what came before stays; the batch says where the file stopped being one
            note = str(damage)
    _close_batch(batch, tenant_id=tenant_id, now=now, damage=note)
    metrics.FILES.labels(outcome="damaged" if note else "closed").inc()
    merge_key_runs(road, tenant_id=tenant_id)


def _refined(batch: UsageBatch, *, file: LocalFile, road: Road) -> Generator[RefinedChunk, None, None]:
    """Decoding and refining, each in a thread of its own, a chunk ahead of the commits."""
    around = road.surroundings(batch_id=batch.pk, received_at_ms=batch.received_at_ms)
    options = FormatOptions(
        zone=road.source.zone, first_record_number=batch.records_in + 1, options=road.source.options
    )
    with file.path.open("rb") as stream:
        decoder = format_named(road.source.format)
        decoded = ahead(decoder.decode(stream, options=options, start_offset=batch.next_offset), depth=_CHUNKS_AHEAD)
        with closing(decoded):
            refined = (refine_chunk(chunk, around=around, index=road.index) for chunk in decoded)
            with closing(ahead(refined, depth=_CHUNKS_AHEAD)) as chunks:
                yield from chunks


def _close_batch(batch: UsageBatch, *, tenant_id: UUID, now: datetime, damage: str) -> None:
    state = BatchState.DAMAGED if damage else BatchState.CLOSED
    with tenant_scope(tenant_id):
        read = UsageBatch.objects.get(pk=batch.pk)
        note = "; ".join(filter(None, [damage, *_differences(read.declared, source_records=read.source_records)]))
        UsageBatch.objects.filter(pk=batch.pk).update(
            state=state, note=note, closed_at_ms=None if damage else to_ms(now)
        )


def _differences(declared: Mapping[str, int | None], *, source_records: int) -> list[str]:
    """Where what was read is not what the file's header says."""
    said, lost = declared.get("records"), declared.get("lost_records")
    found = []
    if said is not None and said != source_records:
        found.append(f"its header says {said} records, {source_records} are in it")
    if lost:
        found.append(f"its header says that records were lost (indicator {lost})")
    return found


def merge_key_runs(road: Road, *, tenant_id: UUID) -> None:
    """Join small key runs, so that a month keeps few of them."""
    for runs in road.index.runs_to_merge():
        merged = road.index.merge(runs)
        with tenant_scope(tenant_id):
            EventKeyRun.objects.filter(family=road.source.family, file__in=[run.file for run in runs]).delete()
            EventKeyRun.objects.create(
                family=road.source.family, month=merged.month, file=merged.file, key_count=merged.key_count
            )
        road.index.replace(runs, merged=merged)


@contextmanager
def raw_reader(path: Path) -> Iterator[ReadRaw]:
    """Bytes of records by their place; an empty file has none."""
    if path.stat().st_size == 0:
        yield lambda offset, length: b""
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        yield lambda offset, length: content[offset : offset + length]
