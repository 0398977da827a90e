"""What a door is to the charging process: started with the port, stopped before the shard is."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import UUID

from millicent.charging.types import ChargingPort


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorRoom:
    """What a door is given: the port, whose shard it is, and where its declared settings may be."""

    port: ChargingPort
    tenant_id: UUID
    tenant: str
    home: Path


class RunningDoor(Protocol):
    """A door that listens."""

    async def stop(self) -> None:
        """Answer what has begun, then close."""
        ...


# None: this tenant has not declared the door.
StartDoor = Callable[[DoorRoom], Awaitable[RunningDoor | None]]
