"""Releases of the catalogue: numbered, dated, never changed."""

from django.db import models
from django.db.models import F, Q

from millicent.kit.tenancy import TenantTable


class CatalogRelease(TenantTable):
    """One release: its files as they were, who made it, why, and from when it holds."""

    append_only = True

    pk = models.CompositePrimaryKey("tenant_id", "number")
    number = models.PositiveIntegerField()
    effective_from_ms = models.BigIntegerField()
    recorded_at_ms = models.BigIntegerField()
    digest = models.CharField(max_length=64)
    content = models.BinaryField()
    author = models.TextField()
    approved_by = models.TextField(default="")
    reason = models.TextField(default="")

    class Meta:
        db_table = "catalog_release"
        constraints = (
            models.CheckConstraint(condition=Q(number__gte=1), name="release_numbers_begin_at_one"),
            models.CheckConstraint(condition=~Q(author=""), name="a_release_has_an_author"),
            models.CheckConstraint(condition=~Q(approved_by=F("author")), name="nobody_approves_their_own_release"),
            models.CheckConstraint(
                condition=Q(digest__regex=r"^[0-9a-f]{64}$"), name="a_release_is_named_by_its_sha256"
            ),
        )
