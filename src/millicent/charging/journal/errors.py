"""What can go wrong between the shard and its journal."""

from millicent.kit.errors import Defect, Outage, Refusal


class JournalDamaged(Defect):
    """A journalled batch does not say what was written: a checksum, a gap in the sequence, an unknown format."""

    code = "charging_journal_damaged"


class JournalRefused(Defect):
    """PostgreSQL refuses a batch for what it says, not for want of anything: trying again would not help."""

    code = "charging_journal_refused"


class NothingToReplay(Refusal):
    """The journal begins after the newest sound snapshot: batches between them are gone."""

    code = "charging_nothing_to_replay"


class Fenced(Outage):
    """Another process took over the shard: this one may not write any more and stops."""

    code = "charging_fenced"


class ShardBusy(Outage):
    """More commands wait than may wait, or nothing has been durable for a while. Nothing was applied."""

    code = "charging_busy"


class ShardHeld(Refusal):
    """Another process holds the shard's lease. `millicent charging standby` waits for it."""

    code = "charging_shard_held"


class ShardStopped(Outage):
    """The charging shard was told to stop. Nothing of what still waited was applied."""

    code = "charging_stopped"


class ShardSilent(Outage):
    """No charging shard answers on its socket."""

    code = "charging_silent"
