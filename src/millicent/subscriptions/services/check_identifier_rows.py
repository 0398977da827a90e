"""Check the rows of a file of identifiers before any of them is written."""

from dataclasses import dataclass

import polars as pl

from millicent.kit.intake import TextTable, fault_rows, no_faults, parse_columns, parse_instants
from millicent.subscriptions import selectors
from millicent.subscriptions.columns import DATE_CURE, IDENTIFIER_COLUMNS
from millicent.subscriptions.rules import normalise_identifier
from millicent.subscriptions.types import NEW_IDENTIFIER_COLUMNS, IdentifierKind

_OPEN = 2**63 - 1
_CURES = {
    IdentifierKind.MSISDN: "Write the number with its country code, such as +34600000001.",
    IdentifierKind.IMSI: "Write 14 or 15 digits.",
    IdentifierKind.IP: "Write one address, such as 192.0.2.1 or 2001:db8::1.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedIdentifiers:
    """What a file of identifiers comes to: every row is in `new`, in `standing` or in the rows of `faults`."""

    new: pl.DataFrame  # `row` and NEW_IDENTIFIER_COLUMNS
    standing: pl.DataFrame  # `row`: recorded before, exactly so
    faults: pl.DataFrame
    rows_in: int


def check_identifiers(
    table: TextTable, *, subscriptions: pl.DataFrame, refused_codes: frozenset[str]
) -> CheckedIdentifiers:
    """Read every field, follow every reference, find every double holder; change nothing.

    `subscriptions` has subscription_code, zone, first_from_ms of those that stand or are about to be added: dates are
    in that zone, and an empty `from` is the day the subscription begins.
    """
    parsed, faults = parse_columns(table, columns=IDENTIFIER_COLUMNS)
    rows = parsed.join(subscriptions.rename({"subscription_code": "subscription"}), on="subscription", how="left")
    rows = rows.sort("row").with_columns(pl.col("zone").fill_null(""))
    found = [faults, _homeless(rows, refused=refused_codes, file=table.file)]
    rows, date_faults = _read_dates(rows, file=table.file)
    rows, text_faults = _normalise(rows, file=table.file)
    found += [date_faults, text_faults]
    sound = rows.join(pl.concat(found), on="row", how="anti").select(
        "row",
        "kind",
        "identifier",
        subscription_code="subscription",
        effective_from_ms="from_ms",
        effective_until_ms="until_ms",
    )
    recorded = selectors.identifiers_as_recorded(identifiers=sound["identifier"].unique().to_list())
    standing = sound.join(recorded, on=list(NEW_IDENTIFIER_COLUMNS), how="semi", nulls_equal=True)
    fresh = sound.join(standing, on="row", how="anti")
    clashes = _clashes(fresh, believed=recorded.filter("believed"), file=table.file)
    found.append(clashes)
    return CheckedIdentifiers(
        new=fresh.join(clashes, on="row", how="anti").select("row", *NEW_IDENTIFIER_COLUMNS),
        standing=standing.select("row"),
        faults=pl.concat(found),
        rows_in=table.rows.height + table.faults["row"].n_unique(),
    )


def _homeless(rows: pl.DataFrame, *, refused: frozenset[str], file: str) -> pl.DataFrame:
    lost = rows.filter((pl.col("zone") == "") & (pl.col("subscription") != ""))
    problem = (
        pl.when(pl.col("subscription").is_in(list(refused)))
        .then(pl.lit("is refused itself"))
        .otherwise(pl.lit("is no subscription"))
    )
    cure = "Bring the subscription too, and sound."
    return fault_rows(lost, file=file, column="subscription", problem=problem, cure=cure)


def _read_dates(rows: pl.DataFrame, *, file: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    faults = []
    columns = []
    for name in ("from", "until"):
        instants, wrong = parse_instants(rows, column=name, zone="zone")
        columns.append(instants.alias(f"{name}_ms"))
        faults.append(fault_rows(rows.filter(wrong), file=file, column=name, problem="is no date", cure=DATE_CURE))
    rows = rows.with_columns(columns).with_columns(
        from_ms=pl.when(pl.col("from") == "").then("first_from_ms").otherwise("from_ms")
    )
    backwards = rows.filter((pl.col("until_ms") <= pl.col("from_ms")).fill_null(value=False))
    faults.append(fault_rows(backwards, file=file, column="until", problem="is not after from", cure=DATE_CURE))
    return rows, pl.concat(faults)


def _normalise(rows: pl.DataFrame, *, file: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    pairs = list(zip(rows["kind"].to_list(), rows["identifier"].to_list(), strict=True))
    meaning = {
        (kind, text): normalise_identifier(IdentifierKind(kind), text) for kind, text in set(pairs) if kind and text
    }
    normal = pl.Series("normal", [meaning.get(pair) for pair in pairs], dtype=pl.String)
    faults = [no_faults()]
    unread = rows.filter(normal.is_null() & (rows["identifier"] != "") & rows["kind"].is_not_null())
    for (kind,), bad in unread.group_by("kind"):
        cure = _CURES.get(IdentifierKind(str(kind)), "Write it as the network reports it.")
        faults.append(fault_rows(bad, file=file, column="identifier", problem=f"is no {kind}", cure=cure))
    return rows.with_columns(identifier=normal), pl.concat(faults)


def _clashes(fresh: pl.DataFrame, *, believed: pl.DataFrame, file: str) -> pl.DataFrame:
    """Rows whose identifier is held in a part of the same time, by an earlier row or in the tables already."""
    held = believed.drop("believed").with_columns(row=pl.lit(0, dtype=pl.Int64)).select(fresh.columns)
    together = pl.concat([held, fresh]).filter(pl.struct("kind", "identifier").is_duplicated())
    first_row: dict[int, int] = {}
    last: tuple[str, str] = ("", "")
    taken: list[tuple[int, int, int]] = []
    for row, kind, identifier, from_ms, until_ms in (
        together.sort("kind", "identifier", "row")
        .select("row", "kind", "identifier", "effective_from_ms", pl.col("effective_until_ms").fill_null(_OPEN))
        .iter_rows()
    ):
        taken = taken if last == (kind, identifier) else []
        last = (kind, identifier)
        clash = next((other for begin, end, other in taken if begin < until_ms and from_ms < end), None)
        if clash is None or row == 0:
            taken.append((from_ms, until_ms, row))
        else:
            first_row[row] = clash
    texts = {
        row: f"is held at that time by row {other}" if other else "is held at that time by a subscription that stands"
        for row, other in first_row.items()
    }
    return fault_rows(
        fresh.filter(pl.col("row").is_in(list(texts))),
        file=file,
        column="identifier",
        problem=pl.col("row").replace_strict(texts, default="", return_dtype=pl.String),
        cure="Give the earlier holder an until, or this row a later from.",
    )
