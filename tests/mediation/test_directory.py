"""A number that was given to another person bills the right one."""

import numpy as np
import polars as pl
from tests.mediation.builders import FOREVER_MS, identifiers

from millicent.mediation.directory import build_directory

REUSED = identifiers(
    ("msisdn", "34600000001", 100, 200, 1, 10),
    ("msisdn", "34600000001", 200, FOREVER_MS, 2, 20),
    ("sip_user", "34600000001", 0, FOREVER_MS, 3, 30),
)


def holder_at(instant_ms, *, kind="msisdn", identifier="34600000001", frame=REUSED):
    directory = build_directory(frame)
    found = directory.find(
        kinds=pl.Series([kind]), identifiers=pl.Series([identifier]), occurred_at_ms=np.array([instant_ms])
    )
    subscription, account = directory.subscriptions(found)
    return int(subscription[0]), int(account[0])


def test_each_holder_is_billed_for_their_own_time_to_the_millisecond():
    assert holder_at(99) == (-1, -1)
    assert holder_at(100) == (1, 10)
    assert holder_at(199) == (1, 10)
    assert holder_at(200) == (2, 20)


def test_the_same_text_of_another_kind_is_another_identifier():
    assert holder_at(150, kind="sip_user") == (3, 30)
    assert holder_at(150, kind="imsi") == (-1, -1)


def test_nobody_is_found_among_no_subscribers():
    assert holder_at(150, frame=REUSED.clear()) == (-1, -1)


def test_many_identifiers_of_several_kinds_are_each_found():
    count = 5_000
    frame = identifiers(*((["msisdn", "imsi"][n % 2], f"{n // 2}", 0, FOREVER_MS, n, n * 7) for n in range(count)))
    directory = build_directory(frame)

    found = directory.find(
        kinds=frame["identifier_kind"], identifiers=frame["identifier"], occurred_at_ms=np.zeros(count, np.int64)
    )

    assert directory.subscriptions(found)[0].tolist() == list(range(count))
