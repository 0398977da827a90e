"""Columns of text to columns of exact numbers, in polars: no row is looked at one by one.

Each check answers with a column of reasons, null where the row passes it; a row's reason is the first it has.
"""

from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from millicent.catalog.decks.types import DeckFormat, DeckRead, DeckReport, DeckRows, RowRefusal
from millicent.catalog.types import RateDeck
from millicent.kit.money import nano_digits

OPEN_MS = np.iinfo(np.int64).max
_SINCE_EVER_MS = np.iinfo(np.int64).min
_NUMBER = r"^\+?[0-9]*\.?[0-9]+$|^[0-9]+\.$"
_LONGEST_WHOLE = 8  # digits before the point: with nine after it, far inside int64
_LONGEST_INCREMENT = 6


def check_rows(split: DeckRows, *, layout: DeckFormat) -> DeckRead:
    """Take every row that is sound, refuse the others with a reason."""
    checked = _checked(_named(split, layout=layout), layout=layout)
    checked = _without_overlaps(checked)
    accepted = checked.filter(pl.col("reason").is_null()).sort("prefix", "from_ms", "row")
    refused = checked.filter(pl.col("reason").is_not_null()).select("row", "prefix", "reason", "detail")
    report = DeckReport(
        code=layout.code,
        file=layout.file,
        rows_in=split.rows_in,
        accepted=accepted.height,
        refused=pl.concat([split.refused, refused]).sort("row"),
    )
    return DeckRead(deck=_to_deck(accepted, layout=layout), report=report)


def _named(split: DeckRows, *, layout: DeckFormat) -> pl.DataFrame:
    """Our names for the columns; those the file does not have are empty."""
    ours = ("prefix", "destination", "rate", "connect", "first", "next", "from", "until", "status")
    where = {name: split.header.index(header) for name, header in layout.columns.items()}
    cells = [
        (pl.col(f"c{where[name]}").str.strip_chars() if name in where else pl.lit("")).alias(name) for name in ours
    ]
    return split.rows.select("row", *cells).with_columns(pl.col("prefix").str.strip_prefix("+"))


def _checked(rows: pl.DataFrame, *, layout: DeckFormat) -> pl.DataFrame:
    status = pl.col("status").str.to_lowercase()
    rows = rows.with_columns(
        blocked=status.is_in([word.lower() for word in layout.blocked]),
        rate=_point(pl.col("rate"), layout=layout),
        connect=_point(pl.col("connect"), layout=layout),
        first=pl.when(pl.col("first") == "").then(pl.lit(str(layout.increments[0]))).otherwise(pl.col("first")),
        next=pl.when(pl.col("next") == "").then(pl.lit(str(layout.increments[1]))).otherwise(pl.col("next")),
        from_ms=_instant_ms("from", layout=layout, empty=_SINCE_EVER_MS),
        until_ms=_instant_ms("until", layout=layout, empty=OPEN_MS),
    )
    digits = nano_digits(layout.currency)
    reason, detail = _reasons(digits=digits)
    rows = rows.with_columns(reason=reason, detail=detail)
    sound = pl.col("reason").is_null()
    return rows.with_columns(
        rate_nanos=_nanos("rate", digits=digits, sound=sound),
        connect_nanos=_nanos("connect", digits=digits, sound=sound),
        first_increment=pl.when(sound).then(pl.col("first")).cast(pl.Int32, strict=False),
        next_increment=pl.when(sound).then(pl.col("next")).cast(pl.Int32, strict=False),
    )


def _point(column: pl.Expr, *, layout: DeckFormat) -> pl.Expr:
    return (
        column
        if layout.decimal == "."
        else column.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
    )


def _instant_ms(name: str, *, layout: DeckFormat, empty: int) -> pl.Expr:
    """Local dates and times to UTC milliseconds; null where unreadable. An hour that happens twice is its first."""
    text = pl.col(name)
    if layout.date_format:
        local = text.str.to_datetime(layout.date_format, strict=False, time_unit="us")
    else:
        plain = text.str.replace("T", " ", literal=True)
        local = pl.coalesce(
            plain.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", strict=False, time_unit="us"),
            plain.str.to_datetime("%Y-%m-%d %H:%M", strict=False, time_unit="us"),
            plain.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us")),
        )
    zone = ZoneInfo(layout.zone).key
    instant = local.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null").dt.timestamp("ms")
    return pl.when(text == "").then(pl.lit(empty, pl.Int64)).otherwise(instant)


