"""What PostgreSQL itself keeps true of the ledger, whatever program writes to it.

An entry's postings are complete, of its currency and sum to zero when the transaction commits. A posting can only
take a place that its entry announced, so nothing can join an entry later. Nothing is changed, deleted or truncated,
not even by the owner of the tables. Nothing enters a closed period.
"""

from django.db import migrations

GUARDS = """
CREATE FUNCTION ledger_entry_sums_to_zero() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    places bigint;
    total numeric;
BEGIN
    SELECT count(*), sum(amount_nanos) INTO places, total
    FROM ledger_posting WHERE tenant_id = NEW.tenant_id AND entry_sequence = NEW.sequence;
    IF places <> NEW.posting_count OR total IS DISTINCT FROM 0 THEN
        RAISE EXCEPTION 'ledger entry % has % of % postings, and they sum to %',
            NEW.sequence, places, NEW.posting_count, total
            USING ERRCODE = 'check_violation', CONSTRAINT = 'an_entry_sums_to_zero', TABLE = 'ledger_entry';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER an_entry_sums_to_zero AFTER INSERT ON ledger_entry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_entry_sums_to_zero();

-- One statement brings the postings of neighbouring entries: read that range once, whatever the statistics say.
CREATE FUNCTION ledger_posting_has_its_place() RETURNS trigger LANGUAGE plpgsql SET enable_nestloop = off AS $$
DECLARE
    stray record;
    lowest bigint;
    highest bigint;
BEGIN
    SELECT min(entry_sequence), max(entry_sequence) INTO lowest, highest FROM arrived;
    SELECT p.entry_sequence, p.place INTO stray
    FROM arrived p LEFT JOIN ledger_entry e ON e.tenant_id = p.tenant_id AND e.sequence = p.entry_sequence
        AND e.sequence BETWEEN lowest AND highest
    WHERE e.sequence IS NULL OR e.currency <> p.currency OR p.place >= e.posting_count LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'posting % of ledger entry % has no place in it', stray.place, stray.entry_sequence
            USING ERRCODE = 'check_violation', CONSTRAINT = 'a_posting_has_its_place', TABLE = 'ledger_posting';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER a_posting_has_its_place AFTER INSERT ON ledger_posting
    REFERENCING NEW TABLE AS arrived FOR EACH STATEMENT EXECUTE FUNCTION ledger_posting_has_its_place();

CREATE FUNCTION ledger_period_is_open() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    late record;
BEGIN
    SELECT a.sequence INTO late FROM arrived a
    JOIN (SELECT tenant_id, max(closed_until_ms) AS closed_until_ms FROM ledger_period_close GROUP BY tenant_id) c
        ON c.tenant_id = a.tenant_id AND a.occurred_at_ms < c.closed_until_ms
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'ledger entry % happened in a closed period', late.sequence
            USING ERRCODE = 'check_violation', CONSTRAINT = 'a_closed_period_takes_no_entry', TABLE = 'ledger_entry';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER a_closed_period_takes_no_entry AFTER INSERT ON ledger_entry
    REFERENCING NEW TABLE AS arrived FOR EACH STATEMENT EXECUTE FUNCTION ledger_period_is_open();

CREATE FUNCTION ledger_never_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: post a correction instead', TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation', CONSTRAINT = 'the_ledger_never_changes', TABLE = TG_TABLE_NAME;
END $$;
"""

TABLES = ("ledger_entry", "ledger_posting", "ledger_head", "ledger_period_close", "ledger_declared_account")

NEVER_CHANGES = "".join(
    f"""
CREATE TRIGGER the_ledger_never_changes BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_never_changes();
"""
    for table in TABLES
)

UNGUARD = (
    "".join(f"DROP TRIGGER the_ledger_never_changes ON {table};" for table in TABLES)
    + """
DROP TRIGGER a_closed_period_takes_no_entry ON ledger_entry;
DROP TRIGGER a_posting_has_its_place ON ledger_posting;
DROP TRIGGER an_entry_sums_to_zero ON ledger_entry;
DROP FUNCTION ledger_never_changes();
DROP FUNCTION ledger_period_is_open();
DROP FUNCTION ledger_posting_has_its_place();
DROP FUNCTION ledger_entry_sums_to_zero();
"""
)


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_initial")]
    operations = [migrations.RunSQL(GUARDS + NEVER_CHANGES, reverse_sql=UNGUARD)]
