"""Snapshots: all tables of a shard as of one batch, in a folder of files; written aside, renamed when complete.

    snapshot-<sequence>/manifest.json    what is in it: layouts, rows, digests; and its own digest
    snapshot-<sequence>/<table>.rows     the rows as they lie in memory

Restart takes the newest sound one and replays the journal after it. Two are kept.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from millicent.charging.journal.layouts import description_text, layout_of
from millicent.charging.types import Rows
from millicent.kit.errors import Outage

KEPT = 2
VERSION = 1
_PREFIX, _UNFINISHED = "snapshot-", "unfinished-"
_MANIFEST = "manifest.json"
_DIGEST_BYTES = 16
_READERS = 2


class SnapshotUnsound(Outage):
    """A snapshot's files do not say what was written: an older one is taken."""

    code = "charging_snapshot_unsound"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A snapshot on disk."""

    folder: Path
    sequence: int
    size_bytes: int
    digest: str


def snapshot_folder(home: Path, *, tenant: str, shard: int) -> Path:
    return home / "charging" / tenant / str(shard)


def write_snapshot(
    folder: Path, tables: Mapping[str, Rows], *, shard: int, sequence: int, taken_at_ms: int
) -> Snapshot:
    """Write, force to the disk, rename. A crash leaves an unfinished folder that nobody reads."""
    final = folder / f"{_PREFIX}{sequence:020}"
    unfinished = folder / f"{_UNFINISHED}{sequence:020}"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    written = [_write_table(unfinished, name, rows) for name, rows in tables.items()]
    manifest = {
        "version": VERSION, "shard": shard, "sequence": sequence, "taken_at_ms": taken_at_ms, "tables": written,
    }  # fmt: skip
    digest = _manifest_digest(manifest)
    _write_file(unfinished / _MANIFEST, json.dumps({"digest": digest, "manifest": manifest}, indent=1).encode())
    _force(unfinished)
    aside = _set_aside(final) if final.exists() else None
    unfinished.rename(final)
    _force(folder)
    if aside is not None:
        shutil.rmtree(aside, ignore_errors=True)
    size = sum(table["bytes"] for table in written)
    return Snapshot(folder=final, sequence=sequence, size_bytes=size, digest=digest)


def _set_aside(final: Path) -> Path:
    """Under a name that nobody reads: whoever is killed while it deletes leaves no snapshot with half its tables."""
    aside = final.with_name(f"{_UNFINISHED}{final.name}")
    shutil.rmtree(aside, ignore_errors=True)
    return final.rename(aside)


def _write_table(folder: Path, name: str, rows: Rows) -> dict[str, Any]:
    content = np.ascontiguousarray(rows).view(np.uint8).reshape(-1).data
    _write_file(folder / f"{name}.rows", content)
    return {
        "name": name,
        "rows": len(rows),
        "bytes": len(content),
        "digest": _digest(content),
        "layout": json.loads(description_text(rows.dtype)),
    }


def _write_file(path: Path, content: bytes | memoryview) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _digest(content: bytes | memoryview) -> str:
    return hashlib.blake2b(content, digest_size=_DIGEST_BYTES).hexdigest()


def _manifest_digest(manifest: Mapping[str, object]) -> str:
    return _digest(json.dumps(manifest, sort_keys=True).encode())


def _force(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def snapshots_of(folder: Path) -> Iterator[Snapshot]:
    """Every finished snapshot whose manifest is sound, newest first. Its tables have not been looked at."""
    for each in sorted(folder.glob(f"{_PREFIX}*"), reverse=True):
        try:
            manifest, digest = _manifest_of(each)
        except SnapshotUnsound:
            continue
        size = sum(table["bytes"] for table in manifest["tables"])
        yield Snapshot(folder=each, sequence=manifest["sequence"], size_bytes=size, digest=digest)


def read_snapshot(snapshot: Snapshot) -> dict[str, Rows]:
    """Its tables, each with its digest checked. Raises SnapshotUnsound."""
    manifest, _ = _manifest_of(snapshot.folder)
    with ThreadPoolExecutor(_READERS) as readers:  # reading and digesting leave the interpreter to others
        rows = readers.map(partial(_read_table, snapshot.folder), manifest["tables"])
        return {table["name"]: each for table, each in zip(manifest["tables"], rows, strict=True)}


def _manifest_of(folder: Path) -> tuple[dict[str, Any], str]:
    try:
        document = json.loads((folder / _MANIFEST).read_text())
        manifest, digest = document["manifest"], document["digest"]
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise SnapshotUnsound(f"{folder}: its manifest cannot be read: {fault}") from fault
    if _manifest_digest(manifest) != digest or manifest["version"] != VERSION:
        raise SnapshotUnsound(f"{folder}: its manifest is not what was written")
    return manifest, digest


def _read_table(folder: Path, table: Mapping[str, Any]) -> Rows:
    path = folder / f"{table['name']}.rows"
    try:
        content = np.fromfile(path, np.uint8)
    except OSError as fault:
        raise SnapshotUnsound(f"{path} cannot be read: {fault}") from fault
    if len(content) != table["bytes"] or _digest(content.data) != table["digest"]:
        raise SnapshotUnsound(f"{path} is not what was written")
    rows: Rows = content.view(layout_of(table["layout"]))
    return rows


def drop_old_snapshots(folder: Path, *, kept: int = KEPT) -> list[int]:
    """Delete all but the newest, and what was never finished. Returns the sequences that are left, newest first."""
    for unfinished in folder.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(unfinished, ignore_errors=True)
    found = sorted(folder.glob(f"{_PREFIX}*"), reverse=True)
    for old in found[kept:]:
        shutil.rmtree(_set_aside(old), ignore_errors=True)
    return [int(each.name.removeprefix(_PREFIX)) for each in found[:kept]]
