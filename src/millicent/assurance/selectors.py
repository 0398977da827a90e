"""Do the stages agree? Counts made in one stage against counts made in another, never against themselves."""

from millicent.assurance.rules import covered_usage, money_checks, record_checks, usage_checks
from millicent.assurance.types import Conservation, FileControl, UsageWhereabouts
from millicent.billing import selectors as billing
from millicent.customers.selectors import payers_of_accounts
from millicent.kit.lake import Lake
from millicent.ledger.selectors import trial_balance
from millicent.mediation import selectors as mediation

# what bills post: prepaid usage earns revenue too, and no bill tells of it
BILLED_TEMPLATES = ("bill_issued", "credit_note_issued", "revenue_recognised", "recognition_reversed")
_FOREVER_MS = 4_102_444_800_000  # 2100


def conservation_table(lake: Lake) -> Conservation:
    """Follow everything from the files to the ledger, in the running tenant's scope.

    Reads three columns of all usage: minutes on a year of a large operator, a second in the demo.
    """
    files = tuple(
        FileControl(
            source=batch.source,
            name=batch.name,
            state=batch.state,
            records_in=batch.records_in,
            accepted=batch.accepted,
            suspended=batch.suspended,
            rejected=batch.rejected,
            duplicate=batch.duplicate,
            usages=batch.usages,
            joined=batch.joined,
            repeats=batch.repeats,
        )
        for batch in mediation.batch_totals()
    )
    usage, covered = _usage(lake)
    of_bills = trial_balance(templates=BILLED_TEMPLATES)
    balances = [(row.ledger_account, row.currency, row.balance_nanos) for row in of_bills]
    everything = [(row.currency, row.balance_nanos) for row in trial_balance()]
    return Conservation(
        files=files,
        usage=usage,
        checks=(
            *record_checks(files),
            *usage_checks(files, usage=usage, covered=covered),
            *money_checks(billed=billing.billed_totals(), balances=balances, everything=everything),
        ),
    )


def _usage(lake: Lake) -> tuple[UsageWhereabouts, int]:
    columns = ("billing_account_id", "occurred_at_ms", "received_at_ms")
    rows = mediation.usage_of(lake, from_ms=0, until_ms=_FOREVER_MS).select(columns).collect()
    payers = payers_of_accounts()
    covered = covered_usage(rows, payers=payers, cycles=billing.billed_cycles())
    runs = billing.runs()
    reasons: dict[str, int] = {}
    for run in runs:
        for reason, count in run.unpriced_by_reason.items():
            reasons[reason] = reasons.get(reason, 0) + count
    billed = sum(run.usage_billed for run in runs)
    unpriced = sum(run.usage_unpriced for run in runs)
    return (
        UsageWhereabouts(
            in_lake=rows.height,
            billed=billed,
            unpriced=unpriced,
            not_yet_billed=rows.height - covered,
            unpriced_by_reason=tuple(sorted(reasons.items())),
        ),
        covered,
    )
