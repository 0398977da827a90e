"""How often each coupon was redeemed."""

from django.db import migrations, models

import millicent.kit.tenancy


class Migration(migrations.Migration):
    dependencies = [
        ("subscriptions", "0002_promises"),
    ]

    operations = [
        migrations.CreateModel(
            name="CouponTally",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("tenant_id", models.UUIDField(db_default=millicent.kit.tenancy.CurrentTenant(), editable=False)),
                ("coupon", models.TextField()),
                ("redeemed", models.IntegerField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("tenant_id", "coupon"), name="a_coupon_has_one_tally"),
                    models.CheckConstraint(
                        condition=models.Q(("redeemed__gte", 0)), name="a_tally_counts_from_nothing"
                    ),
                ],
            },
        ),
    ]
