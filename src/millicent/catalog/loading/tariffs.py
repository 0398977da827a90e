"""Tariffs and their rules: prices as people write them to price cards."""

from dataclasses import dataclass
from fractions import Fraction

from millicent.catalog.loading import units
from millicent.catalog.loading.matching import Specifications, read_match, unit_kinds
from millicent.catalog.loading.reading import Section
from millicent.catalog.loading.units import UnitKind, UnitPrice
from millicent.catalog.types import (
    CounterScope,
    PriceCard,
    Slot,
    Tariff,
    TariffRule,
    TierLadder,
    TierModel,
    TierStep,
)
from millicent.kit.errors import BadInput
from millicent.kit.money import nano_digits
from millicent.kit.rounding import RoundingMode

_FREE = UnitPrice(amount_nanos=0, per_units=1, kind=UnitKind.BARE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pricing:
    """What reading a price needs to know: the currency, and what is counted."""

    currency: str
    kinds: frozenset[UnitKind]


def read_tariff(section: Section, *, specifications: Specifications, zone: str) -> Tariff:
    """`zone` is the time zone of the tariff's calendar: validity dates are local to it."""
    currency = section.text("currency") or section.reading.currency
    calendar = section.refer("calendar", "calendar")
    seen: set[str] = set()
    rules = []
    for part in section.sections("rules"):
        if part.text("code") in seen:
            part.fault("code", f"this tariff has two rules {part.text('code')!r}", "Give one of them another code.")
        seen.add(part.text("code"))
        rules.append(_read_rule(part, specifications=specifications, calendar=calendar, currency=currency, zone=zone))
    decimals = section.whole("decimals", 4)
    if decimals > nano_digits(currency):
        section.fault("decimals", f"{currency} holds {nano_digits(currency)} decimals", "Use fewer decimals.")
    return Tariff(
        code=section.text("code"),
        names=section.names(),
        currency=currency,
        calendar=calendar,
        rules=tuple(rules),
        decks=section.refer_all("deck", "decks"),
        deck_service=section.refer("specification", "deck_service", "voice"),
        band_by_start=section.flag("band_by_start"),
        rounding=section.choice("rounding", RoundingMode, RoundingMode.HALF_UP),
        decimals=decimals,
        where=section.where,
    )


def _read_rule(
    section: Section, *, specifications: Specifications, calendar: str, currency: str, zone: str
) -> TariffRule:
    match = read_match(section.section("when"), specifications=specifications, bands=f"band of calendar {calendar}")
    pricing = Pricing(currency=currency, kinds=unit_kinds(match.services, specifications))
    valid = section.section("valid")
    from_ms, until_ms = valid.instant_ms("from", zone=zone), valid.instant_ms("until", zone=zone)
    if from_ms is not None and until_ms is not None and from_ms >= until_ms:
        section.fault("valid", "this rule ends before it begins", "Mend `from:` or `until:`.")
    return TariffRule(
        code=section.text("code"),
        match=match,
        card=_read_card(section, pricing=pricing),
        priority=section.whole("priority"),
        surcharge=section.flag("surcharge"),
        blocked=section.flag("blocked"),
        valid_from_ms=from_ms,
        valid_until_ms=until_ms,
        where=section.where,
    )


def _read_card(section: Section, *, pricing: Pricing) -> PriceCard:
    _check_one_price(section)
    money = pricing.currency
    cost = _read_price(section, "cost", pricing=pricing) if section.has("cost") else None
    least = section.maybe_money("minimum_charge", currency=money)
    most = section.maybe_money("maximum_charge", currency=money)
    if least is not None and most is not None and least > most:
        section.fault("maximum_charge", "the maximum is below the minimum", "Mend one of them.")
    discount = section.fraction("discount")
    if not 0 <= discount <= 1:
        section.fault("discount", f"{section.text('discount')!r} is not between 0% and 100%", 'Write "10%".')
    ladder = _read_ladder(section.section("ladder"), pricing=pricing) if section.has("ladder") else None
    return PriceCard(
        slots=_read_slots(section, pricing=pricing),
        ladder=ladder,
        percentage=section.fraction("percentage") if section.has("percentage") else None,
        connect_nanos=section.money("connect", currency=money),
        unanswered_nanos=section.money("unanswered", currency=money),
        minimum_units=section.quantity("minimum_quantity", kinds=pricing.kinds),
        minimum_charge_nanos=least,
        maximum_charge_nanos=most,
        maximum_limits_quantity=section.text("maximum_limits", "charge") == "quantity",
        discount=discount,
        cost_floor_nanos_per_unit=Fraction(cost.amount_nanos, cost.per_units) if cost else None,
    )


def _check_one_price(section: Section) -> None:
    given = [key for key in ("price", "slots", "ladder", "percentage") if section.has(key)]
    if section.flag("blocked"):
        if given:
            section.fault(given[0], "a blocked rule has no price", f"Remove `{given[0]}:` or `blocked:`.")
        return
    if not given and not section.has("connect"):
        section.reading.fault(
            section.node,
            f"rule {section.text('code')!r} has no price",
            "Give one of `price:`, `slots:`, `ladder:`, `percentage:`, `connect:`, or `blocked: true`.",
        )
    if len(given) > 1:
        section.fault(given[1], f"this rule has both {given[0]} and {given[1]}", "Keep one of them.")


def _read_slots(section: Section, *, pricing: Pricing) -> tuple[Slot, ...]:
    if section.flag("blocked"):
        return ()
    if section.has("slots"):
        return _read_slot_list(section, pricing=pricing)
    if section.has("percentage"):
        return ()
    if section.has("ladder"):
        step = section.parsed("increments", lambda text: _increments(section, text), default=(1, 1))
        return (Slot(start_units=0, increment_units=step[1], amount_nanos=0, per_units=1),)
    return read_plain_slots(section, pricing=pricing)


def read_plain_slots(section: Section, *, pricing: Pricing) -> tuple[Slot, ...]:
    """`price:` with `increments:`. "60/1" is two slots: the first minute whole, then by the second."""
    price = _read_price(section, "price", pricing=pricing)
    first, following = section.parsed("increments", lambda text: _increments(section, text), default=(1, 1))
    starts = [(0, first)] if first == following else [(0, first), (first, following)]
    return tuple(
        Slot(start_units=start, increment_units=step, amount_nanos=price.amount_nanos, per_units=price.per_units)
        for start, step in starts
    )


def _increments(section: Section, text: str) -> tuple[int, int]:
    return units.parse_increments(text, counted=section.reading.counted)


def _read_slot_list(section: Section, *, pricing: Pricing) -> tuple[Slot, ...]:
    slots: list[Slot] = []
    for part in section.sections("slots"):
        start = part.quantity("from", kinds=pricing.kinds)
        price = _read_price(part, "price", pricing=pricing)
        step = part.quantity("every", kinds=pricing.kinds, default=1)
        if step <= 0:
            part.fault("every", "a step of nothing", 'Write for example "60".')
        if (slots and start <= slots[-1].start_units) or (not slots and start != 0):
            part.fault("from", "slots must begin at 0 and rise", "Put them in order, the first from 0.")
        slots.append(
            Slot(start_units=start, increment_units=step, amount_nanos=price.amount_nanos, per_units=price.per_units)
        )
    return tuple(slots)


def _read_price(section: Section, key: str, *, pricing: Pricing) -> UnitPrice:
    """A price of the kind that the services count. A bare amount is only clear for counted things, or at zero."""

    def parse(text: str) -> UnitPrice:
        price = units.parse_price(text, currency=pricing.currency, counted=section.reading.counted)
        section.expect_kind(price.kind, kinds=pricing.kinds, text=text)
        counted_only = pricing.kinds <= {UnitKind.COUNT}
        if price.kind is UnitKind.BARE and price.amount_nanos and not counted_only:
            raise BadInput(
                f"{text!r} does not say for how much", cure=f'Write for example "{text}/min" or "{text}/GB".'
            )
        return price

    return section.parsed(key, parse, default=_FREE)


def _read_ladder(section: Section, *, pricing: Pricing) -> TierLadder:
    model = section.choice("model", TierModel, TierModel.GRADUATED)
    if model is TierModel.PACKAGE:
        steps, package = _read_package(section, pricing=pricing)
    else:
        steps, package = _read_steps(section, pricing=pricing), 0
    return TierLadder(
        model=model,
        counter=section.text("counter"),
        scope=section.choice("scope", CounterScope, CounterScope.SUBSCRIPTION),
        steps=steps,
        package_units=package,
    )


def _read_package(section: Section, *, pricing: Pricing) -> tuple[tuple[TierStep, ...], int]:
    if not (section.has("package") and section.has("price")):
        section.reading.fault(section.node, "a package ladder needs its size and price", "Add `package:` and `price:`.")
    price = section.money("price", currency=pricing.currency)
    size = section.quantity("package", kinds=pricing.kinds, default=1)
    return (TierStep(floor_units=0, amount_nanos=0, flat_nanos=price),), size


def _read_steps(section: Section, *, pricing: Pricing) -> tuple[TierStep, ...]:
    steps: list[TierStep] = []
    for part in section.sections("steps"):
        floor = part.quantity("above", kinds=pricing.kinds)
        if (steps and floor <= steps[-1].floor_units) or (not steps and floor != 0):
            part.fault(
                "above", "the steps of a ladder must begin at 0 and rise", "Put them in order, the first above 0."
            )
        price = _read_price(part, "price", pricing=pricing)
        steps.append(
            TierStep(
                floor_units=floor,
                amount_nanos=price.amount_nanos,
                per_units=price.per_units,
                flat_nanos=part.money("entry", currency=pricing.currency),
            )
        )
    if not steps:
        section.reading.fault(section.node, "this ladder has no steps", "Add `steps:`.")
    return tuple(steps)
