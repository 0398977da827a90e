"""Why what was charged live is not what the bill says: the first reason, and by which rule each side priced."""

import polars as pl
import pytest

from millicent.assurance.comparing import differences_of, paired
from millicent.assurance.types import LiveReason


def a_side(*, until_ms: int | None = None, **parts: object) -> pl.DataFrame:
    usage: dict[str, object] = {
        "event_key_high": 1, "event_key_low": 2, "payer_id": 10, "subscription_id": 1, "service": "voice",
        "occurred_at_ms": 1_000, "currency": "EUR", "nanos": 50, "units": 60, "tariff": "plain", "release": 1,
        "rule": "abroad", "zone": "world/europe", **parts,
    }  # fmt: skip
    if until_ms is not None:
        usage |= {"received_at_ms": 2_000, "cycle_until_ms": until_ms}
    return pl.DataFrame([usage])


@pytest.mark.parametrize(
    ("theirs", "reason", "price"),
    [
        ({"rule": "home", "zone": ""}, LiveReason.OTHER_RULE, "home"),
        ({"zone": "world/asia"}, LiveReason.OTHER_RULE, "abroad, world/asia"),
        ({}, LiveReason.OTHER_ORDER, "abroad, world/europe"),
        ({"rule": "home", "release": 2}, LiveReason.RE_RATED, "home, world/europe"),
        ({"rule": "home", "units": 61}, LiveReason.CORRECTED, "home, world/europe"),
    ],
)
def test_the_first_reason_explains_a_difference(theirs, reason, price):
    bill = a_side(until_ms=9_000, nanos=70, **theirs)

    (found,) = differences_of(paired(a_side(), bill))

    assert (found.reason, found.live_price, found.bill_price) == (reason, "abroad, world/europe", price)


def test_a_charge_of_a_release_that_said_no_rule_is_not_said_to_have_another():
    bill = a_side(until_ms=9_000, nanos=70)

    (found,) = differences_of(paired(a_side(rule="", zone=""), bill))

    assert (found.reason, found.live_price) == (LiveReason.OTHER_ORDER, "")


def test_what_is_priced_alike_is_no_difference_by_whichever_rule():
    assert differences_of(paired(a_side(rule="home"), a_side(until_ms=9_000))) == ()
