"""Check the rows of a file of subscriptions before any of them is written."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from millicent.catalog.types import Catalogue, Discount
from millicent.kit.intake import TextTable, fault_rows, free_columns, no_faults, parse_columns, parse_instants
from millicent.subscriptions import selectors
from millicent.subscriptions.columns import DATE_CURE, SUBSCRIPTION_COLUMNS, price_overrides
from millicent.subscriptions.services.tally_coupons import coupons_held, lock_tallies
from millicent.subscriptions.types import NEW_VERSION_COLUMNS


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedSubscriptions:
    """What a file of subscriptions comes to. Rows of one code are its versions; one bad row refuses them all."""

    new: pl.DataFrame  # `row` and NEW_VERSION_COLUMNS
    standing: pl.DataFrame  # `row`, subscription_code: added before with the same content
    faults: pl.DataFrame
    refused_codes: frozenset[str]
    zones: pl.DataFrame  # subscription_code, zone, first_from_ms of those in this file
    rows_in: int


def check_subscriptions(
    table: TextTable, *, accounts: pl.DataFrame, refused_accounts: frozenset[str], catalogue: Catalogue | None
) -> CheckedSubscriptions:
    """Read every field, follow every reference; change nothing.

    `accounts` has account_code, zone, currency of those that stand or are about to be opened. Without a catalogue
    the codes of offerings, add-ons and coupons are taken as they are. The tallies of coupons with a limit stay locked
    until the transaction ends, so what is in order here still is when it is written.
    """
    parsed, faults = parse_columns(table, columns=SUBSCRIPTION_COLUMNS)
    rows = parsed.with_columns(free_columns(table)).join(
        accounts.select(account="account_code", zone="zone", currency="currency"), on="account", how="left"
    )
    rows = rows.sort("row").with_columns(pl.col("zone", "currency").fill_null(""))
    rows, value_faults = _read_values(rows, file=table.file)
    found = [faults, value_faults, _nowhere(rows, refused=refused_accounts, file=table.file)]
    if catalogue is not None:
        found.append(_unknown_codes(rows, catalogue=catalogue, file=table.file))
    sound = rows.join(pl.concat(found), on="row", how="anti")
    found.append(_broken_histories(sound, file=table.file))
    faults = pl.concat(found)
    refused = rows.join(faults, on="row", how="semi")["subscription"].drop_nulls().unique()
    found.append(_beside_refused(rows, faults=faults, refused=refused, file=table.file))
    sound = rows.filter(~pl.col("subscription").is_in(refused.to_list())).filter(pl.col("subscription") != "")
    standing, changed = _against_the_tables(_as_versions(sound), file=table.file)
    new = _as_versions(sound).join(standing, on="row", how="anti").join(changed, on="row", how="anti")
    used_up = _beyond_limits(new, discounts=catalogue.discounts if catalogue else {}, file=table.file)
    new = new.join(used_up, on="row", how="anti")
    faults = pl.concat([*found, changed, used_up])
    return CheckedSubscriptions(
        new=new,
        standing=standing,
        faults=faults,
        refused_codes=frozenset(rows.join(faults, on="row", how="semi")["subscription"].drop_nulls().to_list()),
        zones=sound.group_by(subscription_code="subscription").agg(
            pl.col("zone").first(), first_from_ms=pl.col("from_ms").min()
        ),
        rows_in=table.rows.height + table.faults["row"].n_unique(),
    )


def _read_values(rows: pl.DataFrame, *, file: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Dates in the account's zone, agreed prices in its currency."""
    faults = [no_faults()]
    columns = []
    for name in ("from", "until"):
        instants, wrong = parse_instants(rows, column=name, zone="zone")
        columns.append(instants.alias(f"{name}_ms"))
        faults.append(fault_rows(rows.filter(wrong), file=file, column=name, problem="is no date", cure=DATE_CURE))
    pairs = list(zip(rows["price_overrides"].to_list(), rows["currency"].to_list(), strict=True))
    meaning = {pair: price_overrides(pair[0], currency=pair[1]) for pair in set(pairs) if pair[0] and pair[1]}
    agreed = pl.Series("agreed", [meaning.get(pair) if pair[0] else "{}" for pair in pairs], dtype=pl.String)
    bad = rows.filter(agreed.is_null() & (rows["currency"] != ""))
    cure = "Write price=amount in the account's currency, separated by |."
    faults.append(fault_rows(bad, file=file, column="price_overrides", problem="is no agreed price", cure=cure))
    return rows.with_columns(*columns, agreed), pl.concat(faults)


def _nowhere(rows: pl.DataFrame, *, refused: frozenset[str], file: str) -> pl.DataFrame:
    lost = rows.filter((pl.col("zone") == "") & (pl.col("account") != ""))
    problem = (
        pl.when(pl.col("account").is_in(list(refused)))
        .then(pl.lit("is refused itself"))
        .otherwise(pl.lit("is no billing account"))
    )
    return fault_rows(lost, file=file, column="account", problem=problem, cure="Bring the account too, and sound.")


def _unknown_codes(rows: pl.DataFrame, *, catalogue: Catalogue, file: str) -> pl.DataFrame:
    """Codes that the catalogue does not know, or that name something of another sort."""
    plans = {code for code, offering in catalogue.offerings.items() if not offering.add_on}
    add_ons = {code for code, offering in catalogue.offerings.items() if offering.add_on}
    coupons = {code for code, discount in catalogue.discounts.items() if discount.coupon}
    known_plan = rows["offering"].is_in(list(plans)) | (rows["offering"] == "")
    return pl.concat(
        [
            fault_rows(
                rows.filter(~known_plan),
                file=file,
                column="offering",
                problem="is no plan of the catalogue",
                cure="See `millicent catalog show`.",
            ),
            _unknown_in_list(rows, column="add_ons", known=add_ons, problem="holds an unknown add-on", file=file),
            _unknown_in_list(rows, column="coupons", known=coupons, problem="holds an unknown coupon", file=file),
        ]
    )


