"""What balances pay beyond live usage: plans, and usage that only files tell of."""

from django.db import models
from django.db.models import F, Q

from millicent.charging.models.people import BalanceOrder
from millicent.kit.tenancy import TenantTable


class ShardEntry(TenantTable):
    """When a subscription came into the shard. Usage of before was never charged live."""

    pk = models.CompositePrimaryKey("tenant_id", "shard", "subscription_id")
    shard = models.IntegerField()
    subscription_id = models.BigIntegerField()
    entered_at_ms = models.BigIntegerField()
    since_ms = models.BigIntegerField()  # where the cycle began in which it came: what is older is none of ours

    class Meta:
        db_table = "charging_shard_entry"
        constraints = (
            models.CheckConstraint(
                condition=Q(since_ms__lte=F("entered_at_ms")), name="a_cycle_begins_before_who_came"
            ),
        )


class RecordedUsage(TenantTable):
    """A usage of a file that the shard was told of: its event key, so that it is charged once, for good."""

    pk = models.CompositePrimaryKey("tenant_id", "event_key_high", "event_key_low")
    event_key_high = models.BigIntegerField()
    event_key_low = models.BigIntegerField()
    shard = models.IntegerField()
    subscription_id = models.BigIntegerField()
    occurred_at_ms = models.BigIntegerField()

    class Meta:
        db_table = "charging_recorded_usage"
        indexes = (models.Index(fields=("tenant_id", "occurred_at_ms"), name="recorded_usage_by_time"),)


class FileIntake(TenantTable):
    """How far usage of files was looked through for what balances pay. One row a tenant and shard."""

    pk = models.CompositePrimaryKey("tenant_id", "shard")
    shard = models.IntegerField()
    received_until_ms = models.BigIntegerField()

    class Meta:
        db_table = "charging_file_intake"


class FeeStanding(TenantTable):
    """Whether the fees of one subscription's cycle are paid: what its plan includes is granted when they are."""

    pk = models.CompositePrimaryKey("tenant_id", "subscription_id", "cycle_from_ms")
    subscription_id = models.BigIntegerField()
    cycle_from_ms = models.BigIntegerField()
    payer_id = models.BigIntegerField()
    paid = models.BooleanField()
    wanted_nanos = models.BigIntegerField(default=0)  # what the balance did not have
    unpaid_since_ms = models.BigIntegerField(null=True)
    tried_at_ms = models.BigIntegerField()
    changed_at_ms = models.BigIntegerField()

    class Meta:
        db_table = "charging_fee_standing"
        constraints = (
            models.CheckConstraint(
                condition=Q(paid=True, wanted_nanos=0) | Q(paid=False, wanted_nanos__gt=0),
                name="what_is_paid_wants_nothing",
            ),
        )
        indexes = (
            models.Index(fields=("changed_at_ms",), name="fee_standings_by_change"),
            models.Index(fields=("payer_id",), condition=Q(paid=False), name="fees_that_wait"),
        )


class BalanceFee(TenantTable):
    """One charge for a plan that a balance paid, or was asked for: as a bill line would have it."""

    order = models.ForeignKey(BalanceOrder, on_delete=models.PROTECT, related_name="fees")
    payer_id = models.BigIntegerField()
    billing_account_id = models.BigIntegerField()  # whose charge it is
    subscription_id = models.BigIntegerField()
    service_cycle_from_ms = models.BigIntegerField()
    amount_nanos = models.BigIntegerField()
    charge = models.JSONField()  # key and texts, as billing knows it again
    tax_category = models.TextField()
    ledger_account = models.TextField()

    class Meta:
        db_table = "charging_balance_fee"
        constraints = (models.CheckConstraint(condition=~Q(amount_nanos=0), name="a_fee_is_an_amount"),)
        indexes = (models.Index(fields=("billing_account_id", "service_cycle_from_ms"), name="fees_by_account"),)


class FeePosition(TenantTable):
    """Until when fees were looked at: what changed since may cost something. One row a tenant and shard."""

    pk = models.CompositePrimaryKey("tenant_id", "shard")
    shard = models.IntegerField()
    known_at_ms = models.BigIntegerField()

    class Meta:
        db_table = "charging_fee_position"
