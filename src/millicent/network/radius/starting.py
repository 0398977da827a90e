"""Starts the RADIUS door of a tenant from what it declared: in the shard's process, or in workers beside it."""

import asyncio
import os
from pathlib import Path
from uuid import UUID

from django.db import connections

from millicent.charging.credentials import credential_key
from millicent.charging.server.doors import DoorRoom
from millicent.charging.services.declare_services import service_map
from millicent.charging.types_map import ServiceMap
from millicent.kit.tenancy import tenant_scope
from millicent.network.radius.clients import RadiusSettings
from millicent.network.radius.declaring import read_radius_settings
from millicent.network.radius.door import RadiusDoor
from millicent.network.radius.stored_access import StoredAccess
from millicent.network.radius.turns import Turn


def declared_radius(home: Path, *, tenant: str) -> RadiusSettings | None:
    """What HOME/doors/TENANT/radius.yaml declares; None where it is not there. Raises BadInput with the line."""
    path = home / "doors" / tenant / "radius.yaml"
    if not path.exists():
        return None
    return read_radius_settings(path.read_text(encoding="utf-8"), environment=os.environ, where=str(path))


async def start_radius(room: DoorRoom) -> RadiusDoor | None:
    """Open the declared door in the shard's process; None where none is declared, or workers of its own have it."""
    settings = declared_radius(room.home, tenant=room.tenant)
    return await open_radius(room, settings=settings) if settings and not settings.workers else None


async def open_radius(room: DoorRoom, *, settings: RadiusSettings, worker: int | None = None) -> RadiusDoor:
    """Open the door, in the shard's process or as one of several workers. One of these acts on notices."""
    turn = Turn(room.home / "doors" / room.tenant / "radius.lock") if worker is not None else None
    door = RadiusDoor(
        port=room.port,
        settings=settings,
        services=await asyncio.to_thread(_services, room.tenant_id),
        book=StoredAccess(tenant_id=room.tenant_id, profiles=settings.profiles),
        sealing_key=credential_key(room.home),
        shared=worker is not None,
        turn=turn,
    )
    await door.open()
    return door


def _services(tenant_id: UUID) -> ServiceMap:
    try:
        with tenant_scope(tenant_id):
            return service_map()
    finally:
        connections.close_all()
