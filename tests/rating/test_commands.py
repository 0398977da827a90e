"""`rate`, `quote` and `explain` on a catalogue folder and a file, as a person calls them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

import millicent.config as config
from millicent.kit.errors import BadInput
from millicent.rating.usage_files import read_usage

CATALOGUE = Path(config.__file__).parent / "demo" / "catalogue"
USAGE = """occurred_at,service,other_party,duration_ms,events
2026-10-07T12:00:00+02:00,voice,34655123456,61500,0
2026-10-07T12:10:00+02:00,voice,999,200000,0
2026-10-07T12:20:00+02:00,sms,34655123456,0,1
"""


def millicent(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Without a database and without a home folder."""
    environment = {**os.environ, "MILLICENT_HOME": "/nonexistent"}
    return subprocess.run(
        [sys.executable, "-m", "millicent", *map(str, arguments)],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip


@pytest.fixture
def usage_file(tmp_path: Path) -> Path:
    path = tmp_path / "usage.csv"
    path.write_text(USAGE, encoding="utf-8")
    return path


def test_a_file_is_rated_without_a_database_and_every_usage_is_accounted_for(usage_file, tmp_path):
    out = tmp_path / "rated.jsonl"

    done = millicent(
        "rate", "--catalog", CATALOGUE, "--usage", usage_file, "--out", out, "--offering", "mobile-m", "--json"
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["usages"] == 3
    rated = pl.read_ndjson(out)
    assert rated["event_key"].to_list() == [f"{number:032x}" for number in (1, 2, 3)]
    assert rated["bucket_units"].to_list()[0] == 62
    assert len(rated.filter(pl.col("reason") == "priced")) + len(rated.filter(pl.col("reason") != "priced")) == 3


def test_a_charge_of_the_file_is_explained_in_the_language_asked_for(usage_file):
    done = millicent(
        "explain", f"{1:032x}", "--catalog", CATALOGUE, "--usage", usage_file, "--offering", "mobile-m",
        "--language", "es",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "El cargo es de 0.00 EUR."


def test_a_quote_prices_one_usage_with_full_allowances():
    done = millicent(
        "quote", "--catalog", CATALOGUE, "--offering", "mobile-m", "--service", "voice", "--quantity", "61",
        "--to", "34655123456", "--at", "2026-10-07T12:00:00+02:00", "--json",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    (document,) = json.loads(done.stdout)
    assert (document["amount_nanos"], document["bucket_units"], document["reason"]) == (0, 61, "priced")
    assert document["sentences"][-1] == "The charge is 0.00 EUR."


def test_a_time_without_an_offset_is_refused_with_its_cure():
    done = millicent(
        "quote", "--catalog", CATALOGUE, "--offering", "mobile-m", "--quantity", "1", "--at", "2026-10-07T12:00:00"
    )

    assert done.returncode == 2
    assert "has no offset" in done.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("occurred_at,service,colour\n2026-10-07T12:00:00Z,voice,red\n", "column 'colour' is no column of usage"),
        ("occurred_at,service\n2026-10-07T12:00:00Z,voice\nsoon,voice\n", r"bad\.csv:3: 'soon' is not an instant"),
    ],
)
def test_a_wrong_file_is_refused_naming_the_place(tmp_path, content, said):
    path = tmp_path / "bad.csv"
    path.write_text(content, encoding="utf-8")

    with pytest.raises(BadInput, match=said):
        read_usage(path)
