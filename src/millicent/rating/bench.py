"""How fast the kernel prices: events per second on one core, on a workload with nothing left out.

A million subscribers on 200 plans call numbers drawn from 25,000 prefixes. Each plan has prices for peak and off-peak
hours of working days and weekends, two slots in each card, and one allowance of minutes for each subscriber that some
use up. Events are replayed in the order of a bill run: subscriber by subscriber, in time.
"""

import resource
import time
from collections.abc import Callable

import numpy as np

from millicent.catalog.types import (
    Allowance,
    Catalogue,
    DayType,
    Match,
    Measure,
    Offering,
    Operator,
    PriceCard,
    ServiceSpecification,
    Slot,
    Tariff,
    TariffCalendar,
    TariffRule,
    TimeBand,
    Zone,
    ZoneMap,
)
from millicent.kit.kernels import Int8s, Int64s
from millicent.rating.compile.catalogue import compile_catalogue
from millicent.rating.compile.selection import UsageClass
from millicent.rating.kernel.arrays import Answers, Charges, State
from millicent.rating.program import TariffProgram
from millicent.rating.services.run_kernel import empty_answers, run_kernel

_WORKING_DAYS = frozenset(DayType(day) for day in range(5))
_FREE_DAYS = frozenset({DayType.SATURDAY, DayType.SUNDAY, DayType.HOLIDAY})
_ZONES, _RATE_GROUPS, _ROUNDS = 100, 5, 5
_MONTH_START_MS, _MONTH_MS = 1_790_812_800_000, 30 * 86_400_000  # October 2026: a change of UTC offset lies in it


