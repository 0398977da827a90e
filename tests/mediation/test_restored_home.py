"""A backup leaves the files of event keys out; a restore makes them again, so nothing is charged twice."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.mediation.builders import NOW, a_call, a_source, collect, totals, write_events

from millicent.config.backup import create_backup
from millicent.config.django import DATABASE_URLS
from millicent.config.settings import Settings
from millicent.kit.lake import Lake
from millicent.mediation.stores import MediationStores

ROOT = Path(__file__).parents[2]
COLLECT_AGAIN = """
import json, sys
from pathlib import Path
from uuid import UUID
from millicent.config.setup import open_stores
open_stores()
from tests.mediation.builders import ALICE, FOREVER_MS, collect, identifiers, totals
from millicent.config.watching import mediation_stores
from millicent.mediation import road
road.identifier_frame = lambda: identifiers(("sip_user", ALICE, 0, FOREVER_MS, 1, 17))
tenant = UUID(sys.argv[1])
print(json.dumps(totals(collect(tenant, mediation_stores(tenant), Path(sys.argv[2])))))
"""


def run(*arguments, home):
    environment = {name: value for name, value in os.environ.items() if "DATABASE_URL" not in name}
    environment["MILLICENT_HOME"] = str(home)
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_restored_home_knows_every_event_that_was_counted(tenant_id, tmp_path):
    settings = Settings(home=str(tmp_path / "old"))
    stores = MediationStores(
        lake=Lake(root=f"{settings.lake_root}/{tenant_id}"), folder=tmp_path / "old/mediation" / str(tenant_id)
    )
    a_source(tenant_id)
    before = write_events(tmp_path / "before.jsonl", [a_call("1"), a_call("2", who="stranger")])
    assert totals(collect(tenant_id, stores, before)) == (2, 1, 1, 0, 0)
    create_backup(tmp_path / "backup", settings=settings, urls=DATABASE_URLS, now=NOW)

    run("-m", "millicent", "restore", str(tmp_path / "backup"), "--json", home=tmp_path / "new")

    after = write_events(tmp_path / "after.jsonl", [a_call("1"), a_call("2"), a_call("3")])
    assert run("-c", COLLECT_AGAIN, str(tenant_id), str(after), home=tmp_path / "new") == [3, 1, 0, 0, 2]
