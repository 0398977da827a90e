"""Parties change their names and billing accounts their addresses, from a day on.

Later names are guarded by the function that guards terms.
"""

import django.db.models.deletion
from django.db import migrations, models

import millicent.kit.tenancy

ONLY_SUPERSEDED = """
CREATE TRIGGER recorded_names_are_only_superseded BEFORE UPDATE ON customers_partyname
FOR EACH ROW EXECUTE FUNCTION customers_refuse_rewriting();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("customers", "0003_changes_of_terms"),
    ]

    operations = [
        migrations.CreateModel(
            name="PartyName",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("tenant_id", models.UUIDField(db_default=millicent.kit.tenancy.CurrentTenant(), editable=False)),
                ("name", models.TextField()),
                ("effective_from_ms", models.BigIntegerField()),
                ("recorded_at_ms", models.BigIntegerField()),
                ("superseded_at_ms", models.BigIntegerField(null=True)),
                (
                    "party",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="later_names",
                        to="customers.party",
                    ),
                ),
            ],
        ),
        migrations.AddConstraint(
            model_name="partyname",
            constraint=models.UniqueConstraint(
                condition=models.Q(("superseded_at_ms__isnull", True)),
                fields=("tenant_id", "party", "effective_from_ms"),
                name="a_party_has_one_name_from_an_instant_on",
            ),
        ),
        migrations.AddConstraint(
            model_name="partyname",
            constraint=models.CheckConstraint(
                condition=models.Q(("name", ""), _negated=True), name="a_later_name_is_not_empty"
            ),
        ),
        migrations.AddField(
            model_name="billingaccountterms",
            name="address",
            field=models.TextField(null=True),
        ),
        migrations.RunSQL(ONLY_SUPERSEDED, "DROP TRIGGER recorded_names_are_only_superseded ON customers_partyname"),
    ]
