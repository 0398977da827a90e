"""Which decoded records can be believed. Each other one is given one reason, the first that applies."""

from collections.abc import Set

import polars as pl

from millicent.mediation.rules.declaration import MS_PER_DAY, MS_PER_MINUTE, CollectionRules
from millicent.mediation.types import SuspenseReason

_QUANTITIES = ("duration_ms", "uplink_bytes", "downlink_bytes", "events")


def reasons(
    usage: pl.DataFrame, *, rules: CollectionRules, received_at_ms: int, known_services: Set[str] | None
) -> pl.Series:
    """A SuspenseReason for every row, ACCEPTED where it may go on."""
    checks = [
        (pl.col("occurred_at_ms") <= 0, SuspenseReason.BAD_TIME),
        (
            pl.col("occurred_at_ms") > received_at_ms + rules.future_minutes * MS_PER_MINUTE,
            SuspenseReason.FROM_THE_FUTURE,
        ),
        (pl.min_horizontal(_QUANTITIES) < 0, SuspenseReason.BAD_QUANTITY),
        (pl.col("service") == "", SuspenseReason.MISSING_FIELD),
    ]
    if rules.oldest_days:
        oldest_ms = received_at_ms - rules.oldest_days * MS_PER_DAY
        checks.insert(1, (pl.col("occurred_at_ms") < oldest_ms, SuspenseReason.TOO_OLD))
    if known_services is not None:
        checks.append((~pl.col("service").is_in(sorted(known_services)), SuspenseReason.UNKNOWN_SERVICE))
    answer = pl.lit(int(SuspenseReason.ACCEPTED), pl.Int16)
    for wrong, reason in reversed(checks):
        answer = pl.when(wrong).then(pl.lit(int(reason), pl.Int16)).otherwise(answer)
    return usage.select(answer.alias("reason")).to_series()


def sequence_gaps(numbers: pl.Series, *, after: int | None) -> tuple[list[tuple[int, int]], int | None]:
    """Running numbers that were skipped, as (first, last) missing, and the last number read.

    A number that is not above the one before is a restart of the switch's counter, not a gap.
    """
    seen = numbers.filter(numbers >= 0)
    if seen.is_empty():
        return [], after
    before = seen.shift(1)
    if after is not None:
        before = before.fill_null(after)
    jumps = pl.DataFrame({"before": before, "now": seen}).filter(pl.col("now") > pl.col("before") + 1)
    return [(row[0] + 1, row[1] - 1) for row in jumps.iter_rows()], int(seen[-1])
