"""`millicent restore DIR`: both stores back, into a new home."""

from pathlib import Path

import typer

from millicent.config.output import JSON_OPTION, say, show_record

app = typer.Typer(help="Bring both stores back from a backup folder.")


@app.command()
def restore(folder: Path = typer.Argument(help="A folder that `backup` wrote."), as_json: bool = JSON_OPTION) -> None:
    """Check every file, then restore database and lake. Both must be empty: nothing is ever overwritten."""
    from millicent.config import setup
    from millicent.config.backup import restore_backup
    from millicent.config.commands.backup import summary
    from millicent.config.settings import settings

    setup.prepare_django()
    from millicent.config.django import DATABASE_URLS

    manifest = restore_backup(folder, settings=settings(), urls=DATABASE_URLS, tell=say)
    setup.migrate_tables()  # grants and row security; and what is new since the backup
    say("event keys")
    _rebuild_event_keys()
    show_record("Restored", summary(folder, manifest), as_json=as_json)


def _rebuild_event_keys() -> None:
    """The files of event keys live outside both stores and are made again from them."""
    from millicent.config.watching import mediation_stores
    from millicent.kit.models import Tenant
    from millicent.kit.tenancy import tenant_scope
    from millicent.mediation.models import UsageSource
    from millicent.mediation.services.rebuild_key_index import rebuild_key_index

    for tenant_id in Tenant.objects.values_list("id", flat=True):
        with tenant_scope(tenant_id):
            families = set(UsageSource.objects.values_list("family", flat=True))
        for family in sorted(families):
            rebuild_key_index(tenant_id=tenant_id, stores=mediation_stores(tenant_id), family=family)
