"""Both stores in one folder, consistent with each other, and back again.

A backup holds `database.dump` (pg_dump, custom format), `lake/` (every file of every table at one version), `charging/`
(snapshots of the charging shards: a journal that was pruned needs them) and `manifest.json`, which is written last and
lists the rest with sizes and SHA-256 digests.

Consistency: the database's snapshot is taken while no commit reaches the lake, so what the database says about the
lake is exactly what the copied versions hold.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote

import psycopg
from deltalake import DeltaTable
from pyarrow.fs import FileSelector, FileSystem, FileType

from millicent import __version__
from millicent.config.postgres_programs import dump_database, restore_database
from millicent.config.settings import Settings
from millicent.config.stores import lake_files, lake_tables
from millicent.kit.errors import Outage, Refusal
from millicent.kit.postgres import DatabaseUrls, connect

FORMAT = "millicent-backup"
FORMAT_VERSION = 1
DUMP = "database.dump"
MANIFEST = "manifest.json"
CHARGING = "charging"
_SNAPSHOT_ATTEMPTS = 200
_PIECE_BYTES = 4 * 1024 * 1024
Progress = Callable[[str], None]


class BackupFolderTaken(Refusal):
    """The folder for a new backup is there already."""

    code = "backup_folder_taken"


class BackupForeign(Refusal):
    """The folder is not a backup that this program wrote, or a newer program wrote it."""

    code = "backup_foreign"


class BackupDamaged(Refusal):
    """A file of the backup is missing, cut short or changed."""

    code = "backup_damaged"


class RestoreNeedsEmptyStores(Refusal):
    """The stores to restore into already hold something; nothing is ever overwritten."""

    code = "restore_needs_empty_stores"


class LakeNeverQuiet(Outage):
    """Commits reached the lake so fast that no moment between two of them was found."""

    code = "lake_never_quiet"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupFile:
    """One file of a backup, `path` relative to its folder."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup holds. `table_versions` are those of the lake's tables; `table_rows` those of the database."""

    created_at: str
    millicent_version: str
    server_version: int
    table_versions: dict[str, int]
    table_rows: dict[str, int]
    files: tuple[BackupFile, ...]


def create_backup(
    folder: Path, *, settings: Settings, urls: DatabaseUrls, now: datetime, tell: Progress = lambda _: None
) -> Manifest:
    """Write a backup; it appears under its name only when it is complete."""
    if not urls.admin:
        raise Refusal("a backup reads every tenant's rows: set MILLICENT_BACKUP_DATABASE_URL to a role that may")
    if folder.exists():
        raise BackupFolderTaken(f"{folder} exists already; a backup never overwrites anything", folder=str(folder))
    unfinished = folder.with_name(folder.name + ".unfinished")
    unfinished.mkdir(parents=True, mode=0o700)
    lake = lake_files(settings)
    _copy_snapshots(settings.home_path, unfinished)  # before the journal, which then goes on from them
    with connect(urls.admin) as connection:
        snapshot, versions = _quiet_moment(connection, settings, lake)
        rows = _count_rows(connection)
        tell("database")
        dump_database(urls.admin, snapshot=snapshot, target=unfinished / DUMP)
        server_version = connection.info.server_version
    for table, version in versions.items():
        tell(f"lake table {table}")
        _copy_table(lake, settings, table, version=version, folder=unfinished / "lake")
    manifest = Manifest(
        created_at=now.isoformat(),
        millicent_version=__version__,
        server_version=server_version,
        table_versions=versions,
        table_rows=rows,
        files=tuple(_describe(unfinished, path) for path in _files_below(unfinished)),
    )
    (unfinished / MANIFEST).write_text(_write_manifest(manifest))
    unfinished.rename(folder)
    return manifest


def read_backup(folder: Path) -> Manifest:
    """Read a manifest and check every file against it; whatever is wrong is named."""
    manifest = _read_manifest(folder / MANIFEST)
    listed = {each.path for each in manifest.files}
    if DUMP not in listed:
        raise BackupDamaged(f"{folder}: the manifest lists no {DUMP}")
    for each in manifest.files:
        if not (folder / each.path).is_file() or _describe(folder, each.path) != each:
            raise BackupDamaged(f"{folder / each.path} is missing or changed", file=each.path)
    return manifest


def restore_backup(
    folder: Path, *, settings: Settings, urls: DatabaseUrls, tell: Progress = lambda _: None
) -> Manifest:
    """Check the backup, see that both stores are empty, bring them back. The lake first: the database refers to it."""
    tell("checking the backup")
    manifest = read_backup(folder)
    if not urls.owner:
        raise Refusal("a restore makes tables: set MILLICENT_OWNER_DATABASE_URL")
    lake = lake_files(settings)
    _refuse_stores_in_use(urls, lake)
    for each in sorted(manifest.files, key=_log_entries_last):
        if each.path.startswith("lake/"):
            _bring_back(lake, folder / each.path, path=each.path.removeprefix("lake/"))
        elif each.path.startswith(f"{CHARGING}/"):
            target = settings.home_path / each.path
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            shutil.copyfile(folder / each.path, target)
    tell("database")
    restore_database(urls.owner, source=folder / DUMP)
    return manifest


def _quiet_moment(connection: psycopg.Connection, settings: Settings, lake: FileSystem) -> tuple[str, dict[str, int]]:
    """A database snapshot and the lake's versions of the same moment: no commit came between two looks at the lake."""
    before = _table_versions(settings, lake)
    for _ in range(_SNAPSHOT_ATTEMPTS):
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        row = connection.execute("SELECT pg_export_snapshot()").fetchone()
        assert row is not None, "pg_export_snapshot always answers"
        after = _table_versions(settings, lake)
        if before == after:
            return str(row[0]), after
        connection.rollback()
        before = after
    raise LakeNeverQuiet("the lake is being written to without a pause; stop collecting for a moment and try again")


