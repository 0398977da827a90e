"""Tables of the ledger. All are append-only: triggers refuse a change even by the role that owns them."""

from django.db import models
from django.db.models import F, Q

from millicent.kit.tenancy import TenantTable

_HASH_BYTES = 32


class LedgerEntry(TenantTable):
    """One link of a tenant's chain. Its postings sum to zero when the transaction commits (deferred trigger)."""

    append_only = True

    pk = models.CompositePrimaryKey("tenant_id", "sequence")
    sequence = models.BigIntegerField()
    template = models.TextField()
    reference = models.TextField()
    currency = models.CharField(max_length=3)
    occurred_at_ms = models.BigIntegerField()
    recorded_at_ms = models.BigIntegerField()
    facts = models.JSONField(default=dict)
    posting_count = models.IntegerField()
    content_hash = models.BinaryField(max_length=_HASH_BYTES)
    hash = models.BinaryField(max_length=_HASH_BYTES)

    class Meta:
        db_table = "ledger_entry"
        constraints = (
            models.UniqueConstraint(fields=["tenant_id", "reference"], name="a_reference_is_posted_once"),
            models.CheckConstraint(condition=Q(sequence__gte=1), name="entries_count_from_one"),
            models.CheckConstraint(condition=Q(posting_count__gte=2), name="an_entry_has_two_postings_or_more"),
        )
        indexes = (models.Index(fields=["tenant_id", "occurred_at_ms"], name="ledger_entry_by_time"),)


class LedgerPosting(TenantTable):
    """One side of an entry: debit positive, credit negative, in nanos of the currency beside it."""

    append_only = True

    pk = models.CompositePrimaryKey("tenant_id", "entry_sequence", "place")
    entry_sequence = models.BigIntegerField()
    place = models.IntegerField()  # from 0, in the order the entry gave them
    ledger_account = models.TextField()
    currency = models.CharField(max_length=3)
    amount_nanos = models.BigIntegerField()
    billing_account_id = models.BigIntegerField(null=True)

    class Meta:
        db_table = "ledger_posting"
        constraints = (
            models.CheckConstraint(condition=~Q(amount_nanos=0), name="a_posting_moves_something"),
            models.CheckConstraint(condition=Q(place__gte=0), name="postings_count_from_zero"),
        )
        indexes = (
            models.Index(
                fields=["tenant_id", "billing_account_id", "ledger_account"],
                condition=Q(billing_account_id__isnull=False),
                name="posting_by_billing_account",
            ),
        )


class LedgerHead(TenantTable):
    """Where the chain ended after each call that posted: the last row is the head, and a cut tail shows."""

    append_only = True

    pk = models.CompositePrimaryKey("tenant_id", "last_sequence")
    last_sequence = models.BigIntegerField()
    first_sequence = models.BigIntegerField()
    hash = models.BinaryField(max_length=_HASH_BYTES)
    recorded_at_ms = models.BigIntegerField()

    class Meta:
        db_table = "ledger_head"
        constraints = (
            models.UniqueConstraint(fields=["tenant_id", "first_sequence"], name="heads_do_not_overlap"),
            models.CheckConstraint(
                condition=Q(first_sequence__gte=1, last_sequence__gte=F("first_sequence")),
                name="a_head_covers_an_entry_or_more",
            ),
        )


class LedgerPeriodClose(TenantTable):
    """From this call on nothing before `closed_until_ms` is posted. Sealed with the head of that moment."""

    append_only = True

    pk = models.CompositePrimaryKey("tenant_id", "closed_until_ms")
    closed_until_ms = models.BigIntegerField()
    closed_at_ms = models.BigIntegerField()
    head_sequence = models.BigIntegerField()
    head_hash = models.BinaryField(max_length=_HASH_BYTES)

    class Meta:
        db_table = "ledger_period_close"
        constraints = (
            models.CheckConstraint(
                condition=Q(closed_until_ms__lte=F("closed_at_ms")), name="only_the_past_can_be_closed"
            ),
        )


class DeclaredLedgerAccount(TenantTable):
    """A ledger account of the operator's own, beside the built-in ones of `chart`."""

    append_only = True

    pk = models.CompositePrimaryKey("tenant_id", "path")
    path = models.TextField()
    declared_at_ms = models.BigIntegerField()

    class Meta:
        db_table = "ledger_declared_account"
