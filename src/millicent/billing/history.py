"""What earlier bills left behind, for many payers in a few queries.

The queries ask payer by payer (LATERAL, kept apart by OFFSET 0), so that each is an index lookup whatever PostgreSQL
believes of the table: while a tenant's first bills are written it believes that there are none, and a plan that is
free to choose reads every line of the tenant for every payer.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from millicent.billing.rules.allowances import Bucket
from millicent.billing.rules.charges import NOBODY, Charge, ChargeKey, Part
from millicent.billing.rules.cycles import CycleSpan
from millicent.catalog.types import ChargeKind
from millicent.kit.bulk import read_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class BilledSpan:
    """A cycle that was billed, and what was known then."""

    span: CycleSpan
    known_until_ms: int
    release_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpricedBefore:
    """Usage without a price so far: (cycle, subscription, service, reason) -> count."""

    counts: Mapping[tuple[int, int, str, int], int] = field(default_factory=dict)


def billed_spans(payer_ids: Sequence[int]) -> dict[int, list[BilledSpan]]:
    """Billed cycles of each payer, oldest first."""
    found: dict[int, list[BilledSpan]] = defaultdict(list)
    for payer_id, from_ms, until_ms, known_ms, release_count in read_rows(
        """
        SELECT asked.payer_id, cycle_from_ms, cycle_until_ms, known_until_ms, release_count
        FROM unnest(%s::bigint[]) AS asked(payer_id)
        CROSS JOIN LATERAL (SELECT * FROM billing_billed_cycle cycle WHERE cycle.payer_id = asked.payer_id OFFSET 0) own
        ORDER BY asked.payer_id, cycle_from_ms
        """,
        [list(payer_ids)],
    ):
        found[payer_id].append(
            BilledSpan(
                span=CycleSpan(from_ms=from_ms, until_ms=until_ms), known_until_ms=known_ms, release_count=release_count
            )
        )
    return found


def billed_until(payer_ids: Sequence[int]) -> dict[int, int]:
    """Where each payer's last billed cycle ended."""
    return dict(
        read_rows(
            "SELECT payer_id, max(cycle_until_ms) FROM billing_billed_cycle WHERE payer_id = ANY(%s) GROUP BY payer_id",
            [list(payer_ids)],
        )
    )


_LINES = """
WITH asked AS (SELECT * FROM unnest(%s::bigint[], %s::bigint[]) AS asked(account_id, since_ms)),
touched AS MATERIALIZED (
    SELECT DISTINCT asked.account_id, open.service_cycle_from_ms
    FROM asked CROSS JOIN LATERAL (
        SELECT service_cycle_from_ms FROM billing_line
        WHERE billing_account_id = asked.account_id AND price_period_until_ms > asked.since_ms
        OFFSET 0
    ) open
)
SELECT line.service_cycle_from_ms, line.charge_kind, line.currency, line.billing_account_id, line.subscription_id,
       line.offering, line.price_code, line.service, line.zone, line.price_period_from_ms, line.tax_category,
       line.ledger_code, line.in_advance, line.service_cycle_until_ms, line.period_from_ms, line.period_until_ms,
       line.price_period_until_ms, line.charge_nanos, line.texts, line.event_count, line.charged_units,
       line.bucket_units, line.unit, line.explanation
FROM touched CROSS JOIN LATERAL (
    SELECT * FROM billing_line
    WHERE billing_account_id = touched.account_id AND service_cycle_from_ms = touched.service_cycle_from_ms
    OFFSET 0
) line
ORDER BY line.id
"""


def issued_charges(since_ms_by_account: Mapping[int, int]) -> dict[int, list[Charge]]:
    """By billing account, oldest first: every charge of every service cycle in which one may still change.

    They are read by account, not by payer: an account that changed its payer is not charged twice.
    """
    found: dict[int, list[Charge]] = defaultdict(list)
    accounts = list(since_ms_by_account)
    for row in read_rows(_LINES, [accounts, [since_ms_by_account[each] for each in accounts]]):
        charge = _charge(row)
        found[charge.key.billing_account_id].append(charge)
    return found


def _charge(row: tuple[Any, ...]) -> Charge:
    explanation = _json(row[23])
    return Charge(
        key=ChargeKey(
            row[0],
            ChargeKind(row[1]),
            row[2],
            row[3],
            row[4] or NOBODY,
            row[5],
            row[6],
            row[7],
            row[8],
            row[9],
            row[10],
            row[11],
            row[12],
        ),
        service_cycle_until_ms=row[13],
        period_from_ms=row[14],
        period_until_ms=row[15],
        covers_until_ms=row[16],
        amount_nanos=row[17],
        texts=_json(row[18]),
        event_count=row[19],
        charged_units=row[20],
        bucket_units=row[21],
        unit=row[22],
        parts=tuple(Part(*part) for part in explanation.get("parts", ())),
        explanation={key: value for key, value in explanation.items() if key != "parts"},
    )


def carried_buckets(closings: Sequence[tuple[int, int]]) -> dict[tuple[int, int], list[Bucket]]:
    """What each payer's cycle that ended at this instant left, as the latest run computed it."""
    found: dict[tuple[int, int], list[Bucket]] = defaultdict(list)
    for payer_id, closed_at_ms, *values in read_rows(
        """
        SELECT asked.payer_id, asked.closed_at_ms, allowance, scope, owner_id, pool, subscription_id, remaining,
               valid_from_ms, valid_until_ms, granted_at_ms, rolled
        FROM unnest(%s::bigint[], %s::bigint[]) AS asked(payer_id, closed_at_ms)
        CROSS JOIN LATERAL (
            SELECT *, max(run_number) OVER () AS latest_run FROM billing_closing_bucket closed
            WHERE closed.payer_id = asked.payer_id AND closed.cycle_until_ms = asked.closed_at_ms
            OFFSET 0
        ) bucket
        WHERE bucket.run_number = bucket.latest_run
        ORDER BY bucket.id
        """,
        [[payer_id for payer_id, _ in closings], [closed_at_ms for _, closed_at_ms in closings]],
    ):
        names = (
            "allowance", "scope", "owner_id", "pool", "subscription_id", "remaining", "valid_from_ms",
            "valid_until_ms", "granted_at_ms", "rolled",
        )  # fmt: skip
        found[payer_id, closed_at_ms].append(Bucket(**dict(zip(names, values, strict=True))))
    return found


def unpriced_before(payer_ids: Iterable[int]) -> dict[int, UnpricedBefore]:
    """What earlier bills could not price, by payer."""
    counts: dict[int, dict[tuple[int, int, str, int], int]] = defaultdict(dict)
    for payer_id, cycle_from_ms, subscription_id, service, reason, count in read_rows(
        """
        SELECT asked.payer_id, cycle_from_ms, subscription_id, service, reason, sum(event_count)::bigint
        FROM unnest(%s::bigint[]) AS asked(payer_id)
        CROSS JOIN LATERAL (
            SELECT * FROM billing_unpriced_usage noted WHERE noted.payer_id = asked.payer_id OFFSET 0
        ) own
        GROUP BY 1, 2, 3, 4, 5
        HAVING sum(event_count) <> 0
        """,
        [list(payer_ids)],
    ):
        counts[payer_id][cycle_from_ms, subscription_id, service, reason] = count
    return {payer_id: UnpricedBefore(counts=each) for payer_id, each in counts.items()}


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
