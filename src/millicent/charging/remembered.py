"""Whether it may be said that a command was never done: by what the history read, and what the shard remembers.

The shard answers a command that comes again from a ring of the last 2^20 that changed a balance. What left the ring
is in the journal, and the history keeps what it read of it for good. So a command whose key the history does not have
may be sent again, unless more lies unread between the two than the ring holds.
"""

from millicent.charging.errors import HistoryBehind
from millicent.charging.state import BOUNDS
from millicent.kit.bulk import read_rows

HISTORY_READER = "people"


def refuse_while_forgetful(*, shard: int = 0) -> None:
    """Raise HistoryBehind where the ring may have lost what the history has not read. In a tenant's scope.

    To be asked before the history is looked at: what is read between the two only makes the answer safer.
    """
    ((unread,),) = read_rows(
        "SELECT coalesce(sum(command_count), 0) FROM charging_journal WHERE shard = %s AND sequence > "
        "coalesce((SELECT sequence FROM charging_reader WHERE shard = %s AND name = %s), 0)",
        [shard, shard, HISTORY_READER],
    )
    if unread > BOUNDS["lasting"] // 2:  # the other half is for what is on its way
        raise HistoryBehind(
            f"{unread} commands of the journal are not in the history of balances yet: nothing is sent again before",
            unread=int(unread),
        )
