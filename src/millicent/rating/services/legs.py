"""One usage, several prices: what the customer pays, each reseller, and what the supplier asks.

The chain runs customer, reseller, reseller's reseller ..., supplier: each leg's margin is its amount less the next.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from millicent.kit.kernels import Int8s, Int32s, Int64s
from millicent.rating.types import Leg


@dataclass(frozen=True, slots=True, kw_only=True)
class Legs:
    """Charges to price: row i is leg `leg[i]` of usage `usage[i]`, for `party[i]` (a place in `parties`; 0 is "")."""

    usage: Int64s
    leg: Int8s
    party: Int32s
    parties: tuple[str, ...]
    tariff: pl.Series  # code, "" where there is none


def expand_legs(
    *,
    tariff: pl.Series,
    reseller: pl.Series,
    supplier: pl.Series,
    release: Int64s,
    reseller_tariffs: Sequence[Mapping[str, str]],
    supplier_tariffs: Sequence[Mapping[str, str]],
) -> Legs:
    """Every leg of every usage, the retail leg first. Without supplier tariffs nobody's cost is asked for.

    `release` says by its place which of the releases was in force when each usage began: its tariffs are asked.
    """
    count = len(tariff)
    parties = {"": 0}
    pieces = [(np.arange(count), int(Leg.RETAIL), np.zeros(count, np.int32), tariff)]
    for chain in sorted(set(reseller.unique().to_list()) - {""}):
        rows = np.flatnonzero((reseller == chain).to_numpy())
        for level, code in enumerate(chain.split("/")):
            number = parties.setdefault(code, len(parties))
            codes = _codes_of(code, release=release[rows], tariffs=reseller_tariffs)
            pieces.append(_piece(rows, int(Leg.RESELLER) + level, number, codes))
    if any(supplier_tariffs):
        asks = np.array([bool(each) for each in supplier_tariffs])
        for code in sorted(set(supplier.unique().to_list()) - {""}):
            rows = np.flatnonzero((supplier == code).to_numpy() & asks[release])
            number = parties.setdefault(code, len(parties))
            codes = _codes_of(code, release=release[rows], tariffs=supplier_tariffs)
            pieces.append(_piece(rows, int(Leg.SUPPLIER), number, codes))
    usage = np.concatenate([rows for rows, *_ in pieces])
    leg = np.concatenate([np.full(len(rows), number, np.int8) for rows, number, *_ in pieces])
    party = np.concatenate([numbers for _, _, numbers, _ in pieces]).astype(np.int32)
    tariffs = pl.concat([codes.rename("tariff") for *_, codes in pieces])
    if len(pieces) > 1:
        order = np.lexsort((leg, usage))
        usage, leg, party, tariffs = usage[order], leg[order], party[order], tariffs.gather(order)
    return Legs(usage=usage, leg=leg, party=party, parties=tuple(parties), tariff=tariffs)


def _codes_of(party: str, *, release: Int64s, tariffs: Sequence[Mapping[str, str]]) -> pl.Series:
    """A party's tariff under each of these releases; "" where it has none."""
    return pl.Series("tariff", [each.get(party, "") for each in tariffs], pl.String).gather(release)


def _piece(rows: Int64s, leg: int, party: int, codes: pl.Series) -> tuple[Int64s, int, Int32s, pl.Series]:
    return rows, leg, np.full(len(rows), party, np.int32), codes


def margins(rated: pl.DataFrame) -> pl.Series:
    """Each leg's amount less the next one's in the chain; null where there is none or its currency is another.

    `rated` has event (a number for each usage), leg, currency, amount_nanos and reason.
    """
    chain = rated.with_row_index("row").with_columns(
        pl.when(pl.col("leg") == int(Leg.SUPPLIER)).then(pl.lit(127, pl.Int8)).otherwise(pl.col("leg")).alias("level")
    )
    following = chain.sort("usage", "level").select(
        "row",
        pl.col("amount_nanos", "currency", "reason").shift(-1).over("usage").name.prefix("next_"),
    )
    joined = chain.join(following, on="row", how="left", maintain_order="left")
    comparable = (
        (pl.col("reason") == 0) & (pl.col("next_reason") == 0) & (pl.col("currency") == pl.col("next_currency"))
    )
    return joined.select(
        pl.when(comparable).then(pl.col("amount_nanos") - pl.col("next_amount_nanos")).alias("margin_nanos")
    )["margin_nanos"]