def _reasons(*, digits: int) -> tuple[pl.Expr, pl.Expr]:
    """The first thing wrong with a row, and the cell that shows it."""
    rate, connect, served = pl.col("rate"), pl.col("connect"), ~pl.col("blocked")
    steps = [pl.col(name).str.contains(rf"^0*[1-9][0-9]{{0,{_LONGEST_INCREMENT - 1}}}$") for name in ("first", "next")]
    increments = pl.col("first") + "/" + pl.col("next")
    checks: list[tuple[pl.Expr, RowRefusal, pl.Expr]] = [
        (~pl.col("prefix").str.contains(r"^[1-9][0-9]{0,14}$"), RowRefusal.BAD_PREFIX, pl.col("prefix")),
        (served & (rate == ""), RowRefusal.MISSING_RATE, rate),
        (served & rate.str.contains(r"^-[0-9.]+$"), RowRefusal.NEGATIVE_RATE, rate),
        ((rate != "") & ~_is_number(rate) & served, RowRefusal.BAD_RATE, rate),
        (served & _too_fine(rate, digits=digits), RowRefusal.TOO_MANY_DECIMALS, rate),
        ((connect != "") & ~_is_number(connect), RowRefusal.BAD_CONNECT_FEE, connect),
        (_too_fine(connect, digits=digits), RowRefusal.TOO_MANY_DECIMALS, connect),
        (~(steps[0] & steps[1]), RowRefusal.BAD_INCREMENT, increments),
        (pl.col("from_ms").is_null(), RowRefusal.BAD_DATE, pl.col("from")),
        (pl.col("until_ms").is_null(), RowRefusal.BAD_DATE, pl.col("until")),
        (pl.col("until_ms") <= pl.col("from_ms"), RowRefusal.ENDS_BEFORE_IT_BEGINS, pl.col("until")),
    ]
    reason = pl.coalesce(*(pl.when(wrong).then(pl.lit(str(name))) for wrong, name, _ in checks))
    detail = pl.coalesce(*(pl.when(wrong).then(cell) for wrong, _, cell in checks), pl.lit(""))
    return reason, detail


def _is_number(cell: pl.Expr) -> pl.Expr:
    whole = cell.str.strip_prefix("+").str.extract(r"^0*([0-9]*)", 1).str.len_chars()
    return cell.str.contains(_NUMBER) & (whole <= _LONGEST_WHOLE)


def _too_fine(cell: pl.Expr, *, digits: int) -> pl.Expr:
    fraction = cell.str.extract(r"\.([0-9]*?)0*$", 1).str.len_chars()
    return (fraction > digits).fill_null(False)


def _nanos(name: str, *, digits: int, sound: pl.Expr) -> pl.Expr:
    """Exact: the digits before the point, and those after it filled up to `digits`, as integers."""
    cell = pl.when(sound & _is_number(pl.col(name))).then(pl.col(name).str.strip_prefix("+"))
    whole = pl.lit("0") + cell.str.extract(r"^([0-9]*)", 1).fill_null("")
    fraction = cell.str.extract(r"\.([0-9]*?)0*$", 1).fill_null("").str.pad_end(digits, "0")
    return (
        whole.cast(pl.Int64, strict=False) * pl.lit(10**digits, pl.Int64)
        + pl.when(fraction == "").then(pl.lit("0")).otherwise(fraction).cast(pl.Int64, strict=False)
    ).fill_null(0)


def _without_overlaps(rows: pl.DataFrame) -> pl.DataFrame:
    """Of one prefix, a row without an end lasts until the next one begins; beyond that, two may not overlap."""
    sound = rows.filter(pl.col("reason").is_null())
    again = pl.col("prefix").is_duplicated()
    repeated = _close_and_compare(sound.filter(again).sort("prefix", "from_ms", "row"))
    return pl.concat([rows.filter(pl.col("reason").is_not_null()), sound.filter(~again), repeated.select(rows.columns)])


def _close_and_compare(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows whose prefix stands more than once, sorted by prefix, start and row."""
    following = pl.col("from_ms").shift(-1).over("prefix")
    closes = (pl.col("until_ms") == OPEN_MS) & following.is_not_null() & (following > pl.col("from_ms"))
    closed = rows.with_columns(until_ms=pl.when(closes).then(following).otherwise(pl.col("until_ms")))
    earlier = pl.col("until_ms").cum_max().shift(1).over("prefix")
    clash = (earlier > pl.col("from_ms")).fill_null(False)
    other = pl.col("row").shift(1).over("prefix").cast(pl.String)
    return closed.with_columns(
        reason=pl.when(clash).then(pl.lit(str(RowRefusal.DUPLICATE_PREFIX))),
        detail=pl.when(clash).then(pl.lit("overlaps row ") + other).otherwise(pl.lit("")),
    )


def _to_deck(rows: pl.DataFrame, *, layout: DeckFormat) -> RateDeck:
    return RateDeck(
        code=layout.code,
        currency=layout.currency,
        per_units=layout.per_units,
        prefixes=tuple(rows["prefix"].to_list()),
        destinations=tuple(rows["destination"].to_list()),
        rate_nanos=rows["rate_nanos"].to_numpy().astype(np.int64),
        connect_nanos=rows["connect_nanos"].to_numpy().astype(np.int64),
        first_increment=rows["first_increment"].to_numpy().astype(np.int32),
        next_increment=rows["next_increment"].to_numpy().astype(np.int32),
        valid_from_ms=rows["from_ms"].to_numpy().astype(np.int64),
        valid_until_ms=rows["until_ms"].to_numpy().astype(np.int64),
        blocked=rows["blocked"].to_numpy().astype(np.int8),
        where=layout.where,
    )