def _table_versions(settings: Settings, lake: FileSystem) -> dict[str, int]:
    return {table: _open(settings, table).version() for table in lake_tables(lake)}


def _open(settings: Settings, table: str, version: int | None = None) -> DeltaTable:
    url = f"{settings.lake_root.rstrip('/')}/{table}"
    return DeltaTable(url, version=version, storage_options=settings.storage_options or None)


def _count_rows(connection: psycopg.Connection) -> dict[str, int]:
    names = connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1"
    ).fetchall()
    counts = {}
    for (name,) in names:
        row = connection.execute(
            psycopg.sql.SQL("SELECT count(*) FROM {}").format(psycopg.sql.Identifier(name))
        ).fetchone()
        counts[name] = int(row[0]) if row else 0
    return counts


def _copy_table(lake: FileSystem, settings: Settings, table: str, *, version: int, folder: Path) -> None:
    """The log up to `version`, the files that version is made of, and files that no version has seen yet.

    The last are staged: the database may say that they are to be published, so they must come along.
    """
    log = [path for path in _listed(lake, f"{table}/_delta_log") if _log_version(path) in range(version + 1)]
    paths = _open(settings, table, version).get_add_actions().column("path").to_pylist()
    active = {f"{table}/{unquote(path)}" for path in paths}
    seen = {f"{table}/{path}" for entry in log if entry.endswith(".json") for path in _files_added_by(lake, entry)}
    staged = {path for path in _listed(lake, table) if "/_delta_log/" not in path and path not in seen | active}
    for path in (*log, *sorted(active | staged)):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with lake.open_input_stream(path) as source, target.open("xb") as copy:
            while piece := source.read(_PIECE_BYTES):
                copy.write(piece)


def _files_added_by(lake: FileSystem, entry: str) -> list[str]:
    with lake.open_input_stream(entry) as source:
        actions = [json.loads(line) for line in source.read().splitlines() if line]
    return [unquote(action["add"]["path"]) for action in actions if "add" in action]


def _listed(lake: FileSystem, folder: str) -> list[str]:
    found = lake.get_file_info(FileSelector(folder, recursive=True, allow_not_found=True))
    return sorted(each.path for each in found if each.type == FileType.File)


def _log_version(path: str) -> int:
    """The version in a log file's name; -1 for `_last_checkpoint` and whatever else is only a hint."""
    digits = path.rpartition("/")[2].partition(".")[0]
    return int(digits) if digits.isdigit() else -1


def _log_entries_last(file: BackupFile) -> tuple[bool, str]:
    return ("_delta_log" in file.path, file.path)


def _refuse_stores_in_use(urls: DatabaseUrls, lake: FileSystem) -> None:
    with connect(urls.owner) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        ).fetchone()
    if row is not None and row[0]:
        raise RestoreNeedsEmptyStores(f"the database holds {row[0]} tables; restore into a new MILLICENT_HOME")
    taken = list(lake_tables(lake))
    if taken:
        raise RestoreNeedsEmptyStores(f"the lake holds {len(taken)} tables; restore into a new MILLICENT_HOME")


def _bring_back(lake: FileSystem, source: Path, *, path: str) -> None:
    with source.open("rb") as file, lake.open_output_stream(path) as copy:
        while piece := file.read(_PIECE_BYTES):
            copy.write(piece)


def _copy_snapshots(home: Path, folder: Path) -> None:
    """Finished snapshots never change; one that is dropped while it is copied has been followed by another."""
    for snapshot in sorted((home / CHARGING).glob("*/*/snapshot-*")):
        copy = folder / snapshot.relative_to(home)
        try:
            shutil.copytree(snapshot, copy)
        except (OSError, shutil.Error):
            shutil.rmtree(copy, ignore_errors=True)


def _files_below(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix()


def _describe(folder: Path, path: str) -> BackupFile:
    with (folder / path).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return BackupFile(path=path, size_bytes=(folder / path).stat().st_size, sha256=digest)


def _write_manifest(manifest: Manifest) -> str:
    """JSON with a digest of its own content, so that a changed manifest is noticed too."""
    content = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "created_at": manifest.created_at,
        "millicent_version": manifest.millicent_version,
        "server_version": manifest.server_version,
        "table_versions": manifest.table_versions,
        "table_rows": manifest.table_rows,
        "files": [[each.path, each.size_bytes, each.sha256] for each in manifest.files],
    }
    return json.dumps({**content, "digest": _digest(content)}, indent=1)


def _digest(content: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _read_manifest(file: Path) -> Manifest:
    try:
        content = json.loads(file.read_text())
        digest = content.pop("digest")
        known = (content["format"], content["format_version"]) == (FORMAT, FORMAT_VERSION)
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        raise BackupForeign(f"{file.parent} holds no {MANIFEST} of a Millicent backup") from None
    if not known:
        raise BackupForeign(f"{file} is of another program, or of a newer Millicent")
    if digest != _digest(content):
        raise BackupDamaged(f"{file} was changed after it was written")
    files = tuple(BackupFile(path=path, size_bytes=size, sha256=sha256) for path, size, sha256 in content["files"])
    return Manifest(
        created_at=content["created_at"],
        millicent_version=content["millicent_version"],
        server_version=content["server_version"],
        table_versions=content["table_versions"],
        table_rows=content["table_rows"],
        files=files,
    )
