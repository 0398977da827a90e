"""Price cards to rows. Discounts are linear, so they are multiplied into the rates once, here."""

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from millicent.catalog.types import CounterScope, PriceCard, Slot, TierLadder, TierModel
from millicent.kit.errors import BadInput
from millicent.rating.compile.rational import Rate, exact_amount, exact_rate
from millicent.rating.compile.tables import Names, Table
from millicent.rating.kernel.arrays import (
    CARD_COLUMNS,
    LARGEST,
    SLOT_COLUMNS,
    SMALLEST,
    STEP_COLUMNS,
)

FREE_SLOT = Slot(start_units=0, increment_units=1, amount_nanos=0, per_units=1)


@dataclass(slots=True)
class CardTables:
    """Cards, slots and ladder steps of a program while it is compiled. Equal cards share one row."""

    card: Table[np.int64] = field(default_factory=lambda: Table(CARD_COLUMNS, np.int64))
    slot: Table[np.int64] = field(default_factory=lambda: Table(SLOT_COLUMNS, np.int64))
    step: Table[np.int64] = field(default_factory=lambda: Table(STEP_COLUMNS, np.int64))
    counters: Names[tuple[str, CounterScope]] = field(default_factory=Names)
    known: dict[PriceCard, tuple[int, frozenset[int]]] = field(default_factory=dict)

    def add(self, card: PriceCard, *, where: str) -> tuple[int, frozenset[int]]:
        """The card's row, and the denominators that its amounts need."""
        if card not in self.known:
            self.known[card] = self._compile(card, where=where)
        return self.known[card]

    def _compile(self, card: PriceCard, *, where: str) -> tuple[int, frozenset[int]]:
        _refuse_unsound(card, where=where)
        keeps = 1 - card.discount
        slots = card.slots or (FREE_SLOT,)
        first_slot, slot_rates = len(self.slot), []
        for slot in slots:
            rate = exact_rate(Fraction(slot.amount_nanos, slot.per_units) * keeps, where=where)
            if card.ladder is not None:
                rate = exact_rate(Fraction(0), where=where)
            self.slot.add((slot.start_units, slot.increment_units, *rate))
            slot_rates.append(rate)
        first_step, denominators = len(self.step), {rate.per for rate in slot_rates}
        if card.ladder is not None:
            denominators |= self._add_ladder(card.ladder, keeps=keeps, where=where)
        connect = exact_rate(Fraction(card.connect_nanos) * keeps, where=where)
        share = exact_rate((card.percentage or Fraction(0)) * keeps, where=where)
        denominators |= {connect.per, share.per}
        row = self.card.add(
            (
                first_slot,
                len(slots),
                len(self.step) - first_step,
                int(_is_plain(card)),
                connect.amount,
                connect.per,
                first_step,
                card.ladder.package_units if card.ladder and card.ladder.model is TierModel.PACKAGE else 0,
                self.counters.of((card.ladder.counter, card.ladder.scope)) if card.ladder else 0,
                exact_amount(card.unanswered_nanos, where=where),
                card.minimum_units,
                exact_amount(card.minimum_charge_nanos, where=where, absent=SMALLEST),
                exact_amount(card.maximum_charge_nanos, where=where, absent=LARGEST),
                int(card.maximum_limits_quantity and card.maximum_charge_nanos is not None),
                *share,
            )
        )
        return row, frozenset(denominators)

    def _add_ladder(self, ladder: TierLadder, *, keeps: Fraction, where: str) -> set[int]:
        """One row a step: what the total costs from its floor on, in closed form."""
        denominators: set[int] = set()
        reached = Fraction(0)  # graduated: what all steps below cost together
        for place, step in enumerate(ladder.steps):
            price, flat = Fraction(step.amount_nanos, step.per_units) * keeps, step.flat_nanos * keeps
            if ladder.model is TierModel.GRADUATED:
                if place:
                    below = ladder.steps[place - 1]
                    width = step.floor_units - below.floor_units
                    reached += width * Fraction(below.amount_nanos, below.per_units) * keeps
                reached += flat
                rate, start, origin = exact_rate(price, where=where), reached, step.floor_units
            elif ladder.model is TierModel.VOLUME:
                rate, start, origin = exact_rate(price, where=where), flat, 0
            elif ladder.model is TierModel.STAIRS:
                rate, start, origin = exact_rate(Fraction(0), where=where), flat, 0
            else:  # PACKAGE: units are packages by then
                rate, start, origin = exact_rate(flat, where=where), Fraction(0), 0
            denominators |= self._add_step(step.floor_units, origin, rate, start, where=where)
        return denominators

    def _add_step(self, floor: int, origin: int, rate: Rate, start: Fraction, *, where: str) -> set[int]:
        whole = start.numerator // start.denominator
        parts = start - whole
        exact_amount(whole, where=where)
        self.step.add((floor, origin, *rate, whole, parts.numerator, parts.denominator))
        return {rate.per, parts.denominator}


def _is_plain(card: PriceCard) -> bool:
    """Whether slots and a connect fee are all there is: the loop then asks the card for nothing else."""
    return card == PriceCard(
        slots=card.slots,
        connect_nanos=card.connect_nanos,
        discount=card.discount,
        unanswered_nanos=card.unanswered_nanos,
        cost_floor_nanos_per_unit=card.cost_floor_nanos_per_unit,
    )


def _refuse_unsound(card: PriceCard, *, where: str) -> None:
    """The kernel trusts what is checked here."""
    for slot in card.slots:
        if slot.increment_units < 1 or slot.per_units < 1 or slot.start_units < 0:
            raise BadInput("a slot needs a positive increment and quantity", where=where, cure="Use 1 or more.")
    starts = [slot.start_units for slot in card.slots]
    if starts and (starts[0] != 0 or starts != sorted(set(starts))):
        raise BadInput("slots must start at 0 and rise", where=where, cure="Order the slots by their start.")
    if card.ladder is not None:
        floors = [step.floor_units for step in card.ladder.steps]
        if not floors or floors[0] != 0 or floors != sorted(set(floors)):
            raise BadInput("steps of a ladder must start at 0 and rise", where=where, cure="Order them by floor.")
        if any(step.per_units < 1 for step in card.ladder.steps):
            raise BadInput("a step is priced per a positive quantity", where=where, cure="Use 1 or more.")
        if card.ladder.model is TierModel.PACKAGE and card.ladder.package_units < 1:
            raise BadInput("a package holds at least one unit", where=where, cure="Set package_units.")
    if card.maximum_limits_quantity and not _rises(card):
        raise BadInput(
            "a maximum that limits the quantity needs prices that do not fall",
            where=where,
            cure="Use prices of 0 or more, and no volume ladder.",
        )


def _rises(card: PriceCard) -> bool:
    if card.ladder is not None and card.ladder.model is TierModel.VOLUME:
        return False
    steps = card.ladder.steps if card.ladder else ()
    prices = [slot.amount_nanos for slot in card.slots] + [step.amount_nanos for step in steps]
    flats = [step.flat_nanos for step in steps]
    if card.ladder is not None and card.ladder.model is TierModel.STAIRS and flats != sorted(flats):
        return False
    return min([*prices, *flats, 0]) >= 0
