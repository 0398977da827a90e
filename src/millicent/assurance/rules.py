"""Pure arithmetic of the controls."""

from collections.abc import Iterable, Sequence

import polars as pl

from millicent.assurance.types import Check, FileControl, UsageWhereabouts


def record_checks(files: Sequence[FileControl]) -> list[Check]:
    """No record is lost between the file and the lake."""
    read = sum(control.records_in for control in files)
    handled = sum(control.accepted + control.suspended + control.rejected + control.duplicate for control in files)
    accepted = sum(control.accepted for control in files)
    kept = sum(control.usages + control.joined for control in files)
    return [
        Check(
            code="records_handled",
            says="records read are accepted, suspended, rejected or duplicate",
            unit="records",
            left=read,
            right=handled,
        ),
        Check(
            code="records_kept",
            says="accepted records are usages, or parts joined into one",
            unit="records",
            left=accepted,
            right=kept,
        ),
    ]


def usage_checks(files: Sequence[FileControl], *, usage: UsageWhereabouts, covered: int) -> list[Check]:
    """No usage is lost between the lake and the bills. `covered` is what the lake holds of billed cycles."""
    return [
        Check(
            code="usages_in_lake",
            says="usages of all files are the rows of the lake",
            unit="usages",
            left=sum(control.usages for control in files),
            right=usage.in_lake,
        ),
        Check(
            code="usages_billed",
            says="usages of billed cycles are billed, or have no price and a reason",
            unit="usages",
            left=covered,
            right=usage.billed + usage.unpriced,
        ),
        Check(
            code="usages_unpriced",
            says="usages without a price are listed with their reasons",
            unit="usages",
            left=usage.unpriced,
            right=sum(count for _, count in usage.unpriced_by_reason),
        ),
    ]


def covered_usage(usage: pl.DataFrame, *, payers: pl.DataFrame, cycles: pl.DataFrame) -> int:
    """How many usages lie in a billed cycle of their payer and were known when it was billed, or in a later one.

    usage: billing_account_id, occurred_at_ms, received_at_ms. payers: billing_account_id, payer_id. cycles: payer_id,
    cycle_from_ms, cycle_until_ms, known_until_ms. Late usage is billed with the next cycle, so what counts is the
    latest `known_until_ms` of the payer.
    """
    known = cycles.group_by("payer_id").agg(latest_known_ms=pl.col("known_until_ms").max())
    placed = usage.join(payers, on="billing_account_id").sort("occurred_at_ms")
    found = placed.join_asof(
        cycles.sort("cycle_from_ms"),
        left_on="occurred_at_ms",
        right_on="cycle_from_ms",
        by="payer_id",
        strategy="backward",
        check_sortedness=False,  # polars cannot check it within groups; both sides were sorted just now
    ).join(known, on="payer_id")
    inside = (pl.col("occurred_at_ms") < pl.col("cycle_until_ms")) & (
        pl.col("received_at_ms") < pl.col("latest_known_ms")
    )
    return found.filter(inside).height


def money_checks(
    *,
    billed: Iterable[tuple[str, int, int, int]],
    balances: Iterable[tuple[str, str, int]],
    everything: Iterable[tuple[str, int]],
) -> list[Check]:
    """Bills and ledger agree in every currency. billed: currency, net, tax, total of all bills; balances: ledger
    account, currency, debits minus credits of what bills posted; everything: currency and the same of all postings.

    What bills earn is revenue now, or deferred until its day: the two together are the net of the bills.
    """
    ledger: dict[str, dict[str, int]] = {}
    for path, currency, balance in balances:
        sums = ledger.setdefault(currency, {"all": 0, "earned": 0, "tax": 0})
        if path.startswith(("revenue:", "liability:deferred")):
            sums["earned"] -= balance
        if path.startswith("liability:tax"):
            sums["tax"] -= balance
    for currency, balance in everything:
        ledger.setdefault(currency, {"all": 0, "earned": 0, "tax": 0})["all"] += balance
    checks = []
    bills = {currency: (net, tax, total) for currency, net, tax, total in billed}
    for currency in sorted(set(ledger) | set(bills)):
        net, tax, total = bills.get(currency, (0, 0, 0))
        sums = ledger.get(currency, {"all": 0, "earned": 0, "tax": 0})
        says = (
            ("billed_is_posted", "net of all bills is revenue and deferred revenue", net, sums["earned"]),
            ("tax_is_posted", "tax of all bills is tax owed", tax, sums["tax"]),
            ("totals_add_up", "net and tax are the totals of all bills", net + tax, total),
            ("postings_sum_to_zero", "all postings sum to zero", sums["all"], 0),
        )
        checks += [
            Check(code=code, says=sentence, unit=currency, left=left, right=right)
            for code, sentence, left, right in says
        ]
    return checks
