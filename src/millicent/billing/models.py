"""Bills, their lines and taxes, the runs that issued them, and what one cycle leaves to the next.

Whatever was issued is append-only. A run and a number series move forward; nothing else is ever updated.
"""

from django.db import models
from django.db.models import F, Q

from millicent.catalog.types import ChargeKind
from millicent.kit.tenancy import TenantTable


class BillRun(TenantTable):
    """One run over every payer whose cycle ended by `through_ms`. Its facts are those known before `known_until_ms`."""

    id = models.UUIDField(primary_key=True)
    number = models.BigIntegerField()  # 1, 2, 3 ... of this tenant
    through_ms = models.BigIntegerField()
    known_until_ms = models.BigIntegerField()
    issued_at_ms = models.BigIntegerField()
    state = models.TextField()  # runs.RunState
    payer_count = models.IntegerField()
    batch_count = models.IntegerField()

    class Meta:
        db_table = "billing_run"
        constraints = (
            models.UniqueConstraint(fields=("tenant_id", "number"), name="runs_are_numbered_once"),
            models.UniqueConstraint(
                fields=("tenant_id",), condition=~Q(state="released"), name="one_run_is_open_at_a_time"
            ),
            models.CheckConstraint(
                condition=Q(state__in=("planned", "releasing", "released")), name="a_run_is_in_a_known_state"
            ),
        )


class BillRunPayer(TenantTable):
    """Who is billed by a run, for which cycle, in which batch: fixed when the run is planned."""

    append_only = True

    run_id = models.UUIDField()
    place = models.IntegerField()
    batch = models.IntegerField()
    payer_id = models.BigIntegerField()
    cycle_from_ms = models.BigIntegerField()
    cycle_until_ms = models.BigIntegerField()

    class Meta:
        db_table = "billing_run_payer"
        constraints = (
            models.UniqueConstraint(fields=("tenant_id", "run_id", "place"), name="a_place_in_a_run_is_taken_once"),
            models.UniqueConstraint(fields=("tenant_id", "run_id", "payer_id"), name="a_run_bills_a_payer_once"),
            models.CheckConstraint(
                condition=Q(cycle_until_ms__gt=F("cycle_from_ms")), name="a_billed_cycle_ends_after_it_begins"
            ),
        )


class BillRunBatch(TenantTable):
    """A batch that was committed, with its control totals: usage in = billed + unpriced."""

    append_only = True

    run_id = models.UUIDField()
    batch = models.IntegerField()
    bill_count = models.IntegerField()
    line_count = models.IntegerField()
    parked_count = models.IntegerField()
    usage_in = models.BigIntegerField()
    usage_billed = models.BigIntegerField()
    usage_unpriced = models.BigIntegerField()
    usage_parked = models.BigIntegerField()

    class Meta:
        db_table = "billing_run_batch"
        constraints = (
            models.UniqueConstraint(fields=("tenant_id", "run_id", "batch"), name="a_batch_is_committed_once"),
            models.CheckConstraint(
                condition=Q(usage_in=F("usage_billed") + F("usage_unpriced") + F("usage_parked")),
                name="usage_in_is_billed_unpriced_or_parked",
            ),
        )


class BillSeries(TenantTable):
    """The last legal number of a series. It moves only in the transaction that issues the bills."""

    series = models.TextField()
    last_number = models.BigIntegerField(default=0)

    class Meta:
        db_table = "billing_series"
        constraints = (
            models.UniqueConstraint(fields=("tenant_id", "series"), name="a_series_is_kept_once"),
            models.CheckConstraint(condition=Q(last_number__gte=0), name="a_series_counts_from_one"),
        )


class BilledCycle(TenantTable):
    """A payer's cycle was billed, even when there was nothing to bill. The next cycle goes on from its end."""

    append_only = True

    payer_id = models.BigIntegerField()
    cycle_from_ms = models.BigIntegerField()
    cycle_until_ms = models.BigIntegerField()
    run_id = models.UUIDField()
    known_until_ms = models.BigIntegerField()
    release_count = models.IntegerField()  # catalogue releases known then: a later back-dated one is seen

    class Meta:
        db_table = "billing_billed_cycle"
        constraints = (
            models.UniqueConstraint(
                fields=("tenant_id", "payer_id", "cycle_from_ms"), name="a_cycle_of_a_payer_is_billed_once"
            ),
        )


class IssuedBill(TenantTable):
    """One bill. Its number is legal and gapless in its series; payer and accounts are kept as they were printed."""

    append_only = True

    id = models.UUIDField(primary_key=True)
    run_id = models.UUIDField()
    series = models.TextField()
    sequence = models.BigIntegerField()
    number = models.TextField()
    payer_id = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    cycle_from_ms = models.BigIntegerField()
    cycle_until_ms = models.BigIntegerField()
    issued_at_ms = models.BigIntegerField()
    due_at_ms = models.BigIntegerField()
    release_number = models.IntegerField()
    net_nanos = models.BigIntegerField()
    tax_nanos = models.BigIntegerField()
    total_nanos = models.BigIntegerField()
    digest = models.CharField(max_length=64)
    accounts = models.JSONField()  # the payer first

    class Meta:
        db_table = "billing_bill"
        constraints = (
            models.UniqueConstraint(fields=("tenant_id", "number"), name="a_bill_number_is_given_once"),
            models.UniqueConstraint(fields=("tenant_id", "series", "sequence"), name="a_series_has_no_number_twice"),
            models.UniqueConstraint(
                fields=("tenant_id", "payer_id", "currency", "cycle_from_ms"),
                name="a_cycle_has_one_bill_for_each_currency",
            ),
            models.CheckConstraint(
                condition=Q(total_nanos=F("net_nanos") + F("tax_nanos")), name="a_bill_is_its_net_and_its_tax"
            ),
        )


