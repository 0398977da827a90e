"""Balances as people see them: what was declared, asked for, printed, told and posted.

The shard alone knows what a balance is. These tables say who asked for a change and why, and keep what readers of the
journal made of it: statement lines, notifications, sums for the ledger.
"""

from django.db import models
from django.db.models import F, Q

from millicent.charging.people import NotificationState, OrderState, OrderVerb, Payment
from millicent.kit.tenancy import TenantTable

_HASH_BYTES = 32
_PAYMENTS = ["", *(each.value for each in Payment)]


class ChargingDeclaration(TenantTable):
    """One version of charging.yaml as it was declared. The last one holds."""

    append_only = True

    pk = models.CompositePrimaryKey("tenant_id", "version")
    version = models.IntegerField()
    text = models.TextField()
    declared_at_ms = models.BigIntegerField()
    who = models.TextField()

    class Meta:
        db_table = "charging_declaration"
        constraints = (
            models.CheckConstraint(condition=Q(version__gte=1), name="versions_of_a_declaration_count_from_one"),
        )


class AccountAgreement(TenantTable):
    """How one billing account pays, where that is not what its plans say. The last row of an account holds."""

    append_only = True

    billing_account = models.ForeignKey("customers.BillingAccount", on_delete=models.PROTECT, related_name="+")
    payment = models.TextField(default="")  # Payment; "" as its plans say
    credit_limit_nanos = models.BigIntegerField(null=True)  # NULL: as declared for all
    barred = models.BooleanField(default=False)
    recorded_at_ms = models.BigIntegerField()
    who = models.TextField()
    why = models.TextField(default="")

    class Meta:
        db_table = "charging_account_agreement"
        constraints = (
            models.CheckConstraint(condition=Q(payment__in=_PAYMENTS), name="an_account_pays_in_a_known_way"),
            models.CheckConstraint(
                condition=Q(credit_limit_nanos__isnull=True) | Q(credit_limit_nanos__gte=0),
                name="a_credit_limit_is_not_negative",
            ),
        )
        indexes = (models.Index(fields=("billing_account", "id"), name="agreements_by_account"),)


class ProvisioningPosition(TenantTable):
    """Until when the shard knows what customers and subscriptions are. One row a tenant and shard."""

    pk = models.CompositePrimaryKey("tenant_id", "shard")
    shard = models.IntegerField()
    known_at_ms = models.BigIntegerField()  # everything recorded and effective until then is in the shard
    loaded_until_id = models.BigIntegerField()  # of the first load: subscriptions up to this id are there
    loaded = models.BooleanField(default=False)  # the first load is complete
    declared_version = models.IntegerField(default=0)  # of charging.yaml, as its policies are in the shard
    release_number = models.IntegerField(default=0)  # catalogue release that plans were read from
    recently_told = models.JSONField(default=dict)  # subscription -> [digest of what it was told, until when kept]

    class Meta:
        db_table = "charging_provisioning"


class BalanceOrder(TenantTable):
    """What somebody asked to be done to a balance.

    It is kept before the shard is asked: whatever dies in between, the order is neither lost nor done twice.
    """

    key = models.TextField()  # of whoever asks: the same key again is the same order
    verb = models.TextField()
    billing_account = models.ForeignKey("customers.BillingAccount", on_delete=models.PROTECT, related_name="+")
    other_account = models.ForeignKey("customers.BillingAccount", on_delete=models.PROTECT, null=True, related_name="+")
    bucket_id = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    amount_nanos = models.BigIntegerField()  # below zero is taken
    fee_nanos = models.BigIntegerField(default=0)  # of an advance, owed beside the amount
    priority = models.SmallIntegerField(default=0)
    valid_until_ms = models.BigIntegerField(null=True)  # NULL: for ever
    cause = models.TextField()
    channel = models.TextField(default="")
    who = models.TextField()
    why = models.TextField(default="")
    approved_by = models.TextField(default="")
    state = models.TextField()
    refusal = models.TextField(default="")
    asked_at_ms = models.BigIntegerField()
    settled_at_ms = models.BigIntegerField(null=True)

    class Meta:
        db_table = "charging_balance_order"
        constraints = (
            models.UniqueConstraint(fields=("tenant_id", "key"), name="an_order_of_a_key_is_kept_once"),
            models.CheckConstraint(
                condition=Q(state__in=[each.value for each in OrderState]), name="an_order_is_in_a_known_state"
            ),
            models.CheckConstraint(
                condition=Q(verb__in=[each.value for each in OrderVerb]), name="an_order_is_of_a_known_verb"
            ),
            models.CheckConstraint(condition=~Q(amount_nanos=0), name="an_order_changes_a_balance"),
            models.CheckConstraint(condition=~Q(approved_by=F("who")), name="an_order_is_approved_by_somebody_else"),
            models.CheckConstraint(
                condition=Q(verb="transfer", other_account__isnull=False)
                | (~Q(verb="transfer") & Q(other_account__isnull=True)),
                name="a_transfer_and_nothing_else_has_a_receiver",
            ),
        )
        indexes = (
            models.Index(fields=("billing_account", "asked_at_ms"), name="orders_by_account"),
            models.Index(fields=("state", "asked_at_ms"), condition=Q(state="asked"), name="orders_that_wait"),
        )


