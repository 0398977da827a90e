"""What the controls say: a row for each file, a check for each hand-over between stages."""

from dataclasses import dataclass


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
