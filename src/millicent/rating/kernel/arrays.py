"""The shapes that the kernel reads: tables of int64 or int32 whose columns have names.

A row is kept together in memory on purpose: what one usage needs of a prefix, a card or an allowance then lies in one
or two cache lines. `compile` fills the tables of a program, `services` those of a batch; the kernel changes `State`.
"""

from typing import NamedTuple

from millicent.kit.kernels import Int8s, Int32s, Int64s, UInt8s

SMALLEST = -(2**63)
LARGEST = 2**63 - 1
AMOUNT_LIMIT = 2**60  # no amount, product or quantity goes beyond: two of them still add up inside int64
NEVER = LARGEST  # an instant that does not come
SHORT_CODES = 10**15  # keys of short codes begin here, those of E.164 numbers end below
NOTHING = -1

# node table, int32 [nodes, 6]
NODE_PARENT = 0  # the next shorter prefix of the same set, or NOTHING
NODE_LENGTH = 1  # digits
NODE_ZONE_SET = 2  # the zones that hold this very prefix, or NOTHING
NODE_PLACE = 3  # the zone of each zone map that a number under this prefix lies in
NODE_DECK_FIRST = 4  # its rows in `deck_entry`
NODE_DECK_COUNT = 5
NODE_COLUMNS = 6

# range table, int64 [ranges, 2]
RANGE_START = 0  # key
RANGE_NODE = 1  # node, or NOTHING
RANGE_COLUMNS = 2

# deck entry table, int64 [entries, 3]
ENTRY_CASE = 0
ENTRY_FROM_MS = 1
ENTRY_UNTIL_MS = 2
ENTRY_COLUMNS = 3

# tariff table, int64 [tariffs, 8]
TARIFF_PREFIX_SET = 0
TARIFF_CALENDAR = 1
TARIFF_DENOMINATOR = 2  # exact amounts are whole nanos and a number of these parts of a nano
TARIFF_ROUNDING = 3
TARIFF_STEP_NANOS = 4  # what amounts are rounded to
TARIFF_BAND_BY_START = 5
TARIFF_HAS_ZONES = 6
TARIFF_COLUMNS = 7

# schedule table, int32 [schedules, 9]: the case that always applies, or VARIES and where each kind of day begins
SCHEDULE_CONSTANT = 0
SCHEDULE_FIRST_DAY = 1  # column of Monday; 8 kinds of day
SCHEDULE_COLUMNS = 9
VARIES = -2

# case table, int32 [cases, 4]: one rule, or one price of a deck for one destination
CASE_CARD = 0
CASE_RULE = 1
CASE_ZONE = 2  # of a deck; a rule's zone is told by the zone set where it was found
CASE_BLOCKED = 3
CASE_COLUMNS = 4

# card table, int64 [cards, CARD_COLUMNS]; the first columns are read for every usage, the others where CARD_PLAIN is 0
CARD_SLOT_FIRST = 0
CARD_SLOT_COUNT = 1
CARD_STEP_COUNT = 2  # 0: no ladder
CARD_PLAIN = 3  # 1: slots, a connect fee and nothing else
CARD_CONNECT_AMOUNT = 4  # a rational: amount / per
CARD_CONNECT_PER = 5
CARD_STEP_FIRST = 6
CARD_PACKAGE_UNITS = 7  # 0: units are not counted in packages
CARD_COUNTER = 8
CARD_UNANSWERED_NANOS = 9
CARD_MINIMUM_UNITS = 10
CARD_MINIMUM_NANOS = 11  # SMALLEST: none
CARD_MAXIMUM_NANOS = 12  # LARGEST: none
CARD_MAXIMUM_LIMITS = 13
CARD_SHARE_AMOUNT = 14  # of the usage's content amount; a rational, 0 / 1 where none
CARD_SHARE_PER = 15
CARD_SHARE_LIMIT = 16
CARD_COLUMNS = 17

# slot table, int64 [slots, 5]
SLOT_START = 0
SLOT_INCREMENT = 1
SLOT_AMOUNT = 2
SLOT_PER = 3
SLOT_LIMIT = 4  # units / SLOT_PER may not be more
SLOT_COLUMNS = 5

