"""The catalogue as immutable values: what a release says, after every word of it was checked.

Amounts are nanos of the currency beside them (see kit.money); prices are exact rationals, `amount_nanos` for each
`per_units`. Nothing here does arithmetic, input or output: `rating` compiles these values for its kernel, `billing`
reads the recurring side. Texts for people are `LocalizedText`: language code to words, `en` always present.
Vocabulary follows TM Forum SID (specification, offering, price, bundle) and 3GPP TS 32.240 (service, rating group).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import IntEnum, StrEnum, unique
from fractions import Fraction

from millicent.kit.kernels import Int8s, Int32s, Int64s
from millicent.kit.rounding import RoundingMode

LocalizedText = Mapping[str, str]
ANY = "*"


# ---------------------------------------------------------------- what is measured


@unique
class Measure(StrEnum):
    """Which column of a usage is its quantity."""

    DURATION = "duration"  # seconds, from duration_ms by the specification's subunit_rounding
    TOTAL_VOLUME = "total_volume"  # bytes, uplink + downlink
    UPLINK_VOLUME = "uplink_volume"
    DOWNLINK_VOLUME = "downlink_volume"
    EVENTS = "events"  # messages, API calls, any counted thing


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSpecification:
    """One kind of service: what it is called, what is counted, which attributes its usage may carry."""

    code: str  # "voice", "data", "sms", "iot", "iptv", "content", "api" ...
    names: LocalizedText
    measure: Measure
    unit: str  # "second", "byte", "message", "event" or the operator's own word
    subunit_rounding: RoundingMode = RoundingMode.UP  # milliseconds to seconds
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # name -> allowed values; () is any text
    tax_category: str = "standard"


# ---------------------------------------------------------------- when


@unique
class DayType(IntEnum):
    """Kinds of day a band may name. A holiday is only a holiday: it is not also its weekday."""

    MONDAY = 0
    TUESDAY = 1
    WEDNESDAY = 2
    THURSDAY = 3
    FRIDAY = 4
    SATURDAY = 5
    SUNDAY = 6
    HOLIDAY = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeBand:
    """A part of the day on some days: [start, end) in seconds after local midnight, end up to 86,400.

    A band over midnight is two of these with one code.
    """

    code: str
    days: frozenset[DayType]
    start_second: int
    end_second: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TariffCalendar:
    """Local days as a tariff sees them. `holidays` is complete: the library's dates and the operator's own."""

    code: str
    zone: str  # IANA
    bands: tuple[TimeBand, ...]
    holidays: frozenset[date] = frozenset()


# ---------------------------------------------------------------- where to


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """A set of destinations with one name. Prefixes are E.164 digits without "+"; "short:112" is a short code."""

    code: str
    names: LocalizedText
    prefixes: tuple[str, ...]
    where: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneMap:
    """Zones that belong together: no prefix stands in two of them."""

    code: str
    zones: tuple[Zone, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkZone:
    """A set of networks, for origin and visited-network selection: MCC+MNC digits, or MCC alone for a country."""

    code: str
    names: LocalizedText
    networks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RateDeck:
    """A rate deck as columns, one row a prefix: half a million rows must not be half a million objects.

    Row i: calls whose longest prefix is `prefixes[i]` cost `connect_nanos[i]`, then `rate_nanos[i]` per `per_units`
    in steps of `first_increment[i]`, then `next_increment[i]`. A row counts from `valid_from_ms[i]` until
    `valid_until_ms[i]` (half-open). The same prefix may stand again for another time, never twice for the same.
    """

    code: str
    currency: str
    per_units: int  # 60 where rates are per minute
    prefixes: tuple[str, ...]  # [n] E.164 digits
    destinations: tuple[str, ...]  # [n] the deck's own name for it
    rate_nanos: Int64s  # [n]
    connect_nanos: Int64s  # [n]
    first_increment: Int32s  # [n] units
    next_increment: Int32s  # [n] units
    valid_from_ms: Int64s  # [n]
    valid_until_ms: Int64s  # [n] largest int64 where open
    blocked: Int8s  # [n] 1: the deck says this destination is not served
    where: str = ""


# ---------------------------------------------------------------- what one usage costs


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Which usage a rule or an allowance is for. An empty tuple asks nothing. All that is asked must hold."""

    services: tuple[str, ...] = ()
    directions: tuple[str, ...] = ()  # "originating", "terminating", "forwarded"
    call_types: tuple[str, ...] = ()  # "onnet", "offnet", "national", "international", "roaming", operator's own
    zones: tuple[str, ...] = ()  # destination: "map/zone", or "map" for every zone of it
    origin_zones: tuple[str, ...] = ()  # zone of the calling number: "map/zone"
    visited_zones: tuple[str, ...] = ()  # NetworkZone codes
    bands: tuple[str, ...] = ()  # TimeBand codes of the tariff's calendar
    segments: tuple[str, ...] = ()  # customer segments
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # "qos_5qi", "s_nssai", "friend" ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """From `start_units` of the usage on: whole increments, each `amount_nanos` per `per_units`."""

    start_units: int
    increment_units: int
    amount_nanos: int
    per_units: int


