"""Let the application role refresh the planner's statistics of a table, which PostgreSQL grants to owners only.

Without it a query right after a bulk insert is planned for an empty table and may take minutes. It changes no row.
"""

from django.db import migrations

REFRESH = """
CREATE FUNCTION kit_refresh_statistics(target regclass) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    EXECUTE format('ANALYZE %s', target);
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("kit", "0001_initial")]
    operations = [migrations.RunSQL(REFRESH, "DROP FUNCTION kit_refresh_statistics")]
