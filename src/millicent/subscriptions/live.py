"""Reads of subscriptions for live balances: what is held at an instant as it was known then, and what changed since.

Beside `selectors`, and as open to other stages.
"""

from collections.abc import Iterable, Sequence

import polars as pl
from django.db import connection

from millicent.kit.bulk import read_frame, read_rows

_VERSIONS_AT = """
SELECT subscription.id, subscription.billing_account_id, subscription.pool, version.effective_from_ms,
       COALESCE(version.effective_until_ms, 9223372036854775807), version.offering, version.status, version.quantity,
       version.add_ons::text, COALESCE(version.characteristics->>'spend_limit', '')
FROM subscriptions_subscription subscription
JOIN subscriptions_version version ON version.subscription_id = subscription.id
WHERE version.recorded_at_ms <= %s AND (version.superseded_at_ms IS NULL OR version.superseded_at_ms > %s)
    AND COALESCE(version.effective_until_ms, 9223372036854775807) >= %s
    AND (%s::bigint[] IS NULL OR subscription.id = ANY(%s))
    AND subscription.id > %s AND subscription.id <= %s
ORDER BY subscription.id, version.effective_from_ms
"""
VERSION_FRAME_COLUMNS = {
    "subscription_id": pl.Int64,
    "billing_account_id": pl.Int64,
    "pool": pl.String,
    "effective_from_ms": pl.Int64,
    "effective_until_ms": pl.Int64,
    "offering": pl.String,
    "status": pl.String,
    "quantity": pl.Int64,
    "add_ons": pl.String,  # JSON list
    "spend_limit": pl.String,  # what its usage may take in a cycle, in the account's currency; "" without limit
}


def version_frame(
    *,
    since_ms: int,
    known_at_ms: int,
    ids: Sequence[int] | None = None,
    after_id: int = 0,
    until_id: int = 9223372036854775807,
) -> pl.DataFrame:
    """Versions that had not ended before `since_ms`, as they were known then, as columns by subscription and time.

    Of the subscriptions named, or of those with after_id < id <= until_id, or of all.
    """
    chosen = None if ids is None else list(ids)
    values = [known_at_ms, known_at_ms, since_ms, chosen, chosen, after_id, until_id]
    return read_frame(_VERSIONS_AT, values, schema=VERSION_FRAME_COLUMNS)


_HELD_AT = """
SELECT held.subscription_id, held.kind, held.identifier
FROM subscriptions_serviceidentifier held
WHERE held.recorded_at_ms <= %s AND (held.superseded_at_ms IS NULL OR held.superseded_at_ms > %s)
    AND held.effective_from_ms <= %s AND (held.effective_until_ms IS NULL OR held.effective_until_ms > %s)
    AND (%s::bigint[] IS NULL OR held.subscription_id = ANY(%s))
    AND held.subscription_id > %s AND held.subscription_id <= %s
"""


def held_frame(
    *,
    at_ms: int,
    known_at_ms: int,
    ids: Sequence[int] | None = None,
    after_id: int = 0,
    until_id: int = 9223372036854775807,
) -> pl.DataFrame:
    """subscription_id, kind, identifier: what was held at an instant, as it was known then."""
    chosen = None if ids is None else list(ids)
    return read_frame(
        _HELD_AT,
        [known_at_ms, known_at_ms, at_ms, at_ms, chosen, chosen, after_id, until_id],
        schema={"subscription_id": pl.Int64, "kind": pl.String, "identifier": pl.String},
    )


_CHANGED = """
SELECT subscription_id FROM subscriptions_version
WHERE recorded_at_ms > %(since)s OR superseded_at_ms > %(since)s
    OR (effective_from_ms > %(from)s AND effective_from_ms <= %(until)s)
    OR (effective_until_ms > %(from)s AND effective_until_ms <= %(until)s)
UNION
SELECT subscription_id FROM subscriptions_serviceidentifier
WHERE recorded_at_ms > %(since)s OR superseded_at_ms > %(since)s
    OR (effective_from_ms > %(from)s AND effective_from_ms <= %(until)s)
    OR (effective_until_ms > %(from)s AND effective_until_ms <= %(until)s)
"""


def subscriptions_changed(*, recorded_since_ms: int, from_ms: int, until_ms: int) -> list[int]:
    """Subscriptions of which something was recorded since, or began or ended in (from_ms, until_ms]."""
    with connection.cursor() as cursor:
        cursor.execute(_CHANGED, {"since": recorded_since_ms, "from": from_ms, "until": until_ms})
        return [row[0] for row in cursor.fetchall()]


def subscription_ids_of(account_ids: Iterable[int]) -> list[int]:
    """Ids of the subscriptions of these billing accounts."""
    query = "SELECT id FROM subscriptions_subscription WHERE billing_account_id IN (SELECT unnest(%s::bigint[]))"
    return [row[0] for row in read_rows(query, [list(account_ids)])]


def billing_accounts_of(subscription_ids: Iterable[int]) -> list[int]:
    """Ids of the billing accounts that have these subscriptions."""
    query = (
        "SELECT DISTINCT billing_account_id FROM subscriptions_subscription WHERE id IN (SELECT unnest(%s::bigint[]))"
    )
    return [row[0] for row in read_rows(query, [list(subscription_ids)])]


def account_by_subscription(subscription_ids: Iterable[int]) -> dict[int, int]:
    """The billing account of each of these subscriptions."""
    query = "SELECT id, billing_account_id FROM subscriptions_subscription WHERE id IN (SELECT unnest(%s::bigint[]))"
    return dict(read_rows(query, [list(subscription_ids)]))
