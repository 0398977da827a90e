"""`millicent migrate`: the one command that needs the owner role of a database of yours."""

import typer

from millicent.config.output import JSON_OPTION, show_record

app = typer.Typer(help="Bring the tables of the database up to date.")


@app.command()
def migrate(
    check: bool = typer.Option(False, "--check", help="Change nothing; end with 3 when something is pending."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Apply pending migrations as the owner role, then protect every table. Nothing pending: nothing happens."""
    from millicent.config import setup

    setup.prepare_django()
    pending = setup.pending_changes()
    if pending and check:
        raise setup.MigrationsPending(f"{len(pending)} changes are pending, first {pending[0]}", pending=pending)
    if pending:
        setup.migrate_tables()
    show_record("Migrations", {"applied": len(pending), "names": ", ".join(pending)}, as_json=as_json)
