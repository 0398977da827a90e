"""A short run of what `make fuzz` does ten million times: no decoder falls, hangs or reads beyond its message."""

import pytest
from tests.fuzz.targets import TARGETS

SHORT = {"diameter": 40_000, "radius": 40_000, "http": 20_000}


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_spoilt_messages_are_refused_or_read_and_nothing_else(target):
    count = SHORT.get(target.name, 2_000)

    told = target.run(count, 7)

    assert sum(told.values()) == count
    assert len(told) > 1  # some are read, some are refused: the samples reach beyond the header


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_the_same_seed_spoils_in_the_same_way(target):
    assert target.run(300, 11) == target.run(300, 11)
