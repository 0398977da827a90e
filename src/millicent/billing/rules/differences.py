"""What this bill charges: what should have been charged by now, less what earlier bills charged under the same key."""

from collections.abc import Iterable, Mapping
from itertools import pairwise

from millicent.billing.rules.charges import Charge, ChargeKey, Part


def charged_before(issued: Iterable[Charge]) -> dict[ChargeKey, Charge]:
    """Issued charges, oldest first, summed by key. Parts and texts are those of the last one; `revision` counts."""
    sums: dict[ChargeKey, Charge] = {}
    for charge in issued:
        before = sums.get(charge.key)
        sums[charge.key] = charge._replace(
            amount_nanos=charge.amount_nanos + (before.amount_nanos if before else 0),
            event_count=charge.event_count + (before.event_count if before else 0),
            charged_units=charge.charged_units + (before.charged_units if before else 0),
            bucket_units=charge.bucket_units + (before.bucket_units if before else 0),
            revision=(before.revision if before else 0) + 1,
        )
    return sums


def differences(*, should: Mapping[ChargeKey, Charge], before: Mapping[ChargeKey, Charge]) -> list[Charge]:
    """The charges of this bill. `before` holds only keys that `should` speaks for: one it lacks is taken back."""
    found = []
    for key, charge in should.items():
        old = before.get(key)
        if old is None:
            if charge.amount_nanos or charge.event_count:
                found.append(charge)
        elif _differs(charge, old):
            found.append(_difference(charge, old))
    for key, old in before.items():
        if key not in should and (old.amount_nanos or old.event_count):
            gone = old._replace(amount_nanos=0, event_count=0, charged_units=0, bucket_units=0, parts=())
            found.append(_difference(gone, old))
    return found


def _differs(charge: Charge, old: Charge) -> bool:
    return (charge.amount_nanos, charge.event_count, charge.charged_units, charge.bucket_units) != (
        old.amount_nanos,
        old.event_count,
        old.charged_units,
        old.bucket_units,
    )


def _difference(charge: Charge, old: Charge) -> Charge:
    """What is still to be charged or credited, with the time in which the two answers differ."""
    from_ms, until_ms = _changed_time(charge, old)
    amount_nanos = charge.amount_nanos - old.amount_nanos
    return charge._replace(
        period_from_ms=from_ms,
        period_until_ms=until_ms,
        amount_nanos=amount_nanos,
        event_count=charge.event_count - old.event_count,
        charged_units=charge.charged_units - old.charged_units,
        bucket_units=charge.bucket_units - old.bucket_units,
        explanation={
            **charge.explanation,
            "charged_before_nanos": old.amount_nanos,
            "should_be_nanos": charge.amount_nanos,
        },
        revision=old.revision,
    )


def is_adjustment(charge: Charge, *, cycle_from_ms: int) -> bool:
    """A charge for time that an earlier bill had closed: its price's period, or its cycle, ended before this one."""
    return charge.covers_until_ms <= cycle_from_ms


def _changed_time(charge: Charge, old: Charge) -> tuple[int, int]:
    """From the first to the last instant in which the parts of the two answers differ."""
    cuts = sorted({edge for part in (*charge.parts, *old.parts) for edge in (part.from_ms, part.until_ms)})
    changed = [(start, end) for start, end in pairwise(cuts) if _worth(charge.parts, start) != _worth(old.parts, start)]
    if not changed:
        return charge.period_from_ms, charge.period_until_ms
    return changed[0][0], changed[-1][1]


def _worth(parts: tuple[Part, ...], instant_ms: int) -> int:
    return sum(part.quantity * part.amount_nanos for part in parts if part.from_ms <= instant_ms < part.until_ms)
