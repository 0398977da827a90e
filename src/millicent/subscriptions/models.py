"""Who has what: subscriptions, their versions over time, and the names under which the network knows them."""

from django.db import models
from django.db.models import F, Q

from millicent.kit.tenancy import TenantTable
from millicent.subscriptions.types import IdentifierKind, SubscriptionStatus


class Subscription(TenantTable):
    """One thing a customer has. What it is at any instant is in its versions."""

    code = models.TextField()
    billing_account = models.ForeignKey("customers.BillingAccount", on_delete=models.PROTECT, related_name="+")
    pool = models.TextField(default="")
    recorded_at_ms = models.BigIntegerField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("tenant_id", "code"), name="a_subscription_code_is_given_once"),
            models.CheckConstraint(condition=~Q(code=""), name="a_subscription_has_a_code"),
        )


class SubscriptionVersionRow(TenantTable):
    """What held from `effective_from_ms` until `effective_until_ms` (NULL: still holds).

    A row is never rewritten: a change marks the rows it replaces with `superseded_at_ms` and inserts new ones, so
    what was known at any instant can be read again. `learned_at_ms` is when the content was first known; a row that
    is only shortened keeps it. Kept by the migration: no two believed rows of one subscription overlap (exclusion
    constraint `versions_of_a_subscription_do_not_overlap`), and nothing but `superseded_at_ms` may be updated, once
    (trigger `a_recorded_version_is_only_superseded`).
    """

    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="versions")
    effective_from_ms = models.BigIntegerField()
    effective_until_ms = models.BigIntegerField(null=True)
    offering = models.TextField()
    status = models.TextField()
    quantity = models.IntegerField(default=1)
    price_overrides = models.JSONField(default=dict)
    add_ons = models.JSONField(default=list)
    coupons = models.JSONField(default=list)
    characteristics = models.JSONField(default=dict)
    learned_at_ms = models.BigIntegerField()
    recorded_at_ms = models.BigIntegerField()
    superseded_at_ms = models.BigIntegerField(null=True)

    class Meta:
        db_table = "subscriptions_version"
        constraints = (
            models.CheckConstraint(
                condition=Q(effective_until_ms__isnull=True) | Q(effective_until_ms__gt=F("effective_from_ms")),
                name="a_version_ends_after_it_begins",
            ),
            models.CheckConstraint(
                condition=Q(status__in=[status.value for status in SubscriptionStatus]),
                name="a_version_has_a_known_status",
            ),
            models.CheckConstraint(condition=Q(quantity__gte=1), name="a_version_has_a_quantity"),
            models.CheckConstraint(condition=~Q(offering=""), name="a_version_names_its_offering"),
            models.CheckConstraint(
                condition=Q(superseded_at_ms__isnull=True) | Q(superseded_at_ms__gte=F("recorded_at_ms")),
                name="a_version_is_superseded_after_it_was_recorded",
            ),
        )
        indexes = (models.Index(fields=("subscription", "effective_from_ms"), name="versions_by_subscription"),)


class SubscriptionChange(TenantTable):
    """Who changed a subscription, to what effect and why."""

    append_only = True

    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="changes")
    verb = models.TextField()
    effective_at_ms = models.BigIntegerField()
    recorded_at_ms = models.BigIntegerField()
    who = models.TextField()
    why = models.TextField(default="")
    details = models.JSONField(default=dict)


class CouponTally(TenantTable):
    """How many subscriptions redeemed a coupon. Its row is locked while one more is let in: see `lock_tallies`."""

    coupon = models.TextField()
    redeemed = models.IntegerField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("tenant_id", "coupon"), name="a_coupon_has_one_tally"),
            models.CheckConstraint(condition=Q(redeemed__gte=0), name="a_tally_counts_from_nothing"),
        )


class ServiceIdentifier(TenantTable):
    """A number, SIM, user name, address or device that the network reports, and who held it from when until when.

    A reused number has one row for each holder. Two believed rows of one identifier never overlap (exclusion
    constraint `an_identifier_has_one_holder_at_a_time`, in the migration).
    """

    kind = models.TextField()
    identifier = models.CharField(max_length=255)  # normalised: see rules.normalise_identifier
    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="identifiers")
    effective_from_ms = models.BigIntegerField()
    effective_until_ms = models.BigIntegerField(null=True)
    recorded_at_ms = models.BigIntegerField()
    superseded_at_ms = models.BigIntegerField(null=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(effective_until_ms__isnull=True) | Q(effective_until_ms__gt=F("effective_from_ms")),
                name="an_identifier_is_released_after_it_is_taken",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=[kind.value for kind in IdentifierKind]), name="an_identifier_is_of_a_known_kind"
            ),
            models.CheckConstraint(condition=~Q(identifier=""), name="an_identifier_is_not_empty"),
        )
