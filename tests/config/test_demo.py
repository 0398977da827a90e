"""The demo is the whole road at once: files of every format in, bills and a balanced ledger out, and out again."""

import json
import os
import subprocess
import sys
from pathlib import Path

ASKED = ("demo", "--seed", "7", "--subscribers", "150", "--records", "3000", "--json")


def live_through(home: Path) -> dict:
    environment = {**os.environ, "MILLICENT_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-m", "millicent", *ASKED], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_demo_balances_to_the_last_record_and_the_last_cent_and_does_so_again(tmp_path):
    first = live_through(tmp_path / "home")

    assert first["holds"] is True
    assert first["truth"] == []
    assert len(first["bills"]) == 3
    assert all(Path(file).stat().st_size > 1_000 for bill in first["bills"] for file in bill["files"][:3])
    usage = first["conservation"]["usage"]
    assert usage["billed"] > 1_000
    assert usage["billed"] + usage["unpriced"] + usage["not_yet_billed"] == usage["in_lake"]
    live = first["live"]
    assert (live["holds"], live["live_against_bill"]["differences"], live["verified"]["faults"]) == (True, [], [])
    assert (
        live["live_against_bill"]["compared"] == 2
    )  # a call, of which a file tells too, and broadband, of which none does

    assert live_through(tmp_path / "home") == first
