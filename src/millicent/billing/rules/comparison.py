"""Rehearsal: this cycle's bills against the last cycle's. Which stand out, and what moved them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum, unique
from fractions import Fraction

from millicent.billing.types import Bill

TWICE, HALF = Fraction(2), Fraction(1, 2)


@unique
class OutlierReason(StrEnum):
    """Why a person should look at a bill before it is released."""

    FIRST_BILL = "first_bill"
    MUCH_HIGHER = "much_higher"
    MUCH_LOWER = "much_lower"
    NEGATIVE = "negative"
    ZERO = "zero"
    NO_BILL = "no_bill"  # had one last cycle, has none now
    PARKED = "parked"


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviousBill:
    """What the last cycle's bill came to, in all and by kind of charge."""

    total_nanos: int
    net_by_kind: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlier:
    """One bill that stands out. `moved` says which kinds of charge changed most, largest first."""

    payer_id: int
    payer_code: str
    currency: str
    reason: OutlierReason
    total_nanos: int
    previous_nanos: int | None
    moved: tuple[tuple[str, int], ...] = ()


def outliers(
    bills: Iterable[Bill], *, previous: Mapping[tuple[int, str], PreviousBill], first_bills: bool = False
) -> list[Outlier]:
    """Bills at least twice or at most half of the last ones, negative, or zero. First bills only when asked for."""
    found = []
    for bill in bills:
        before = previous.get((bill.payer.billing_account_id, bill.currency))
        reason = reason_to_look(bill.total_nanos, before=before)
        if reason is None or (reason is OutlierReason.FIRST_BILL and not first_bills):
            continue
        found.append(
            Outlier(
                payer_id=bill.payer.billing_account_id,
                payer_code=bill.payer.code,
                currency=bill.currency,
                reason=reason,
                total_nanos=bill.total_nanos,
                previous_nanos=before.total_nanos if before else None,
                moved=_moved(net_by_kind(bill), before.net_by_kind if before else {}),
            )
        )
    return found


def reason_to_look(total_nanos: int, *, before: PreviousBill | None) -> OutlierReason | None:
    if total_nanos < 0:
        return OutlierReason.NEGATIVE
    if before is None:
        return OutlierReason.FIRST_BILL
    if total_nanos == 0:
        return OutlierReason.ZERO if before.total_nanos > 0 else None
    if before.total_nanos <= 0 or Fraction(total_nanos, before.total_nanos) >= TWICE:
        return OutlierReason.MUCH_HIGHER
    if Fraction(total_nanos, before.total_nanos) <= HALF:
        return OutlierReason.MUCH_LOWER
    return None


def net_by_kind(bill: Bill) -> dict[str, int]:
    sums: dict[str, int] = {}
    for line in bill.lines:
        sums[line.kind.value] = sums.get(line.kind.value, 0) + line.net_nanos
    return sums


def _moved(now: Mapping[str, int], before: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    changes = [(kind, now.get(kind, 0) - before.get(kind, 0)) for kind in sorted({*now, *before})]
    return tuple(sorted((each for each in changes if each[1]), key=lambda each: (-abs(each[1]), each[0]))[:3])


def missing(
    previous: Mapping[tuple[int, str], PreviousBill], *, billed: Sequence[tuple[int, str]], codes: Mapping[int, str]
) -> list[Outlier]:
    """Who had a bill last cycle and has none now, among the payers that were due."""
    return [
        Outlier(
            payer_id=payer_id,
            payer_code=codes[payer_id],
            currency=currency,
            reason=OutlierReason.NO_BILL,
            total_nanos=0,
            previous_nanos=before.total_nanos,
        )
        for (payer_id, currency), before in sorted(previous.items())
        if payer_id in codes and (payer_id, currency) not in set(billed) and before.total_nanos
    ]
