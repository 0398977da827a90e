"""Who watches the policy counters of whom, what they were told, and what they have yet to be told."""

from django.db import models
from django.db.models import Q

from millicent.kit.tenancy import TenantTable


class StatusWatch(TenantTable):
    """One policy function watches one subscription. `statuses` is what is so, `number` counts how often it changed."""

    pk = models.CompositePrimaryKey("tenant_id", "reference")
    reference = models.TextField()  # the watcher's own
    listener = models.TextField()  # by whom reports are brought to it
    shard = models.IntegerField()
    subscription_id = models.BigIntegerField()
    counters = models.JSONField(default=list)  # codes; none: all that are declared
    statuses = models.JSONField(default=dict)  # counter -> status
    number = models.BigIntegerField(default=0)  # of the report that tells them
    told_number = models.BigIntegerField(default=0)  # of the last report that was handed over
    final = models.BooleanField(default=False)  # the subscription is gone
    tries = models.SmallIntegerField(default=0)
    next_try_ms = models.BigIntegerField(default=0)
    fault = models.TextField(default="")

    class Meta:
        db_table = "charging_status_watch"
        constraints = (
            models.CheckConstraint(condition=~Q(reference=""), name="a_watch_has_a_reference"),
            models.CheckConstraint(
                condition=Q(told_number__gte=0, told_number__lte=models.F("number")),
                name="nothing_is_told_before_it_is_so",
            ),
        )
        indexes = (
            models.Index(fields=("tenant_id", "shard", "subscription_id"), name="watches_by_subscription"),
            models.Index(
                fields=("next_try_ms",), condition=Q(told_number__lt=models.F("number")), name="reports_that_wait"
            ),
        )
