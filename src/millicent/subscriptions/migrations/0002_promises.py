"""Promises of the tables that Django cannot declare: nothing overlaps, and what was recorded is only superseded.

Range types have a GiST operator class of their own, so the exclusions need no extension: an id stands as the range
that holds just itself, and a text as a range of texts. An identifier is found by its hash and settled by its text.
"""

from django.db import migrations

VERSIONS_DO_NOT_OVERLAP = """
ALTER TABLE subscriptions_version ADD CONSTRAINT versions_of_a_subscription_do_not_overlap
EXCLUDE USING gist (
    int8range(subscription_id, subscription_id, '[]') WITH =,
    int8range(effective_from_ms, effective_until_ms) WITH &&
) WHERE (superseded_at_ms IS NULL)
"""

ONE_HOLDER = """
CREATE TYPE subscriptions_text_interval AS RANGE (subtype = text, collation = "C");
ALTER TABLE subscriptions_serviceidentifier ADD CONSTRAINT an_identifier_has_one_holder_at_a_time
EXCLUDE USING gist (
    int8range(
        hashtextextended(tenant_id::text || ' ' || kind || ' ' || identifier, 0) >> 1,
        hashtextextended(tenant_id::text || ' ' || kind || ' ' || identifier, 0) >> 1, '[]'
    ) WITH =,
    subscriptions_text_interval(
        tenant_id::text || ' ' || kind || ' ' || identifier, tenant_id::text || ' ' || kind || ' ' || identifier, '[]'
    ) WITH =,
    int8range(effective_from_ms, effective_until_ms) WITH &&
) WHERE (superseded_at_ms IS NULL);
"""

ONLY_SUPERSEDED = """
CREATE FUNCTION subscriptions_refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.superseded_at_ms IS NOT NULL OR NEW.superseded_at_ms IS NULL
       OR (to_jsonb(NEW) - 'superseded_at_ms') <> (to_jsonb(OLD) - 'superseded_at_ms') THEN
        RAISE EXCEPTION 'a recorded version is never rewritten, only superseded, and that once'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'a_recorded_version_is_only_superseded';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER a_recorded_version_is_only_superseded BEFORE UPDATE ON subscriptions_version
FOR EACH ROW EXECUTE FUNCTION subscriptions_refuse_rewriting();
CREATE TRIGGER a_recorded_identifier_is_only_superseded BEFORE UPDATE ON subscriptions_serviceidentifier
FOR EACH ROW EXECUTE FUNCTION subscriptions_refuse_rewriting();
"""


class Migration(migrations.Migration):
    dependencies = [("subscriptions", "0001_initial")]
    operations = [
        migrations.RunSQL(
            VERSIONS_DO_NOT_OVERLAP,
            "ALTER TABLE subscriptions_version DROP CONSTRAINT versions_of_a_subscription_do_not_overlap",
        ),
        migrations.RunSQL(
            ONE_HOLDER,
            "ALTER TABLE subscriptions_serviceidentifier DROP CONSTRAINT an_identifier_has_one_holder_at_a_time;"
            "DROP TYPE subscriptions_text_interval",
        ),
        migrations.RunSQL(ONLY_SUPERSEDED, "DROP FUNCTION subscriptions_refuse_rewriting CASCADE"),
    ]