class IssuedLine(TenantTable):
    """One line of a bill and the key of its charge. The key and its revision stand once: nothing is billed twice."""

    append_only = True

    bill_id = models.UUIDField()
    line_number = models.IntegerField()
    payer_id = models.BigIntegerField()
    kind = models.TextField()
    charge_kind = models.TextField()
    charge_digest = models.CharField(max_length=32)
    charge_revision = models.IntegerField()
    service_cycle_from_ms = models.BigIntegerField()
    service_cycle_until_ms = models.BigIntegerField()
    price_period_from_ms = models.BigIntegerField()
    price_period_until_ms = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    billing_account_id = models.BigIntegerField()
    subscription_id = models.BigIntegerField(null=True)
    subscription_code = models.TextField()
    texts = models.JSONField()
    offering = models.TextField()
    price_code = models.TextField()
    service = models.TextField()
    zone = models.TextField()
    period_from_ms = models.BigIntegerField()
    period_until_ms = models.BigIntegerField()
    event_count = models.BigIntegerField()
    charged_units = models.BigIntegerField()
    bucket_units = models.BigIntegerField()
    unit = models.TextField()
    charge_nanos = models.BigIntegerField()  # as priced; the net is less where the price holds tax
    net_nanos = models.BigIntegerField()
    tax_category = models.TextField()
    ledger_code = models.TextField()
    in_advance = models.BooleanField()
    explanation = models.JSONField()

    class Meta:
        db_table = "billing_line"
        constraints = (
            models.UniqueConstraint(fields=("tenant_id", "bill_id", "line_number"), name="lines_are_numbered_once"),
            models.UniqueConstraint(
                fields=("tenant_id", "charge_digest", "charge_revision"), name="a_charge_is_billed_once"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=[kind.value for kind in ChargeKind]), name="a_line_is_of_a_known_kind"
            ),
        )
        indexes = (
            models.Index(
                fields=("tenant_id", "billing_account_id", "price_period_until_ms"), name="lines_that_may_change"
            ),
        )


class IssuedTax(TenantTable):
    """One tax of a bill; the rate is exact, as numerator and denominator."""

    append_only = True

    bill_id = models.UUIDField()
    place = models.IntegerField()
    tax = models.TextField()
    texts = models.JSONField()
    jurisdiction = models.TextField()
    rate_numerator = models.BigIntegerField()
    rate_denominator = models.BigIntegerField()
    base_nanos = models.BigIntegerField()
    amount_nanos = models.BigIntegerField()
    inclusive = models.BooleanField()
    note = models.TextField()

    class Meta:
        db_table = "billing_tax"
        constraints = (
            models.UniqueConstraint(fields=("tenant_id", "bill_id", "place"), name="taxes_are_placed_once"),
            models.CheckConstraint(condition=Q(rate_denominator__gt=0), name="a_rate_has_a_denominator"),
        )


class ClosingBucket(TenantTable):
    """What was left of an allowance when a cycle was computed. The latest run's rows of a cycle count."""

    append_only = True

    run_number = models.BigIntegerField()
    payer_id = models.BigIntegerField()
    cycle_until_ms = models.BigIntegerField()
    allowance = models.TextField()
    scope = models.TextField()
    owner_id = models.BigIntegerField()
    pool = models.TextField()
    subscription_id = models.BigIntegerField()
    opened_units = models.BigIntegerField()  # what the cycle began with, or was granted in it
    remaining = models.BigIntegerField()
    valid_from_ms = models.BigIntegerField()
    valid_until_ms = models.BigIntegerField()
    granted_at_ms = models.BigIntegerField()
    rolled = models.IntegerField()

    class Meta:
        db_table = "billing_closing_bucket"
        constraints = (
            models.CheckConstraint(condition=Q(remaining__lte=F("opened_units")), name="a_bucket_only_gives"),
        )
        indexes = (models.Index(fields=("tenant_id", "payer_id", "cycle_until_ms"), name="buckets_of_a_cycle"),)


class UnpricedUsage(TenantTable):
    """Usage of a billed cycle that no price was found for, by reason; a later replay takes it back or adds to it."""

    append_only = True

    run_id = models.UUIDField()
    payer_id = models.BigIntegerField()
    cycle_from_ms = models.BigIntegerField()
    subscription_id = models.BigIntegerField()
    service = models.TextField()
    reason = models.SmallIntegerField()
    event_count = models.BigIntegerField()
    first_at_ms = models.BigIntegerField()

    class Meta:
        db_table = "billing_unpriced_usage"
        indexes = (models.Index(fields=("tenant_id", "payer_id", "cycle_from_ms"), name="unpriced_of_a_cycle"),)


class ParkedAccount(TenantTable):
    """A payer whose bill could not be computed: named, with the reason. The run went on; the next one tries again."""

    append_only = True

    run_id = models.UUIDField()
    payer_id = models.BigIntegerField()
    payer_code = models.TextField()
    reason = models.TextField()  # code of the error
    detail = models.TextField()
    parked_at_ms = models.BigIntegerField()

    class Meta:
        db_table = "billing_parked_account"
        constraints = (
            models.UniqueConstraint(fields=("tenant_id", "run_id", "payer_id"), name="a_run_parks_a_payer_once"),
        )


class RecognitionRun(TenantTable):
    """Deferred revenue was recognised through this day for every line up to `last_line_id`."""

    append_only = True

    through_ms = models.BigIntegerField()
    last_line_id = models.BigIntegerField()
    recognised_at_ms = models.BigIntegerField()

    class Meta:
        db_table = "billing_recognition_run"
        constraints = (models.UniqueConstraint(fields=("tenant_id", "through_ms"), name="a_day_is_recognised_once"),)
