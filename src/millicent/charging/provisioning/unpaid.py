"""Plans that a balance has not paid for the running cycle: what they include is not granted."""

import polars as pl

from millicent.catalog.types import Payment
from millicent.charging.declared import MS_PER_DAY, PrepaidRules
from millicent.kit.bulk import read_frame

_STANDINGS = {
    "subscription_id": pl.Int64, "cycle_from_ms": pl.Int64, "paid": pl.Int64, "unpaid_since_ms": pl.Int64,
    "changed_at_ms": pl.Int64,
}  # fmt: skip


def unpaid_plans(
    held: pl.DataFrame, *, accounts: pl.DataFrame, at_ms: int, known_at_ms: int, rules: PrepaidRules
) -> pl.DataFrame:
    """subscription_id and whether it is `barred`: of accounts that pay in advance, with plans that cost something.

    A standing that changed after `known_at_ms` was the other before: nothing else can change of it.
    """
    prepaid = accounts.filter(pl.col("payment") == Payment.PREPAID.value).select("account_id")
    asked = held.filter("has_fees").join(prepaid, on="account_id", how="semi")
    asked = asked.select("subscription_id", "cycle_from_ms")
    if asked.is_empty():
        return pl.DataFrame(schema={"subscription_id": pl.Int64, "barred": pl.Boolean})
    standings = read_frame(
        "SELECT subscription_id, cycle_from_ms, paid::int, COALESCE(unpaid_since_ms, 0), changed_at_ms "
        "FROM charging_fee_standing WHERE cycle_from_ms = ANY(%s) "
        "AND subscription_id IN (SELECT unnest(%s::bigint[]))",
        [asked["cycle_from_ms"].unique().to_list(), asked["subscription_id"].to_list()],
        schema=_STANDINGS,
    )
    found = asked.join(standings, on=("subscription_id", "cycle_from_ms"), how="left")
    paid = ((pl.col("paid") == 1) ^ (pl.col("changed_at_ms") > known_at_ms)).fill_null(value=False)
    over = pl.col("unpaid_since_ms").fill_null(2**62) + rules.grace_days * MS_PER_DAY <= at_ms
    barred = over & (pl.col("unpaid_since_ms") > 0) if rules.bar_unpaid else pl.lit(value=False)
    return found.filter(~paid).select("subscription_id", barred=barred.fill_null(value=False))
