"""Lease, journal, snapshots, the position of each reader of the journal, and balances as the screens read them.

The journal is append-only. Rows leave it only through `charging_prune_journal`, and a trigger sees to it that what
leaves is covered by a kept snapshot and has been read by every reader (migration 0001).
"""

from django.db import models
from django.db.models import F, Q

from millicent.charging.journal.payload import CHECKSUM_BYTES
from millicent.kit.tenancy import TenantTable


class ShardLease(TenantTable):
    """Who may write a shard's journal, until when by the clock of the database. Each taking over raises `epoch`."""

    pk = models.CompositePrimaryKey("tenant_id", "shard")
    shard = models.IntegerField()
    epoch = models.BigIntegerField()
    holder = models.TextField()  # host, process id and a random word: for people
    expires_at = models.DateTimeField()
    address = models.TextField(default="")  # the Unix socket of the holder

    class Meta:
        db_table = "charging_lease"
        constraints = (
            models.CheckConstraint(condition=Q(shard__gte=0), name="shards_of_a_lease_count_from_zero"),
            models.CheckConstraint(condition=Q(epoch__gte=1), name="epochs_of_a_lease_count_from_one"),
        )


class JournalBatch(TenantTable):
    """All that one batch of commands did, in one row: it is committed before any of its answers leaves."""

    append_only = True

    pk = models.CompositePrimaryKey("tenant_id", "shard", "sequence")
    shard = models.IntegerField()
    sequence = models.BigIntegerField()
    epoch = models.BigIntegerField()
    command_count = models.IntegerField()
    payload = models.BinaryField()  # see journal/payload.py
    checksum = models.BinaryField(max_length=CHECKSUM_BYTES)

    class Meta:
        db_table = "charging_journal"
        constraints = (
            models.CheckConstraint(condition=Q(sequence__gte=1), name="journal_sequences_count_from_one"),
            models.CheckConstraint(condition=Q(epoch__gte=1), name="a_journalled_batch_has_an_epoch"),
        )


class JournalLayout(TenantTable):
    """How the rows of some block of the journal lie in memory: names, types, places. Known by its digest."""

    append_only = True

    pk = models.CompositePrimaryKey("tenant_id", "digest")
    digest = models.BigIntegerField()
    description = models.JSONField()

    class Meta:
        db_table = "charging_layout"


class ShardName(TenantTable):
    """A text that the shard knows by a number. Written in the transaction of the batch that brought it."""

    append_only = True

    pk = models.CompositePrimaryKey("tenant_id", "shard", "kind", "number")
    shard = models.IntegerField()
    kind = models.TextField()
    number = models.IntegerField()
    text = models.TextField()
    sequence = models.BigIntegerField()  # of the batch that brought it

    class Meta:
        db_table = "charging_name"
        constraints = (
            models.CheckConstraint(condition=~Q(kind=""), name="a_name_of_a_shard_has_a_kind"),
            models.CheckConstraint(condition=Q(number__gte=0), name="numbers_of_names_count_from_zero"),
        )


class ShardSnapshot(TenantTable):
    """A snapshot that is kept. Its row is deleted before its files are."""

    pk = models.CompositePrimaryKey("tenant_id", "shard", "sequence")
    shard = models.IntegerField()
    sequence = models.BigIntegerField()  # of the last batch in it
    folder = models.TextField()
    size_bytes = models.BigIntegerField()
    digest = models.TextField()  # of its manifest, which holds those of its tables
    taken_at_ms = models.BigIntegerField()

    class Meta:
        db_table = "charging_snapshot"
        constraints = (
            models.CheckConstraint(condition=Q(sequence__gte=0, size_bytes__gte=0), name="a_snapshot_is_measured"),
        )


class JournalReader(TenantTable):
    """How far one reader of the journal has come. Moved in the very transaction that keeps what it read."""

    pk = models.CompositePrimaryKey("tenant_id", "shard", "name")
    shard = models.IntegerField()
    name = models.TextField()
    sequence = models.BigIntegerField()  # the last batch that was read

    class Meta:
        db_table = "charging_reader"
        constraints = (
            models.CheckConstraint(condition=Q(sequence__gte=0), name="a_reader_stands_at_a_batch"),
            models.CheckConstraint(condition=~Q(name=""), name="a_reader_of_the_journal_has_a_name"),
        )


class ProjectedBalance(TenantTable):
    """A bucket as of batch `sequence`, for screens and lists. The shard alone decides; this follows it."""

    pk = models.CompositePrimaryKey("tenant_id", "shard", "bucket_id")
    shard = models.IntegerField()
    bucket_id = models.BigIntegerField()
    billing_account_id = models.BigIntegerField()
    subscription_id = models.BigIntegerField(null=True)  # null: of the account
    kind = models.SmallIntegerField()  # BucketKind
    currency = models.TextField()  # "" for units
    allowance = models.TextField()  # "" for money and credit
    remaining = models.BigIntegerField()  # units or nanos, with what is reserved
    reserved = models.BigIntegerField()
    valid_from_ms = models.BigIntegerField()
    valid_until_ms = models.BigIntegerField()
    sequence = models.BigIntegerField()

    class Meta:
        db_table = "charging_balance"
        constraints = (
            models.CheckConstraint(condition=Q(kind__gte=0, reserved__gte=0), name="a_balance_reserves_no_less_than_0"),
            models.CheckConstraint(
                condition=Q(valid_until_ms__gte=F("valid_from_ms")), name="a_balance_ends_after_it_begins"
            ),
        )
        indexes = (
            models.Index(fields=("tenant_id", "billing_account_id"), name="balances_of_an_account"),
            models.Index(fields=("tenant_id", "subscription_id"), name="balances_of_a_subscription"),
        )
