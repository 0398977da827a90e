"""Why a charge is what it is: the steps of the kernel as a document that programs read, and as sentences for people."""

from collections.abc import Callable, Mapping
from fractions import Fraction

from millicent.kit.money import format_plain
from millicent.kit.rounding import RoundingMode
from millicent.rating.kernel import trace as steps_of
from millicent.rating.kernel.arrays import (
    CASE_RULE,
    CASE_ZONE,
    NOTHING,
    SLOT_AMOUNT,
    SLOT_INCREMENT,
    SLOT_PER,
    SLOT_START,
    TARIFF_DENOMINATOR,
)
from millicent.rating.services.trace_usage import TracedCharge
from millicent.rating.types import Reason

Step = dict[str, object]


def explain_charge(traced: TracedCharge) -> dict[str, object]:
    """One leg as a JSON-ready document: facts, steps in the order they happened, and the answer.

    Exact amounts are written as fractions of a nano where they are no whole number.
    """
    call, answers, row = traced.call, traced.answers, traced.row
    program = traced.stage.program
    tariff = int(traced.stage.charges.tariff[row])
    usage = call.usage.row(int(call.legs.usage[traced.charge]), named=True)
    currency = program.currencies[tariff] if tariff >= 0 else ""
    amount = int(answers.amount_nanos[row])
    return {
        "event_key": f"{usage['event_key_high']:016x}{usage['event_key_low']:016x}",
        "leg": int(call.legs.leg[traced.charge]),
        "leg_party": call.legs.parties[int(call.legs.party[traced.charge])],
        "occurred_at_ms": usage["occurred_at_ms"],
        "service": usage["service"],
        "other_party": usage["other_party"],
        "quantity_units": int(traced.stage.charges.arrays.quantity[row]),
        "unit": program.specifications[usage["service"]].unit if usage["service"] in program.specifications else "",
        "tariff": program.tariff_codes[tariff] if tariff >= 0 else "",
        "catalog_release": traced.stage.release,
        "currency": currency,
        "steps": [_described(traced, step.tolist(), tariff=tariff) for step in traced.steps],
        "charged_units": int(answers.charged_units[row]),
        "bucket_units": int(answers.bucket_units[row]),
        "unserved_units": int(answers.unserved_units[row]),
        "amount_nanos": amount,
        "amount": format_plain(amount, currency) if currency else "0",
        "reason": Reason(int(answers.reason[row])).name.lower(),
    }


def _exact(nanos: int, parts: int, denominator: int) -> int | str:
    exact = nanos + Fraction(parts, denominator)
    return exact.numerator if exact.denominator == 1 else str(exact)


def _described(traced: TracedCharge, step: list[int], *, tariff: int) -> Step:
    """One step with names for its numbers."""
    kind, *values = step
    denominator = int(traced.stage.program.prices.tariff[tariff, TARIFF_DENOMINATOR]) if tariff >= 0 else 1
    return _DESCRIBE[kind](traced, values, denominator)


def _part(traced: TracedCharge, values: list[int], denominator: int) -> Step:
    return {"step": "surcharge" if values[0] else "base", "number": values[0], "quantity_units": values[1]}


def _case(traced: TracedCharge, values: list[int], denominator: int) -> Step:
    program = traced.stage.program
    case = program.selector.arrays().case[values[0]]
    number = int(case[CASE_RULE])
    zone = int(case[CASE_ZONE]) if case[CASE_ZONE] != NOTHING else program.zone_of(rule=number, zone_set=values[3])
    rule = program.rule_names[number]
    return {
        "step": "rule",
        "rule": rule,
        "bands": list(_bands(traced, rule)),
        "zone": program.zone_names[zone] if zone != NOTHING else "",
        "from_unit": values[1],
        "until_unit": values[2],
    }


def _bands(traced: TracedCharge, rule: str) -> tuple[str, ...]:
    tariff = int(traced.stage.charges.tariff[traced.row])
    found = (
        each.rule.match.bands for each in traced.stage.program.selector.tariffs[tariff].rules if each.rule.code == rule
    )
    return next(found, ())


