"""`millicent backup DIR`: both stores, consistent with each other."""

from pathlib import Path

import typer

from millicent.config.output import JSON_OPTION, say, show_record

app = typer.Typer(help="Copy both stores to a folder, consistent and checked.")


@app.command()
def backup(
    folder: Path = typer.Argument(help="A folder that does not exist yet."),
    check: bool = typer.Option(False, "--check", help="Only check a backup that is there: every file, every digest."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Write database and lake to a folder. The installation may be in use meanwhile.

    The folder holds customers' records in clear: keep it where only the right people can read it.
    """
    from millicent.config.backup import create_backup, read_backup
    from millicent.config.settings import settings

    if check:
        manifest = read_backup(folder)
    else:
        from millicent.config.setup import open_stores

        open_stores()
        from millicent.config.django import DATABASE_URLS as urls
        from millicent.kit.clock import system_now

        manifest = create_backup(folder, settings=settings(), urls=urls, now=system_now(), tell=say)
    show_record("Backup", summary(folder, manifest), as_json=as_json)


def summary(folder: Path, manifest: object) -> dict[str, object]:
    """What a person wants to know about a backup."""
    from millicent.config.backup import Manifest

    assert isinstance(manifest, Manifest)
    return {
        "folder": str(folder),
        "created_at": manifest.created_at,
        "files": len(manifest.files),
        "bytes": sum(each.size_bytes for each in manifest.files),
        "database_rows": sum(manifest.table_rows.values()),
        "lake_tables": len(manifest.table_versions),
    }
