"""Usage of files as RECORD commands: what no door of charging saw, and a balance is to know of.

Two kinds. A service that is charged from files for accounts that pay in advance; and usage of the running cycle from
before its subscription came into the shard, whose allowances and counters must stand as the bill will have them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from millicent.catalog.types import Catalogue
from millicent.charging.balance_facts import Spans
from millicent.charging.keys import traffic_text
from millicent.charging.ports import BalancePort
from millicent.charging.provisioning.command_rows import rows_of
from millicent.charging.provisioning.numbers import identifier_numbers
from millicent.charging.types import Flag, NameKind, Rows, Unit, Verb
from millicent.charging.types_map import UNIT_OF
from millicent.rating.compile.numbers import number_keys
from millicent.rating.services.usage_columns import quantities

FILES_GROUP = 2**32 - 2  # rating group of usage that came by file: no door has it
_TRAFFIC = ("service", "direction", "call_type", "visited_network", "attributes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """What decides which usage a balance is told of."""

    services: frozenset[str]  # charged from files
    payers: Mapping[int, int]  # billing account -> who pays
    advance: Mapping[int, Spans]  # payer -> when it paid in advance
    prepaid_now: frozenset[int]  # payers
    entries: pl.DataFrame  # subscription_id, entered_at_ms, since_ms


def told_by_files(usage: pl.DataFrame, *, intake: Intake) -> pl.DataFrame:
    """The usage that the shard is to be told of, oldest first; of whoever is not in the shard, none yet."""
    payers = pl.DataFrame(
        {"billing_account_id": list(intake.payers), "payer_id": list(intake.payers.values())},
        schema={"billing_account_id": pl.Int64, "payer_id": pl.Int64},
    )
    rows = (
        usage.join(intake.entries, on="subscription_id")
        .join(payers, on="billing_account_id")
        .filter(pl.col("occurred_at_ms") >= pl.col("since_ms"))
    )
    paid = _in_advance(rows, advance=intake.advance)
    by_file = pl.col("paid") & pl.col("service").is_in(sorted(intake.services))
    before = (pl.col("occurred_at_ms") < pl.col("entered_at_ms")) & (
        pl.col("paid") | ~pl.col("payer_id").is_in(sorted(intake.prepaid_now))
    )
    return (
        rows.with_columns(paid=paid).filter(by_file | before).sort("occurred_at_ms", "event_key_high", "event_key_low")
    )


def _in_advance(rows: pl.DataFrame, *, advance: Mapping[int, Spans]) -> pl.Series:
    """Whether the payer paid in advance when each usage began."""
    told = rows.select("payer_id", "occurred_at_ms").iter_rows()
    return pl.Series(
        [any(span.from_ms <= at_ms < span.until_ms for span in advance.get(payer, ())) for payer, at_ms in told],
        dtype=pl.Boolean,
    )


def record_rows(
    usage: pl.DataFrame, *, catalogue: Catalogue, held: pl.DataFrame, port: BalancePort, at_ms: int
) -> Rows:
    """RECORD commands under the usage's own event keys. `held`: subscription_id and key of identifiers held now.

    A number is named only where its holder still has it: the place of who calls may decide the price, and a number
    that was given to somebody else would charge that somebody.
    """
    rows = rows_of(Verb.RECORD, len(usage), at_ms=at_ms)
    units, _, _ = quantities(usage, catalogue.specifications)
    for name, column in (
        ("key_high", "event_key_high"),
        ("key_low", "event_key_low"),
        ("instant_ms", "occurred_at_ms"),
        ("subscription_id", "subscription_id"),
        ("content_nanos", "content_nanos"),
    ):
        rows[name] = usage[column].to_numpy()
    rows["group"] = FILES_GROUP
    rows["number_key"], rows["number_digits"] = number_keys(usage["other_party"])
    rows["traffic"] = _traffics(usage, port=port)
    rows["flags"] = np.where(usage["answered"].to_numpy(), 0, int(Flag.UNANSWERED))
    measures = [UNIT_OF[catalogue.specifications[code].measure] for code in usage["service"]]
    rows["used"][np.arange(len(usage)), np.array(measures, np.int64)] = units
    rows["used"][:, Unit.INPUT_OCTETS] = np.maximum(rows["used"][:, Unit.INPUT_OCTETS], usage["uplink_bytes"])
    rows["used"][:, Unit.OUTPUT_OCTETS] = np.maximum(rows["used"][:, Unit.OUTPUT_OCTETS], usage["downlink_bytes"])
    rows["subscriber_key"] = _still_theirs(usage, held=held)
    return rows


def _traffics(usage: pl.DataFrame, *, port: BalancePort) -> np.ndarray:
    kinds = usage.select(_TRAFFIC)
    distinct = kinds.unique()
    numbers = [port.number_of(NameKind.TRAFFIC, traffic_text(**row)) for row in distinct.iter_rows(named=True)]
    named = distinct.with_columns(number=pl.Series(numbers, dtype=pl.Int32))
    return kinds.join(named, on=_TRAFFIC, maintain_order="left")["number"].to_numpy()


def _still_theirs(usage: pl.DataFrame, *, held: pl.DataFrame) -> np.ndarray:
    asked = usage.select("subscription_id", "identifier_kind", "identifier").with_columns(
        kind=pl.when(pl.col("identifier_kind") == "").then(pl.lit("device")).otherwise("identifier_kind")
    )
    keyed = asked.with_columns(identifier_numbers(asked["kind"], asked["identifier"]))
    mine = held.select("subscription_id", "key").unique().with_columns(mine=pl.lit(value=True))
    found = keyed.join(mine, on=("subscription_id", "key"), how="left", maintain_order="left")
    return np.where(found["mine"].fill_null(value=False).to_numpy(), found["key"].to_numpy(), 0)


def known_services(usage: pl.DataFrame, *, catalogue: Catalogue) -> pl.DataFrame:
    """Without usage of services that the catalogue does not have any more: nobody can say what it is counted in."""
    return usage.filter(pl.col("service").is_in(sorted(catalogue.specifications)))


def keys_of(usage: pl.DataFrame) -> Sequence[tuple[int, int]]:
    return usage.select(pl.col("event_key_high", "event_key_low").cast(pl.Int64)).rows()
