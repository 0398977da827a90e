"""Random catalogues and usage that touch every price model and selector, small enough for the judge."""

from dataclasses import replace
from datetime import date
from fractions import Fraction

from hypothesis import strategies as st
from tests.rating.builders import CENT, LATE, NAMES, NOON, a_calendar, a_catalogue, a_deck, an_allowance, at
from tests.rating.court import Member, SharedBucket
from tests.rating.judge import Usage

from millicent.catalog.types import (
    Allowance,
    AllowanceKind,
    CounterScope,
    DayType,
    FairUse,
    Match,
    PriceCard,
    Slot,
    Tariff,
    TariffRule,
    TierLadder,
    TierModel,
    TierStep,
    TimeBand,
)
from millicent.kit.rounding import RoundingMode

STARTS = (
    NOON,
    at("2026-03-29T01:59:30"),
    at("2026-10-25T02:58:40"),
    at("2026-10-25T02:58:40", fold=1),
    at("2028-02-29T23:59:10"),
    at("2026-12-31T23:59:59"),
    at("2026-10-12T07:59:00"),
)
NUMBERS = ("34911234567", "34655", "3480312", "short:118", "short:112", "442071234567", "4479", "44", "3", "")
ZONES = ("world/spain", "world/mobile", "world/premium", "world")
BANDS = ("peak", "night", "feast")
CALENDAR = a_calendar(
    TimeBand(code="peak", days=frozenset(range(5)), start_second=8 * 3600, end_second=20 * 3600),
    TimeBand(code="night", days=frozenset(DayType), start_second=0, end_second=3 * 3600),
    TimeBand(code="night", days=frozenset(range(5)), start_second=86_400 - 60, end_second=86_400),
    TimeBand(code="feast", days=frozenset({DayType.HOLIDAY}), start_second=0, end_second=86_400),
    holidays=frozenset({date(2026, 10, 12)}),
)
prices = st.sampled_from((0, 1, 7, CENT, 3 * CENT + 1, 123_456_789, -CENT))
rising = st.sampled_from((0, 1, CENT, 123_456_789))
pers = st.sampled_from((1, 7, 60, 1000, 1024))
increments = st.sampled_from((1, 6, 30, 60))
fractions = st.sampled_from((Fraction(0), Fraction(1, 10), Fraction(1, 3), Fraction(1)))


def some(values: tuple[str, ...], *, often: int = 3) -> st.SearchStrategy:
    """Mostly nothing asked; else one or two values."""
    asked = st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True).map(tuple)
    return st.one_of(*[st.just(())] * often, asked)


@st.composite
def matches(draw, *, zones: bool = True) -> Match:
    return Match(
        services=draw(some(("voice", "data", "sms"))),
        directions=draw(some(("originating", "terminating"), often=6)),
        call_types=draw(some(("onnet", "offnet"), often=6)),
        zones=draw(some(ZONES, often=2)) if zones else (),
        origin_zones=draw(some(("world/mobile",), often=8)),
        visited_zones=draw(some(("abroad",), often=8)),
        bands=draw(some(BANDS, often=3)),
        segments=draw(some(("business",), often=8)),
        attributes=draw(st.sampled_from(({}, {}, {}, {"friend": ("yes",)}))),
    )


@st.composite
def slot_lists(draw, *, price=prices) -> tuple[Slot, ...]:
    starts = [0, *sorted(draw(st.sets(st.sampled_from((10, 30, 45, 60, 100)), max_size=2)))]
    return tuple(
        Slot(start_units=start, increment_units=draw(increments), amount_nanos=draw(price), per_units=draw(pers))
        for start in starts
    )


@st.composite
def ladders(draw, *, shared: bool = False) -> TierLadder:
    model = draw(st.sampled_from(TierModel))
    floors = [0, *sorted(draw(st.sets(st.sampled_from((20, 60, 90, 200)), max_size=2)))]
    if model is TierModel.PACKAGE:
        floors = [0]
    return TierLadder(
        model=model,
        counter=draw(st.sampled_from(("a", "b"))),
        scope=draw(st.sampled_from(CounterScope)) if shared else CounterScope.SUBSCRIPTION,
        steps=tuple(
            TierStep(floor_units=floor, amount_nanos=draw(rising), per_units=draw(pers), flat_nanos=draw(rising))
            for floor in floors
        ),
        package_units=50 if model is TierModel.PACKAGE else 0,
    )


