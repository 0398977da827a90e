"""Backup and restore: what comes back is what was there, and nothing damaged or foreign comes back at all."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
from tests.kit.builders import NOW, a_tenant

from millicent.config import backup
from millicent.config.backup import (
    BackupDamaged,
    BackupFolderTaken,
    BackupForeign,
    RestoreNeedsEmptyStores,
    create_backup,
    read_backup,
    restore_backup,
)
from millicent.config.django import DATABASE_URLS
from millicent.config.settings import Settings
from millicent.kit.lake import Lake
from millicent.kit.lake_staging import publish, stage
from millicent.kit.models import Tenant

READ_BACK = """
import json, sys
from millicent.config.setup import open_stores, tenant_lake
open_stores()
from millicent.kit.models import Tenant
from millicent.kit.tenancy import unprotected_tables
tenant = Tenant.objects.get(id=sys.argv[1])
lake = tenant_lake(tenant.id)
print(json.dumps({
    "code": tenant.code,
    "numbers": sorted(lake.scan("usage").collect()["n"].to_list()),
    "sequence": lake.committed_sequence("usage", writer="w"),
    "again": lake.append("usage", lake.scan("usage").collect(), writer="w", sequence=3),
    "tenants": Tenant.objects.count(),
    "unprotected": unprotected_tables(),
}))
"""


@pytest.fixture
def stores(tmp_path):
    """The suite's database, and a lake of this test with one tenant's usage in it."""
    settings = Settings(home=str(tmp_path / "home"))
    tenant = a_tenant()
    lake = Lake(root=f"{settings.lake_root}/{tenant}")
    for sequence in range(4):
        rows = pl.DataFrame({"day": ["a b", "c/d"], "n": [sequence, sequence + 10]})
        lake.append("usage", rows, writer="w", sequence=sequence, partition_by=["day"])
    return SimpleNamespace(settings=settings, tenant=tenant, lake=lake, folder=tmp_path / "backup")


def back_up(stores) -> backup.Manifest:
    return create_backup(stores.folder, settings=stores.settings, urls=DATABASE_URLS, now=NOW)


def test_what_comes_back_in_a_new_home_is_what_was_there(stores, tmp_path):
    stores.lake.tidy("usage", keep_hours=0)
    manifest = back_up(stores)
    tenants = Tenant.objects.count()
    environment = {name: value for name, value in os.environ.items() if "DATABASE_URL" not in name}
    environment["MILLICENT_HOME"] = str(tmp_path / "new")

    restored = subprocess.run(
        [sys.executable, "-m", "millicent", "restore", str(stores.folder), "--json"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert restored.returncode == 0, restored.stderr
    assert json.loads(restored.stdout)["database_rows"] == sum(manifest.table_rows.values())
    seen = subprocess.run(
        [sys.executable, "-c", READ_BACK, str(stores.tenant)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert seen.returncode == 0, seen.stderr
    assert json.loads(seen.stdout) == {
        "code": Tenant.objects.get(id=stores.tenant).code,
        "numbers": [0, 1, 2, 3, 10, 11, 12, 13],
        "sequence": 3,
        "again": False,
        "tenants": tenants,
        "unprotected": [],
    }


def test_a_backup_counts_its_rows_and_names_its_versions(stores):
    manifest = back_up(stores)

    assert manifest == read_backup(stores.folder)
    assert manifest.table_versions == {f"{stores.tenant}/usage": 3}
    assert manifest.table_rows["kit_tenant"] == Tenant.objects.count()
    assert manifest.created_at == "2026-01-01T00:00:00+00:00"


def test_a_commit_after_the_snapshot_is_not_in_the_backup(stores, monkeypatch):
    def dump_and_commit(url, *, snapshot, target):
        stores.lake.append("usage", pl.DataFrame({"day": ["z"], "n": [99]}), writer="w", sequence=4)
        stores.lake.tidy("usage")
        target.write_bytes(b"dump")

    monkeypatch.setattr(backup, "dump_database", dump_and_commit)

    assert back_up(stores).table_versions == {f"{stores.tenant}/usage": 3}
    copied = Lake(root=str(stores.folder / "lake" / str(stores.tenant)))
    assert sorted(copied.scan("usage").collect()["n"].to_list()) == [0, 1, 2, 3, 10, 11, 12, 13]


def test_a_file_that_waits_for_its_commit_comes_along_and_a_deleted_one_does_not(stores):
    """The database may already say that it is to be published; see kit.lake_staging."""
    removed = next((Path(stores.lake.root) / "usage").rglob("*.parquet")).name
    stores.lake.tidy("usage")
    waiting = stage(stores.lake, "usage", pl.DataFrame({"n": [77]}), name="waiting", partition={"day": "later"})

    back_up(stores)

    copied = Lake(root=str(stores.folder / "lake" / str(stores.tenant)))
    assert list(stores.folder.rglob(removed)) == []
    assert publish(copied, "usage", [waiting], writer="staged", sequence=1) is True
    assert sorted(copied.scan("usage").collect()["n"].to_list()) == [0, 1, 2, 3, 10, 11, 12, 13, 77]


def test_a_snapshot_waits_until_no_commit_comes_between(stores, monkeypatch):
    looks = []
    versions_of = backup._table_versions

    def with_commits(settings, lake):
        if len(looks) in (1, 2):
            rows = pl.DataFrame({"day": ["z"], "n": [90 + len(looks)]})
            stores.lake.append("usage", rows, writer="w", sequence=3 + len(looks))
        looks.append(1)
        return versions_of(settings, lake)

    monkeypatch.setattr(backup, "_table_versions", with_commits)

    assert back_up(stores).table_versions == {f"{stores.tenant}/usage": 5}
    assert len(looks) == 4


def test_a_backup_overwrites_nothing_and_appears_only_when_complete(stores, monkeypatch):
    def fail(*_, **__):
        raise OSError("disk full")

    with monkeypatch.context() as broken:
        broken.setattr(backup, "dump_database", fail)
        with pytest.raises(OSError, match="disk full"):
            back_up(stores)
    assert not stores.folder.exists()

    stores.folder.mkdir()
    with pytest.raises(BackupFolderTaken):
        back_up(stores)


@pytest.mark.parametrize("damage", ["cut", "change", "remove"])
def test_a_damaged_file_is_named_and_nothing_is_restored(stores, damage, tmp_path):
    manifest = back_up(stores)
    victim = next(each.path for each in manifest.files if each.path.endswith(".parquet"))
    file = stores.folder / victim
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-1])
    elif damage == "change":
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    else:
        file.unlink()
    target = Settings(home=str(tmp_path / "new"))

    with pytest.raises(BackupDamaged) as refusal:
        restore_backup(stores.folder, settings=target, urls=DATABASE_URLS)

    assert refusal.value.facts == {"file": victim}
    assert not Path(target.lake_root).exists()


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (None, BackupForeign),
        ("not json", BackupForeign),
        ('{"format": "other", "format_version": 1, "digest": ""}', BackupForeign),
        ('{"format": "millicent-backup", "format_version": 2, "digest": ""}', BackupForeign),
        ('{"format": "millicent-backup", "format_version": 1, "files": [], "digest": "0"}', BackupDamaged),
        ("[]", BackupForeign),
    ],
)
def test_a_foreign_or_changed_manifest_is_refused(tmp_path, content, error):
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)

    with pytest.raises(error):
        read_backup(tmp_path)


def test_stores_in_use_are_never_overwritten(stores):
    back_up(stores)

    with pytest.raises(RestoreNeedsEmptyStores):
        restore_backup(stores.folder, settings=stores.settings, urls=DATABASE_URLS)

    assert stores.lake.scan("usage").collect().height == 8