class VoucherBatch(TenantTable):
    """Vouchers that were made and printed together. Of their codes only hashes are kept."""

    code = models.TextField()
    currency = models.CharField(max_length=3)
    amount_nanos = models.BigIntegerField()
    voucher_count = models.IntegerField()
    salt = models.BinaryField(max_length=_HASH_BYTES)
    valid_until_ms = models.BigIntegerField()
    balance_days = models.IntegerField(null=True)  # how long what it brings is valid; NULL: as declared
    made_at_ms = models.BigIntegerField()
    made_by = models.TextField()
    blocked_at_ms = models.BigIntegerField(null=True)
    blocked_by = models.TextField(default="")
    blocked_why = models.TextField(default="")

    class Meta:
        db_table = "charging_voucher_batch"
        constraints = (
            models.UniqueConstraint(fields=("tenant_id", "code"), name="a_voucher_batch_has_its_own_code"),
            models.CheckConstraint(condition=Q(amount_nanos__gt=0), name="a_voucher_is_worth_something"),
            models.CheckConstraint(condition=Q(voucher_count__gt=0), name="a_voucher_batch_is_not_empty"),
        )


class Voucher(TenantTable):
    """One voucher: single use is a lock on this row and a stamp that is set once."""

    batch = models.ForeignKey(VoucherBatch, on_delete=models.PROTECT, related_name="vouchers")
    serial = models.BigIntegerField()  # printed beside the code, and in every report: never secret
    code_hash = models.BinaryField(max_length=_HASH_BYTES)
    redeemed_at_ms = models.BigIntegerField(null=True)
    order = models.ForeignKey(BalanceOrder, on_delete=models.PROTECT, null=True, related_name="+")
    blocked_at_ms = models.BigIntegerField(null=True)

    class Meta:
        db_table = "charging_voucher"
        constraints = (
            models.UniqueConstraint(fields=("tenant_id", "serial"), name="a_voucher_has_its_own_serial"),
            models.UniqueConstraint(fields=("tenant_id", "code_hash"), name="a_voucher_code_opens_one_voucher"),
            models.CheckConstraint(
                condition=Q(redeemed_at_ms__isnull=True, order__isnull=True)
                | Q(redeemed_at_ms__isnull=False, order__isnull=False),
                name="a_redeemed_voucher_filled_a_balance",
            ),
        )


class VoucherGuesses(TenantTable):
    """Wrong codes of one redeemer since the last right one, and until when the door stays shut."""

    pk = models.CompositePrimaryKey("tenant_id", "redeemer")
    redeemer = models.TextField()
    wrong = models.IntegerField(default=0)
    locked_until_ms = models.BigIntegerField(default=0)

    class Meta:
        db_table = "charging_voucher_guesses"
        constraints = (models.CheckConstraint(condition=Q(wrong__gte=0), name="guesses_count_from_zero"),)


class AutoTopUp(TenantTable):
    """A customer's wish: when money falls below a threshold, fill it up by a payment method they left with us."""

    billing_account = models.ForeignKey("customers.BillingAccount", on_delete=models.PROTECT, related_name="+")
    below_nanos = models.BigIntegerField()
    amount_nanos = models.BigIntegerField()
    method = models.TextField()  # reference of the payment gateway: never a card number
    most_per_month = models.SmallIntegerField()
    active = models.BooleanField(default=True)
    declared_at_ms = models.BigIntegerField()
    who = models.TextField()

    class Meta:
        db_table = "charging_auto_top_up"
        constraints = (
            models.UniqueConstraint(
                fields=("tenant_id", "billing_account"), name="an_account_fills_itself_by_one_rule"
            ),
            models.CheckConstraint(
                condition=Q(below_nanos__gte=0, amount_nanos__gt=0, most_per_month__gte=1),
                name="an_automatic_top_up_adds_something",
            ),
        )


