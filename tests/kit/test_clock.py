"""Instants and zones: right at every change of the clocks."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millicent.kit.clock import from_ms, local_date, local_midnight_ms, to_ms, zone_named, zone_transitions
from millicent.kit.errors import BadInput

ZONES = ["Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Sao_Paulo", "UTC"]
INSTANTS = st.integers(to_ms(datetime(1991, 1, 1, tzinfo=UTC)), to_ms(datetime(2099, 1, 1, tzinfo=UTC)))


@given(INSTANTS, st.sampled_from(ZONES))
def test_the_arrays_of_a_zone_say_what_the_zone_says(instant_ms, zone):
    transitions = zone_transitions(zone)

    place = int(np.searchsorted(transitions.instant_ms, instant_ms, side="right")) - 1

    offset = from_ms(instant_ms).astimezone(ZoneInfo(zone)).utcoffset()
    assert offset is not None
    assert int(transitions.offset_ms[place]) == offset.total_seconds() * 1000


def test_both_changes_of_the_clocks_are_found_to_the_millisecond():
    transitions = zone_transitions("Europe/Paris")
    spring = to_ms(datetime(2026, 3, 29, 1, 0, tzinfo=UTC))
    autumn = to_ms(datetime(2026, 10, 25, 1, 0, tzinfo=UTC))

    changes = dict(zip(transitions.instant_ms.tolist(), transitions.offset_ms.tolist(), strict=True))

    assert (changes[spring], changes[autumn]) == (7_200_000, 3_600_000)


def test_a_day_of_23_or_25_hours_begins_at_its_local_midnight():
    zone = "Europe/Paris"
    hours = [
        (local_midnight_ms(date(2026, month, day + 1), zone) - local_midnight_ms(date(2026, month, day), zone))
        // 3_600_000
        for month, day in ((3, 29), (10, 25), (6, 1))
    ]

    assert hours == [23, 25, 24]


def test_a_midnight_that_does_not_exist_is_the_first_instant_of_the_day():
    """São Paulo skipped from 00:00 to 01:00 on 4 November 2018."""
    start = local_midnight_ms(date(2018, 11, 4), "America/Sao_Paulo")

    assert from_ms(start) == datetime(2018, 11, 4, 3, 0, tzinfo=UTC)
    assert local_date(start, "America/Sao_Paulo") == date(2018, 11, 4)
    assert local_date(start - 1, "America/Sao_Paulo") == date(2018, 11, 3)


@given(INSTANTS)
def test_an_instant_survives_both_ways(instant_ms):
    assert to_ms(from_ms(instant_ms)) == instant_ms


def test_an_instant_without_a_zone_is_a_mistake():
    with pytest.raises(ValueError, match="needs a time zone"):
        to_ms(datetime(2026, 1, 1))  # noqa: DTZ001 - the mistake itself


def test_a_zone_that_is_none_is_refused_with_its_place():
    with pytest.raises(BadInput) as refusal:
        zone_named("Europe/Atlantis", where="calendar.yaml:4")

    assert str(refusal.value) == (
        "calendar.yaml:4: 'Europe/Atlantis' is not a time zone. Use an IANA name such as Europe/Paris."
    )
