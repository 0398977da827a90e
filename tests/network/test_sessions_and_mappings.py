"""RADIUS sessions, declared mappings, and the example of the guide."""

import json
import re
from pathlib import Path

import pytest
from tests.network.builders import decoded, faults

from millicent.kit.errors import BadInput
from millicent.mediation.types import SuspenseReason
from millicent.network.files.delimited import Delimited
from millicent.network.files.json_lines import JsonLines
from millicent.network.files.radius_detail import RadiusDetail

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "samples"


def test_gigawords_are_added_and_each_part_says_when_it_was_reported() -> None:
    (chunk,) = decoded(RadiusDetail(), (SAMPLES / "radius/detail").read_bytes(), zone="Europe/Madrid")

    rows = chunk.usage.select("part", "occurred_at_ms", "duration_ms", "uplink_bytes", "downlink_bytes").rows()
    assert rows[:3] == [
        ("start", 1_791_190_800_000, 0, 0, 0),
        ("interim", 1_791_194_400_000, 3_600_000, 100, 2 * 2**32 + 4_294_967_295),
        ("stop", 1_791_198_000_000, 7_200_000, 2**32 + 200, 3 * 2**32 + 5),
    ]
    assert chunk.usage["correlation_key"][:3].n_unique() == 1
    assert chunk.usage["event_id"][:3].n_unique() == 3
    assert json.loads(chunk.usage["attributes"][2])["terminate_cause"] == "User-Request"
    assert json.loads(chunk.usage["attributes"][0])["rate_limit"] == "50M/600M"


def test_each_fault_of_the_radius_sample_has_its_reason() -> None:
    assert faults(RadiusDetail(), (SAMPLES / "radius/detail").read_bytes()) == [
        (4, SuspenseReason.NOT_USAGE, "Accounting-On or -Off: the NAS began or ended accounting"),
        (5, SuspenseReason.BAD_QUANTITY, "Acct-Session-Time is not a counter of 32 bits"),
        (6, SuspenseReason.DAMAGED, "an attribute line without a value"),
    ]


def test_every_avpair_of_a_record_is_kept_up_to_sixteen() -> None:
    pairs = "".join(f'\tCisco-AVPair = "pair={number}"\n' for number in range(1, 19))
    content = (
        f'Mon Oct  5 11:00:30 2026\n\tUser-Name = "u"\n\tAcct-Status-Type = Start\n\tAcct-Session-Id = "s1"\n{pairs}\n'
    ).encode()

    (chunk,) = decoded(RadiusDetail(), content, attributes="cisco_avpair")

    kept = json.loads(chunk.usage["attributes"][0])
    assert list(kept.items())[:2] == [("cisco_avpair", "pair=1"), ("cisco_avpair_2", "pair=2")]
    assert list(kept.items())[-1] == ("cisco_avpair_16", "pair=16")
    assert len(kept) == 16


def test_without_an_event_time_the_servers_time_less_the_delay_counts() -> None:
    content = (
        b'Mon Oct  5 11:00:30 2026\n\tUser-Name = "u"\n\tAcct-Status-Type = Start\n\tAcct-Session-Id = "s1"\n'
        b'\tNAS-Identifier = "n"\n\tAcct-Delay-Time = 30\n\n'
    )

    (chunk,) = decoded(RadiusDetail(), content, zone="Europe/Madrid")

    assert chunk.usage["occurred_at_ms"].to_list() == [1_791_190_800_000]
    assert chunk.usage["correlation_key"].to_list() == ["n/s1/u"]


def test_the_guides_example_reads_what_the_guide_says() -> None:
    guide = (ROOT / "docs/how-to/add-a-switch.md").read_text()
    mapping, content = (re.findall(rf"```{kind}\n(.*?)```", guide, re.DOTALL)[0] for kind in ("yaml", "text"))

    (chunk,) = decoded(Delimited(), content.encode(), mapping=mapping)

    rows = chunk.usage.select("identifier", "other_party", "duration_ms", "direction", "event_id").rows()
    assert rows == [
        ("881600000001", "0034912000111", 90_000, "originating", "gw1/1"),
        ("881600000001", "0033140000000", 0, "terminating", "gw1/4"),
    ]
    assert faults(Delimited(), content.encode(), mapping=mapping) == [
        (1, SuspenseReason.NOT_USAGE, "header line"),
        (3, SuspenseReason.NOT_USAGE, "kind is one of HB"),
        (5, SuspenseReason.BAD_TIME, "begin is not a time"),
    ]


def test_units_zones_maps_and_filters_are_applied() -> None:
    mapping = (SAMPLES / "delimited/mapping.yaml").read_text()

    (chunk,) = decoded(Delimited(), (SAMPLES / "delimited/gateway.txt").read_bytes(), mapping=mapping)

    names = (
        "service",
        "occurred_at_ms",
        "duration_ms",
        "uplink_bytes",
        "downlink_bytes",
        "sequence_number",
        "answered",
    )
    assert chunk.usage.select(names).rows() == [
        ("voice", 1_791_190_800_000, 90_000, 0, 0, 1, True),
        ("data", 1_791_191_100_000, 600_000, 120_000, 4_096_500, 2, True),
        ("voice", 1_791_191_220_000, 0, 0, 0, 4, False),
    ]


def test_json_paths_reach_into_objects_and_lists() -> None:
    mapping = (SAMPLES / "json-lines/mapping.yaml").read_text()

    (chunk,) = decoded(JsonLines(), (SAMPLES / "json-lines/meters.jsonl").read_bytes(), mapping=mapping)

    assert chunk.usage.select("identifier", "uplink_bytes", "events").rows() == [
        ("MTR-0001", 120, 1),
        ("gate é", 1_000, 2),
        ("MTR-0002", 64, 1),
        ("MTR-0003", 2_048, 1),
    ]


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        ("fields: {identifier: a}", "occurred_at is not mapped"),
        ("fields: {occurred_at: a, identifier: a, colour: a}", "'colour' cannot be filled"),
        ("fields: {occurred_at: a, identifier: a, duration: {column: a, unit: weeks}}", "'weeks' is not a unit here"),
        ("fields: {occurred_at: {column: a, time: '%Q'}, identifier: a}", "%Q is not known"),
        ("fields: {occurred_at: {column: a, zone: Mars/Base}, identifier: a}", "'Mars/Base' is not a time zone"),
        ("fields: {occurred_at: a, identifier: a, direction: {value: up}}", "'up' is not allowed"),
        ("fields: [", "is not YAML"),
        ("colour: blue", "'colour' is not known"),
    ],
)
def test_a_wrong_mapping_is_refused_before_a_record_is_read(mapping: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        decoded(JsonLines(), b'{"a":1}\n', mapping=mapping)