def _unknown_in_list(rows: pl.DataFrame, *, column: str, known: set[str], problem: str, file: str) -> pl.DataFrame:
    wrong = [text for text in rows[column].unique().to_list() if text and not known.issuperset(json.loads(text))]
    bad = rows.filter(pl.col(column).is_in(wrong))
    return fault_rows(bad, file=file, column=column, problem=problem, cure="See `millicent catalog show`.")


def _broken_histories(sound: pl.DataFrame, *, file: str) -> pl.DataFrame:
    """Versions of one subscription meet without gap or overlap, on one account and in one pool."""
    ordered = sound.sort("subscription", "from_ms", maintain_order=True).with_columns(
        earlier_until=pl.col("until_ms").shift(1).over("subscription"),
        earlier_row=pl.col("row").shift(1).over("subscription"),
    )
    later = pl.col("earlier_row").is_not_null()
    apart = later & ~(pl.col("earlier_until") == pl.col("from_ms")).fill_null(value=False)
    moved = (pl.col("account").n_unique().over("subscription") > 1) | (
        pl.col("pool").n_unique().over("subscription") > 1
    )
    backwards = (pl.col("until_ms") <= pl.col("from_ms")).fill_null(value=False)
    meet = "Versions of a subscription follow each other: one begins when the one before ends."
    return pl.concat(
        [
            fault_rows(
                ordered.filter(backwards), file=file, column="until", problem="is not after from", cure=DATE_CURE
            ),
            fault_rows(
                ordered.filter(apart & ~backwards),
                file=file,
                column="from",
                problem=pl.format("does not meet the version in row {}", "earlier_row"),
                cure=meet,
            ),
            fault_rows(
                ordered.filter(moved),
                file=file,
                column="account",
                problem="changes within one subscription, or its pool does",
                cure="A subscription stays on its account and in its pool.",
            ),
        ]
    )


def _beside_refused(rows: pl.DataFrame, *, faults: pl.DataFrame, refused: pl.Series, file: str) -> pl.DataFrame:
    """Sound rows of a subscription of which another row is refused: a history is not cut."""
    beside = rows.filter(pl.col("subscription").is_in(refused.to_list()) & (pl.col("subscription") != ""))
    return fault_rows(
        beside.join(faults, on="row", how="anti"),
        file=file,
        column="subscription",
        problem="has another row that is refused",
        cure="Mend that row; a subscription's history comes whole or not at all.",
    )


def _as_versions(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(
        "row",
        "pool",
        "offering",
        "status",
        "quantity",
        "add_ons",
        "coupons",
        "characteristics",
        subscription_code="subscription",
        account_code="account",
        effective_from_ms="from_ms",
        effective_until_ms="until_ms",
        price_overrides="agreed",
    ).select("row", *NEW_VERSION_COLUMNS)


def _against_the_tables(versions: pl.DataFrame, *, file: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Subscriptions added before: with the same content they stand, with another they are faults."""
    before = selectors.versions_as_added(codes=versions["subscription_code"].unique().to_list())
    known = versions.join(before, on="subscription_code", how="semi")
    same = known.join(before, on=list(NEW_VERSION_COLUMNS), how="semi", nulls_equal=True)
    counts = before.group_by("subscription_code").len("before")
    whole = same.group_by("subscription_code").len("now").join(counts, on="subscription_code")
    whole = whole.filter(pl.col("now") == pl.col("before"))
    standing = known.join(whole, on="subscription_code", how="semi")
    changed = known.join(standing, on="row", how="anti")
    return standing.select("row", "subscription_code"), fault_rows(
        changed.with_columns(subscription="subscription_code"),
        file=file,
        column="subscription",
        problem="was added before with another content",
        cure="An import adds subscriptions; change one that stands with its own verb.",
    )


def _beyond_limits(new: pl.DataFrame, *, discounts: Mapping[str, Discount], file: str) -> pl.DataFrame:
    """Subscriptions that come too late for a coupon of theirs, in the order of the file: all rows of them."""
    limits = {code: each.redemptions_limit for code, each in discounts.items() if each.redemptions_limit is not None}
    held = coupons_held(new.sort("row")).filter(pl.col("coupon").is_in(list(limits)))
    wanted = held.group_by("subscription_code", maintain_order=True).agg("coupon")
    redeemed = lock_tallies(held["coupon"].unique().to_list())
    late: dict[str, str] = {}
    for code, coupons in wanted.iter_rows():
        used_up = [coupon for coupon in coupons if redeemed[coupon] >= limits[coupon]]
        if used_up:
            late[code] = f"comes too late: coupon {used_up[0]} may be redeemed {limits[used_up[0]]} times"
        else:
            redeemed |= {coupon: redeemed[coupon] + 1 for coupon in coupons}
    rows = new.filter(pl.col("subscription_code").is_in(list(late)))
    return fault_rows(
        rows,
        file=file,
        column="coupons",
        problem=pl.col("subscription_code").replace_strict(late, default="", return_dtype=pl.String),
        cure="Leave the coupon out, or raise its limit in the catalogue.",
    )
