"""The demo's month of records is what its manifest says, to the last record, in every format."""

from collections import Counter
from datetime import date
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from millicent.config.demo.records import Manifest, write_month
from millicent.mediation.types import FormatOptions, SuspenseReason


def _subscribers() -> pl.DataFrame:
    rows: list[tuple[str, str, str, str]] = []
    for number in range(40):
        msisdn, imsi = f"346{number:08}", f"21409{number:010}"
        rows += [("msisdn", msisdn, service, imsi) for service in ("voice", "data", "sms")]
        rows += [
            ("sip_user", f"sip{number}", "voice", ""),
            ("radius_user", f"u{number}@aurora", "broadband", ""),
            ("device", f"dev{number}", ("iot", "iptv", "content")[number % 3], ""),
        ]
    return pl.DataFrame(rows, schema=["identifier_kind", "identifier", "service", "imsi"], orient="row")


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    folder = tmp_path_factory.mktemp("month")
    return folder, write_month(
        folder=folder, subscribers=_subscribers(), month=date(2026, 10, 1), seed=11, records=6_000
    )


def _decode(folder: Path, path: str, source: dict[str, Any]) -> tuple[int, Counter[SuspenseReason], pl.DataFrame]:
    (format_,) = entry_points(group="millicent.usage_formats", name=source["format"])
    options = FormatOptions(zone=source["zone"], options=source["options"])
    stopped: Counter[SuspenseReason] = Counter()
    usage = []
    with (folder / path).open("rb") as stream:
        for chunk in format_.load()().decode(stream, options=options, start_offset=0):
            stopped.update(SuspenseReason(reason) for reason in chunk.faults["reason"])
            usage.append(chunk.usage)
    rows = pl.concat(usage)
    return rows.height + stopped.total(), stopped, rows


def test_every_file_holds_what_the_manifest_says(month: tuple[Path, Manifest]) -> None:
    folder, manifest = month
    sources: dict[object, dict[str, Any]] = {source["name"]: source for source in manifest.sources}
    for file in manifest.files:
        records, stopped, _ = _decode(folder, file.path, sources[file.source])

        assert records == file.records == sum(file.kinds.values()), file.path
        assert stopped[SuspenseReason.DAMAGED] == file.kinds.get("damaged", 0), file.path
        assert stopped[SuspenseReason.NOT_USAGE] == file.kinds.get("not_usage", 0), file.path


def test_duplicates_are_those_that_the_manifest_counts(month: tuple[Path, Manifest]) -> None:
    folder, manifest = month
    for source in manifest.sources:
        files = [file for file in manifest.files if file.source == source["name"] and not file.repeats]
        ids = pl.concat([_decode(folder, file.path, dict(source))[2]["event_id"] for file in files])

        assert ids.len() - ids.n_unique() == sum(file.kinds.get("duplicate", 0) for file in files), source["name"]


def test_every_format_and_every_kind_of_dirt_is_there(month: tuple[Path, Manifest]) -> None:
    _, manifest = month

    assert {source["format"] for source in manifest.sources} == {
        entry.name for entry in entry_points(group="millicent.usage_formats") if ".network.files." in entry.value
    }
    kinds = {kind for file in manifest.files for kind in file.kinds}
    assert kinds >= {"good", "damaged", "duplicate", "unknown", "late", "not_usage", "lost_stop"}
    assert [file.path for file in manifest.files if file.repeats] == [
        "fs-mad1/fs-mad1-01-again.csv",
        "chf1/chf1-01-again.dat",
    ]


def test_the_same_seed_writes_the_same_bytes(month: tuple[Path, Manifest], tmp_path: Path) -> None:
    folder, manifest = month

    again = write_month(folder=tmp_path, subscribers=_subscribers(), month=date(2026, 10, 1), seed=11, records=6_000)

    assert again == manifest
    assert all((tmp_path / file.path).read_bytes() == (folder / file.path).read_bytes() for file in manifest.files)


def test_a_service_without_subscribers_writes_nothing(tmp_path: Path) -> None:
    only_voice = _subscribers().filter(pl.col("identifier_kind") == "sip_user")

    manifest = write_month(folder=tmp_path, subscribers=only_voice, month=date(2026, 2, 1), seed=1, records=500)

    assert {file.source for file in manifest.files} == {"fs-mad1", "fs-bcn1", "pbx1", "sbc1", "sbc2"}