@st.composite
def cards(draw, *, shared: bool = False) -> PriceCard:
    kinds = ("slots", "slots", "ladder", "percentage", "limit")
    kind = draw(st.sampled_from((*kinds, "ladder", "ladder") if shared else kinds))
    parts: dict = {"slots": draw(slot_lists())}
    if kind == "ladder":
        increment = draw(st.sampled_from(((), (Slot(start_units=0, increment_units=30, amount_nanos=0, per_units=1),))))
        parts = {"slots": increment, "ladder": draw(ladders(shared=shared))}
    elif kind == "percentage":
        parts = {"percentage": draw(st.sampled_from((Fraction(1), Fraction(115, 100), Fraction(-1, 3))))}
    elif kind == "limit":
        parts = {
            "slots": draw(slot_lists(price=rising)),
            "maximum_charge_nanos": draw(st.sampled_from((0, CENT, 10 * CENT))),
            "maximum_limits_quantity": True,
        }
    else:
        parts["maximum_charge_nanos"] = draw(st.sampled_from((None, None, 20 * CENT)))
    return PriceCard(
        **parts,
        connect_nanos=draw(st.sampled_from((0, 0, 5 * CENT + 1))),
        unanswered_nanos=draw(st.sampled_from((0, CENT))),
        minimum_units=draw(st.sampled_from((0, 0, 45))),
        minimum_charge_nanos=draw(st.sampled_from((None, None, CENT))),
        discount=draw(fractions),
    )


@st.composite
def rules(draw, code: str, *, shared: bool = False) -> TariffRule:
    surcharge = draw(st.sampled_from((False, False, False, True)))
    return TariffRule(
        code=code,
        match=draw(matches()),
        card=draw(cards(shared=shared)),
        priority=draw(st.sampled_from((0, 0, 1, -1))),
        surcharge=surcharge,
        blocked=False if surcharge else draw(st.sampled_from((*[False] * 9, True))),
        valid_from_ms=draw(st.sampled_from((None, None, None, NOON))),
        valid_until_ms=draw(st.sampled_from((None, None, None, NOON + 10))),
    )


@st.composite
def tariffs(draw, code: str = "tariff", *, most: int = 5, shared: bool = False, currency: str = "EUR") -> Tariff:
    count = draw(st.integers(1, most))
    fallback = TariffRule(code="fallback", match=Match(), card=draw(cards(shared=shared)), priority=-5)
    listed = [draw(rules(f"r{number}", shared=shared)) for number in range(count)]
    return Tariff(
        code=code,
        names=NAMES,
        currency=currency,
        calendar="calendar",
        rules=tuple(listed + [fallback] * draw(st.sampled_from((0, 1, 1, 1)))),
        decks=draw(st.sampled_from(((), ("deck",)))) if currency == "EUR" else (),
        band_by_start=draw(st.sampled_from((False, False, True))),
        rounding=draw(st.sampled_from(RoundingMode)),
        decimals=draw(st.sampled_from((0, 2, 4, 9))),
    )


@st.composite
def allowances(draw, code: str) -> Allowance:
    money = draw(st.sampled_from((False, False, False, True)))
    amount = draw(st.sampled_from((0, 50, 100, 1000))) * (CENT if money else 1)
    price = Slot(start_units=0, increment_units=draw(increments), amount_nanos=draw(rising), per_units=draw(pers))
    return an_allowance(
        amount,
        code=code,
        match=draw(matches()),
        kind=AllowanceKind.MONEY if money else AllowanceKind.UNITS,
        unlimited=draw(st.sampled_from((False, False, False, True))),
        member_cap=draw(st.sampled_from((None, None, None, 70))),
        priority=draw(st.sampled_from((0, 0, 1))),
        whole_increments=draw(st.booleans()) and not money,
        factor=Fraction(1)
        if money
        else draw(st.sampled_from((Fraction(1), Fraction(1), Fraction(3, 2), Fraction(1, 4)))),
        price=None if money else draw(st.sampled_from((None, None, price))),
        blocker=draw(st.sampled_from((False, False, False, True))),
        window=draw(some(BANDS, often=3)),
        fair_use=FairUse.NONE if money else draw(st.sampled_from((FairUse.NONE, FairUse.NONE, *FairUse))),
        fair_use_units=min(amount, 60),
    )


DECK = a_deck(
    [
        {"prefix": "44", "rate": 3 * CENT, "first": 30, "following": 6, "destination": "UK"},
        {"prefix": "447", "rate": 7 * CENT, "connect": 1, "first": 60, "following": 60, "destination": "UK mobile"},
        {"prefix": "346", "rate": CENT, "first": 1, "following": 1, "destination": "Spain mobile", "valid_from": NOON},
    ]
)


