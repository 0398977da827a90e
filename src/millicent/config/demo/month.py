"""The demo's steps, each through the services that an operator's own commands use. Its clock is October 2026.

A step that was done before finds that and changes nothing, so a second run is quick.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID

from millicent.billing.runs import RunReport
from millicent.billing.services.recognise_revenue import recognise_revenue
from millicent.billing.services.rehearse_bill_run import Rehearsal, rehearse_bill_run
from millicent.billing.services.release_bill_run import release_bill_run
from millicent.catalog.expectations import check_expectations
from millicent.catalog.loading import examine_folder
from millicent.catalog.selectors import catalogue_of
from millicent.catalog.services import release_catalogue
from millicent.catalog.types import Catalogue, ReleaseFacts
from millicent.charging.balance_facts import stored_facts
from millicent.config.commands.catalog_prices import price_expectations
from millicent.config.demo.population import Population, make_population, user_frame, write_import_files
from millicent.config.demo.records import write_month
from millicent.config.demo.stories import Story, stories_of
from millicent.config.setup import tenant_lake
from millicent.config.watching import mediation_stores
from millicent.kit.clock import to_ms
from millicent.kit.errors import BadInput
from millicent.kit.tenancy import tenant_scope
from millicent.mediation.services.collect_source import collect_source
from millicent.mediation.services.declare_source import declare_source
from millicent.subscriptions.services.import_customers import CustomerFiles, import_customers
from millicent.subscriptions.types import ImportReport

CATALOGUE_FOLDER = Path(__file__).parent / "catalogue"
MONTH = date(2026, 10, 1)
BEFORE = datetime(2026, 8, 25, 9, tzinfo=UTC)  # the catalogue is released
OPENING = datetime(2026, 9, 1, 6, tzinfo=UTC)  # customers are imported
FIRST_BILLS = datetime(2026, 10, 2, 12, tzinfo=UTC)  # September is billed
FILES_WRITTEN = datetime(2026, 11, 1, 6, tzinfo=UTC)
COLLECTION = datetime(2026, 11, 2, 6, tzinfo=UTC)
SECOND_BILLS = datetime(2026, 11, 2, 12, tzinfo=UTC)  # October is billed
Advance = Callable[[int], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPlan:
    """What was asked for: the same plan in the same home is the same demo."""

    seed: int
    subscribers: int
    records: int
    out: Path

    def remember(self) -> None:
        """Write the plan beside what it makes; another plan in the same place is refused."""
        path = self.out / "demo.json"
        told = {"seed": self.seed, "subscribers": self.subscribers, "records": self.records}
        if path.exists() and json.loads(path.read_text()) != told:
            raise BadInput(
                f"another demo lives here: {path.read_text().strip()}",
                where=str(self.out),
                cure="Repeat it with the same options, or remove the folder and its home, or choose others.",
            )
        self.out.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(told) + "\n")


def people(plan: DemoPlan) -> Population:
    return make_population(seed=plan.seed, subscribers=plan.subscribers)


def released_catalogue(tenant_id: UUID) -> tuple[ReleaseFacts, Catalogue]:
    """Check the demo operator's folder, its expected prices too, and release it."""
    examination = examine_folder(CATALOGUE_FOLDER)
    unmet = []
    if examination.catalogue is not None:
        faults = check_expectations(examination.catalogue, pricer=price_expectations)
        unmet = [fault for fault in faults if fault.code == "expectation"]
    with tenant_scope(tenant_id):
        facts = release_catalogue(
            examination=examination,
            effective_from_ms=to_ms(datetime(2026, 8, 1, tzinfo=UTC)),
            author="demo",
            recorded_at_ms=to_ms(BEFORE),
            reason="the demo opens",
            unmet=unmet,
        )
        return facts, catalogue_of(facts.number)


def imported_customers(tenant_id: UUID, *, plan: DemoPlan, made: Population, catalogue: Catalogue) -> ImportReport:
    paths = write_import_files(made, plan.out / "customers")
    with tenant_scope(tenant_id):
        files = CustomerFiles(
            accounts=paths["accounts"], subscriptions=paths["subscriptions"], identifiers=paths["identifiers"]
        )
        return import_customers(files=files, catalogue=catalogue, good_rows_only=False, now=OPENING)


def told_stories(tenant_id: UUID, *, made: Population, catalogue: Catalogue, advance: Advance) -> list[Story]:
    stories = stories_of(made)
    for story in stories:
        with tenant_scope(tenant_id):
            story.act(catalogue)
        advance(1)
    return stories


def written_records(*, plan: DemoPlan, made: Population) -> Mapping[str, object]:
    """The month's files and the truth about them; written once."""
    folder = plan.out / "records"
    if not (folder / "manifest.json").exists():
        write_month(folder=folder, subscribers=user_frame(made), month=MONTH, seed=plan.seed, records=plan.records)
        for path in folder.rglob("*"):  # the demo's network closed them on 1 November
            os.utime(path, (FILES_WRITTEN.timestamp(), FILES_WRITTEN.timestamp()))
    manifest: Mapping[str, object] = json.loads((folder / "manifest.json").read_text())
    return manifest


def collected(tenant_id: UUID, *, plan: DemoPlan, manifest: Mapping[str, object], advance: Advance) -> int:
    """Declare every source and collect what is new there; returns how many files came."""
    stores, files = mediation_stores(tenant_id), 0
    sources = manifest["sources"]
    assert isinstance(sources, list)
    for source in sources:
        folder = plan.out / "records" / source["folder"]
        if not folder.is_dir():
            continue
        declared = {key: value for key, value in source.items() if key != "folder"}
        with tenant_scope(tenant_id):
            declare_source(
                declared | {"url": str(folder), "dial_plan": {"region": "ES"}, "collected": {"on_net": True}},
                now=COLLECTION,
            )
        for _ in collect_source(tenant_id=tenant_id, stores=stores, source=source["name"], now=COLLECTION):
            files += 1
        advance(1)
    return files


def rehearsed(tenant_id: UUID, *, through: datetime, advance: Advance) -> Rehearsal:
    with tenant_scope(tenant_id):
        facts = stored_facts(tenant_lake(tenant_id))
        return rehearse_bill_run(tenant_id=tenant_id, facts=facts, through=through, now=through, advance=advance)


def released_bills(tenant_id: UUID, *, through: datetime, workers: int, advance: Advance) -> Iterator[RunReport]:
    """Run after run, until every cycle that has ended is billed."""
    facts = stored_facts(tenant_lake(tenant_id))
    while True:
        report = release_bill_run(
            tenant_id=tenant_id, facts=facts, through=through, now=through, workers=workers, advance=advance
        )
        if report is None:
            return
        yield report
        if report.still_due <= report.parked:
            return


def recognised(tenant_id: UUID) -> int:
    """Post what October earned of what was billed in advance."""
    with tenant_scope(tenant_id):
        return recognise_revenue(through=date(2026, 10, 31), now=SECOND_BILLS)
