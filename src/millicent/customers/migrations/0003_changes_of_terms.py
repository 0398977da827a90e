"""Terms and exemptions change after opening: who did it, and what is no longer believed.

Exemptions are guarded by the function that guards terms.
"""

import django.db.models.deletion
from django.db import migrations, models

import millicent.kit.tenancy

ONLY_SUPERSEDED = """
CREATE TRIGGER recorded_exemptions_are_only_superseded BEFORE UPDATE ON customers_taxexemptioncertificate
FOR EACH ROW EXECUTE FUNCTION customers_refuse_rewriting();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("customers", "0002_promises"),
    ]

    operations = [
        migrations.CreateModel(
            name="BillingAccountChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("tenant_id", models.UUIDField(db_default=millicent.kit.tenancy.CurrentTenant(), editable=False)),
                ("verb", models.TextField()),
                ("effective_at_ms", models.BigIntegerField()),
                ("recorded_at_ms", models.BigIntegerField()),
                ("who", models.TextField()),
                ("why", models.TextField(default="")),
                ("details", models.JSONField(default=dict)),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.RemoveConstraint(
            model_name="taxexemptioncertificate",
            name="an_exemption_is_recorded_once",
        ),
        migrations.AddField(
            model_name="taxexemptioncertificate",
            name="superseded_at_ms",
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddConstraint(
            model_name="taxexemptioncertificate",
            constraint=models.UniqueConstraint(
                condition=models.Q(("superseded_at_ms__isnull", True)),
                fields=("tenant_id", "billing_account", "kind", "jurisdiction", "certificate", "effective_from_ms"),
                name="an_exemption_is_believed_once",
            ),
        ),
        migrations.AddField(
            model_name="billingaccountchange",
            name="billing_account",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="changes", to="customers.billingaccount"
            ),
        ),
        migrations.RunSQL(
            ONLY_SUPERSEDED, "DROP TRIGGER recorded_exemptions_are_only_superseded ON customers_taxexemptioncertificate"
        ),
    ]
