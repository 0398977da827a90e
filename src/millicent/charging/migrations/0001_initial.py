"""What PostgreSQL itself keeps true of the journal, whatever program writes to it.

A batch, a layout and a name never change. A batch leaves the journal only when a kept snapshot covers it and every
reader has passed it. Layouts and names never leave.
"""

from django.db import migrations, models

import millicent.kit.tenancy

GUARDS = """
ALTER TABLE charging_journal ALTER COLUMN payload SET STORAGE EXTERNAL;

CREATE FUNCTION charging_never_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation', CONSTRAINT = 'the_journal_never_changes', TABLE = TG_TABLE_NAME;
END $$;

CREATE FUNCTION charging_batch_may_leave() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    stray record;
BEGIN
    SELECT g.shard, g.sequence INTO stray FROM gone g WHERE
        NOT EXISTS (SELECT 1 FROM charging_snapshot s WHERE s.tenant_id = g.tenant_id AND s.shard = g.shard)
        OR g.sequence > (SELECT min(s.sequence) FROM charging_snapshot s
                         WHERE s.tenant_id = g.tenant_id AND s.shard = g.shard)
        OR g.sequence > (SELECT min(r.sequence) FROM charging_reader r
                         WHERE r.tenant_id = g.tenant_id AND r.shard = g.shard)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'batch % of shard % is needed by a snapshot or a reader', stray.sequence, stray.shard
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'a_batch_leaves_when_nobody_needs_it',
                  TABLE = 'charging_journal';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER a_batch_leaves_when_nobody_needs_it AFTER DELETE ON charging_journal
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION charging_batch_may_leave();
CREATE TRIGGER the_journal_never_changes BEFORE UPDATE OR TRUNCATE ON charging_journal
    FOR EACH STATEMENT EXECUTE FUNCTION charging_never_changes();
CREATE TRIGGER the_journal_never_changes BEFORE UPDATE OR DELETE OR TRUNCATE ON charging_layout
    FOR EACH STATEMENT EXECUTE FUNCTION charging_never_changes();
CREATE TRIGGER the_journal_never_changes BEFORE UPDATE OR DELETE OR TRUNCATE ON charging_name
    FOR EACH STATEMENT EXECUTE FUNCTION charging_never_changes();

-- The application role may not delete from an append-only table: this is the one way, and the trigger above judges it.
CREATE FUNCTION charging_prune_journal(of_shard integer, until_sequence bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    pruned bigint;
BEGIN
    DELETE FROM charging_journal WHERE shard = of_shard AND sequence <= until_sequence
        AND tenant_id = NULLIF(current_setting('millicent.tenant', true), '')::uuid;
    GET DIAGNOSTICS pruned = ROW_COUNT;
    RETURN pruned;
END $$;
"""

