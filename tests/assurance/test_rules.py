"""A difference of one is seen, whichever stage it is in."""

import polars as pl
import pytest

from millicent.assurance.rules import covered_usage, money_checks, record_checks, usage_checks
from millicent.assurance.types import FileControl, UsageWhereabouts


def a_file(**chosen):
    usual = {
        "source": "switch",
        "name": "a.csv",
        "state": "closed",
        "records_in": 10,
        "accepted": 6,
        "suspended": 2,
        "rejected": 1,
        "duplicate": 1,
        "usages": 5,
        "joined": 1,
    }
    return FileControl(**(usual | chosen))


def differing(checks):
    return [check.code for check in checks if not check.holds]


def test_sound_control_totals_hold():
    assert a_file().holds
    assert differing(record_checks([a_file(), a_file(name="b.csv")])) == []


@pytest.mark.parametrize(
    ("wrong", "code"),
    [({"records_in": 11}, "records_handled"), ({"duplicate": 0}, "records_handled"), ({"usages": 4}, "records_kept")],
)
def test_one_lost_record_is_seen(wrong, code):
    assert not a_file(**wrong).holds
    assert differing(record_checks([a_file(), a_file(**wrong)])) == [code]


def whereabouts(**chosen):
    usual = {"in_lake": 5, "billed": 3, "unpriced": 1, "not_yet_billed": 1, "unpriced_by_reason": (("blocked", 1),)}
    return UsageWhereabouts(**(usual | chosen))


@pytest.mark.parametrize(
    ("wrong", "covered", "code"),
    [
        ({"in_lake": 6}, 4, "usages_in_lake"),
        ({"billed": 2}, 4, "usages_billed"),
        ({}, 5, "usages_billed"),
        ({"unpriced_by_reason": ()}, 4, "usages_unpriced"),
    ],
)
def test_one_lost_usage_is_seen(wrong, covered, code):
    assert differing(usage_checks([a_file()], usage=whereabouts(), covered=4)) == []
    assert differing(usage_checks([a_file()], usage=whereabouts(**wrong), covered=covered)) == [code]


LEDGER = [
    ("asset:receivable", "EUR", 121),
    ("revenue:usage", "EUR", -60),
    ("liability:deferred:recurring", "EUR", -40),
    ("liability:tax:vat", "EUR", -21),
]


BILLED = [("EUR", 100, 21, 121)]


def checks_of_money(billed, balances):
    """All that the ledger holds is what bills posted."""
    everything = [(currency, balance) for _, currency, balance in balances]
    return money_checks(billed=billed, balances=balances, everything=everything)


@pytest.mark.parametrize(
    ("billed", "codes"),
    [
        ([("EUR", 100, 21, 121)], []),
        ([("EUR", 101, 21, 122)], ["billed_is_posted"]),
        ([("EUR", 100, 22, 122)], ["tax_is_posted"]),
        ([("EUR", 100, 21, 120)], ["totals_add_up"]),
        ([], ["billed_is_posted", "tax_is_posted"]),
        ([("EUR", 100, 21, 121), ("USD", 1, 0, 1)], ["billed_is_posted"]),
    ],
)
def test_one_nano_between_bills_and_ledger_is_seen(billed, codes):
    assert differing(checks_of_money(billed, LEDGER)) == codes


def test_revenue_that_no_bill_posted_is_not_held_against_bills():
    prepaid = [("EUR", -70), ("EUR", 70)]
    everything = [(currency, balance) for _, currency, balance in LEDGER] + prepaid

    assert differing(money_checks(billed=BILLED, balances=LEDGER, everything=everything)) == []


def test_a_ledger_that_does_not_sum_to_zero_is_seen():
    balances = [*LEDGER, ("expense:bad_debt", "EUR", 1)]

    assert differing(checks_of_money([("EUR", 100, 21, 121)], balances)) == ["postings_sum_to_zero"]


PAYERS = pl.DataFrame({"billing_account_id": [1, 2], "payer_id": [1, 1]})
CYCLES = pl.DataFrame(
    {"payer_id": [1, 1], "cycle_from_ms": [100, 200], "cycle_until_ms": [200, 300], "known_until_ms": [250, 350]}
)


@pytest.mark.parametrize(
    ("account", "occurred", "received", "covered"),
    [
        (1, 100, 110, 1),  # the first instant of a cycle
        (2, 299, 310, 1),  # the last one, of an account that another pays for
        (1, 300, 310, 0),  # the next cycle is open
        (1, 99, 110, 0),  # before the first cycle
        (1, 150, 320, 1),  # late: the next bill took it
        (1, 150, 350, 0),  # too late for any bill so far
        (3, 150, 160, 0),  # nobody's
    ],
)
def test_usage_in_a_billed_cycle_is_covered_and_other_usage_is_not(account, occurred, received, covered):
    usage = pl.DataFrame({"billing_account_id": [account], "occurred_at_ms": [occurred], "received_at_ms": [received]})

    assert covered_usage(usage, payers=PAYERS, cycles=CYCLES) == covered