class BalanceLine(TenantTable):
    """One line of a balance's history: what changed, why, for which usage. Sums of changes are the balances."""

    append_only = True

    pk = models.CompositePrimaryKey("tenant_id", "shard", "sequence", "place")
    shard = models.IntegerField()
    sequence = models.BigIntegerField()  # of the journal's batch
    place = models.IntegerField()  # in it
    happened_at_ms = models.BigIntegerField()
    billing_account_id = models.BigIntegerField()
    subscription_id = models.BigIntegerField(null=True)
    bucket_id = models.BigIntegerField()
    kind = models.SmallIntegerField()  # BucketKind
    currency = models.TextField()  # "" of units
    change = models.BigIntegerField()
    remaining = models.BigIntegerField()
    cause = models.TextField()  # "" usage
    order_key = models.TextField(default="")  # of the BalanceOrder behind it
    facts = models.JSONField(default=dict)  # what usage: service, other party, quantity, session

    class Meta:
        db_table = "charging_balance_line"
        constraints = (models.CheckConstraint(condition=~Q(change=0), name="a_balance_line_changes_something"),)
        indexes = (models.Index(fields=("tenant_id", "billing_account_id", "happened_at_ms"), name="lines_by_account"),)


class LostBalance(TenantTable):
    """Money that expired. Within the grace it comes back with the next top-up; after it, it is ours."""

    pk = models.CompositePrimaryKey("tenant_id", "shard", "sequence", "place")
    shard = models.IntegerField()
    sequence = models.BigIntegerField()
    place = models.IntegerField()
    billing_account_id = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    amount_nanos = models.BigIntegerField()
    expired_at_ms = models.BigIntegerField()
    grace_until_ms = models.BigIntegerField()
    restored_by = models.TextField(default="")  # key of the order that brought it back

    class Meta:
        db_table = "charging_lost_balance"
        constraints = (models.CheckConstraint(condition=Q(amount_nanos__gt=0), name="a_lost_balance_was_something"),)
        indexes = (models.Index(fields=("tenant_id", "billing_account_id"), name="lost_balances_by_account"),)


class RollingBucket(TenantTable):
    """A grant of an allowance that may roll over, and what of it was left when it ended."""

    pk = models.CompositePrimaryKey("tenant_id", "shard", "bucket_id")
    shard = models.IntegerField()
    bucket_id = models.BigIntegerField()
    allowance = models.TextField()  # "offering/allowance"
    scope = models.SmallIntegerField()
    pool = models.TextField()
    billing_account_id = models.BigIntegerField()  # who pays
    subscription_id = models.BigIntegerField()  # who brought it
    granted_at_ms = models.BigIntegerField()
    valid_until_ms = models.BigIntegerField()
    rolled = models.SmallIntegerField(default=0)  # how many times it was carried over
    left_units = models.BigIntegerField(default=0)  # when it ended
    settled = models.BooleanField(default=False)  # it was decided what becomes of the rest

    class Meta:
        db_table = "charging_rolling_bucket"
        constraints = (
            models.CheckConstraint(condition=Q(left_units__gte=0, rolled__gte=0), name="a_rolling_bucket_counts_up"),
        )
        indexes = (models.Index(fields=("valid_until_ms",), condition=Q(settled=False), name="buckets_that_may_roll"),)


class Notification(TenantTable):
    """What somebody is to be told: written in the reader's transaction, delivered afterwards, at least once."""

    pk = models.CompositePrimaryKey("tenant_id", "shard", "sequence", "place")
    shard = models.IntegerField()
    sequence = models.BigIntegerField()  # of the journal's batch
    place = models.IntegerField()
    kind = models.SmallIntegerField()  # NoticeKind
    billing_account_id = models.BigIntegerField()
    subscription_id = models.BigIntegerField(null=True)
    language = models.TextField()
    reach = models.JSONField(default=dict)  # "email", "phone": how to reach them
    text = models.TextField()
    facts = models.JSONField(default=dict)
    happened_at_ms = models.BigIntegerField()
    state = models.TextField(default=NotificationState.WAITING.value)
    tries = models.SmallIntegerField(default=0)
    next_try_ms = models.BigIntegerField(default=0)
    delivered_at_ms = models.BigIntegerField(null=True)
    fault = models.TextField(default="")

    class Meta:
        db_table = "charging_notification"
        constraints = (
            models.CheckConstraint(
                condition=Q(state__in=[each.value for each in NotificationState]),
                name="a_notification_is_in_a_known_state",
            ),
        )
        indexes = (models.Index(fields=("next_try_ms",), condition=Q(state="waiting"), name="notifications_that_wait"),)


class UsageDay(TenantTable):
    """Prepaid usage of one day, revenue account and kind of tax: what is to be posted, and what of it was."""

    pk = models.CompositePrimaryKey("tenant_id", "shard", "day_ms", "currency", "ledger_account", "taxes")
    shard = models.IntegerField()
    day_ms = models.BigIntegerField()  # when the day begins, UTC
    currency = models.CharField(max_length=3)
    ledger_account = models.TextField()
    taxes = models.TextField(default="")  # codes of what is within it, with commas, in the order they are computed
    amount_nanos = models.BigIntegerField()
    posted_nanos = models.BigIntegerField(default=0)
    postings = models.IntegerField(default=0)

    class Meta:
        db_table = "charging_usage_day"