UNGUARD = """
DROP FUNCTION charging_prune_journal(integer, bigint);
DROP TRIGGER the_journal_never_changes ON charging_name;
DROP TRIGGER the_journal_never_changes ON charging_layout;
DROP TRIGGER the_journal_never_changes ON charging_journal;
DROP TRIGGER a_batch_leaves_when_nobody_needs_it ON charging_journal;
DROP FUNCTION charging_batch_may_leave();
DROP FUNCTION charging_never_changes();
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="JournalLayout",
            fields=[
                ("tenant_id", models.UUIDField(db_default=millicent.kit.tenancy.CurrentTenant(), editable=False)),
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id", "digest", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("digest", models.BigIntegerField()),
                ("description", models.JSONField()),
            ],
            options={
                "db_table": "charging_layout",
            },
        ),
        migrations.CreateModel(
            name="JournalBatch",
            fields=[
                ("tenant_id", models.UUIDField(db_default=millicent.kit.tenancy.CurrentTenant(), editable=False)),
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id", "shard", "sequence", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("shard", models.IntegerField()),
                ("sequence", models.BigIntegerField()),
                ("epoch", models.BigIntegerField()),
                ("command_count", models.IntegerField()),
                ("payload", models.BinaryField()),
                ("checksum", models.BinaryField(max_length=16)),
            ],
            options={
                "db_table": "charging_journal",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("sequence__gte", 1)), name="journal_sequences_count_from_one"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("epoch__gte", 1)), name="a_journalled_batch_has_an_epoch"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="JournalReader",
            fields=[
                ("tenant_id", models.UUIDField(db_default=millicent.kit.tenancy.CurrentTenant(), editable=False)),
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id", "shard", "name", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("shard", models.IntegerField()),
                ("name", models.TextField()),
                ("sequence", models.BigIntegerField()),
            ],
            options={
                "db_table": "charging_reader",
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("sequence__gte", 0)), name="a_reader_stands_at_a_batch"),
                    models.CheckConstraint(
                        condition=models.Q(("name", ""), _negated=True), name="a_reader_of_the_journal_has_a_name"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ProjectedBalance",
            fields=[
                ("tenant_id", models.UUIDField(db_default=millicent.kit.tenancy.CurrentTenant(), editable=False)),
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id", "shard", "bucket_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("shard", models.IntegerField()),
                ("bucket_id", models.BigIntegerField()),
                ("billing_account_id", models.BigIntegerField()),
                ("subscription_id", models.BigIntegerField(null=True)),
                ("kind", models.SmallIntegerField()),
                ("currency", models.TextField()),
                ("allowance", models.TextField()),
                ("remaining", models.BigIntegerField()),
                ("reserved", models.BigIntegerField()),
                ("valid_from_ms", models.BigIntegerField()),
                ("valid_until_ms", models.BigIntegerField()),
                ("sequence", models.BigIntegerField()),
            ],
            options={
                "db_table": "charging_balance",
                "indexes": [
                    models.Index(fields=["tenant_id", "billing_account_id"], name="balances_of_an_account"),
                    models.Index(fields=["tenant_id", "subscription_id"], name="balances_of_a_subscription"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("kind__gte", 0), ("reserved__gte", 0)),
                        name="a_balance_reserves_no_less_than_0",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("valid_until_ms__gte", models.F("valid_from_ms"))),
                        name="a_balance_ends_after_it_begins",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ShardLease",
            fields=[
                ("tenant_id", models.UUIDField(db_default=millicent.kit.tenancy.CurrentTenant(), editable=False)),
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id", "shard", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("shard", models.IntegerField()),
                ("epoch", models.BigIntegerField()),
                ("holder", models.TextField()),
                ("expires_at", models.DateTimeField()),
                ("address", models.TextField(default="")),
            ],
            options={
                "db_table": "charging_lease",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("shard__gte", 0)), name="shards_of_a_lease_count_from_zero"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("epoch__gte", 1)), name="epochs_of_a_lease_count_from_one"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ShardName",
            fields=[
                ("tenant_id", models.UUIDField(db_default=millicent.kit.tenancy.CurrentTenant(), editable=False)),
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id",
                        "shard",
                        "kind",
                        "number",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("shard", models.IntegerField()),
                ("kind", models.TextField()),
                ("number", models.IntegerField()),
                ("text", models.TextField()),
                ("sequence", models.BigIntegerField()),
            ],
            options={
                "db_table": "charging_name",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("kind", ""), _negated=True), name="a_name_of_a_shard_has_a_kind"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("number__gte", 0)), name="numbers_of_names_count_from_zero"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ShardSnapshot",
            fields=[
                ("tenant_id", models.UUIDField(db_default=millicent.kit.tenancy.CurrentTenant(), editable=False)),
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id", "shard", "sequence", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("shard", models.IntegerField()),
                ("sequence", models.BigIntegerField()),
                ("folder", models.TextField()),
                ("size_bytes", models.BigIntegerField()),
                ("digest", models.TextField()),
                ("taken_at_ms", models.BigIntegerField()),
            ],
            options={
                "db_table": "charging_snapshot",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("sequence__gte", 0), ("size_bytes__gte", 0)), name="a_snapshot_is_measured"
                    )
                ],
            },
        ),
        migrations.RunSQL(GUARDS, reverse_sql=UNGUARD),
    ]
