"""What the controls say: a row for each file, a check for each hand-over between stages."""

from dataclasses import dataclass
from enum import StrEnum, unique


@dataclass(frozen=True, slots=True, kw_only=True)
class FileControl:
    """One batch's control totals, to the last record."""

    source: str
    name: str
    state: str
    records_in: int
    accepted: int
    suspended: int
    rejected: int
    duplicate: int
    usages: int
    joined: int
    repeats: str = ""  # the batch that has the same content

    @property
    def holds(self) -> bool:
        handled = self.accepted + self.suspended + self.rejected + self.duplicate
        return self.records_in == handled and self.accepted == self.usages + self.joined


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Two counts made apart that must be equal. Units are records, usages, or nanos of a currency."""

    code: str
    says: str  # a sentence: "usages of all batches are the rows of the lake"
    unit: str  # "records", "usages", or a currency
    left: int
    right: int

    @property
    def holds(self) -> bool:
        return self.left == self.right


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageWhereabouts:
    """Where every usage of the lake is: billed, without a price, or in a cycle that no bill has covered yet."""

    in_lake: int
    billed: int
    unpriced: int
    not_yet_billed: int
    unpriced_by_reason: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Conservation:
    """The whole road, from the first record read to the last posting."""

    files: tuple[FileControl, ...]
    usage: UsageWhereabouts
    checks: tuple[Check, ...]

    @property
    def holds(self) -> bool:
        return all(control.holds for control in self.files) and all(check.holds for check in self.checks)


@unique
class LiveReason(StrEnum):
    """Why what was charged live is not what the bill says of it."""

    LATE = "late"  # its record came after the cycle had ended
    CORRECTED = "corrected"  # the record says another quantity
    RE_RATED = "re_rated"  # the bill prices it by another release or tariff
    OTHER_RULE = "other_rule"  # the bill finds another rule or zone: another number, place or time was told
    OTHER_ORDER = "other_order"  # allowances or tiers were used up in another order
    ONLY_ONLINE = "only_online"  # charged live, and no record of it came
    ONLY_FILE = "only_file"  # a record came, and it was never charged live


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveDifference:
    """One usage that live charging and the bill do not price alike. Amounts are nanos; 0 where it is missing."""

    reason: LiveReason
    payer_id: int
    subscription_id: int
    service: str
    occurred_at_ms: int
    currency: str
    live_nanos: int
    bill_nanos: int
    live_units: int
    bill_units: int
    live_price: str = ""  # "rule, zone" by which it was priced; "" where it is not said
    bill_price: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveTotal:
    """One currency: what was charged live and what the replay of the bills makes of it."""

    currency: str
    live_nanos: int
    bill_nanos: int

    @property
    def difference_nanos(self) -> int:
        return self.bill_nanos - self.live_nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveAgainstBill:
    """The running cycles of everybody who pays by bill and was charged live."""

    accounts: int
    compared: int  # usages on both sides
    totals: tuple[LiveTotal, ...]
    differences: tuple[LiveDifference, ...]

    @property
    def holds(self) -> bool:
        return not self.differences
