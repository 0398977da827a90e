"""Catalogue releases for a shard: compiled away from the loop, adopted between two batches."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import structlog
from django.db import close_old_connections

from millicent.catalog.selectors import catalogue_of, releases
from millicent.catalog.types import ReleaseFacts
from millicent.charging.server.opening import OpenShard
from millicent.charging.shard import Shard
from millicent.kit.clock import MS_PER_DAY
from millicent.kit.tenancy import tenant_scope
from millicent.rating.services import TariffProgram, compile_catalogue

LOOK_SECONDS = 5
_KEPT_DAYS = 2  # releases that ended longer ago are loaded only where an open session began under one

ProgramRow = tuple[int, int, TariffProgram]  # effective from, release, program


def programs_from(tenant_id: UUID, *, now_ms: int, known: frozenset[int] = frozenset()) -> list[ProgramRow]:
    """Compile every release that may price something from now on, and that is not known yet."""
    try:
        with tenant_scope(tenant_id):
            return [
                (each.effective_from_ms, each.number, compile_catalogue(catalogue_of(each.number)))
                for each in _wanted(now_ms)
                if each.number not in known
            ]
    finally:
        close_old_connections()


def _wanted(now_ms: int) -> list[ReleaseFacts]:
    """Releases in force since two days ago, and those to come."""
    ordered = sorted(releases(), key=lambda each: (each.effective_from_ms, each.number))
    ends = [each.effective_from_ms for each in ordered[1:]] + [now_ms + 1]
    since = now_ms - _KEPT_DAYS * MS_PER_DAY
    return [each for each, end in zip(ordered, ends, strict=True) if end > since]


def release_program(tenant_id: UUID, release: int) -> ProgramRow | None:
    """One release, for a session that began under it; None when it was never published."""
    try:
        with tenant_scope(tenant_id):
            for each in releases():
                if each.number == release:
                    return each.effective_from_ms, release, compile_catalogue(catalogue_of(release))
    finally:
        close_old_connections()
    return None


def adopt_new_releases(tenant_id: UUID, shard: Shard, *, known: set[int]) -> Callable[[OpenShard], Awaitable[None]]:
    """A chore of the serving process: what was published since is adopted. `known` are the releases in the shard."""

    async def adopt(opened: OpenShard) -> None:
        found = await asyncio.to_thread(programs_from, tenant_id, now_ms=opened.engine.now_ms(), known=frozenset(known))
        for effective_from_ms, release, program in found:
            shard.adopt(release, program, effective_from_ms)
            known.add(release)
            structlog.get_logger("millicent.charging").info("release adopted", release=release)
        if found:
            await opened.engine.settled()  # names that it brought are journalled

    return adopt


def adopt_releases_of_sessions(tenant_id: UUID, shard: Shard, *, known: set[int]) -> None:
    """Open sessions keep the release they began under, also over a restart."""
    groups = shard.tables()["group"]
    for release in sorted({int(each) for each in groups["release"][groups["session"] > 0]} - known):
        found = release_program(tenant_id, release)
        if found is not None:
            effective_from_ms, _, program = found
            shard.adopt(release, program, effective_from_ms)
            known.add(release)
