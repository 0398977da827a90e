"""The judge: what a usage costs, worked out slowly and plainly, second by second, with Fraction and datetime.

It reads the catalogue's values and shares no code with `millicent.rating`. Where a rule of pricing is told in the issue
or in a docstring of `catalog.types`, it is written here once more in the most literal way that terminates.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from millicent.catalog.types import (
    Allowance,
    AllowanceKind,
    Catalogue,
    DayType,
    FairUse,
    Match,
    Measure,
    PriceCard,
    Slot,
    Tariff,
    TierLadder,
    TierModel,
)
from millicent.kit.rounding import RoundingMode

FREE = Slot(start_units=0, increment_units=1, amount_nanos=0, per_units=1)


class Refused(Exception):
    def __init__(self, reason: str) -> None:
        self.reason = reason


@dataclass
class Usage:
    service: str
    instant_ms: int
    quantity: int
    number: str = ""
    direction: str = "originating"
    call_type: str = ""
    segment: str = ""
    visited_network: str = ""
    origin: str = ""
    answered: bool = True
    content_nanos: int = 0
    attributes: dict[str, str] = field(default_factory=dict)
    subscription_id: int = 1
    supplier: str = ""


@dataclass
class Bucket:
    code: str
    allowance: Allowance
    remaining: int
    valid_from_ms: int
    valid_until_ms: int
    granted_at_ms: int
    bucket_id: int
    member_taken: int = 0


@dataclass
class Verdict:
    reason: str = "PRICED"
    amount_nanos: int = 0
    charged_units: int = 0
    bucket_units: int = 0
    unserved_units: int = 0
    rule: str = ""
    zone: str = ""
    throttled: bool = False


# ------------------------------------------------------------ who is asked


def digits_of(number: str) -> tuple[str, str]:
    return ("short", number[6:]) if number.startswith("short:") else ("number", number)


def begins(number: str, prefix: str) -> bool:
    kind, digits = digits_of(number)
    wanted_kind, wanted = digits_of(prefix)
    return kind == wanted_kind and digits.startswith(wanted)


def zones_of(catalogue: Catalogue, names: tuple[str, ...]):
    for name in names:
        map_code, _, zone_code = name.partition("/")
        for zone in catalogue.zone_maps[map_code].zones:
            if zone_code in ("", zone.code):
                yield f"{map_code}/{zone.code}", zone


def home_zones(catalogue: Catalogue, number: str) -> set[str]:
    """The zone with the longest prefix of each zone map."""
    homes = set()
    for map_code, zone_map in catalogue.zone_maps.items():
        found = [(len(p), f"{map_code}/{z.code}") for z in zone_map.zones for p in z.prefixes if begins(number, p)]
        if number and found:
            homes.add(max(found)[1])
    return homes


def class_fits(catalogue: Catalogue, match: Match, usage: Usage) -> bool:
    if match.services and usage.service not in match.services:
        return False
    if match.directions and usage.direction not in match.directions:
        return False
    if match.call_types and usage.call_type not in match.call_types:
        return False
    if match.segments and usage.segment not in match.segments:
        return False
    if match.visited_zones:
        networks = {network for zone in match.visited_zones for network in catalogue.network_zones[zone].networks}
        if not usage.visited_network or not ({usage.visited_network, usage.visited_network[:3]} & networks):
            return False
    if match.origin_zones:
        wanted = {name for name, _ in zones_of(catalogue, match.origin_zones)}
        calling = usage.origin or (usage.number if usage.direction == "terminating" else "")
        if not (home_zones(catalogue, calling) & wanted):
            return False
    return all(usage.attributes.get(name, "") in values for name, values in match.attributes.items())


def lies_in(catalogue: Catalogue, match: Match, usage: Usage) -> bool:
    if not match.zones:
        return True
    return bool(home_zones(catalogue, usage.number) & {name for name, _ in zones_of(catalogue, match.zones)})


# ------------------------------------------------------------ when


def local(catalogue: Catalogue, tariff: Tariff, instant_ms: int) -> tuple[DayType, Fraction]:
    calendar = catalogue.calendars[tariff.calendar]
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=instant_ms)
    there = moment.astimezone(ZoneInfo(calendar.zone))
    day = DayType.HOLIDAY if there.date() in calendar.holidays else DayType(there.weekday())
    second = there.hour * 3600 + there.minute * 60 + there.second + Fraction(there.microsecond, 1_000_000)
    return day, second


def band_start(catalogue: Catalogue, tariff: Tariff, bands: tuple[str, ...], instant_ms: int) -> int | None:
    """When the band in force began that day; -1 for a rule that names no band; None when none is in force."""
    if not bands:
        return -1
    day, second = local(catalogue, tariff, instant_ms)
    found = [
        band.start_second
        for band in catalogue.calendars[tariff.calendar].bands
        if band.code in bands and day in band.days and band.start_second <= second < band.end_second
    ]
    return max(found, default=None)


# ------------------------------------------------------------ which rule


def rule_in_force(catalogue: Catalogue, tariff: Tariff, usage: Usage, instant_ms: int):
    """(rule code, zone, card, blocked) or None: longest prefix, then priority, then the band that began last."""
    found = []
    for order, rule in enumerate(tariff.rules):
        starts, ends = rule.valid_from_ms, rule.valid_until_ms
        if rule.surcharge or not class_fits(catalogue, rule.match, usage):
            continue
        if (starts is not None and usage.instant_ms < starts) or (ends is not None and usage.instant_ms >= ends):
            continue
        began = band_start(catalogue, tariff, rule.match.bands, instant_ms)
        if began is None:
            continue
        if not rule.match.zones:
            found.append(((0, rule.priority, began, -order), (rule.code, "", rule.card, rule.blocked)))
            continue
        for name, zone in zones_of(catalogue, rule.match.zones):
            for prefix in zone.prefixes:
                if usage.number and begins(usage.number, prefix):
                    length = len(digits_of(prefix)[1])
                    found.append(((length, rule.priority, began, -order), (rule.code, name, rule.card, rule.blocked)))
    for order, code in enumerate(tariff.decks):
        deck = catalogue.decks[code]
        if usage.service != tariff.deck_service or not usage.number:
            continue
        for row, prefix in enumerate(deck.prefixes):
            valid = deck.valid_from_ms[row] <= usage.instant_ms < deck.valid_until_ms[row]
            if valid and begins(usage.number, prefix):
                first, following = int(deck.first_increment[row]), int(deck.next_increment[row])
                rate = int(deck.rate_nanos[row])
                card = PriceCard(
                    slots=(
                        Slot(start_units=0, increment_units=first, amount_nanos=rate, per_units=deck.per_units),
                        Slot(start_units=first, increment_units=following, amount_nanos=rate, per_units=deck.per_units),
                    ),
                    connect_nanos=int(deck.connect_nanos[row]),
                )
                answer = (f"deck/{code}", deck.destinations[row], card, bool(deck.blocked[row]))
                found.append(((len(prefix), 0, -1, -1000 - order), answer))
    return max(found, key=lambda each: each[0])[1] if found else None


def any_zone_matches(catalogue: Catalogue, tariff: Tariff, number: str) -> bool:
    named = [name for rule in tariff.rules if not rule.surcharge for name in rule.match.zones]
    prefixes = [prefix for _, zone in zones_of(catalogue, tuple(named)) for prefix in zone.prefixes]
    prefixes += [prefix for code in tariff.decks for prefix in catalogue.decks[code].prefixes]
    return any(begins(number, prefix) for prefix in prefixes)


# ------------------------------------------------------------ how much


def ladder_total(ladder: TierLadder, units: int) -> Fraction:
    """What a cycle's total costs."""
    if units <= 0:
        return Fraction(0)
    if ladder.model is TierModel.PACKAGE:
        return Fraction(-(-units // ladder.package_units) * ladder.steps[0].flat_nanos)
    reached = [step for step in ladder.steps if step.floor_units < units]
    last = reached[-1]
    if ladder.model is TierModel.STAIRS:
        return Fraction(last.flat_nanos)
    if ladder.model is TierModel.VOLUME:
        return units * Fraction(last.amount_nanos, last.per_units) + last.flat_nanos
    total = Fraction(0)
    for place, step in enumerate(reached):
        ceiling = ladder.steps[place + 1].floor_units if place + 1 < len(ladder.steps) else units
        inside = min(units, ceiling) - step.floor_units
        total += inside * Fraction(step.amount_nanos, step.per_units) + step.flat_nanos
    return total


def round_once(amount: Fraction, step: int, mode: RoundingMode) -> int:
    size = abs(amount) / step
    floor = size.numerator // size.denominator
    rest = size - floor
    up = {
        RoundingMode.UP: rest > 0,
        RoundingMode.DOWN: False,
        RoundingMode.HALF_UP: rest >= Fraction(1, 2),
        RoundingMode.HALF_EVEN: rest > Fraction(1, 2) or (rest == Fraction(1, 2) and floor % 2 == 1),
    }[mode]
    steps = floor + int(up)
    return -steps * step if amount < 0 else steps * step


def specificity(match: Match) -> int:
    kinds = [match.services, match.directions, match.call_types, match.origin_zones, match.visited_zones]
    kinds += [match.bands, match.segments]
    return len([kind for kind in kinds if kind]) + 2 * bool(match.zones) + len(match.attributes)


class Judge:
    """One tariff of a catalogue with the buckets and the counters of one subscription."""

    def __init__(self, catalogue: Catalogue, tariff: str, buckets: list[Bucket], counters: dict[str, int]) -> None:
        self.catalogue = catalogue
        self.tariff = catalogue.tariffs[tariff]
        self.buckets = buckets
        self.counters = counters

    def judge(self, usage: Usage) -> Verdict:
        """Price one usage; move buckets and counters only when it is priced."""
        verdict = Verdict()
        counters = dict(self.counters)
        served: dict[int, int] = {}
        try:
            if usage.quantity < 0:
                raise Refused("QUANTITY_NEGATIVE")
            amount = self._base(usage, verdict, counters, served)
            for bucket in self.buckets:
                amount += self._own_price(bucket.allowance, served.get(bucket.bucket_id, 0))
            for rule in self.tariff.rules:
                if rule.surcharge:
                    amount += self._surcharge(usage, rule, counters)
            nanos = round_once(amount, 10 ** (9 - self.tariff.decimals), self.tariff.rounding)
            nanos, money = self._money(usage, nanos)
        except Refused as refusal:
            return Verdict(
                reason=refusal.reason, rule=verdict.rule, zone=verdict.zone, unserved_units=verdict.unserved_units
            )
        self.counters = counters
        for bucket in self.buckets:
            units = served.get(bucket.bucket_id, 0)
            factor = bucket.allowance.factor
            taken = -(-units * factor.numerator // factor.denominator) + money.get(bucket.bucket_id, 0)
            bucket.remaining -= taken
            bucket.member_taken += taken
            if units and bucket.allowance.fair_use is FairUse.THROTTLE and bucket.remaining < self._fair_floor(bucket):
                verdict.throttled = True
        verdict.amount_nanos = nanos
        return verdict

    # -------------------------------------------------------- base price and surcharges

    def _timed(self, usage: Usage) -> bool:
        timed = self.catalogue.specifications[usage.service].measure is Measure.DURATION
        return timed and not self.tariff.band_by_start

    def _base(self, usage: Usage, verdict: Verdict, counters: dict[str, int], served: dict[int, int]) -> Fraction:
        first = rule_in_force(self.catalogue, self.tariff, usage, usage.instant_ms)
        if first is None:
            zoned = any(rule.match.zones for rule in self.tariff.rules if not rule.surcharge) or self.tariff.decks
            nowhere = usage.number and zoned and not any_zone_matches(self.catalogue, self.tariff, usage.number)
            raise Refused("NO_DESTINATION" if nowhere else "NO_RULE")
        verdict.rule, verdict.zone = first[0], first[1]
        buckets = self._candidates(usage, AllowanceKind.UNITS)

        def at(second: int):
            found = rule_in_force(self.catalogue, self.tariff, usage, usage.instant_ms + 1000 * second)
            if found is None:
                raise Refused("NO_RULE")
            return found

        return self._walk(usage, at, verdict, counters, served, buckets)

    def _surcharge(self, usage: Usage, rule, counters: dict[str, int]) -> Fraction:
        starts, ends = rule.valid_from_ms, rule.valid_until_ms
        if (starts is not None and usage.instant_ms < starts) or (ends is not None and usage.instant_ms >= ends):
            return Fraction(0)
        if not class_fits(self.catalogue, rule.match, usage) or not lies_in(self.catalogue, rule.match, usage):
            return Fraction(0)

        def at(second: int):
            began = band_start(self.catalogue, self.tariff, rule.match.bands, usage.instant_ms + 1000 * second)
            return None if began is None else (rule.code, "", rule.card, False)

        return self._walk(usage, at, Verdict(), counters, {}, [])

    def _walk(self, usage, at, verdict, counters, served, buckets) -> Fraction:
        timed = self._timed(usage)
        first = at(0)
        if first is not None and first[3]:
            raise Refused("BLOCKED")
        if usage.quantity == 0:
            return Fraction(0 if usage.answered or first is None else first[2].unanswered_nanos)
        quantity = usage.quantity
        opening = first[2] if first is not None else None
        amount = Fraction(0)
        if opening is not None:
            quantity = max(quantity, opening.minimum_units)
            amount = opening.connect_nanos * (1 - opening.discount)
        limit = opening.maximum_charge_nanos if opening is not None and opening.maximum_limits_quantity else None
        offset = 0
        while offset < quantity:
            rule = at(offset) if timed else first
            end = quantity
            if timed:
                end = offset + 1
                while end < quantity and self._same(at, end, rule):
                    end += 1
            if rule is None:
                offset = end
                continue
            if rule[3]:
                raise Refused("BLOCKED")
            card = rule[2]
            open_now = self._open(usage, buckets, offset if timed else 0)
            if timed:
                for second in range(offset + 1, end):
                    if self._open(usage, buckets, second) != open_now:
                        end = second
                        break
            slots = card.slots or (FREE,)
            slot = [each for each in slots if each.start_units <= offset][-1]
            end = min([end] + [each.start_units for each in slots if each.start_units > offset])
            billed = -(-(end - offset) // slot.increment_units) * slot.increment_units
            rest = billed - self._serve(billed, slot.increment_units, open_now, served)
            by_buckets = billed - rest
            wanted = rest
            if rest and limit is not None:
                rest = self._affordable(card, slot, counters, rest, limit - amount)
            amount += self._cost(card, slot, counters, rest)
            if rest and card.ladder is not None:
                counters[self._counter(card.ladder)] = counters.get(self._counter(card.ladder), 0) + rest
            verdict.charged_units += rest
            verdict.bucket_units += by_buckets
            if rest < wanted:
                verdict.unserved_units = max(0, quantity - offset - by_buckets - rest)
                break
            offset += billed
        if verdict.unserved_units and not verdict.charged_units and not verdict.bucket_units:
            raise Refused("LIMIT_REACHED")
        if opening is None or not verdict.charged_units:
            return amount
        if opening.percentage is not None:
            amount += usage.content_nanos * opening.percentage * (1 - opening.discount)
        if opening.minimum_charge_nanos is not None:
            amount = max(amount, Fraction(opening.minimum_charge_nanos))
        if opening.maximum_charge_nanos is not None:
            amount = min(amount, Fraction(opening.maximum_charge_nanos))
        return amount

    def _same(self, at, second: int, rule) -> bool:
        try:
            other = at(second)
        except Refused:
            return False
        return (other and other[:2]) == (rule and rule[:2])

    def _cost(self, card: PriceCard, slot: Slot, counters: dict[str, int], units: int) -> Fraction:
        keeps = 1 - card.discount
        if card.ladder is not None:
            before = counters.get(self._counter(card.ladder), 0)
            return (ladder_total(card.ladder, before + units) - ladder_total(card.ladder, before)) * keeps
        return units * Fraction(slot.amount_nanos, slot.per_units) * keeps

    def _counter(self, ladder: TierLadder):
        """Which counter a ladder moves."""
        return ladder.counter

    def _affordable(self, card, slot, counters, units: int, left: Fraction) -> int:
        allowed = 0
        while allowed < units:
            more = min(units, allowed + slot.increment_units)
            if self._cost(card, slot, counters, more) > left:
                break
            allowed = more
        return allowed

    # -------------------------------------------------------- allowances

    def _candidates(self, usage: Usage, kind: AllowanceKind) -> list[Bucket]:
        fitting = [
            bucket
            for bucket in self.buckets
            if bucket.allowance.kind is kind
            and bucket.valid_from_ms <= usage.instant_ms < bucket.valid_until_ms
            and class_fits(self.catalogue, bucket.allowance.match, usage)
            and lies_in(self.catalogue, bucket.allowance.match, usage)
        ]
        return sorted(
            fitting,
            key=lambda bucket: (
                *self._rank(bucket),
                bucket.valid_until_ms,
                bucket.granted_at_ms,
                bucket.bucket_id,
            ),
        )

    def _rank(self, bucket: Bucket) -> tuple[int, int]:
        """Which allowances are asked first, whatever their age."""
        return -specificity(bucket.allowance.match), -bucket.allowance.priority

    def _open(self, usage: Usage, buckets: list[Bucket], second: int) -> list[Bucket]:
        instant_ms = usage.instant_ms + 1000 * second
        return [
            bucket
            for bucket in buckets
            if band_start(self.catalogue, self.tariff, bucket.allowance.window, instant_ms) is not None
            and band_start(self.catalogue, self.tariff, bucket.allowance.match.bands, instant_ms) is not None
        ]

    def _fair_floor(self, bucket: Bucket) -> int:
        allowance = bucket.allowance
        return 0 if allowance.unlimited else allowance.amount - allowance.fair_use_units

    def _left(self, bucket: Bucket) -> int | None:
        """What it may still give, in its own units; None for as much as is asked."""
        allowance = bucket.allowance
        left: int | None = bucket.remaining
        if allowance.fair_use is FairUse.CHARGE:
            left = bucket.remaining - self._fair_floor(bucket)
        elif allowance.unlimited:
            left = None
        if allowance.member_cap is not None:
            cap = allowance.member_cap - bucket.member_taken
            left = cap if left is None else min(left, cap)
        return None if left is None else max(0, left)

    def _serve(self, billed: int, increment: int, open_now: list[Bucket], served: dict[int, int]) -> int:
        rest = billed
        for bucket in open_now:
            if rest == 0:
                break
            already = served.get(bucket.bucket_id, 0)
            left = self._left(bucket)
            units = rest if left is None else min(rest, int(left / bucket.allowance.factor) - already)
            if bucket.allowance.whole_increments:
                units -= units % increment
            served[bucket.bucket_id] = already + units
            rest -= units
            if rest and bucket.allowance.blocker:
                raise Refused("BUCKET_BLOCKED")
        return billed - rest

    def _own_price(self, allowance: Allowance, units: int) -> Fraction:
        if allowance.price is None or not units:
            return Fraction(0)
        price = allowance.price
        whole = -(-units // price.increment_units) * price.increment_units
        return whole * Fraction(price.amount_nanos, price.per_units)

    def _money(self, usage: Usage, nanos: int) -> tuple[int, dict[int, int]]:
        taken: dict[int, int] = {}
        if nanos <= 0:
            return nanos, taken
        for bucket in self._open(usage, self._candidates(usage, AllowanceKind.MONEY), 0):
            if nanos == 0:
                break
            left = self._left(bucket)
            gives = nanos if left is None else min(nanos, left)
            taken[bucket.bucket_id] = gives
            nanos -= gives
            if nanos and bucket.allowance.blocker:
                raise Refused("BUCKET_BLOCKED")
        return nanos, taken
