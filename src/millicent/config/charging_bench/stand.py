"""The shard of the benchmark as a process of its own: the real server and doors, a catalogue that is made in memory.

Called as `python -m millicent.config.charging_bench.stand PORTS` with the ports as JSON; says "open" when it answers.
"""

import asyncio
import json
import signal
import sys
from collections.abc import Mapping
from hashlib import sha256
from ipaddress import ip_network
from uuid import UUID

import uvloop

from millicent.charging.server.doors import DoorRoom, RunningDoor, StartDoor
from millicent.charging.server.opening import ShardPlace
from millicent.charging.server.serve import ServePlan, serve_shard
from millicent.charging.shard import Shard
from millicent.charging.types import ChargingPort, Unit
from millicent.config.charging_bench.world import the_programs, the_services
from millicent.config.logs import configure_logs
from millicent.config.settings import settings
from millicent.config.setup import open_stores, tenant_id_of

TOKEN = "of-the-benchmark"  # noqa: S105 - the loopback's own, for minutes
RADIUS_SECRET = b"of-the-benchmark"
NEVER_SECONDS = 86_400


def bench_place() -> ShardPlace:
    """Journal, snapshots and socket in the benchmark's home."""
    from millicent.config.charging_process import shard_place

    chosen = settings()
    return shard_place(tenant_id_of(chosen.tenant), tenant=chosen.tenant)


def doors(ports: Mapping[str, int]) -> Mapping[str, StartDoor]:
    """The doors under load, each on its port."""
    from millicent.network.diameter.server import DiameterServer
    from millicent.network.diameter.settings import DiameterSettings, Listener, Peer
    from millicent.network.http.app import ChargingApp
    from millicent.network.http.applications import Application, HttpSettings
    from millicent.network.http.charging import Charging
    from millicent.network.http.door import HttpDoor
    from millicent.network.http.naming import Offered
    from millicent.network.radius.access import Access
    from millicent.network.radius.clients import Client, RadiusSettings
    from millicent.network.radius.door import RadiusDoor

    class NobodyLogsIn:
        def find(self, user_name: str, *, now_ms: int) -> Access | None:
            return None

    async def diameter(room: DoorRoom) -> RunningDoor:
        chosen = DiameterSettings(
            host="ocs.example.net",
            realm="example.net",
            listen=(Listener(port=ports["diameter"]),),
            peers=(Peer(host="*.example.net"),),
        )
        server = DiameterServer(room.port, settings=chosen, services=the_services())
        await server.start()
        return server

    async def radius(room: DoorRoom) -> RunningDoor:
        client = Client(name="load", network=ip_network("127.0.0.0/8"), secret=RADIUS_SECRET)
        door = RadiusDoor(
            port=room.port,
            settings=RadiusSettings(
                clients=(client,), authentication_port=ports["authentication"], accounting_port=ports["accounting"]
            ),
            services=the_services(),
            book=NobodyLogsIn(),
            sealing_key=bytes(32),
        )
        await door.open()
        return door

    async def http(room: DoorRoom) -> RunningDoor:
        hashed = sha256(TOKEN.encode()).digest()
        chosen = HttpSettings(applications={hashed: Application(name="load")}, port=ports["http"])
        offered = Offered(services={"voice": Unit.SECONDS, "data": Unit.TOTAL_OCTETS}, currencies=("EUR",))
        door = HttpDoor(ChargingApp(charging=Charging(room.port, offered=offered), settings=chosen), settings=chosen)
        await door.open()
        return door

    return {"diameter": diameter, "radius": radius, "http": http}


async def stand(place: ShardPlace, *, ports: Mapping[str, int], tenant_id: UUID) -> None:
    """Serve until SIGTERM. No snapshot is taken on the way: what is measured is the load."""
    shard = Shard(the_programs())
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)

    def room(port: ChargingPort) -> DoorRoom:
        return DoorRoom(port=port, tenant_id=tenant_id, tenant=settings().tenant, home=settings().home_path)

    plan = ServePlan(place=place, room=room, doors=doors(ports), snapshot_seconds=NEVER_SECONDS)
    await serve_shard(shard, plan=plan, stop=stop, on_ready=lambda opened: print("open", flush=True))


if __name__ == "__main__":
    configure_logs(log_format="console", log_level="warning")
    open_stores()
    uvloop.run(stand(bench_place(), ports=json.loads(sys.argv[1]), tenant_id=tenant_id_of(settings().tenant)))
