"""Unit buckets that are open at an instant, by billing's own rules.

A million subscriptions have few shapes: what was held in the cycle, apart from who holds it. Billing is asked once for
each shape, and its answer is given to everybody who has it.
"""

import json
from collections.abc import Sequence

import polars as pl

from millicent.billing.live import Bucket, Releases, allowance_grants
from millicent.billing.types import AccountGroupFacts
from millicent.catalog.types import CounterScope, Period, PeriodUnit
from millicent.charging.provisioning.numbers import grant_numbers
from millicent.charging.types import NO_LIMIT
from millicent.customers.types import BillCycle, BillingAccountFacts
from millicent.kit.errors import Refusal
from millicent.subscriptions.types import SubscriptionFacts, SubscriptionStatus, SubscriptionVersion

SCOPES = (CounterScope.SUBSCRIPTION, CounterScope.ACCOUNT, CounterScope.POOL)  # their numbers in a GRANT
GRANT_FRAME = {
    "bucket_id": pl.Int64,
    "subscription_id": pl.Int64,  # who brought it
    "account_id": pl.Int64,
    "allowance": pl.String,
    "scope": pl.Int8,  # place in SCOPES
    "pool": pl.String,
    "amount": pl.Int64,
    "valid_from_ms": pl.Int64,
    "valid_until_ms": pl.Int64,
    "cycle_until_ms": pl.Int64,
    "resumed": pl.Boolean,  # its offering was left, and is held again
}
_PIECE = (
    "currency", "zone", "cycle_day", "cycle_count", "cycle_unit", "cycle_anchor_ms", "from_ms", "until_ms", "offering",
    "status", "quantity", "add_ons",
)  # fmt: skip
_OPEN_MS = 2**63 - 1


def grants_of(versions: pl.DataFrame, *, released: Releases, at_ms: int) -> pl.DataFrame:
    """GRANT_FRAME of the subscriptions in `versions`: VERSION_FRAME_COLUMNS with payer, currency and cycle beside."""
    pieces = _pieces(versions)
    kinds = pieces.select(_PIECE).unique(maintain_order=True).with_row_index("piece")
    shaped = (
        pieces.join(kinds, on=_PIECE, maintain_order="left")
        .group_by("subscription_id", maintain_order=True)
        .agg(
            pl.col("piece").cast(pl.String).str.join(","),
            pl.col("billing_account_id", "payer_id", "pool", "cycle_until_ms").first(),
        )
    )
    if not len(shaped):
        return pl.DataFrame(schema=GRANT_FRAME)
    granted = _granted(shaped["piece"].unique(maintain_order=True), kinds=kinds, released=released, at_ms=at_ms)
    return _owned(shaped.join(granted, on="piece"))


def _pieces(versions: pl.DataFrame) -> pl.DataFrame:
    """Versions as far as the cycle sees them. What began before it began before it; when, makes no difference."""
    seen = versions.filter(
        (pl.col("effective_until_ms") >= pl.col("cycle_from_ms"))
        & (pl.col("effective_from_ms") < pl.col("cycle_until_ms"))
    )
    return seen.with_columns(
        from_ms=pl.max_horizontal("effective_from_ms", pl.col("cycle_from_ms") - 1),
        until_ms=pl.when(pl.col("effective_until_ms") >= pl.col("cycle_until_ms"))
        .then(_OPEN_MS)
        .otherwise("effective_until_ms"),
    )