# ladder step table, int64 [steps, 7]: the total costs start + (total - origin) * amount / per
STEP_FLOOR = 0
STEP_ORIGIN = 1
STEP_AMOUNT = 2
STEP_PER = 3
STEP_LIMIT = 4
STEP_START_NANOS = 5
STEP_START_AMOUNT = 6  # parts of a nano: STEP_START_AMOUNT / STEP_START_PER, less than one
STEP_START_PER = 7
STEP_COLUMNS = 8

# allowance table, int64 [allowances, 14]
ALLOWANCE_MONEY = 0
ALLOWANCE_UNLIMITED = 1
ALLOWANCE_MEMBER_CAP = 2  # NOTHING: none
ALLOWANCE_WHOLE_INCREMENTS = 3
ALLOWANCE_FACTOR_TAKEN = 4  # so many taken ...
ALLOWANCE_FACTOR_USED = 5  # ... for so many used
ALLOWANCE_PRICE_AMOUNT = 6
ALLOWANCE_PRICE_PER = 7
ALLOWANCE_PRICE_LIMIT = 8
ALLOWANCE_PRICE_INCREMENT = 9
ALLOWANCE_BLOCKER = 10
ALLOWANCE_FAIR_USE = 11  # FAIR_*
ALLOWANCE_FAIR_FLOOR = 12  # remaining below it is beyond fair use
ALLOWANCE_COLUMNS = 13
FAIR_NONE = 0
FAIR_THROTTLE = 1
FAIR_CHARGE = 2
ALWAYS = -1  # window of an allowance without one

# surcharge table, int32 [surcharges, 2]
SURCHARGE_SCHEDULE = 0
SURCHARGE_PLACES = 1  # row of `place_surcharge`
SURCHARGE_COLUMNS = 2

# pick table, int32 [picks, 5]: a tariff seen by one class of usage in one epoch
PICK_TARIFF = 0
PICK_ROOT = 1  # schedule of the rules that ask for no destination, or NOTHING
PICK_DECKS = 2  # 1: the tariff's decks serve this class
PICK_SURCHARGE_FIRST = 3
PICK_SURCHARGE_COUNT = 4
PICK_HAS_BELOW = 5
PICK_COLUMNS = 6


class Prefixes(NamedTuple):
    """Prefix sets side by side. A set is sorted disjoint ranges of keys; a cell of the index says where to look."""

    set_index_first: Int64s  # [sets] where the set's cells begin in `cells`
    set_wide: Int8s  # [sets] 1: a cell for each first five digits, 0: for each first four
    cells: Int32s  # [cells] last range that begins at or before the cell
    range: Int64s  # [ranges, RANGE_COLUMNS]
    node: Int32s  # [nodes, NODE_COLUMNS]
    deck_entry: Int64s  # [entries, ENTRY_COLUMNS]


class Calendars(NamedTuple):
    """Local time of each calendar: UTC offsets by instant, holidays by local day."""

    first: Int64s  # [calendars + 1] where its transitions begin
    instant_ms: Int64s  # [transitions]
    offset_ms: Int64s  # [transitions]
    holiday_first: Int64s  # [calendars + 1] where its days begin in `holiday`
    holiday_day: Int64s  # [calendars] day number of its first entry
    holiday: UInt8s  # [days] 1: holiday


class Prices(NamedTuple):
    """What a release says about money, compiled once."""

    tariff: Int64s  # [tariffs, TARIFF_COLUMNS]
    card: Int64s  # [cards, CARD_COLUMNS]
    slot: Int64s  # [slots, SLOT_COLUMNS]
    step: Int64s  # [steps, STEP_COLUMNS]
    allowance: Int64s  # [allowances, ALLOWANCE_COLUMNS]
    place_allowance: UInt8s  # [places, allowances] 1: the allowance is for this destination
    place_surcharge: UInt8s  # [places, surcharge rules]
    tariff_zone_set: UInt8s  # [tariffs, zone sets] 1: some rule of the tariff asks for one of these zones
    window: Int32s  # [calendars, allowances] schedule that is 0 inside, NOTHING outside; or ALWAYS


