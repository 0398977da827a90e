"""Somebody with the owner's rights changes the ledger behind its back: verification names the first broken link."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ledger.builders import NOVEMBER_MS, NOW, a_bill_entry, a_tenant, a_thief

from millicent.kit.clock import to_ms
from millicent.kit.errors import BadInput
from millicent.kit.tenancy import tenant_scope
from millicent.ledger.errors import PeriodGoesBack
from millicent.ledger.rules import chained_hash, content_hash
from millicent.ledger.selectors import chain_head, closed_until_ms, entries_of
from millicent.ledger.services.close_period import close_period
from millicent.ledger.services.post_entries import post_entries
from millicent.ledger.services.verify_chain import verify_chain

ENTRIES = 6


def _a_chain():
    """Six entries, posted by two calls of three."""
    tenant_id = a_tenant()
    for call in range(2):
        with tenant_scope(tenant_id):
            post_entries([a_bill_entry(f"bill:{call * 3 + number}") for number in (1, 2, 3)], now=NOW)
    return tenant_id


def _broken(tenant_id, **expected):
    with tenant_scope(tenant_id):
        return verify_chain(**expected).broken


def test_an_untouched_chain_holds():
    tenant_id = _a_chain()

    with tenant_scope(tenant_id):
        report = verify_chain(expected_head=chain_head())

    assert (report.entries, report.postings, report.head.sequence, report.broken) == (6, 18, 6, None)


def test_an_empty_chain_holds(tenant):
    assert verify_chain().broken is None


IN_PLACE = {
    "altered amount": "UPDATE ledger_posting SET amount_nanos = amount_nanos + 1 WHERE entry_sequence = %s",
    "doubled, still balanced": "UPDATE ledger_posting SET amount_nanos = 2 * amount_nanos WHERE entry_sequence = %s",
    "other ledger account": "UPDATE ledger_posting SET ledger_account = 'revenue:recurring' "
    "WHERE entry_sequence = %s AND ledger_account = 'revenue:usage'",
    "other customer": "UPDATE ledger_posting SET billing_account_id = 8 WHERE entry_sequence = %s AND place = 0",
    "other time": "UPDATE ledger_entry SET occurred_at_ms = occurred_at_ms - 1 WHERE sequence = %s",
    "other recording time": "UPDATE ledger_entry SET recorded_at_ms = recorded_at_ms - 1 WHERE sequence = %s",
    "other currency": "UPDATE ledger_entry SET currency = 'USD' WHERE sequence = %s",
    "other reference": "UPDATE ledger_entry SET reference = 'mine' WHERE sequence = %s",
    "other facts": """UPDATE ledger_entry SET facts = '{"a": "b"}' WHERE sequence = %s""",
    "posting taken out": "DELETE FROM ledger_posting WHERE entry_sequence = %s AND place = 2",
    "hash altered": "UPDATE ledger_entry SET hash = sha256(hash) WHERE sequence = %s",
}


@settings(max_examples=40, deadline=None)
@given(kind=st.sampled_from(sorted(IN_PLACE)), sequence=st.integers(1, ENTRIES))
def test_an_altered_entry_is_named(kind, sequence):
    tenant_id = _a_chain()

    with a_thief(tenant_id) as thief:
        thief.execute(IN_PLACE[kind], [sequence])

    found = _broken(tenant_id)
    assert found is not None
    assert found.sequence == sequence


@pytest.mark.parametrize("sequence", range(1, ENTRIES))
def test_a_deleted_entry_is_named(sequence):
    tenant_id = _a_chain()

    with a_thief(tenant_id) as thief:
        thief.execute("DELETE FROM ledger_posting WHERE entry_sequence = %s", [sequence])
        thief.execute("DELETE FROM ledger_entry WHERE sequence = %s", [sequence])

    found = _broken(tenant_id)
    assert (found.sequence, found.fault) == (sequence, f"entry {sequence} is missing")


@pytest.mark.parametrize(("first", "second"), [(1, 2), (2, 5), (5, 6)])
def test_two_entries_that_changed_places_are_found_at_the_earlier_place(first, second):
    tenant_id = _a_chain()

    with a_thief(tenant_id) as thief:
        for table, column in (("ledger_posting", "entry_sequence"), ("ledger_entry", "sequence")):
            for now, then in ((first, -1), (second, first), (-1, second)):
                if table == "ledger_entry" and then == -1:
                    then = 100  # an entry's number is never negative
                elif table == "ledger_entry" and now == -1:
                    now = 100
                thief.execute(f"UPDATE {table} SET {column} = %s WHERE {column} = %s", [then, now])

    assert _broken(tenant_id).sequence == first


@pytest.mark.parametrize("kept", [5, 3, 0])
def test_a_cut_tail_is_found_by_the_recorded_head(kept):
    tenant_id = _a_chain()

    with a_thief(tenant_id) as thief:
        thief.execute("DELETE FROM ledger_posting WHERE entry_sequence > %s", [kept])
        thief.execute("DELETE FROM ledger_entry WHERE sequence > %s", [kept])

    found = _broken(tenant_id)
    assert (found.sequence, found.fault) == (
        kept + 1,
        "the chain ends here, but entry 6 was recorded: the tail was cut",
    )


def _cut_with_heads(tenant_id):
    with a_thief(tenant_id) as thief:
        thief.execute("DELETE FROM ledger_posting WHERE entry_sequence > 3")
        thief.execute("DELETE FROM ledger_entry WHERE sequence > 3")
        thief.execute("DELETE FROM ledger_head WHERE last_sequence > 3")


def test_a_tail_cut_together_with_its_heads_is_found_by_a_head_kept_elsewhere():
    tenant_id = _a_chain()
    with tenant_scope(tenant_id):
        kept = chain_head()

    _cut_with_heads(tenant_id)

    assert _broken(tenant_id) is None
    assert _broken(tenant_id, expected_head=kept).sequence == 4


def test_a_tail_cut_together_with_its_heads_is_found_by_the_seal_of_a_closed_period():
    tenant_id = _a_chain()
    with tenant_scope(tenant_id):
        close_period(until_ms=NOVEMBER_MS, now=NOW)

    _cut_with_heads(tenant_id)

    assert _broken(tenant_id).sequence == 4


def test_a_tail_rewritten_with_right_hashes_is_found_by_its_head():
    tenant_id = _a_chain()
    with tenant_scope(tenant_id):
        fifth, last = entries_of()[4:]
    forged = replace(last.entry, occurred_at_ms=0)
    content = content_hash(forged)
    link = chained_hash(previous=fifth.hash, sequence=6, recorded_at_ms=to_ms(NOW), content=content)

    with a_thief(tenant_id) as thief:
        thief.execute(
            "UPDATE ledger_entry SET occurred_at_ms = 0, content_hash = %s, hash = %s WHERE sequence = 6",
            [content, link],
        )

    found = _broken(tenant_id)
    assert (found.sequence, found.fault) == (6, "the recorded head disagrees")


def test_a_head_taken_out_is_found():
    tenant_id = _a_chain()

    with a_thief(tenant_id) as thief:
        thief.execute("DELETE FROM ledger_head WHERE last_sequence = 3")

    assert _broken(tenant_id).fault == "recorded heads cover 3 entries only"


def test_an_entry_slipped_in_after_the_head_is_found():
    tenant_id = _a_chain()

    with a_thief(tenant_id) as thief:
        thief.execute("DELETE FROM ledger_head WHERE last_sequence = 6")

    found = _broken(tenant_id)
    assert (found.sequence, found.fault) == (4, "no head was recorded for this entry")


def test_postings_slipped_in_without_an_entry_are_found():
    tenant_id = _a_chain()

    with a_thief(tenant_id) as thief:
        thief.execute(
            "INSERT INTO ledger_posting (entry_sequence, place, ledger_account, currency, amount_nanos)"
            " VALUES (0, 0, 'asset:bank', 'EUR', 1)"
        )

    assert _broken(tenant_id).fault == "1 postings belong to no entry"


def test_a_period_is_closed_once_and_never_reopened(tenant):
    post_entries([a_bill_entry()], now=NOW)
    first = close_period(until_ms=NOVEMBER_MS, now=NOW)

    assert close_period(until_ms=NOVEMBER_MS, now=NOW) == first
    with pytest.raises(PeriodGoesBack):
        close_period(until_ms=NOVEMBER_MS - 1, now=NOW)
    assert closed_until_ms() == NOVEMBER_MS
    assert first.head == chain_head()


def test_the_future_cannot_be_closed(tenant):
    with pytest.raises(BadInput):
        close_period(until_ms=to_ms(NOW) + 1, now=NOW)

    assert closed_until_ms() is None
