"""Check the rows of a file of billing accounts before any of them is written."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from millicent.customers import selectors
from millicent.customers.columns import ACCOUNT_COLUMNS, DATE_CURE, TAX_NUMBER_CURE, cycle_parts
from millicent.customers.errors import ParentTwice
from millicent.customers.rules import above, is_sound_tax_number, may_pay
from millicent.customers.services.open_billing_accounts import Family, read_family
from millicent.customers.types import NEW_ACCOUNT_COLUMNS
from millicent.kit.intake import TextTable, fault_rows, free_columns, no_faults, parse_columns, parse_instants


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedAccounts:
    """What a file of accounts comes to. Every row is in `new`, in `standing` or in the rows of `faults`."""

    new: pl.DataFrame  # `row` and NEW_ACCOUNT_COLUMNS
    exemptions: pl.DataFrame  # NEW_EXEMPTION_COLUMNS, of new accounts
    standing: pl.DataFrame  # `row`, account_code: opened before with the same content
    faults: pl.DataFrame
    refused_codes: frozenset[str]
    rows_in: int


def check_accounts(table: TextTable) -> CheckedAccounts:
    """Read every field, follow every reference; change nothing."""
    parsed, faults = parse_columns(table, columns=ACCOUNT_COLUMNS)
    parsed = parsed.with_columns(free_columns(table))
    rows, date_faults = _read_dates(parsed, file=table.file)
    rows = _as_accounts(rows)
    faults = pl.concat([faults, date_faults, _twice(rows, file=table.file), _half_exemptions(rows, file=table.file)])
    faults = pl.concat([faults, _unsound_tax_numbers(rows, file=table.file)])
    sound = rows.join(faults, on="row", how="anti")
    standing, changed = _against_the_tables(sound, file=table.file)
    new = sound.join(standing, on="row", how="anti").join(changed, on="row", how="anti")
    misplaced = _misplaced(new, refused=rows.join(new, on="row", how="anti"), standing=standing, file=table.file)
    new = new.join(misplaced, on="row", how="anti")
    faults = pl.concat([faults, changed, misplaced])
    return CheckedAccounts(
        new=new.select("row", *NEW_ACCOUNT_COLUMNS),
        exemptions=_exemptions(new),
        standing=standing,
        faults=faults,
        refused_codes=frozenset(rows.join(faults, on="row", how="semi")["account"].drop_nulls().to_list()),
        rows_in=table.rows.height + table.faults["row"].n_unique(),
    )


def _read_dates(parsed: pl.DataFrame, *, file: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    faults = []
    columns = []
    for name in ("opened", "cycle_anchor", "exemption_from", "exemption_until"):
        instants, wrong = parse_instants(parsed, column=name, zone="zone")
        faults.append(fault_rows(parsed.filter(wrong), file=file, column=name, problem="is no date", cure=DATE_CURE))
        columns.append(instants.alias(f"{name}_ms"))
    return parsed.with_columns(columns), pl.concat(faults)


def _as_accounts(rows: pl.DataFrame) -> pl.DataFrame:
    lengths = rows["cycle_every"].drop_nulls().unique().to_list()
    counts = {every: cycle_parts(every)[0] for every in lengths}
    units = {every: cycle_parts(every)[1] for every in lengths}
    return rows.with_columns(
        pl.col("cycle_anchor_ms").fill_null(0),
        account_code="account",
        party_code=pl.when(pl.col("party") == "").then("account").otherwise("party"),
        party_kind="kind",
        opened_at_ms="opened_ms",
        party_name="name",
        parent_code="parent",
        payer_code=pl.when(pl.col("payer") == pl.col("account")).then(pl.lit("")).otherwise("payer"),
        is_business="business",
        cycle_count=pl.col("cycle_every").replace_strict(counts, default=None, return_dtype=pl.Int64),
        cycle_unit=pl.col("cycle_every").replace_strict(units, default=None, return_dtype=pl.String),
    )


def _twice(rows: pl.DataFrame, *, file: str) -> pl.DataFrame:
    """The first row of a code stands; each later one is a fault that names the first."""
    first = pl.col("row").min().over("account")
    again = rows.with_columns(first=first).filter((pl.col("row") > pl.col("first")) & (pl.col("account") != ""))
    problem = pl.format("stands in row {} already", "first")
    return fault_rows(again, file=file, column="account", problem=problem, cure="Keep one row for each account.")


def _half_exemptions(rows: pl.DataFrame, *, file: str) -> pl.DataFrame:
    told = pl.any_horizontal(
        pl.col("exemption_kind", "exemption_jurisdiction", "exemption_certificate", "exemption_from") != ""
    )
    whole = pl.all_horizontal(
        pl.col("exemption_kind", "exemption_jurisdiction", "exemption_certificate", "exemption_from") != ""
    )
    backwards = (pl.col("exemption_until_ms") <= pl.col("exemption_from_ms")).fill_null(value=False)
    return fault_rows(
        rows.filter((told & ~whole) | backwards),
        file=file,
        column="exemption_certificate",
        problem="is half an exemption, or ends before it begins",
        cure="Give kind, jurisdiction, certificate and from, and an until that is later.",
    )


def _unsound_tax_numbers(rows: pl.DataFrame, *, file: str) -> pl.DataFrame:
    told = rows.filter((pl.col("tax_number") != "") & pl.col("country").is_not_null())
    wrong = [
        not is_sound_tax_number(number, country=country)
        for number, country in told.select("tax_number", "country").iter_rows()
    ]
    problem = pl.format("is no tax number of {}", "country")
    bad = told.filter(pl.Series(wrong, dtype=pl.Boolean))
    return fault_rows(bad, file=file, column="tax_number", problem=problem, cure=TAX_NUMBER_CURE)


def _against_the_tables(sound: pl.DataFrame, *, file: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Accounts opened before: with the same content they stand, with another they are faults."""
    compared = [name for name in NEW_ACCOUNT_COLUMNS if name not in ("account_code", "email", "phone")]
    before = selectors.accounts_as_opened(codes=sound["account_code"].to_list())
    both = sound.join(before, on="account_code", suffix="_before")
    differs = [pl.when(pl.col(name) != pl.col(f"{name}_before")).then(pl.lit(name)) for name in compared]
    both = both.with_columns(differences=pl.concat_str(differs, separator=", ", ignore_nulls=True))
    changed = fault_rows(
        both.filter(pl.col("differences") != ""),
        file=file,
        column="account",
        problem=pl.format("was opened before with another {}", "differences"),
        cure="An import opens accounts; change one that is open with its own command.",
    )
    return both.filter(pl.col("differences") == "").select("row", "account_code"), changed


