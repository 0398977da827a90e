"""Starts the charging API of a tenant from what it declared, on the loop it is called on."""

import asyncio
from pathlib import Path
from uuid import UUID

from django.db import connections

from millicent.catalog.selectors import catalogue_of, latest_release
from millicent.charging.server.doors import DoorRoom
from millicent.charging.types_map import UNIT_OF
from millicent.kit.tenancy import tenant_scope
from millicent.network.http.app import ChargingApp
from millicent.network.http.applications import HttpSettings, read_http_settings
from millicent.network.http.charging import Charging
from millicent.network.http.door import HttpDoor
from millicent.network.http.naming import Offered


def declared_http(home: Path, *, tenant: str) -> HttpSettings | None:
    """What HOME/doors/TENANT/http.yaml declares; None where it is not there. Raises BadInput with the line."""
    path = home / "doors" / tenant / "http.yaml"
    if not path.exists():
        return None
    return read_http_settings(path.read_text(encoding="utf-8"), where=str(path))


async def start_http(room: DoorRoom) -> HttpDoor | None:
    """Open the declared API in the shard's process; None where none is declared, or workers of its own have it."""
    settings = declared_http(room.home, tenant=room.tenant)
    return await open_http(room, settings=settings) if settings and not settings.workers else None


async def open_http(room: DoorRoom, *, settings: HttpSettings) -> HttpDoor:
    """Open the API. Several processes may listen on the same port."""
    charging = Charging(room.port, offered=await asyncio.to_thread(offered_by, room.tenant_id))
    door = HttpDoor(ChargingApp(charging=charging, settings=settings), settings=settings)
    await door.open()
    return door


def offered_by(tenant_id: UUID) -> Offered:
    """Services and currencies of the latest catalogue release."""
    try:
        with tenant_scope(tenant_id):
            release = latest_release()
            catalogue = catalogue_of(release.number) if release else None
    finally:
        connections.close_all()
    if catalogue is None:
        return Offered(services={}, currencies=())
    return Offered(
        services={code: UNIT_OF[each.measure] for code, each in catalogue.specifications.items()},
        currencies=tuple(sorted({tariff.currency for tariff in catalogue.tariffs.values()})),
    )