@unique
class TierModel(StrEnum):
    GRADUATED = "graduated"  # each unit at the price of the step it falls in
    VOLUME = "volume"  # all units at the price of the step the total reaches
    STAIRS = "stairs"  # one flat amount for the step the total reaches
    PACKAGE = "package"  # so many whole packages as cover the total


@unique
class CounterScope(StrEnum):
    """Who shares a counter or an allowance."""

    SUBSCRIPTION = "subscription"
    ACCOUNT = "account"
    POOL = "pool"


@dataclass(frozen=True, slots=True, kw_only=True)
class TierStep:
    """From `floor_units` (exclusive, so unit floor+1 is the first) on: price per unit plus a flat amount on entry."""

    floor_units: int
    amount_nanos: int
    per_units: int = 1
    flat_nanos: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TierLadder:
    """Prices that depend on what was used before in the cycle. `steps[0].floor_units` is 0 and floors rise.

    PACKAGE uses `package_units` and steps[0].flat_nanos as the price of one package.
    """

    model: TierModel
    counter: str  # ladders that name the same counter share it
    scope: CounterScope
    steps: tuple[TierStep, ...]
    package_units: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceCard:
    """The price of one usage under one rule. Exactly one of slots, ladder and percentage gives the price;
    a ladder may keep one slot for its increment.

    The order is: minimum units, allowances, slots or ladder, percentage, connect fee, discount, minimum and maximum
    charge, one rounding.
    """

    slots: tuple[Slot, ...] = ()
    ladder: TierLadder | None = None
    percentage: Fraction | None = None  # of the usage's own `content_nanos` (pass-through), with sign
    connect_nanos: int = 0  # once, when quantity > 0
    unanswered_nanos: int = 0  # for an attempt that was not answered
    minimum_units: int = 0
    minimum_charge_nanos: int | None = None
    maximum_charge_nanos: int | None = None
    maximum_limits_quantity: bool = False  # True: stop authorising at the maximum; False: cap the charge
    discount: Fraction = Fraction(0)  # of the usage charge: 1/10 is ten per cent off
    cost_floor_nanos_per_unit: Fraction | None = None  # what it costs the operator, for the margin lint


@dataclass(frozen=True, slots=True, kw_only=True)
class TariffRule:
    """One priced case. Among rules that match: longest prefix, then priority, then latest band start that day."""

    code: str
    match: Match
    card: PriceCard
    priority: int = 0  # higher wins
    surcharge: bool = False  # True: added to the base price (off-net, roaming, premium), every match counts once
    blocked: bool = False  # True: matching usage is not served
    valid_from_ms: int | None = None
    valid_until_ms: int | None = None
    where: str = field(default="", compare=False)  # file:line, for messages


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """A set of rules in one currency, with its calendar and its rounding. Decks add one rule for each row."""

    code: str
    names: LocalizedText
    currency: str
    calendar: str
    rules: tuple[TariffRule, ...]
    decks: tuple[str, ...] = ()
    deck_service: str = "voice"
    band_by_start: bool = False  # True: the whole usage is priced by the band at its start
    rounding: RoundingMode = RoundingMode.HALF_UP
    decimals: int = 4  # of the currency's main unit, once per event
    where: str = field(default="", compare=False)


# ---------------------------------------------------------------- what is included


@unique
class AllowanceKind(StrEnum):
    UNITS = "units"
    MONEY = "money"  # bonus balance, in nanos of the tariff's currency


@unique
class FairUse(StrEnum):
    NONE = "none"
    THROTTLE = "throttle"  # beyond the threshold usage stays free, and is flagged
    CHARGE = "charge"  # beyond the threshold the tariff applies


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollover:
    """What is left moves to the next cycle, `cycles` times at most (0: never expires), up to `cap_units`."""

    cycles: int
    cap_units: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """Included units or money of an offering: it becomes one bucket for each cycle (or each grant).

    Taken most specific first, then higher priority, then earliest expiry, then oldest. Specificity is the number of
    kinds of selector that `match` uses, a destination zone counting for two.
    """

    code: str
    names: LocalizedText
    match: Match
    amount: int  # units, or nanos for MONEY
    kind: AllowanceKind = AllowanceKind.UNITS
    unlimited: bool = False
    scope: CounterScope = CounterScope.SUBSCRIPTION
    member_cap: int | None = None  # of a shared bucket, the most one member may take
    priority: int = 0
    whole_increments: bool = False
    factor: Fraction = Fraction(1)  # units taken for each unit used
    price: Slot | None = None  # the bucket's own price for what it serves
    blocker: bool = False  # when it is used up, matching usage stops rather than going on to the next
    window: tuple[str, ...] = ()  # TimeBand codes of the tariff's calendar
    validity_days: int | None = None  # None: the cycle
    rollover: Rollover | None = None
    prorate_first_cycle: bool = False
    fair_use: FairUse = FairUse.NONE
    fair_use_units: int = 0
    one_time: bool = False  # granted once at activation, not each cycle
    where: str = field(default="", compare=False)


