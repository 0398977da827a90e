"""Who pays: parties, billing accounts, their terms over time, exemptions. Instants are UTC milliseconds."""

from django.db import models
from django.db.models import F, Q

from millicent.catalog.types import PeriodUnit
from millicent.customers.types import PartyKind
from millicent.kit.tenancy import TenantTable

PERIOD_UNITS = [unit.value for unit in PeriodUnit]


class Party(TenantTable):
    """A person or an organisation, whatever roles it plays."""

    code = models.TextField()
    kind = models.TextField(default=PartyKind.PERSON.value)
    name = models.TextField()  # as it is printed: full name of a person, legal name of an organisation
    language = models.TextField(default="en")
    recorded_at_ms = models.BigIntegerField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("tenant_id", "code"), name="a_party_code_is_given_once"),
            models.CheckConstraint(condition=~Q(code="") & ~Q(name=""), name="a_party_has_a_code_and_a_name"),
            models.CheckConstraint(
                condition=Q(kind__in=[kind.value for kind in PartyKind]), name="a_party_is_of_a_known_kind"
            ),
        )


class PartyName(TenantTable):
    """A later name of a party: from `effective_from_ms` on, until the next believed one. Before: the party's own.

    Like terms, only superseded, never rewritten.
    """

    party = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="later_names")
    name = models.TextField()
    effective_from_ms = models.BigIntegerField()
    recorded_at_ms = models.BigIntegerField()
    superseded_at_ms = models.BigIntegerField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("tenant_id", "party", "effective_from_ms"),
                condition=Q(superseded_at_ms__isnull=True),
                name="a_party_has_one_name_from_an_instant_on",
            ),
            models.CheckConstraint(condition=~Q(name=""), name="a_later_name_is_not_empty"),
        )


class Contact(TenantTable):
    """How to reach a party."""

    party = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="contacts")
    kind = models.TextField()  # "email" | "phone" | "post"
    reach = models.TextField()  # the address or number itself

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("tenant_id", "party", "kind", "reach"), name="a_contact_is_kept_once"),
            models.CheckConstraint(
                condition=Q(kind__in=("email", "phone", "post")), name="a_contact_is_of_a_known_kind"
            ),
        )


class BillingAccount(TenantTable):
    """What charges are kept under. Its currency, zone and bill cycle hold for life; the rest is in its terms."""

    code = models.TextField()
    party = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="billing_accounts")
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="children")
    currency = models.CharField(max_length=3)
    zone = models.TextField()
    cycle_day = models.SmallIntegerField(default=1)
    cycle_count = models.SmallIntegerField(default=1)
    cycle_unit = models.TextField(default=PeriodUnit.MONTH.value)
    cycle_anchor_ms = models.BigIntegerField(default=0)
    address = models.TextField(default="")  # one line a line
    opened_at_ms = models.BigIntegerField()
    characteristics = models.JSONField(default=dict)
    recorded_at_ms = models.BigIntegerField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("tenant_id", "code"), name="a_billing_account_code_is_given_once"),
            models.CheckConstraint(condition=~Q(code=""), name="a_billing_account_has_a_code"),
            models.CheckConstraint(  # so no account can stand above itself, however many levels there are
                condition=Q(parent__isnull=True) | Q(parent__lt=F("id")), name="a_parent_is_opened_before_its_children"
            ),
            models.CheckConstraint(
                condition=Q(cycle_day__gte=1, cycle_day__lte=31), name="a_cycle_turns_on_day_1_to_31"
            ),
            models.CheckConstraint(condition=Q(cycle_count__gte=1), name="a_cycle_has_a_length"),
            models.CheckConstraint(condition=Q(cycle_unit__in=PERIOD_UNITS), name="a_cycle_is_of_a_known_unit"),
        )


class BillingAccountTerms(TenantTable):
    """What money depends on and may change: one row holds from `effective_from_ms` until `effective_until_ms`.

    Rows with `superseded_at_ms` are no longer believed, and stay: they say what was known before. No two believed
    rows of one account overlap (exclusion constraint `the_terms_of_an_account_do_not_overlap`, in the migration).
    """

    billing_account = models.ForeignKey(BillingAccount, on_delete=models.PROTECT, related_name="terms")
    effective_from_ms = models.BigIntegerField()
    effective_until_ms = models.BigIntegerField(null=True)
    payer = models.ForeignKey(BillingAccount, on_delete=models.PROTECT, related_name="+")
    language = models.TextField(default="en")
    segment = models.TextField(default="consumer")
    country = models.TextField(default="")
    jurisdiction = models.TextField(default="")
    is_business = models.BooleanField(default=False)
    tax_number = models.TextField(default="")
    reseller = models.TextField(default="")
    address = models.TextField(null=True)  # one line a line; null: as the account was opened
    recorded_at_ms = models.BigIntegerField()
    superseded_at_ms = models.BigIntegerField(null=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(effective_until_ms__isnull=True) | Q(effective_until_ms__gt=F("effective_from_ms")),
                name="terms_end_after_they_begin",
            ),
        )


class BillingAccountChange(TenantTable):
    """Who changed what of a billing account, from when on and why."""

    append_only = True

    billing_account = models.ForeignKey(BillingAccount, on_delete=models.PROTECT, related_name="changes")
    verb = models.TextField()
    effective_at_ms = models.BigIntegerField()
    recorded_at_ms = models.BigIntegerField()
    who = models.TextField()
    why = models.TextField(default="")
    details = models.JSONField(default=dict)


class TaxExemptionCertificate(TenantTable):
    """Why a tax is not charged, on whose paper, from when until when. Like terms, only superseded, never rewritten."""

    billing_account = models.ForeignKey(BillingAccount, on_delete=models.PROTECT, related_name="tax_exemptions")
    kind = models.TextField()
    jurisdiction = models.TextField()
    certificate = models.TextField()
    effective_from_ms = models.BigIntegerField()
    effective_until_ms = models.BigIntegerField(null=True)
    recorded_at_ms = models.BigIntegerField()
    superseded_at_ms = models.BigIntegerField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("tenant_id", "billing_account", "kind", "jurisdiction", "certificate", "effective_from_ms"),
                condition=Q(superseded_at_ms__isnull=True),
                name="an_exemption_is_believed_once",
            ),
            models.CheckConstraint(
                condition=Q(effective_until_ms__isnull=True) | Q(effective_until_ms__gt=F("effective_from_ms")),
                name="an_exemption_ends_after_it_begins",
            ),
            models.CheckConstraint(
                condition=~Q(kind="") & ~Q(certificate=""), name="an_exemption_names_its_kind_and_certificate"
            ),
        )