@st.composite
def catalogues(draw):
    included = tuple(draw(allowances(f"a{number}")) for number in range(draw(st.integers(0, 3))))
    return a_catalogue(draw(tariffs()), allowances=included, calendars={"calendar": CALENDAR}, decks={"deck": DECK})


@st.composite
def usages(draw) -> Usage:
    service = draw(st.sampled_from(("voice", "voice", "voice", "data", "sms")))
    return Usage(
        service=service,
        instant_ms=draw(st.sampled_from(STARTS)) + draw(st.sampled_from((0, 1, 999, 30_000))),
        quantity=draw(st.one_of(st.integers(0, 200), st.sampled_from((0, 1, 60, 61, 400)))),
        number=draw(st.sampled_from(NUMBERS)),
        direction=draw(st.sampled_from(("originating", "originating", "terminating"))),
        call_type=draw(st.sampled_from(("", "onnet", "offnet"))),
        visited_network=draw(st.sampled_from(("", "", "20801", "21407"))),
        origin=draw(st.sampled_from(("", "34655123"))),
        answered=draw(st.sampled_from((True, True, False))),
        content_nanos=draw(st.sampled_from((0, 1, 99 * CENT, -CENT))),
        attributes=draw(st.sampled_from(({}, {"friend": "yes"}))),
    )


@st.composite
def bucket_rows(draw, codes: list[str]) -> list[dict]:
    return [
        {
            "allowance": code,
            "remaining": draw(st.sampled_from((0, 37, 100, 5 * CENT))),
            "valid_from_ms": draw(st.sampled_from((0, 0, NOON + 1))),
            "valid_until_ms": draw(st.sampled_from((LATE, LATE, NOON + 20_000))),
            "granted_at_ms": draw(st.sampled_from((0, 5))),
        }
        for code in codes
        for _ in range(draw(st.sampled_from((1, 1, 2))))
    ]


# ---------------------------------------------------------------- what is shared: a month of several subscriptions

MEMBERS = (
    Member(1, 10, pool="family"),
    Member(2, 10, pool="family", segment="business", resellers=("near",)),
    Member(3, 20, pool="family", resellers=("near", "far")),
    Member(4, 20),
)


@st.composite
def worlds(draw):
    """One or two releases, each with its effective date; tariffs of customers, resellers and a supplier."""
    releases = [(0, draw(shared_catalogues()))]
    if draw(st.booleans()):
        releases.append((draw(st.sampled_from(STARTS)) + draw(st.sampled_from((0, 1))), draw(shared_catalogues())))
    return releases


@st.composite
def shared_catalogues(draw):
    included = tuple(draw(allowances(f"a{number}")) for number in range(draw(st.integers(0, 3))))
    others = [draw(tariffs(code, most=1, shared=True)) for code in ("wholesale", "bulk")]
    cost = draw(tariffs("cost", most=1, shared=True, currency=draw(st.sampled_from(("EUR", "EUR", "USD")))))
    return a_catalogue(
        draw(tariffs(most=3, shared=True)),
        *others,
        cost,
        allowances=included,
        calendars={"calendar": CALENDAR},
        decks={"deck": DECK},
        reseller_tariffs=draw(st.sampled_from(({"near": "wholesale", "far": "bulk"}, {"near": "bulk"}))),
        supplier_tariffs=draw(st.sampled_from(({"carrier": "cost"}, {"carrier": "cost"}, {"other": "cost"}))),
    )


@st.composite
def shared_buckets(draw, codes: list[str]) -> list[SharedBucket]:
    rows = draw(bucket_rows(codes))
    found = []
    for number, row in enumerate(rows, 1):
        scope = draw(st.sampled_from(CounterScope))
        owner_id = {CounterScope.SUBSCRIPTION: (1, 2, 3, 4), CounterScope.ACCOUNT: (10, 20), CounterScope.POOL: (-1,)}
        pool = "family" if scope is CounterScope.POOL else ""
        found.append(
            SharedBucket(
                bucket_id=number, scope=scope, pool=pool, owner_id=draw(st.sampled_from(owner_id[scope])), **row
            )
        )
    return found


@st.composite
def shared_usages(draw) -> Usage:
    return replace(
        draw(usages()),
        subscription_id=draw(st.sampled_from([member.subscription_id for member in MEMBERS])),
        supplier=draw(st.sampled_from(("", "carrier"))),
    )