# ---------------------------------------------------------------- what is sold


@unique
class PeriodUnit(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    count: int
    unit: PeriodUnit


MONTHLY = Period(count=1, unit=PeriodUnit.MONTH)


@unique
class Proration(StrEnum):
    BY_SECOND = "by_second"
    BY_DAY = "by_day"
    THIRTY_DAY = "thirty_day"  # every month counts 30 days
    NONE = "none"  # any part of a period costs the whole


@dataclass(frozen=True, slots=True, kw_only=True)
class RecurringPrice:
    code: str
    names: LocalizedText
    amount_nanos: int
    currency: str
    period: Period = MONTHLY
    in_advance: bool = True
    proration: Proration = Proration.BY_DAY
    bill_termination_day: bool = True
    charged_while_suspended: bool = False
    tax_category: str = "standard"
    ledger_code: str = "recurring"
    per_quantity: bool = True  # multiplied by the subscription's quantity


@unique
class OneTimeTrigger(StrEnum):
    ACTIVATION = "activation"
    PLAN_CHANGE = "plan_change"
    TERMINATION = "termination"  # with `within_days` of the start: an early-termination fee
    PURCHASE = "purchase"


@dataclass(frozen=True, slots=True, kw_only=True)
class OneTimePrice:
    code: str
    names: LocalizedText
    amount_nanos: int
    currency: str
    trigger: OneTimeTrigger
    within_days: int | None = None
    tax_category: str = "standard"
    ledger_code: str = "one_time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitment:
    """At least `minimum_nanos` each cycle for the charges that count; the difference is billed as a true-up.
    `maximum_nanos` caps them instead: the rest is given back as a discount line.

    What its own offering brought counts, as far as it is in scope; a scope that names offerings or prices chooses among
    all charges of the subscription. No part of a charge counts for two minimums, or for two maximums.
    """

    code: str
    names: LocalizedText
    currency: str
    minimum_nanos: int | None = None
    maximum_nanos: int | None = None
    scope: "ChargeScope" = field(default_factory=lambda: ChargeScope())
    tax_category: str = "standard"
    ledger_code: str = "commitment"


@unique
class ChargeKind(StrEnum):
    RECURRING = "recurring"
    ONE_TIME = "one_time"
    USAGE = "usage"
    COMMITMENT = "commitment"
    DISCOUNT = "discount"
    ADJUSTMENT = "adjustment"  # replay of an earlier cycle gave another answer


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeScope:
    """Which charges a discount or a commitment looks at. Empty asks nothing."""

    kinds: tuple[ChargeKind, ...] = ()
    offerings: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    price_codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Discount:
    """A discount of an offering, or a coupon when `coupon` is set: fixed or a fraction, never both."""

    code: str
    names: LocalizedText
    scope: ChargeScope
    fraction: Fraction | None = None  # 1/5 is twenty per cent
    fixed_nanos: int | None = None
    currency: str | None = None  # of fixed and cap
    cap_nanos: int | None = None  # the most it gives in one cycle
    duration_cycles: int | None = None  # None: as long as it is held
    minimum_spend_nanos: int | None = None
    priority: int = 0  # lower is taken first; each works on what the earlier ones left
    coupon: bool = False
    redemptions_limit: int | None = None
    valid_from_ms: int | None = None
    valid_until_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Eligibility:
    segments: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()  # offering codes the customer must hold
    excludes: tuple[str, ...] = ()


@unique
class Payment(StrEnum):
    """Where the money for usage comes from. Of the plans that one account holds, the first named here decides."""

    PREPAID = "prepaid"  # what was topped up, and nothing else
    HYBRID = "hybrid"  # what was topped up, then credit that is billed
    POSTPAID = "postpaid"  # credit that is billed


@dataclass(frozen=True, slots=True, kw_only=True)
class Offering:
    """Something a customer can have. A bundle has `children`; their prices are its own unless it overrides them."""

    code: str
    names: LocalizedText
    services: tuple[str, ...] = ()  # ServiceSpecification codes
    tariff: str | None = None  # retail tariff of its usage
    recurring: tuple[RecurringPrice, ...] = ()
    one_time: tuple[OneTimePrice, ...] = ()
    allowances: tuple[Allowance, ...] = ()
    commitments: tuple[Commitment, ...] = ()
    discounts: tuple[Discount, ...] = ()
    children: tuple[str, ...] = ()
    eligibility: Eligibility = field(default_factory=Eligibility)
    add_on: bool = False
    usage_tax_category: str = "standard"
    usage_ledger_code: str = "usage"
    payment: Payment = Payment.POSTPAID
    where: str = field(default="", compare=False)


# ---------------------------------------------------------------- tax


@dataclass(frozen=True, slots=True, kw_only=True)
class Tax:
    """One tax of one jurisdiction for some categories of charge.

    `on_top_of` names taxes whose amount joins the base (tax on tax). `inclusive`: prices already hold it.
    """

    code: str  # "vat_es", "fusf"
    names: LocalizedText
    jurisdiction: str  # country "ES", subdivision "US-CA", or finer "US-CA/06075"
    categories: tuple[str, ...]  # tax categories of charges
    rate: Fraction
    except_jurisdictions: tuple[str, ...] = ()  # places within it where it is not levied: "ES-CN" for Spanish VAT
    inclusive: bool = False
    per_line: bool = False  # round each line; else once per rate on the bill
    rounding: RoundingMode = RoundingMode.HALF_UP
    on_top_of: tuple[str, ...] = ()
    exemption_kinds: tuple[str, ...] = ()  # certificates that lift it, e.g. "reseller", "government"
    reverse_charge: bool = False  # a business customer of another country accounts for it: line at zero with a note
    fixed_nanos: int | None = None  # per line of service per cycle (E911) instead of a rate
    currency: str | None = None
    valid_from_ms: int | None = None
    valid_until_ms: int | None = None
    where: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """Who sells: printed on bills, and the supplier side of every tax."""

    code: str
    legal_name: str
    country: str  # ISO 3166 alpha-2
    currency: str
    zone: str
    tax_number: str = ""
    address_lines: tuple[str, ...] = ()
    contact_lines: tuple[str, ...] = ()
    brand_color: str = "#0b5cad"
    logo_file: str | None = None  # SVG or PNG, relative to the catalogue folder
    payment_lines: tuple[str, ...] = ()
    languages: tuple[str, ...] = ("en",)
    bill_series: str = "A"
    due_days: int = 14
    second_approval: bool = False  # True: somebody other than the author must approve each release


# ---------------------------------------------------------------- what the operator expects


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """One price that the operator wrote down beside the tariff: this usage must cost that.

    With `offering` its allowances are there, fresh; with `tariff` alone there are none. `costs_nanos`,
    `included_units`, `rule` and `refused` (a reason's name) are what must come out; None or "" asks nothing.
    """

    claim: str
    tariff: str
    offering: str
    occurred_at_ms: int
    service: str
    quantity_units: int
    currency: str
    other_party: str = ""
    origin_number: str = ""
    direction: str = "originating"
    call_type: str = ""
    visited_network: str = ""
    segment: str = "consumer"
    answered: bool = True
    content_nanos: int = 0
    attributes: Mapping[str, str] = field(default_factory=dict)
    counters: Mapping[str, int] = field(default_factory=dict)  # units used before, by counter
    costs_nanos: int | None = None
    included_units: int | None = None
    rule: str = ""
    refused: str = ""
    where: str = field(default="", compare=False)


# ---------------------------------------------------------------- the whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Everything a release holds, keyed by code. Every reference in it has been followed and found."""

    operator: Operator
    specifications: Mapping[str, ServiceSpecification]
    calendars: Mapping[str, TariffCalendar]
    zone_maps: Mapping[str, ZoneMap]
    network_zones: Mapping[str, NetworkZone]
    decks: Mapping[str, RateDeck]
    tariffs: Mapping[str, Tariff]
    offerings: Mapping[str, Offering]
    discounts: Mapping[str, Discount]  # coupons and shared discounts
    taxes: Mapping[str, Tax]
    ledger_codes: Mapping[str, str]  # ledger code of a charge -> ledger account code, e.g. "usage" -> "revenue:usage"
    supplier_tariffs: Mapping[str, str] = field(default_factory=dict)  # supplier code -> tariff code
    reseller_tariffs: Mapping[str, str] = field(default_factory=dict)  # reseller code -> tariff code
    expectations: tuple[Expectation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseFacts:
    """One release of a catalogue, without its content. `digest` is the SHA-256 of its files."""

    number: int
    effective_from_ms: int
    recorded_at_ms: int
    digest: str
    author: str
    approved_by: str
    reason: str
