"""What the demo shows at its end: conservation, trial balance, and three bills worth a look."""

import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from millicent.assurance.selectors import conservation_table
from millicent.assurance.types import Conservation
from millicent.billing import selectors as billing
from millicent.billing.documents.render import DocumentRenderer, render_json
from millicent.billing.selectors import BillSummary
from millicent.billing.services.itemise_bill import itemise_bill
from millicent.billing.services.show_bill import show_bill
from millicent.catalog.selectors import files_of, latest_release
from millicent.charging.balance_facts import stored_facts
from millicent.config.commands.assurance import show_conservation
from millicent.config.demo.month import DemoPlan
from millicent.config.demo.stories import Story
from millicent.config.output import say, show_table
from millicent.config.settings import settings
from millicent.config.setup import tenant_lake
from millicent.customers.selectors import billing_accounts
from millicent.kit.money import format_plain
from millicent.kit.tenancy import tenant_scope
from millicent.ledger.selectors import trial_balance
from millicent.ledger.services.verify_chain import verify_chain


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownBill:
    """One bill that is worth a look: why, and where it lies."""

    number: str
    why: str
    payer: str
    total: str
    files: tuple[str, ...]


def show_results(
    tenant_id: UUID,
    *,
    plan: DemoPlan,
    stories: Sequence[Story],
    manifest: Mapping[str, Any],
    live: Mapping[str, Any] | None,
    as_json: bool,
) -> dict[str, Any]:
    """Print everything that must agree, and write three bills; returns it all as one document.

    `live` is what came of the live part, None where it was left out.
    """
    with tenant_scope(tenant_id):
        conservation = conservation_table(tenant_lake(tenant_id))
        balance = trial_balance()
        chain = verify_chain()
        shown = list(_three_bills(tenant_id, plan=plan, stories=stories))
    truth = truth_differences(conservation, manifest=manifest)
    agrees = conservation.holds and chain.broken is None and (live is None or bool(live["holds"]))
    if not as_json:
        show_conservation(conservation)
        rows = [
            (row.ledger_account, row.currency, *_sides(row.debit_nanos, row.credit_nanos, row.currency))
            for row in balance
        ]
        show_table("Trial balance", ("ledger account", "currency", "debit", "credit"), rows, as_json=False)
        for bill in shown:
            say(f"{bill.number}, {bill.payer}, {bill.total}: {bill.why}")
            for file in bill.files:
                say(f"    {file}")
        for line in truth or [f"Every one of the {len(manifest['files'])} files holds what its writer says it holds."]:
            say(line)
        for line in live["told"] if live else ():
            say(line)
        verdict = "Everything agrees." if agrees else "SOMETHING DIFFERS: see above."
        say(f"{verdict} The ledger's chain of {chain.entries:,} entries was verified.")
    return {
        "seed": plan.seed,
        "holds": agrees and not truth,
        "conservation": asdict(conservation),
        "trial_balance": [asdict(row) for row in balance],
        "bills": [asdict(bill) for bill in shown],
        "truth": truth,
        "live": live,
    }


def _sides(debit: int, credit: int, currency: str) -> tuple[str, str]:
    return format_plain(debit, currency), format_plain(credit, currency)


def truth_differences(conservation: Conservation, *, manifest: Mapping[str, Any]) -> list[str]:
    """Files of which mediation counted another number of records than their writer wrote."""
    counted = {control.name: control for control in conservation.files}
    differences = []
    for written in manifest["files"]:
        name = Path(written["path"]).name
        control = counted.get(name)
        if control is None:
            differences.append(f"{name} was never collected.")
        elif not control.repeats and control.records_in != written["records"]:
            differences.append(f"{name}: {written['records']} records were written, {control.records_in} counted.")
    return differences


# ---------------------------------------------------------------- three bills


def _command() -> str:
    """How this very installation is called from a shell."""
    return f"MILLICENT_HOME={shlex.quote(str(settings().home_path))} {shlex.quote(sys.argv[0])}"


def _three_bills(tenant_id: UUID, *, plan: DemoPlan, stories: Sequence[Story]) -> Iterator[ShownBill]:
    facts = stored_facts(tenant_lake(tenant_id))
    release = latest_release()
    assert release is not None, "the demo released a catalogue"
    renderer = DocumentRenderer(catalogue_files=dict(files_of(release.number)))
    for summary, why in _worth_a_look(stories):
        bill = show_bill(summary.number)
        details = itemise_bill(summary.number, facts=facts)
        folder = plan.out / "bills"
        folder.mkdir(parents=True, exist_ok=True)
        contents = {
            "pdf": renderer.pdf(bill, details),
            "html": renderer.html(bill, details).encode(),
            "json": render_json(bill, details),
        }
        for ending, content in contents.items():
            (folder / f"{summary.number}.{ending}").write_bytes(content)
        yield ShownBill(
            number=summary.number,
            why=why,
            payer=f"{summary.payer_name} ({summary.payer_code})",
            total=f"{format_plain(summary.total_nanos, summary.currency)} {summary.currency}",
            files=(
                *(str(folder / f"{summary.number}.{ending}") for ending in contents),
                f"why each amount is what it is: {_command()} bill show {summary.number} --json",
            ),
        )


def _worth_a_look(stories: Sequence[Story]) -> Iterator[tuple[BillSummary, str]]:
    """A firm that pays for its branches, a back-dated change, a change of plan; in different languages if possible."""
    last = {bill.payer_code: bill for bill in billing.bills(limit=1_000_000)}  # the later bill of a payer stands last
    accounts = {account.code: account for account in billing_accounts()}
    paid_for: dict[int, int] = {}
    for account in accounts.values():
        paid_for[account.payer_id] = paid_for.get(account.payer_id, 0) + 1
    heads = [
        account.code
        for account in sorted(accounts.values(), key=lambda each: -paid_for.get(each.billing_account_id, 0))
        if account.code in last
    ]
    taken: set[str] = set()
    languages: set[str] = set()
    wanted = [
        ("a firm that pays for its branches", heads[:10]),
        *(
            (f"{told.kind}: {told.told}", [each.account for each in stories if each.kind == told.kind])
            for told in _first_of_kinds(stories, kinds=("back-dated change", "plan up"))
        ),
    ]
    for why, codes in wanted:
        candidates = [code for code in codes if code in last and code not in taken]
        candidates.sort(key=lambda code: (accounts[code].cycle.day != 1, accounts[code].language in languages))
        if candidates:
            taken.add(candidates[0])
            languages.add(accounts[candidates[0]].language)
            yield last[candidates[0]], why


def _first_of_kinds(stories: Sequence[Story], *, kinds: Sequence[str]) -> Iterator[Story]:
    for kind in kinds:
        yield from [story for story in stories if story.kind == kind][:1]
