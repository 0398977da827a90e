"""What an offering includes: units or money, whole or shared, with or without an end."""

from fractions import Fraction

from millicent.catalog.loading.matching import Specifications, read_match, unit_kinds
from millicent.catalog.loading.reading import Section
from millicent.catalog.loading.tariffs import Pricing, read_plain_slots
from millicent.catalog.loading.units import parse_days
from millicent.catalog.types import Allowance, AllowanceKind, CounterScope, FairUse, Rollover, Slot


def read_allowance(section: Section, *, specifications: Specifications, calendar: str, currency: str) -> Allowance:
    """`calendar` is that of the offering's tariff; "" when an add-on may meet any."""
    bands = f"band of calendar {calendar}" if calendar else "band"
    match = read_match(section.section("when"), specifications=specifications, bands=bands)
    pricing = Pricing(currency=currency, kinds=unit_kinds(match.services, specifications))
    _check_amount(section)
    unlimited = section.text("amount") == "unlimited"
    money = section.has("money")
    fair = section.section("fair_use")
    no_days: int | None = None
    return Allowance(
        code=section.text("code"),
        names=section.names(),
        match=match,
        amount=_amount(section, pricing=pricing, unlimited=unlimited),
        kind=AllowanceKind.MONEY if money else AllowanceKind.UNITS,
        unlimited=unlimited,
        scope=section.choice("scope", CounterScope, CounterScope.SUBSCRIPTION),
        member_cap=_capped(section, "member_cap", pricing=pricing, money=money),
        priority=section.whole("priority"),
        whole_increments=section.flag("whole_increments"),
        factor=section.fraction("factor", Fraction(1)),
        price=_own_price(section, pricing=pricing),
        blocker=section.flag("blocker"),
        window=section.refer_all(bands, "window"),
        validity_days=section.parsed("validity", parse_days, default=no_days),
        rollover=_rollover(section, pricing=pricing, money=money),
        prorate_first_cycle=section.flag("prorate_first_cycle"),
        fair_use=fair.choice("then", FairUse, FairUse.NONE),
        fair_use_units=fair.quantity("after", kinds=pricing.kinds),
        one_time=section.flag("once"),
        where=section.where,
    )


def _check_amount(section: Section) -> None:
    if section.has("amount") == section.has("money"):
        section.reading.fault(
            section.node,
            f"allowance {section.text('code')!r} is of units or of money",
            "Give one of `amount:` and `money:`.",
        )
    if section.fraction("factor", Fraction(1)) <= 0:
        section.fault("factor", "a factor must be above zero", 'Write for example "1.5".')


def _amount(section: Section, *, pricing: Pricing, unlimited: bool) -> int:
    if unlimited:
        return 0
    if section.has("money"):
        return section.money("money", currency=pricing.currency)
    return section.quantity("amount", kinds=pricing.kinds)


def _capped(section: Section, key: str, *, pricing: Pricing, money: bool) -> int | None:
    if not section.has(key):
        return None
    return section.money(key, currency=pricing.currency) if money else section.quantity(key, kinds=pricing.kinds)


def _own_price(section: Section, *, pricing: Pricing) -> Slot | None:
    if not section.has("price"):
        return None
    return read_plain_slots(section, pricing=pricing)[0]


def _rollover(section: Section, *, pricing: Pricing, money: bool) -> Rollover | None:
    if not section.has("rollover"):
        return None
    part = section.section("rollover")
    return Rollover(cycles=part.whole("cycles"), cap_units=_capped(part, "cap", pricing=pricing, money=money))