def _span(traced: TracedCharge, values: list[int], denominator: int) -> Step:
    slot, start, end, billed, by_buckets, rest, nanos, parts = values
    row = traced.stage.program.prices.slot[slot]
    return {
        "step": "span",
        "from_unit": start,
        "until_unit": end,
        "slot_start": int(row[SLOT_START]),
        "increment_units": int(row[SLOT_INCREMENT]),
        "price_nanos_per_unit": _exact(0, int(row[SLOT_AMOUNT]), int(row[SLOT_PER])),
        "billed_units": billed,
        "bucket_units": by_buckets,
        "charged_units": rest,
        "nanos": _exact(nanos, parts, denominator),
    }


def _ladder(traced: TracedCharge, values: list[int], denominator: int) -> Step:
    counter, _ = traced.stage.program.counters[values[0]]
    return {"step": "ladder", "counter": counter, "total_before": values[1], "total_after": values[2]}


def _amount_of_card(name: str) -> Callable[[TracedCharge, list[int], int], Step]:
    def describe(traced: TracedCharge, values: list[int], denominator: int) -> Step:
        return {"step": name, "nanos": _exact(values[1], values[2], denominator)}

    return describe


def _share(traced: TracedCharge, values: list[int], denominator: int) -> Step:
    return {"step": "percentage", "content_nanos": values[1], "nanos": _exact(values[2], values[3], denominator)}


def _bound(name: str) -> Callable[[TracedCharge, list[int], int], Step]:
    def describe(traced: TracedCharge, values: list[int], denominator: int) -> Step:
        return {"step": name, "nanos_before": _exact(values[0], values[1], denominator), "nanos": values[2]}

    return describe


def _limit(traced: TracedCharge, values: list[int], denominator: int) -> Step:
    return {"step": "limit", "served_units": values[0], "unserved_units": values[1]}


def _unanswered(traced: TracedCharge, values: list[int], denominator: int) -> Step:
    return {"step": "unanswered", "nanos": values[0]}


def _draw(traced: TracedCharge, values: list[int], denominator: int) -> Step:
    return {
        "step": "allowance",
        "allowance": traced.bucket_names[values[0]],
        "units": values[1],
        "taken": values[2],
        "remaining_before": values[3],
        "remaining_after": values[4],
        "nanos": _exact(values[5], values[6], denominator),
    }


def _round(traced: TracedCharge, values: list[int], denominator: int) -> Step:
    return {
        "step": "rounding",
        "nanos_before": _exact(values[0], values[1], values[2]),
        "to_nanos": values[3],
        "mode": RoundingMode(values[4]).name.lower(),
        "nanos": values[5],
    }


def _money(traced: TracedCharge, values: list[int], denominator: int) -> Step:
    return {
        "step": "money_allowance",
        "allowance": traced.bucket_names[values[0]],
        "remaining_before": values[1],
        "remaining_after": values[2],
        "nanos": values[3],
    }


def _minimum_units(traced: TracedCharge, values: list[int], denominator: int) -> Step:
    return {"step": "minimum_units", "quantity_before": values[0], "quantity_units": values[1]}


def _reason(traced: TracedCharge, values: list[int], denominator: int) -> Step:
    return {"step": "reason", "reason": Reason(values[0]).name.lower()}


_DESCRIBE: Mapping[int, Callable[[TracedCharge, list[int], int], Step]] = {
    steps_of.STEP_PART: _part,
    steps_of.STEP_CASE: _case,
    steps_of.STEP_SPAN: _span,
    steps_of.STEP_LADDER: _ladder,
    steps_of.STEP_CONNECT: _amount_of_card("connect"),
    steps_of.STEP_SHARE: _share,
    steps_of.STEP_MINIMUM: _bound("minimum"),
    steps_of.STEP_MAXIMUM: _bound("maximum"),
    steps_of.STEP_LIMIT: _limit,
    steps_of.STEP_UNANSWERED: _unanswered,
    steps_of.STEP_DRAW: _draw,
    steps_of.STEP_ROUND: _round,
    steps_of.STEP_MONEY: _money,
    steps_of.STEP_MINIMUM_UNITS: _minimum_units,
    steps_of.STEP_REASON: _reason,
}