def run(
    *,
    events: int = 5_000_000,
    subscribers: int = 1_000_000,
    plans: int = 200,
    prefixes: int = 25_000,
    seed: int = 7,
    advance: Callable[[int], None] = lambda count: None,
) -> dict[str, object]:
    """Compile, price the events several times from the same opening state, report the median."""
    started = time.perf_counter()
    texts = prefix_texts(prefixes, seed=seed)
    program = compile_catalogue(bench_catalogue(plans=plans, prefixes=texts))
    compiled = time.perf_counter()
    charges, state = _charges(program, texts, events=events, subscribers=subscribers, seed=seed)
    prepared = time.perf_counter()
    order = np.arange(events)
    answers = empty_answers(events, draws=events + 1_024)
    small = np.arange(min(events, 1_000))
    _priced(program, charges, state, answers, small)  # compiles the loops, or reads them from the cache
    warmed = time.perf_counter()
    seconds, reasons, served = [], 0, 0
    for _ in range(_ROUNDS):
        begun = time.thread_time()  # of this core alone: other work on the machine does not count against it
        answers = _priced(program, charges, state, answers, order)
        seconds.append(time.thread_time() - begun)
        reasons, served = int((answers.reason != 0).sum()), int((answers.bucket_units > 0).sum())
        advance(events)
    median = sorted(seconds)[_ROUNDS // 2]
    return {
        "benchmark": "rating",
        "workload": {
            "events": events,
            "subscribers": subscribers,
            "plans": plans,
            "prefixes": prefixes,
            "bands": len(_bands()),
            "slots_per_card": 2,
            "allowances_per_subscriber": 1,
            "events_with_allowance": served,
            "events_not_priced": reasons,
            "seed": seed,
        },
        "events_per_second_per_core": round(events / median),
        "nanoseconds_per_event": round(median * 1_000_000_000 / events),
        "catalogue_compile_seconds": round(compiled - started, 2),
        "workload_seconds": round(prepared - compiled, 2),
        "kernel_compile_seconds": round(warmed - prepared, 2),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "limited_by": "memory: about half the time waits for the prefix tables and for the plan's own prices, read at "
        "random places for each event; the rest is divisions and the calendar. Other work on the same caches shows.",
    }


def _priced(program: TariffProgram, charges: Charges, state: State, answers: Answers, order: Int64s) -> Answers:
    """Price from the opening state. The arrays of answers are used again, as a worker with many batches does."""
    opened = state._replace(remaining=state.remaining.copy(), candidate_taken=state.candidate_taken.copy())
    answers.draw_count[0] = 0
    return run_kernel(program=program, charges=charges, state=opened, answers=answers, order=order)


def bench_catalogue(*, plans: int, prefixes: list[str]) -> Catalogue:
    """Plans that differ in every price."""
    names = {"en": "bench"}
    zones = tuple(
        Zone(code=f"z{number}", names=names, prefixes=tuple(prefixes[number::_ZONES])) for number in range(_ZONES)
    )
    allowance = Allowance(code="minutes", names=names, match=Match(services=("voice",)), amount=6_000)
    return Catalogue(
        operator=Operator(code="bench", legal_name="Bench", country="ES", currency="EUR", zone="Europe/Madrid"),
        specifications={
            "voice": ServiceSpecification(code="voice", names=names, measure=Measure.DURATION, unit="second")
        },
        calendars={"working": TariffCalendar(code="working", zone="Europe/Madrid", bands=_bands())},
        zone_maps={"world": ZoneMap(code="world", zones=zones)},
        network_zones={},
        decks={},
        tariffs={f"plan{number}": _tariff(number) for number in range(plans)},
        offerings={"plan": Offering(code="plan", names=names, allowances=(allowance,))},
        discounts={},
        taxes={},
        ledger_codes={},
    )


def _bands() -> tuple[TimeBand, ...]:
    return (
        TimeBand(code="night", days=_WORKING_DAYS, start_second=0, end_second=8 * 3600),
        TimeBand(code="peak", days=_WORKING_DAYS, start_second=8 * 3600, end_second=20 * 3600),
        TimeBand(code="night", days=_WORKING_DAYS, start_second=20 * 3600, end_second=86_400),
        TimeBand(code="weekend", days=_FREE_DAYS, start_second=0, end_second=86_400),
    )


def _tariff(number: int) -> Tariff:
    rules = tuple(
        TariffRule(
            code=f"{band}{group}",
            match=Match(
                services=("voice",),
                zones=tuple(f"world/z{zone}" for zone in range(group, _ZONES, _RATE_GROUPS)),
                bands=(band,),
            ),
            card=_card(base=10_000_000 + 250_000 * number + 3_000_000 * group + 1_000_000 * place),
        )
        for place, band in enumerate(("peak", "night", "weekend"))
        for group in range(_RATE_GROUPS)
    )
    return Tariff(code=f"plan{number}", names={"en": "p"}, currency="EUR", calendar="working", rules=rules)


def _card(*, base: int) -> PriceCard:
    return PriceCard(
        slots=(
            Slot(start_units=0, increment_units=60, amount_nanos=base, per_units=60),
            Slot(start_units=60, increment_units=1, amount_nanos=base * 9 // 10, per_units=60),
        ),
        connect_nanos=base // 2,
    )


def prefix_texts(count: int, *, seed: int) -> list[str]:
    """Nested prefixes of 3 to 8 digits, as decks have them."""
    source = np.random.default_rng(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        digits = source.integers(0, 10, 8)
        text = "".join(map(str, digits))
        found[f"{source.integers(1, 10)}{text[: source.integers(2, 8)]}"] = None
    return list(found)


def _charges(
    program: TariffProgram, prefixes: list[str], *, events: int, subscribers: int, seed: int
) -> tuple[Charges, State]:
    """Random calls of a month, sorted by subscriber and time, and a bucket of each subscriber."""
    source = np.random.default_rng(seed)
    selector = program.selector
    usage_class = selector.class_number(UsageClass("voice", "originating", "", 0, "", "", ()))
    plan_pick = np.array(
        [selector.pick_number(tariff, usage_class, 0) for tariff in range(len(program.tariff_codes))], np.int32
    )
    plan_of = source.integers(0, len(plan_pick), subscribers)
    subscriber = np.sort(source.integers(0, subscribers, events)).astype(np.int32)
    instant = _MONTH_START_MS + source.integers(0, _MONTH_MS, events)
    instant = instant[np.lexsort((instant, subscriber))]
    key, digits = keys_under(prefixes, count=events, source=source)
    charges = Charges(
        pick=plan_pick[plan_of[subscriber]],
        usage_class=np.full(events, usage_class, np.int32),
        instant_ms=instant,
        quantity=source.geometric(1 / 150, events).astype(np.int64),
        whole_by_start=np.zeros(events, np.int8),
        number_key=key,
        number_digits=digits,
        answered=np.ones(events, np.int8),
        content_nanos=np.zeros(events, np.int64),
        owner=subscriber,
        counter_owner=np.full((events, 3), -1, np.int32),
    )
    state = State(
        remaining=source.integers(0, 1_200, subscribers),
        valid_from_ms=np.zeros(subscribers, np.int64),
        valid_until_ms=np.full(subscribers, _MONTH_START_MS + _MONTH_MS, np.int64),
        allowance=np.zeros(subscribers, np.int32),
        candidate_first=np.arange(subscribers + 1),
        candidate_bucket=np.arange(subscribers, dtype=np.int32),
        candidate_taken=np.zeros(subscribers, np.int64),
        counter_first=np.zeros(0, np.int64),
        counter_scope=np.zeros(0, np.int8),
        counter_units=np.zeros(0, np.int64),
    )
    return charges, state


def keys_under(prefixes: list[str], *, count: int, source: np.random.Generator) -> tuple[Int64s, Int8s]:
    """Numbers of twelve digits that begin with one of the prefixes."""
    lengths = np.array([len(text) for text in prefixes])
    heads = np.array([int(text) for text in prefixes], np.int64) * 10 ** (15 - lengths)
    chosen = source.integers(0, len(prefixes), count)
    rest = source.integers(0, 10**12, count) % 10 ** (12 - lengths[chosen]) * 1_000
    return heads[chosen] + rest, np.full(count, 12, np.int8)
