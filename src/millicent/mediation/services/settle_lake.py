"""Make visible in the lake what PostgreSQL has decided."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from millicent.kit.lake import Lake
from millicent.kit.lake_staging import StagedFile, publish
from millicent.kit.tenancy import tenant_scope
from millicent.mediation.models import LakeCommit

StagedTables = Mapping[str, Sequence[StagedFile]]


def writer_of(family: str) -> str:
    return f"mediation:{family}"


def decide_lake_commit(staged: StagedTables, *, family: str) -> None:
    """Record, in the running transaction, files that shall become visible. The one before must be settled."""
    filled = {table: [each.to_json() for each in files] for table, files in staged.items() if files}
    if not filled:
        return
    writer = writer_of(family)
    last = LakeCommit.objects.filter(writer=writer).order_by("-sequence").first()
    LakeCommit.objects.filter(writer=writer, is_settled=True).delete()
    LakeCommit.objects.create(writer=writer, sequence=0 if last is None else last.sequence + 1, tables=filled)


def settle_lake(*, tenant_id: UUID, lake: Lake, family: str) -> bool:
    """Publish the commit that waits, if one does. After a crash this is how the lake catches up.

    The caller holds the family's lock. Publishing again what was published is a no-op.
    """
    with tenant_scope(tenant_id):
        waiting = LakeCommit.objects.filter(writer=writer_of(family), is_settled=False).first()
    if waiting is None:
        return False
    for table, files in waiting.tables.items():
        staged = [StagedFile(**each) for each in files]
        publish(lake, table, staged, writer=waiting.writer, sequence=waiting.sequence)
    with tenant_scope(tenant_id):
        LakeCommit.objects.filter(pk=waiting.pk).update(is_settled=True)
    return True
