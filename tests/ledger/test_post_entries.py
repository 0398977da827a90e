"""Posting: all or nothing, once, sensible, balanced."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from django.db import connections
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ledger.builders import EURO, NOVEMBER_MS, NOW, a_bill_entry, a_tenant, credit, debit

from millicent.kit.tenancy import tenant_scope
from millicent.ledger.errors import (
    EntryRefused,
    NonsensicalPosting,
    PeriodIsClosed,
    ReferenceReused,
    UnbalancedEntry,
    UndeclaredAccount,
    UnknownTemplate,
)
from millicent.ledger.selectors import account_balance, chain_head, entries_of, trial_balance
from millicent.ledger.services.close_period import close_period
from millicent.ledger.services.declare_accounts import declare_accounts
from millicent.ledger.services.post_entries import post_entries
from millicent.ledger.services.verify_chain import verify_chain
from millicent.ledger.types import Entry, TrialBalanceRow


def test_a_posted_bill_shows_in_the_trial_balance(tenant):
    post_entries([a_bill_entry()], now=NOW)

    assert trial_balance() == [
        _row("asset:receivable", debit_nanos=121 * EURO),
        _row("liability:tax:vat_es", credit_nanos=21 * EURO),
        _row("revenue:usage", credit_nanos=100 * EURO),
    ]


def _row(ledger_account: str, *, debit_nanos: int = 0, credit_nanos: int = 0) -> TrialBalanceRow:
    return TrialBalanceRow(
        ledger_account=ledger_account,
        currency="EUR",
        debit_nanos=debit_nanos,
        credit_nanos=credit_nanos,
        balance_nanos=debit_nanos - credit_nanos,
    )


def test_a_trial_balance_counts_what_happened_before_its_instant(tenant):
    post_entries([a_bill_entry(), a_bill_entry("bill:A-2", occurred_at_ms=NOVEMBER_MS + 1)], now=NOW)

    assert sum(row.debit_nanos for row in trial_balance(until_ms=NOVEMBER_MS + 1)) == 121 * EURO
    assert sum(row.debit_nanos for row in trial_balance(until_ms=NOVEMBER_MS + 2)) == 242 * EURO


def test_an_entry_comes_back_as_it_was_posted(tenant):
    entry = a_bill_entry(facts={"bill": "A-1", "naïve": "sí, 100 € \U0001f4b6"})

    (posted,) = post_entries([entry], now=NOW)

    assert entries_of(reference="bill:A-1") == [posted]
    assert posted.entry == entry


def test_entries_are_found_by_billing_account_and_by_time(tenant):
    other = replace(a_bill_entry().postings[0], billing_account_id=8)
    second = a_bill_entry("bill:A-2", occurred_at_ms=NOVEMBER_MS + 5)
    second = replace(second, postings=(other, *second.postings[1:]))
    post_entries([a_bill_entry(), second], now=NOW)

    assert _references(billing_account_id=8) == ["bill:A-2"]
    assert _references(from_ms=NOVEMBER_MS, until_ms=NOVEMBER_MS + 5) == ["bill:A-1"]
    assert _references(limit=1) == ["bill:A-1"]


def _references(**chosen: int) -> list[str]:
    return [place.entry.reference for place in entries_of(**chosen)]


def test_the_balance_of_one_billing_account_is_its_own(tenant):
    post_entries([a_bill_entry()], now=NOW)

    assert account_balance(ledger_account="asset:receivable", currency="EUR", billing_account_id=7) == 121 * EURO
    assert account_balance(ledger_account="asset:receivable", currency="EUR", billing_account_id=8) == 0
    assert account_balance(ledger_account="asset:receivable", currency="USD") == 0
    assert account_balance(ledger_account="revenue:usage", currency="EUR", until_ms=NOVEMBER_MS) == 0


def test_a_repeat_finds_the_first_and_posts_nothing(tenant):
    (first,) = post_entries([a_bill_entry()], now=NOW)

    (again,) = post_entries([a_bill_entry()], now=NOW)

    assert again == replace(first, repeated=True)
    assert chain_head().sequence == 1


def test_the_same_entry_twice_in_one_call_is_posted_once(tenant):
    first, second = post_entries([a_bill_entry(), a_bill_entry()], now=NOW)

    assert first == second
    assert chain_head().sequence == 1


def test_a_reference_with_other_content_is_refused_and_nothing_of_the_call_is_posted(tenant):
    post_entries([a_bill_entry()], now=NOW)

    with pytest.raises(ReferenceReused) as refusal:
        post_entries([a_bill_entry("bill:A-2"), a_bill_entry(net=99 * EURO)], now=NOW)

    assert refusal.value.facts == {"reference": "bill:A-1"}
    assert _references() == ["bill:A-1"]


REFUSED = {
    "unbalanced": (UnbalancedEntry, {"postings": (debit("asset:receivable", 5), credit("revenue:usage", 4))}),
    "nonsensical": (NonsensicalPosting, {"postings": (debit("expense:bad_debt", 5), credit("revenue:usage", 5))}),
    "wrong side": (
        NonsensicalPosting,
        {"template": "revenue_recognised", "postings": (debit("revenue:usage", 5), credit("liability:deferred", 5))},
    ),
    "undeclared": (UndeclaredAccount, {"postings": (debit("asset:receivable", 5), credit("revenue:usgae", 5))}),
    "unknown template": (UnknownTemplate, {"template": "gift"}),
    "one posting": (EntryRefused, {"postings": (debit("asset:receivable", 5),)}),
    "a zero posting": (EntryRefused, {"postings": (debit("asset:receivable", 0), credit("revenue:usage", 0))}),
    "no reference": (EntryRefused, {"reference": ""}),
    "no currency": (EntryRefused, {"currency": "euro"}),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_entry_that_makes_no_sense_refuses_the_whole_call(tenant, case):
    error, changes = REFUSED[case]

    with pytest.raises(error):
        post_entries([a_bill_entry("bill:A-0"), a_bill_entry(**changes)], now=NOW)

    assert trial_balance() == []
    assert chain_head().sequence == 0


def test_a_similar_path_is_not_below_an_allowed_one(tenant):
    declare_accounts(["revenue:usage", "asset:receivable_doubtful"], now=NOW)
    postings = (debit("asset:receivable_doubtful", 5), credit("revenue:usage", 5))

    with pytest.raises(NonsensicalPosting):
        post_entries([a_bill_entry(postings=postings)], now=NOW)


def test_a_declared_account_takes_postings(tenant):
    assert declare_accounts(["revenue:roaming", "revenue:usage"], now=NOW) == ["revenue:roaming"]
    assert declare_accounts(["revenue:roaming"], now=NOW) == []

    post_entries([a_bill_entry(postings=(debit("asset:receivable", 5), credit("revenue:roaming", 5)))], now=NOW)

    assert account_balance(ledger_account="revenue:roaming", currency="EUR") == -5


def test_a_closed_period_takes_nothing_new_and_still_answers_repeats(tenant):
    (first,) = post_entries([a_bill_entry()], now=NOW)
    close_period(until_ms=NOVEMBER_MS + 1, now=NOW)

    with pytest.raises(PeriodIsClosed):
        post_entries([a_bill_entry("bill:A-2")], now=NOW)

    assert post_entries([a_bill_entry()], now=NOW) == [replace(first, repeated=True)]
    assert post_entries([a_bill_entry("bill:A-3", occurred_at_ms=NOVEMBER_MS + 1)], now=NOW)[0].sequence == 2


def test_posting_nothing_is_nothing(tenant):
    assert post_entries([], now=NOW) == []
    assert chain_head().sequence == 0


def test_writers_at_the_same_time_make_one_chain_without_gaps(tenant_id):
    def post_five(writer: int) -> None:
        for call in range(5):
            with tenant_scope(tenant_id):
                post_entries([a_bill_entry(f"bill:{writer}-{call}-{number}") for number in range(3)], now=NOW)
        connections.close_all()

    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(post_five, range(4)))

    with tenant_scope(tenant_id):
        assert [place.sequence for place in entries_of()] == list(range(1, 61))
        assert verify_chain().broken is None


REVENUE = ("revenue:usage", "revenue:recurring", "liability:deferred", "liability:tax:a", "liability:tax:b")
AMOUNTS = st.integers(-(10**15), 10**15).filter(bool)


@st.composite
def bill_entries(draw: st.DrawFn, number: int) -> Entry:
    lines = draw(st.lists(st.tuples(st.sampled_from(REVENUE), AMOUNTS), min_size=1, max_size=6))
    total = sum(amount for _, amount in lines)
    postings = [debit(path, -amount) for path, amount in lines]
    postings.append(debit("asset:receivable", total, billing_account_id=number))
    if total == 0:
        postings = [debit("asset:receivable", 1), credit("revenue:usage", 1)]
    return Entry(
        template="bill_issued",
        reference=f"bill:{number}",
        currency=draw(st.sampled_from(("EUR", "USD", "JPY"))),
        occurred_at_ms=draw(st.integers(0, NOVEMBER_MS)),
        postings=tuple(postings),
        facts=draw(st.dictionaries(st.text("abc", max_size=3), st.text(max_size=5).filter(_storable), max_size=2)),
    )


def _storable(text: str) -> bool:
    return "\x00" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


@settings(max_examples=25, deadline=None)
@given(calls=st.lists(st.integers(0, 4), max_size=4).flatmap(lambda sizes: _calls(sizes)))
def test_whatever_is_posted_every_currency_sums_to_zero_and_the_chain_holds(calls):
    with tenant_scope(a_tenant()):
        for entries in calls:
            post_entries(entries, now=NOW)

        totals: dict[str, int] = {}
        for row in trial_balance():
            totals[row.currency] = totals.get(row.currency, 0) + row.balance_nanos
        report = verify_chain()

    assert set(totals.values()) <= {0}
    assert report.broken is None
    assert report.entries == sum(len(entries) for entries in calls)


def _calls(sizes: list[int]) -> st.SearchStrategy[list[list[Entry]]]:
    numbers = iter(range(sum(sizes)))
    return st.tuples(*(st.tuples(*(bill_entries(next(numbers)) for _ in range(size))) for size in sizes)).map(
        lambda calls: [list(entries) for entries in calls]
    )
