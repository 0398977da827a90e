"""Mediation's stores from the settings, and the look at every source that `millicent up` takes again and again."""

from datetime import datetime
from uuid import UUID

from millicent.config.settings import settings
from millicent.config.setup import tenant_lake
from millicent.kit.tenancy import tenant_scope
from millicent.mediation.road import prepare_roads
from millicent.mediation.selectors import source_names
from millicent.mediation.services.accept_pushed_usage import resume_pushes
from millicent.mediation.services.collect_source import collect_source
from millicent.mediation.stores import MediationStores


def mediation_stores(tenant_id: UUID) -> MediationStores:
    """The lake of a tenant and its folder under the home."""
    return MediationStores(lake=tenant_lake(tenant_id), folder=settings().home_path / "mediation" / str(tenant_id))


def watch_sources(*, tenant_id: UUID, now: datetime) -> int:
    """Collect what is new at every active source that has a url; returns how many files."""
    stores = mediation_stores(tenant_id)
    with tenant_scope(tenant_id):
        names = source_names(active_only=True, watched_only=True)
    reports, prepare = 0, prepare_roads()
    for name in names:
        reports += len(collect_source(tenant_id=tenant_id, stores=stores, source=name, now=now, prepare=prepare))
    with tenant_scope(tenant_id):
        everyone = source_names(active_only=True)
    for name in everyone:
        reports += len(resume_pushes(tenant_id=tenant_id, stores=stores, source=name, now=now))
    return reports
