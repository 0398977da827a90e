"""What an operator declares about charging, as values: service map, slices, thresholds, and the rules of balances.

Amounts are nanos by currency; a currency that is not named has no such rule.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from millicent.charging.types_map import QuotaPolicy, ServiceRule

Amounts = Mapping[str, int]  # currency -> nanos
MS_PER_DAY = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Bonus:
    """Money given on top of a top-up: the best one that applies, never several."""

    code: str
    currency: str
    least_nanos: int  # top-ups of at least this
    fixed_nanos: int = 0
    share: Fraction = Fraction(0)  # of the top-up, rounded down to the minor unit
    most_nanos: int | None = None
    valid_days: int | None = None
    priority: int = 10  # a bonus is used before what was paid
    channels: tuple[str, ...] = ()  # () any
    from_ms: int | None = None
    until_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TopUpRules:
    least: Amounts = field(default_factory=dict)
    most: Amounts = field(default_factory=dict)
    valid_days: int | None = None  # a top-up keeps the main balance alive for so long; None: it never expires
    grace_days: int = 30  # what expired comes back with a top-up within it
    bonuses: Sequence[Bonus] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferRules:
    allowed: bool = True
    least: Amounts = field(default_factory=dict)
    most: Amounts = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """Emergency credit in one currency: `amount_nanos` now, `amount_nanos + fee_nanos` owed until the next top-up."""

    currency: str
    amount_nanos: int
    fee_nanos: int = 0
    below_nanos: int = 0  # only for who has less than this


@dataclass(frozen=True, slots=True, kw_only=True)
class VoucherRules:
    wrong_codes: int = 5  # in a row, before the door shuts for a redeemer
    locked_seconds: int = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdRules:
    low_balance: Amounts = field(default_factory=dict)
    part_used_percent: int = 80
    expiry_near_days: int = 3  # of money
    allowance_expiry_near_days: int = 0  # of allowances; 0: never, for those of a plan begin anew


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyCounter:
    """What the policy side may ask the status of: how much of an allowance, or of a spending limit, is used."""

    code: str
    allowance: str  # "offering/allowance"; "": what was spent of the limit of the cycle
    begins: str  # status before the first threshold
    statuses: Sequence[tuple[int, str]]  # percent reached, status from then on; rising

    def status(self, state: int) -> str:
        """The status of a state of the shard: so many thresholds are reached."""
        return self.begins if state == 0 else self.statuses[min(state, len(self.statuses)) - 1][1]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepaidRules:
    """How plans that are paid in advance are charged."""

    charged_live: Mapping[str, bool] = field(default_factory=dict)  # by service; not named: where a door leads to it
    bar_unpaid: bool = False  # whoever did not pay a plan is barred, not only without what it includes
    grace_days: int = 0  # before that
    retry_seconds: int = 3600  # a fee that found no money is tried again so often, and at once after a top-up
    tax_when_sold: bool = False  # single-purpose: tax is due when the balance is filled, else when it is used
    tax_category: str = ""  # of what is sold, where tax is due then


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredCharging:
    """One version of charging.yaml. `services` None: what the catalogue suggests."""

    version: int = 0  # 0: nothing was declared
    services: Sequence[ServiceRule] | None = None
    online_services: frozenset[str] = frozenset()  # whose billable usage is what was charged live, not files
    policies: Mapping[str, QuotaPolicy] = field(default_factory=dict)
    thresholds: ThresholdRules = field(default_factory=ThresholdRules)
    policy_counters: Sequence[PolicyCounter] = ()
    top_ups: TopUpRules = field(default_factory=TopUpRules)
    transfers: TransferRules = field(default_factory=TransferRules)
    alone: Amounts = field(default_factory=dict)  # adjustments up to this need no second person; none: all need one
    advances: Sequence[Advance] = ()
    credit_limits: Amounts = field(default_factory=dict)  # of postpaid and hybrid accounts; none: without limit
    vouchers: VoucherRules = field(default_factory=VoucherRules)
    prepaid: PrepaidRules = field(default_factory=PrepaidRules)

    def advance_in(self, currency: str) -> Advance | None:
        return next((each for each in self.advances if each.currency == currency), None)


def best_bonus(
    bonuses: Sequence[Bonus], *, amount_nanos: int, currency: str, channel: str, at_ms: int, step_nanos: int
) -> tuple[Bonus, int] | None:
    """The bonus that gives most for a top-up, with what it gives in whole `step_nanos`; None where none applies."""
    offers = [
        (given, bonus)
        for bonus in bonuses
        if _applies(bonus, amount_nanos=amount_nanos, currency=currency, channel=channel, at_ms=at_ms)
        and (given := _given(bonus, amount_nanos=amount_nanos, step_nanos=step_nanos)) > 0
    ]
    if not offers:
        return None
    given, bonus = max(offers, key=lambda offer: offer[0])
    return bonus, given


def _applies(bonus: Bonus, *, amount_nanos: int, currency: str, channel: str, at_ms: int) -> bool:
    begun = bonus.from_ms is None or bonus.from_ms <= at_ms
    over = bonus.until_ms is not None and bonus.until_ms <= at_ms
    asked = not bonus.channels or channel in bonus.channels
    return bonus.currency == currency and amount_nanos >= bonus.least_nanos and begun and not over and asked


def _given(bonus: Bonus, *, amount_nanos: int, step_nanos: int) -> int:
    exact = bonus.fixed_nanos + amount_nanos * bonus.share.numerator // bonus.share.denominator
    capped = exact if bonus.most_nanos is None else min(exact, bonus.most_nanos)
    return capped - capped % step_nanos
