"""What durability asks of a shard: that it is a state of named tables, and that a batch says what became of them."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from millicent.charging.types import Batch, NameKind, RowImages, Rows

Names = Sequence[tuple[str, int, str]]  # NameKind, number, text


class JournalledShard(Protocol):
    """`millicent.charging.shard.Shard`, as its journal sees it."""

    def apply(self, commands: Rows, texts: bytes) -> Batch:
        """Apply commands one after the other. None at all: a batch with the names given since the one before."""
        ...

    def replay(self, images: Sequence[RowImages], names: Names) -> None:
        """Put rows and names where they were. Images may come in the layout of an older program."""
        ...

    def begin_again(self) -> None:
        """Forget all but what it was made with: the state is empty, to be replayed."""
        ...

    def tables(self) -> Mapping[str, Rows]:
        """The state: what two shards that went the same way hold the same bytes of."""
        ...

    def number_of(self, kind: NameKind, text: str) -> int:
        """The number of a text; a new one is part of the next batch."""
        ...
