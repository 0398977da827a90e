"""Buckets and counters as arrays, from the frames a caller holds; and back again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from millicent.catalog.types import CounterScope
from millicent.kit.errors import BadInput
from millicent.kit.kernels import Int32s, Int64s
from millicent.rating.kernel.arrays import NOTHING, State
from millicent.rating.program import TariffProgram

SCOPES = (CounterScope.SUBSCRIPTION.value, CounterScope.ACCOUNT.value, CounterScope.POOL.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owners:
    """Who may own buckets and counters, and their places. An owner is a subscription with its account and pool."""

    subscription_ids: Int64s  # sorted
    account_ids: Int64s  # sorted
    pools: Mapping[str, int]
    owner_of_holding: Int32s  # [holdings]
    owner_subscription: Int64s  # [owners] id
    owner_account: Int64s  # [owners] id
    owner_pool: pl.Series  # [owners]


def owners_of(holdings: pl.DataFrame) -> Owners:
    """Number subscriptions, accounts, pools, and their combinations."""
    keys = ("subscription_id", "billing_account_id", "pool")
    combined = holdings.select(keys).unique(maintain_order=True)
    numbered = combined.with_row_index("owner")
    owner = holdings.select(keys).join(numbered, on=keys, how="left", maintain_order="left")["owner"]
    pools = [pool for pool in combined["pool"].unique(maintain_order=True).to_list() if pool]
    return Owners(
        subscription_ids=np.unique(holdings["subscription_id"].to_numpy()),
        account_ids=np.unique(holdings["billing_account_id"].to_numpy()),
        pools={pool: number for number, pool in enumerate(pools)},
        owner_of_holding=owner.to_numpy().astype(np.int32),
        owner_subscription=combined["subscription_id"].to_numpy(),
        owner_account=combined["billing_account_id"].to_numpy(),
        owner_pool=combined["pool"],
    )


def bucket_rows(grants: pl.DataFrame, program: TariffProgram) -> Int32s:
    """The allowance row of each grant in a program; NOTHING when the release does not know the allowance."""
    rows = grants.select(
        pl.col("allowance").replace_strict(dict(program.allowance_numbers), default=NOTHING, return_dtype=pl.Int32)
        if program.allowance_numbers
        else pl.lit(NOTHING, pl.Int32).alias("allowance")
    )["allowance"]
    return (rows if len(rows) == len(grants) else rows.new_from_index(0, len(grants))).to_numpy().astype(np.int32)


def order_candidates(
    *, grants: pl.DataFrame, owners: Owners, programs: Sequence[TariffProgram]
) -> tuple[Int64s, Int32s]:
    """Each owner's buckets in the order they are tried: most specific, priority, earliest expiry, oldest, bucket id.

    Returns where each owner's candidates begin, and the candidates. The newest release that knows it ranks it.
    """
    ranks = {each.code: each.rank for program in programs for each in program.allowances}
    count = len(owners.owner_subscription)
    if not len(grants):
        return np.zeros(count + 1, np.int64), np.zeros(0, np.int32)
    ranked = grants.with_row_index("bucket").with_columns(
        pl.col("allowance").replace_strict({code: rank[0] for code, rank in ranks.items()} or {"": 0}, default=0,
                                           return_dtype=pl.Int64).alias("specificity"),
        pl.col("allowance").replace_strict({code: rank[1] for code, rank in ranks.items()} or {"": 0}, default=0,
                                           return_dtype=pl.Int64).alias("priority"),
    )  # fmt: skip
    people = pl.DataFrame(
        {
            "owner": np.arange(count, dtype=np.int64),
            "subscription": owners.owner_subscription,
            "account": owners.owner_account,
            "pool_code": owners.owner_pool,
        }
    )
    by_scope = [("subscription", "owner_id"), ("account", "owner_id"), ("pool_code", "pool")]
    found = pl.concat(
        [
            ranked.filter(pl.col("scope") == scope)
            .join(people.filter(pl.col("pool_code") != "") if scope == SCOPES[2] else people,
                  left_on=theirs, right_on=ours, how="inner")
            .select("owner", "specificity", "priority", "valid_until_ms", "granted_at_ms", "bucket_id", "bucket")
            for scope, (ours, theirs) in zip(SCOPES, by_scope, strict=True)
        ]
    ).sort("owner", "specificity", "priority", "valid_until_ms", "granted_at_ms", "bucket_id")  # fmt: skip
    counts = np.bincount(found["owner"].to_numpy(), minlength=count)
    first = np.zeros(count + 1, np.int64)
    np.cumsum(counts, out=first[1:])
    return first, found["bucket"].to_numpy().astype(np.int32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Counters of all programs in one array: `blocks` says where the owners of a (counter, scope) begin."""

    blocks: Mapping[tuple[str, str], int]
    units: Int64s
    parties: tuple[str, ...]
    owners: Owners

    def first_of(self, program: TariffProgram) -> Int64s:
        return np.array([self.blocks[counter] for counter in program.counters], np.int64)

    def frame(self, *, keeping: pl.DataFrame) -> pl.DataFrame:
        """Every counter that is not at zero, and those of `keeping` that nothing here could move."""
        pieces = [_counter_frame(self, name, scope) for name, scope in self.blocks]
        untouched = [row for row in keeping.iter_rows() if _counter_place_of(self, row) < 0]
        return pl.concat([keeping.clear(), pl.DataFrame(untouched, schema=keeping.schema, orient="row"), *pieces])


