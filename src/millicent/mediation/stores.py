"""Where mediation keeps what is not in PostgreSQL: the lake, and a folder for event keys and fetched files."""

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from millicent.kit.lake import Lake


@dataclass(frozen=True, slots=True, kw_only=True)
class MediationStores:
    """The stores of one tenant."""

    lake: Lake
    folder: Path

    def keys_folder(self, family: str) -> Path:
        """Event keys of one source family; a family's name may hold what a file name may not."""
        return self.folder / "keys" / blake2b(family.encode(), digest_size=8).hexdigest()

    @property
    def fetched_folder(self) -> Path:
        return self.folder / "fetched"
