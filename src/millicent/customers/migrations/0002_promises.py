"""Promises of the tables that Django cannot declare: no overlap of terms, and who may pay for whom.

Range types have a GiST operator class of their own, so the exclusion needs no extension: the account's id stands as
the range that holds just itself.
"""

from django.db import migrations

NO_OVERLAP = """
ALTER TABLE customers_billingaccountterms ADD CONSTRAINT the_terms_of_an_account_do_not_overlap
EXCLUDE USING gist (
    int8range(billing_account_id, billing_account_id, '[]') WITH =,
    int8range(effective_from_ms, effective_until_ms) WITH &&
) WHERE (superseded_at_ms IS NULL)
"""

PAYER = """
CREATE FUNCTION customers_check_payer() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE stranger record;
BEGIN
    WITH RECURSIVE above AS (
        SELECT id, billing_account_id AS reached_id, payer_id FROM written WHERE payer_id <> billing_account_id
        UNION ALL
        SELECT above.id, account.parent_id, above.payer_id
        FROM above JOIN customers_billingaccount account ON account.id = above.reached_id
        WHERE account.parent_id IS NOT NULL AND above.reached_id <> above.payer_id
    )
    SELECT written.billing_account_id, written.payer_id INTO stranger
    FROM written
    WHERE written.payer_id <> written.billing_account_id
      AND NOT EXISTS (SELECT 1 FROM above WHERE above.id = written.id AND above.reached_id = written.payer_id)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'billing account % does not stand under %, which cannot pay for it',
            stranger.billing_account_id, stranger.payer_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'a_payer_is_the_account_or_one_above_it';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER a_payer_is_the_account_or_one_above_it AFTER INSERT ON customers_billingaccountterms
REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION customers_check_payer();
"""

ONLY_SUPERSEDED = """
CREATE FUNCTION customers_refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.superseded_at_ms IS NOT NULL OR NEW.superseded_at_ms IS NULL
       OR (to_jsonb(NEW) - 'superseded_at_ms') <> (to_jsonb(OLD) - 'superseded_at_ms') THEN
        RAISE EXCEPTION 'recorded terms are never rewritten, only superseded, and that once'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'recorded_terms_are_only_superseded';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER recorded_terms_are_only_superseded BEFORE UPDATE ON customers_billingaccountterms
FOR EACH ROW EXECUTE FUNCTION customers_refuse_rewriting();
"""


class Migration(migrations.Migration):
    dependencies = [("customers", "0001_initial")]
    operations = [
        migrations.RunSQL(
            NO_OVERLAP,
            "ALTER TABLE customers_billingaccountterms DROP CONSTRAINT the_terms_of_an_account_do_not_overlap",
        ),
        migrations.RunSQL(PAYER, "DROP FUNCTION customers_check_payer CASCADE"),
        migrations.RunSQL(ONLY_SUPERSEDED, "DROP FUNCTION customers_refuse_rewriting CASCADE"),
    ]
