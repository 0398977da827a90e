"""Starts the Diameter door of a tenant from what it declared."""

import asyncio
from pathlib import Path
from uuid import UUID

from django.db import connections

from millicent.charging.server.doors import DoorRoom
from millicent.charging.services.declare_services import service_map
from millicent.charging.types_map import ServiceMap
from millicent.kit.tenancy import tenant_scope
from millicent.network.diameter.server import DiameterServer
from millicent.network.diameter.settings import DiameterSettings, read_settings


def declared_diameter(home: Path, *, tenant: str) -> DiameterSettings | None:
    """What HOME/doors/TENANT/diameter.yaml declares; None where it is not there. Raises BadInput with the line."""
    path = home / "doors" / tenant / "diameter.yaml"
    if not path.exists():
        return None
    return read_settings(path.read_text(encoding="utf-8"), where=str(path))


async def start_diameter(room: DoorRoom) -> DiameterServer | None:
    """Open the declared door; None where none is declared."""
    settings = declared_diameter(room.home, tenant=room.tenant)
    if settings is None:
        return None
    services = await asyncio.to_thread(_services, room.tenant_id)
    server = DiameterServer(room.port, settings=settings, services=services)
    await server.start()
    return server


def _services(tenant_id: UUID) -> ServiceMap:
    try:
        with tenant_scope(tenant_id):
            return service_map()
    finally:
        connections.close_all()
