"""Passwords with which subscribers come on line."""

from django.db import models
from django.db.models import Q

from millicent.kit.tenancy import TenantTable


class NetworkCredential(TenantTable):
    """One user name of the network and its password, hashed or sealed: never in clear."""

    pk = models.CompositePrimaryKey("tenant_id", "user_name")
    user_name = models.TextField()  # an identifier of kind radius_user
    scheme = models.TextField()  # "hashed": for PAP; "sealed": for PAP and CHAP
    secret = models.BinaryField()
    set_at_ms = models.BigIntegerField()
    who = models.TextField()

    class Meta:
        db_table = "charging_network_credential"
        constraints = (
            models.CheckConstraint(
                condition=Q(scheme__in=["hashed", "sealed"]), name="a_network_password_is_hashed_or_sealed"
            ),
            models.CheckConstraint(condition=~Q(user_name=""), name="a_network_password_has_a_user"),
        )