def _granted(shapes: pl.Series, *, kinds: pl.DataFrame, released: Releases, at_ms: int) -> pl.DataFrame:
    """For each shape, what billing grants it and is open at the instant."""
    pieces = [dict(zip(_PIECE, row, strict=True)) for row in kinds.select(_PIECE).iter_rows()]
    rows: list[tuple[object, ...]] = []
    for shape in shapes:
        group = _group_of([pieces[int(number)] for number in shape.split(",")])
        try:
            (buckets,) = allowance_grants([group], released=released, at_ms=at_ms)
        except Refusal:  # an offering that no release knows grants nothing, until the catalogue is mended
            continue
        rows += _rows(shape, buckets, at_ms=at_ms)
    schema = {
        "piece": pl.String, "allowance": pl.String, "scope": pl.Int8, "amount": pl.Int64, "valid_from_ms": pl.Int64,
        "valid_until_ms": pl.Int64, "twin": pl.Int64, "resumed": pl.Boolean,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


def _rows(shape: str, buckets: Sequence[Bucket], *, at_ms: int) -> list[tuple[object, ...]]:
    twins: dict[tuple[str, int], int] = {}
    rows: list[tuple[object, ...]] = []
    for bucket in buckets:
        same = (bucket.allowance, bucket.valid_from_ms)
        twin = twins[same] = twins.get(same, -1) + 1
        if bucket.remaining > 0 and bucket.serves_at(at_ms):
            resumed = any(until_ms <= at_ms for _, until_ms in bucket.away)
            scope = SCOPES.index(CounterScope(bucket.scope))
            amount = min(bucket.remaining, NO_LIMIT)
            valid_ms = bucket.valid_from_ms, bucket.valid_until_ms
            rows.append((shape, bucket.allowance, scope, amount, *valid_ms, twin, resumed))
    return rows


def _group_of(pieces: Sequence[dict[str, object]]) -> AccountGroupFacts:
    """A stand-in for everybody of one shape: a payer that pays for itself and has this one subscription."""
    first = pieces[0]
    payer = BillingAccountFacts(
        billing_account_id=0,
        code="",
        party_name="",
        payer_id=0,
        parent_id=None,
        currency=str(first["currency"]),
        zone=str(first["zone"]),
        cycle=BillCycle(
            day=_int(first["cycle_day"]),
            period=Period(count=_int(first["cycle_count"]), unit=PeriodUnit(str(first["cycle_unit"]))),
            anchor_ms=_int(first["cycle_anchor_ms"]),
        ),
    )
    versions = tuple(_version(piece) for piece in pieces)
    held = SubscriptionFacts(subscription_id=0, code="", billing_account_id=0, versions=versions)
    return AccountGroupFacts(payer=payer, accounts=(payer,), subscriptions=(held,))


def _version(piece: dict[str, object]) -> SubscriptionVersion:
    until_ms = _int(piece["until_ms"])
    return SubscriptionVersion(
        effective_from_ms=_int(piece["from_ms"]),
        effective_until_ms=None if until_ms == _OPEN_MS else until_ms,
        offering=str(piece["offering"]),
        status=SubscriptionStatus(str(piece["status"])),
        quantity=_int(piece["quantity"]),
        add_ons=tuple(json.loads(str(piece["add_ons"]))),
    )


def _owned(granted: pl.DataFrame) -> pl.DataFrame:
    """Who may draw on each bucket.

    The shard knows a subscription's payer, not the account it belongs to. What an account below its payer shares is a
    pool of that account's subscriptions; one that has another pool already has no part in it.
    What a pool would share serves a subscription outside any pool alone, as on its bill.
    """
    scopes = (CounterScope.SUBSCRIPTION, CounterScope.ACCOUNT, CounterScope.POOL)
    own, account, pool = (SCOPES.index(each) for each in scopes)
    below = (pl.col("scope") == account) & (pl.col("billing_account_id") != pl.col("payer_id"))
    alone = (pl.col("scope") == pool) & (pl.col("pool") == "")
    granted = granted.with_columns(scope=pl.when(alone).then(pl.lit(own, pl.Int8)).otherwise("scope"))
    named = pl.concat_str("payer_id", "pool", separator="/")
    owned = granted.with_columns(
        pool=pl.when(pl.col("scope") == pool).then(named).when(below).then(below_pool()).otherwise(pl.lit("")),
        scope=pl.when(below).then(pl.lit(pool, pl.Int8)).otherwise("scope"),
        account_id="payer_id",
    )
    return owned.with_columns(grant_numbers(owned)).select(
        pl.col(name).cast(kind) for name, kind in GRANT_FRAME.items()
    )


def below_pool() -> pl.Expr:
    """The pool of an account that somebody else pays for."""
    return pl.concat_str(pl.lit("account:"), "billing_account_id")


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value