def _misplaced(new: pl.DataFrame, *, refused: pl.DataFrame, standing: pl.DataFrame, file: str) -> pl.DataFrame:
    """Rows whose parent or payer is missing, refused, or cannot pay; then the rows under those, and so on down."""
    family = read_family(new)
    known = set(family.ids) | set(new["account_code"].to_list()) | set(standing["account_code"].to_list())
    lost = set(refused["account"].drop_nulls().to_list()) - known
    problems: dict[int, tuple[str, str]] = {}
    placed = new.filter((pl.col("parent_code") != "") | (pl.col("payer_code") != ""))
    waiting = placed.select("row", "account_code", "parent_code", "payer_code").rows()
    settled = False
    while not settled:
        settled = True
        for row, code, parent, payer in waiting:
            if row in problems:
                continue
            found = _problem_of(code, parent=parent, payer=payer, known=known, lost=lost, family=family)
            if found:
                problems[row] = found
                known.discard(code)
                lost.add(code)
                settled = False
    return _placement_faults(new, problems=problems, file=file)


def _placement_faults(new: pl.DataFrame, *, problems: Mapping[int, tuple[str, str]], file: str) -> pl.DataFrame:
    faults = [no_faults()]
    for wrong in ("parent", "payer"):
        texts = {row: problem for row, (column, problem) in problems.items() if column == wrong}
        bad = new.filter(pl.col("row").is_in(list(texts)))
        faults.append(
            fault_rows(
                bad,
                file=file,
                column=wrong,
                problem=pl.col("row").replace_strict(texts, default="", return_dtype=pl.String),
                cure="Bring the account above too, and bring it sound.",
            )
        )
    return pl.concat(faults)


def _problem_of(
    code: str, *, parent: str, payer: str, known: set[str], lost: set[str], family: Family
) -> tuple[str, str] | None:
    for column, other in (("parent", parent), ("payer", payer)):
        if other and other not in known:
            return (
                column,
                f"{other} is refused itself" if other in lost else f"{other} does not exist",
            )
    try:
        chain = list(above(code, parents=family.parents))
    except ParentTwice as circle:
        return "parent", circle.message
    if payer and not may_pay(payer, account=code, parents=family.parents, payers=family.payers):
        return "payer", f"{payer} does not stand above {chain[0]}, or does not pay for itself"
    return None


def _exemptions(new: pl.DataFrame) -> pl.DataFrame:
    return new.filter(pl.col("exemption_kind") != "").select(
        "account_code",
        kind="exemption_kind",
        jurisdiction="exemption_jurisdiction",
        certificate="exemption_certificate",
        effective_from_ms="exemption_from_ms",
        effective_until_ms="exemption_until_ms",
    )