class Selection(NamedTuple):
    """What was resolved so far for the classes of usage that came by."""

    schedule: Int32s  # [schedules, SCHEDULE_COLUMNS]
    segment_start: Int32s  # [segments] second of the day; each day's first is 0
    segment_case: Int32s  # [segments] case, or NOTHING
    segment_last: UInt8s  # [segments] 1: the last of its day
    case: Int32s  # [cases, CASE_COLUMNS]
    pick: Int32s  # [picks, PICK_COLUMNS]
    above: Int32s  # [picks, zone sets] schedule of the rules that beat a deck at the same prefix, or NOTHING
    below: Int32s  # [picks, zone sets] schedule of the rules with negative priority, or NOTHING
    surcharge: Int32s  # [surcharges, SURCHARGE_COLUMNS]
    class_allowance: UInt8s  # [classes, allowances] 1: the allowance is for this class


class Charges(NamedTuple):
    """What is to be priced: one row for each leg of each usage."""

    pick: Int32s  # [n] row of Selection.pick, or NOTHING: `reason` is already set
    usage_class: Int32s  # [n]
    instant_ms: Int64s  # [n]
    quantity: Int64s  # [n] units
    whole_by_start: Int8s  # [n] 1: volumes and events are never split by band
    number_key: Int64s  # [n]
    number_digits: Int8s  # [n] 0: no destination
    answered: Int8s  # [n]
    content_nanos: Int64s  # [n]
    owner: Int32s  # [n] row of State.candidate_first, or NOTHING: no buckets
    counter_owner: Int32s  # [n, 3] place of subscription, account and pool (or the other party) among counter owners


class State(NamedTuple):
    """Buckets and counters: read and changed in place, only by usage that is priced."""

    remaining: Int64s  # [buckets]
    valid_from_ms: Int64s  # [buckets]
    valid_until_ms: Int64s  # [buckets]
    allowance: Int32s  # [buckets] row of Prices.allowance, or NOTHING
    candidate_first: Int64s  # [owners + 1]
    candidate_bucket: Int32s  # [candidates] in the order they are tried
    candidate_taken: Int64s  # [candidates] what this member took of it
    counter_first: Int64s  # [counters] where the counter's owners begin in `counter_units`
    counter_scope: Int8s  # [counters] column of Charges.counter_owner
    counter_units: Int64s  # [counters x owners]


BLOCK = 1024  # charges whose prefixes are looked up together
PENDING_COUNTERS = 16  # a usage that would move more is out of range


class Scratch(NamedTuple):
    """Working space of one thread."""

    node: Int32s  # [BLOCK] node of each charge of the block at hand
    active: Int64s  # [candidates] candidates that may serve the usage at hand
    served: Int64s  # [candidates] units each has served of it
    opened: Int64s  # [candidates] 1: inside its window now
    pending_counter: Int64s  # [PENDING_COUNTERS + 1] counters the usage at hand moves, after how many there are
    pending_units: Int64s  # [PENDING_COUNTERS + 1] and by how much
    calendar_hint: Int64s  # [calendars] transition found last


class Answers(NamedTuple):
    """What was found out, row for row of Charges, and the draws on buckets one after the other."""

    amount_nanos: Int64s  # [n]
    charged_units: Int64s  # [n]
    bucket_units: Int64s  # [n]
    unserved_units: Int64s  # [n]
    case: Int32s  # [n] case in force at the first second, or NOTHING
    zone_set: Int32s  # [n] where it was found, or NOTHING
    throttled: UInt8s  # [n]
    reason: Int8s  # [n]
    draw: Int64s  # [draws, DRAW_COLUMNS]
    draw_count: Int64s  # [1]


DRAW_CHARGE = 0
DRAW_BUCKET = 1
DRAW_UNITS = 2
DRAW_TAKEN = 3
DRAW_NANOS = 4
DRAW_COLUMNS = 5
