"""Whatever changes, in whatever order we learn of it: the bills of a price add up to price times exact time."""

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.billing.builders import CENT, a_catalogue, a_fee, a_subscription, a_version, an_account, an_offering, at

from millicent.billing.rules.bill import bill_charges
from millicent.billing.rules.charges import Charge
from millicent.billing.rules.context import bill_context
from millicent.billing.rules.cycles import CycleSpan, cycle_containing
from millicent.billing.rules.releases import Releases
from millicent.billing.rules.replay import changed_from, replayed_cycles
from millicent.billing.types import AccountGroupFacts, ReleasedCatalogue
from millicent.catalog.types import Proration
from millicent.customers.types import BillCycle
from millicent.subscriptions.types import SubscriptionFacts, SubscriptionStatus

LAST_CYCLE = 6
PRICES = {"small": 2_999 * CENT, "large": 5_901 * CENT}


def judge(history, *, cycles):
    """Cents for each (offering, cycle), second by second's worth, with fractions and without any of our code."""
    owed = {}
    for span in cycles:
        for offering, price in PRICES.items():
            exact = Fraction(0)
            for start, end, held, active, quantity in history:
                seconds = max(0, min(end, span.until_ms) - max(start, span.from_ms))
                if held == offering and active:
                    exact += Fraction(price * quantity * seconds, span.until_ms - span.from_ms)
            cents = exact / CENT
            owed[offering, span.from_ms] = int(cents + Fraction(1, 2))
    return owed


@st.composite
def lives(draw):
    """A list of changes: when each takes effect, when we learn of it, and what holds from then on."""
    changes = []
    for _ in range(draw(st.integers(1, 5))):
        effective = at(2026, 1, 1) + draw(st.integers(0, 150 * 86_400)) * 1000
        changes.append(
            (
                effective,
                effective + draw(st.integers(0, 60 * 86_400)) * 1000,
                draw(st.sampled_from(sorted(PRICES))),
                draw(st.booleans()),
                draw(st.integers(1, 3)),
            )
        )
    return changes


def known_at(changes, *, instant_ms):
    """The history as it was known: a change learned later has replaced what it overlaps from its own instant on."""
    versions = []
    for effective, learned, offering, active, quantity in sorted(changes, key=lambda each: each[1]):
        if learned < instant_ms:
            versions = [each for each in versions if each[0] < effective]
            versions.append((effective, learned, offering, active, quantity))
    if not versions:
        return []
    ends = [each[0] for each in versions[1:]] + [None]
    return [(start, end, learned, *rest) for (start, learned, *rest), end in zip(versions, ends, strict=True)]


def subscription_of(known) -> SubscriptionFacts:
    return a_subscription(
        *(
            a_version(
                start,
                end,
                offering=offering,
                quantity=quantity,
                status=SubscriptionStatus.ACTIVE if active else SubscriptionStatus.SUSPENDED,
                recorded_at_ms=learned,
            )
            for start, end, learned, offering, active, quantity in known
        )
    )


@settings(max_examples=150, deadline=None)
@given(changes=lives(), in_advance=st.booleans(), day=st.integers(1, 31))
def test_the_bills_of_a_price_add_up_to_price_times_exact_time(changes, in_advance, day):
    cycle = BillCycle(day=day)
    offerings = [
        an_offering(code, recurring=(a_fee(price, in_advance=in_advance, proration=Proration.BY_SECOND),))
        for code, price in PRICES.items()
    ]
    released = [ReleasedCatalogue(number=1, effective_from_ms=0, catalogue=a_catalogue(*offerings))]
    account = an_account(cycle=cycle, opened_at_ms=at(2026, 1, 1))
    span = cycle_containing(cycle=cycle, zone=account.zone, instant_ms=at(2026, 1, 1))
    issued: list[Charge] = []
    billed: list[CycleSpan] = []
    known_ms = 0
    while len(billed) < LAST_CYCLE + 4:  # four quiet cycles at the end: everything has been learned by then
        now_ms = span.until_ms
        history = known_at(changes, instant_ms=now_ms)
        subscription = (
            subscription_of(history)
            if history
            else SubscriptionFacts(subscription_id=11, code="S-11", billing_account_id=1)
        )
        since_ms = changed_from(
            subscriptions=[subscription], releases=released, known_until_ms=known_ms, release_count=1,
            late_usage_from_ms=None, cycle_from_ms=span.from_ms,
        )  # fmt: skip
        cycles = replayed_cycles(changed_from_ms=since_ms, billed=billed, cycle=span) if billed else (span,)
        context = bill_context(
            group=AccountGroupFacts(payer=account, accounts=(account,), subscriptions=(subscription,)),
            releases=Releases(released), cycle=span, replay_from_ms=cycles[0].from_ms, spans=tuple(billed),
        )  # fmt: skip
        issued += bill_charges(context, usage={}, replayed=cycles, issued=issued)
        billed.append(span)
        known_ms = now_ms
        span = cycle_containing(cycle=cycle, zone=account.zone, instant_ms=span.until_ms)

    charged: dict[tuple[str, int], int] = {}
    for charge in issued:
        key = (charge.key.offering, charge.key.period_from_ms)
        charged[key] = charged.get(key, 0) + charge.amount_nanos // CENT
    far = 2**62
    truth = [
        (start, far if end is None else end, offering, active, quantity)
        for start, end, _, offering, active, quantity in known_at(changes, instant_ms=far)
    ]
    for (offering, from_ms), cents in judge(truth, cycles=billed).items():
        assert charged.get((offering, from_ms), 0) == cents