def scope_size(owners: Owners, scope: str) -> int:
    sizes = (len(owners.subscription_ids), len(owners.account_ids), len(owners.pools))
    return sizes[SCOPES.index(scope)]


def open_counters(
    *, counters: pl.DataFrame, owners: Owners, programs: Sequence[TariffProgram], parties: tuple[str, ...]
) -> Counters:
    """Lay out the counters that the programs know, and set them to where they stand."""
    blocks: dict[tuple[str, str], int] = {}
    size = 0
    for name, scope in dict.fromkeys(counter for program in programs for counter in program.counters):
        blocks[name, scope] = size
        size += scope_size(owners, scope) + len(parties)
    opened = Counters(blocks=blocks, units=np.zeros(size, np.int64), parties=parties, owners=owners)
    for row in counters.iter_rows():
        place = _counter_place_of(opened, row)
        if place >= 0:
            opened.units[place] = row[-1]
    return opened


def _counter_place_of(counters: Counters, row: tuple[str, str, int, str, int]) -> int:
    """Where a counter row belongs, NOTHING when nothing in this call can move it."""
    name, scope, owner_id, pool, _ = row
    if scope not in SCOPES:
        raise BadInput(f"{scope!r} is no scope", where="counters", cure=f"Use one of {', '.join(SCOPES)}.")
    first = counters.blocks.get((name, scope))
    if first is None:
        return NOTHING
    owners = counters.owners
    if owner_id == -1 and pool in counters.parties:
        return first + scope_size(owners, scope) + counters.parties.index(pool)
    if scope == SCOPES[2]:
        return first + owners.pools[pool] if pool in owners.pools else NOTHING
    ids = owners.subscription_ids if scope == SCOPES[0] else owners.account_ids
    place = int(np.searchsorted(ids, owner_id))
    return first + place if place < len(ids) and ids[place] == owner_id else NOTHING


def _counter_frame(counters: Counters, name: str, scope: str) -> pl.DataFrame:
    owners = counters.owners
    size = scope_size(owners, scope)
    first = counters.blocks[name, scope]
    block = counters.units[first : first + size + len(counters.parties)]
    used = np.flatnonzero(block)
    ids = {SCOPES[0]: owners.subscription_ids, SCOPES[1]: owners.account_ids}.get(scope)
    pools = list(owners.pools)
    owner_ids = [int(ids[place]) if ids is not None and place < size else -1 for place in used]
    names = [
        counters.parties[place - size] if place >= size else (pools[place] if ids is None else "") for place in used
    ]
    return _counter_rows(name, scope, owner_ids, names, block[used].tolist())


def _counter_rows(name: str, scope: str, owner_ids: list[int], pools: list[str], units: list[int]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "counter": [name] * len(units),
            "scope": [scope] * len(units),
            "owner_id": owner_ids,
            "pool": pools,
            "units": units,
        },
        schema={
            "counter": pl.String,
            "scope": pl.String,
            "owner_id": pl.Int64,
            "pool": pl.String,
            "units": pl.Int64,
        },
    )


def state_arrays(
    *,
    grants: pl.DataFrame,
    remaining: Int64s,
    candidate_first: Int64s,
    candidate_bucket: Int32s,
    candidate_taken: Int64s,
    counters: Counters,
    program: TariffProgram,
) -> State:
    """The state as one program sees it. `remaining`, `candidate_taken` and the counters are shared, not copied."""
    return State(
        remaining=remaining,
        valid_from_ms=grants["valid_from_ms"].to_numpy(),
        valid_until_ms=grants["valid_until_ms"].to_numpy(),
        allowance=bucket_rows(grants, program),
        candidate_first=candidate_first,
        candidate_bucket=candidate_bucket,
        candidate_taken=candidate_taken,
        counter_first=counters.first_of(program),
        counter_scope=np.array([SCOPES.index(scope) for _, scope in program.counters], np.int8),
        counter_units=counters.units,
    )
