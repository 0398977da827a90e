"""Several subscriptions of several accounts, what they share, what rolls over, new prices: against a slow judge.

The judge goes call by call and second by second through plain lists and shares no code with rating or billing.
"""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.billing.builders import (
    a_call,
    a_catalogue,
    a_subscription,
    a_tariff,
    a_version,
    an_account,
    an_offering,
    at,
    minutes_included,
    usage_frame,
)

from millicent.billing.rules.allowances import carried_over, granted
from millicent.billing.rules.context import bill_context
from millicent.billing.rules.cycles import CycleSpan
from millicent.billing.rules.pricing import closing_buckets, grant_frame, holding_layers
from millicent.billing.services.price_retail import Pricing
from millicent.billing.types import AccountGroupFacts, ReleasedCatalogue
from millicent.catalog.types import CounterScope, PriceCard, Rollover, TierLadder, TierModel, TierStep

ACCOUNT_OF = {11: 1, 12: 1, 13: 2, 14: 2}
POOL_OF = {11: "family", 12: "", 13: "family", 14: ""}
MONTHS = [CycleSpan(from_ms=at(2026, month, 1), until_ms=at(2026, month + 1, 1)) for month in (1, 2, 3, 4)]
NEW_PRICES_MS = at(2026, 2, 15)
FIRST_TIER = 300  # seconds


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What the offering says: one allowance a subscription and cycle, and a price for what it does not serve."""

    share: CounterScope
    seconds: int
    member_cap: int | None
    rollover: Rollover | None
    count: CounterScope  # who shares the counter of the tiers
    tiered: bool


@dataclass
class Hour:
    owner: object
    left: int
    rolled: int
    order: tuple[int, int]  # when it was granted, and in which turn
    taken: dict[int, int] = field(default_factory=dict)


def owner(scope, subscription):
    """Whom a subscription shares with."""
    if scope is CounterScope.SUBSCRIPTION:
        return subscription
    if scope is CounterScope.ACCOUNT:
        return "account", ACCOUNT_OF[subscription]
    return ("pool", POOL_OF[subscription]) if POOL_OF[subscription] else ("alone", subscription)


def price_of(second, *, used_before, tiered, old):
    """Nanos of one second: the first three hundred of a counter cost double."""
    base = 1_000_000 if old else 7_000_000
    return base * 2 if tiered and used_before + second < FIRST_TIER else base


def judge(calls, *, terms):
    """Nanos and included seconds of each call."""
    answers, kept = {}, []
    for month in MONTHS:
        hours = kept + [
            Hour(owner(terms.share, each), terms.seconds, 0, (month.from_ms, turn))
            for turn, each in enumerate(sorted(ACCOUNT_OF))
        ]
        counted = {}
        for instant, subscription, seconds in sorted(calls):
            if not month.from_ms <= instant < month.until_ms:
                continue
            included = 0
            for hour in sorted(hours, key=lambda each: each.order):
                if hour.owner != owner(terms.share, subscription):
                    continue
                for _ in range(seconds - included):
                    taken = hour.taken.get(subscription, 0)
                    if hour.left and (terms.member_cap is None or taken < terms.member_cap):
                        hour.left -= 1
                        hour.taken[subscription] = taken + 1
                        included += 1
            who = owner(terms.count, subscription)
            nanos = sum(
                price_of(second, used_before=counted.get(who, 0), tiered=terms.tiered, old=instant < NEW_PRICES_MS)
                for second in range(seconds - included)
            )
            counted[who] = counted.get(who, 0) + seconds - included
            answers[instant] = (nanos, included)
        kept = []
        for hour in sorted(hours, key=lambda each: each.order):
            rule = terms.rollover
            if hour.left and rule and (rule.cycles == 0 or hour.rolled < rule.cycles):
                left = hour.left if rule.cap_units is None else min(hour.left, rule.cap_units)
                kept.append(Hour(hour.owner, left, hour.rolled + 1, hour.order))
    return answers


def catalogue_of(terms, *, nanos):
    steps = (
        TierStep(floor_units=0, amount_nanos=nanos * 2, per_units=1),
        TierStep(floor_units=FIRST_TIER, amount_nanos=nanos, per_units=1),
    )
    ladder = TierLadder(model=TierModel.GRADUATED, counter="talk", scope=terms.count, steps=steps)
    tariff = a_tariff(nanos_per_minute=nanos * 60)
    (rule,) = tariff.rules
    if terms.tiered:
        tariff = replace(tariff, rules=(replace(rule, card=PriceCard(ladder=ladder)),))
    allowance = replace(
        minutes_included(1, scope=terms.share, rollover=terms.rollover),
        amount=terms.seconds,
        member_cap=terms.member_cap,
    )
    return a_catalogue(an_offering("plan", tariff="voice", allowances=(allowance,)), tariffs=(tariff,))


def billed(calls, *, terms):
    """The same from the rules that bills are made with, month after month."""
    released = [
        ReleasedCatalogue(number=1, effective_from_ms=0, catalogue=catalogue_of(terms, nanos=1_000_000)),
        ReleasedCatalogue(number=2, effective_from_ms=NEW_PRICES_MS, catalogue=catalogue_of(terms, nanos=7_000_000)),
    ]
    accounts = (an_account(1, opened_at_ms=at(2026, 1, 1)), an_account(2, payer_id=1, opened_at_ms=at(2026, 1, 1)))
    subscriptions = tuple(
        a_subscription(a_version(at(2026, 1, 1)), subscription_id=each, account_id=ACCOUNT_OF[each], pool=POOL_OF[each])
        for each in ACCOUNT_OF
    )
    group = AccountGroupFacts(payer=accounts[0], accounts=accounts, subscriptions=subscriptions)
    pricing = Pricing(released)
    answers, carried = {}, []
    for month in MONTHS:
        context = bill_context(group=group, releases=pricing.releases, cycle=month)
        buckets = [*carried, *granted(context, cycle=month)]
        priced = pricing.price(
            usage_frame(
                [
                    a_call(instant, seconds=seconds, subscription_id=each, billing_account_id=ACCOUNT_OF[each])
                    for instant, each, seconds in calls
                    if month.from_ms <= instant < month.until_ms
                ]
            ),
            holdings=holding_layers([(context, month)]),
            grants=grant_frame(buckets),
        )
        carried = carried_over(context, closing=closing_buckets(buckets, grants=priced.grants), ended=month)
        found = priced.rated.select("occurred_at_ms", "amount_nanos", "bucket_units").iter_rows()
        answers |= {instant: (nanos, included) for instant, nanos, included in found}
    return answers


rollovers = st.one_of(
    st.none(), st.builds(Rollover, cycles=st.integers(0, 2), cap_units=st.none() | st.integers(1, 400))
)
offers = st.builds(
    Terms,
    share=st.sampled_from(CounterScope),
    seconds=st.integers(0, 500),
    member_cap=st.none() | st.integers(1, 300),
    rollover=rollovers,
    count=st.sampled_from(CounterScope),
    tiered=st.booleans(),
)
one_call = st.tuples(
    st.integers(0, 119).map(lambda day: at(2026, 1, 1) + day * 86_400_000_000 + 40_000_000),
    st.sampled_from(sorted(ACCOUNT_OF)),
    st.integers(1, 700),
)


@settings(max_examples=60)
@given(terms=offers, calls=st.lists(one_call, max_size=30, unique_by=lambda each: each[0]))
def test_what_several_share_and_count_together_is_what_the_judge_says(terms, calls):
    assert billed(calls, terms=terms) == judge(calls, terms=terms)


@pytest.mark.parametrize(
    ("count", "nanos"), [(CounterScope.SUBSCRIPTION, 400_000_000), (CounterScope.POOL, 400_000_000)]
)
def test_a_subscription_outside_any_pool_counts_and_is_served_alone(count, nanos):
    """A minute is included; of the next 300 seconds each costs two thousandths, then one."""
    offer = Terms(share=CounterScope.POOL, seconds=60, member_cap=None, rollover=None, count=count, tiered=True)
    morning, evening = at(2026, 1, 5, 8), at(2026, 1, 5, 20)

    answers = billed([(morning, 12, 260), (evening, 12, 300)], terms=offer)

    assert answers == {morning: (nanos, 60), evening: (nanos, 0)}
