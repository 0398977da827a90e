"""The day's prepaid usage is kept by the taxes that are within it."""

from django.db import migrations, models

import millicent.kit.tenancy

_KEY = ("tenant_id", "shard", "day_ms", "currency", "ledger_account", "taxes")


class Migration(migrations.Migration):
    dependencies = [("charging", "0010_fees_are_looked_at")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    "ALTER TABLE charging_usage_day DROP CONSTRAINT charging_usage_day_pkey, "
                    "ADD COLUMN taxes text NOT NULL DEFAULT '', "
                    f"ADD PRIMARY KEY ({', '.join(_KEY)})",
                    reverse_sql=migrations.RunSQL.noop,
                ),
            ],
            state_operations=[
                migrations.DeleteModel(name="UsageDay"),
                migrations.CreateModel(
                    name="UsageDay",
                    fields=[
                        (
                            "tenant_id",
                            models.UUIDField(db_default=millicent.kit.tenancy.CurrentTenant(), editable=False),
                        ),
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                *_KEY, blank=True, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        ("shard", models.IntegerField()),
                        ("day_ms", models.BigIntegerField()),
                        ("currency", models.CharField(max_length=3)),
                        ("ledger_account", models.TextField()),
                        ("taxes", models.TextField(default="")),
                        ("amount_nanos", models.BigIntegerField()),
                        ("posted_nanos", models.BigIntegerField(default=0)),
                        ("postings", models.IntegerField(default=0)),
                    ],
                    options={"db_table": "charging_usage_day"},
                ),
            ],
        ),
    ]
