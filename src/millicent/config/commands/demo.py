"""`millicent demo`: a month of network records becomes bills, on this machine."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from millicent.config.output import JSON_OPTION, progress, say, show_json
from millicent.config.settings import settings

if TYPE_CHECKING:
    from uuid import UUID

    from millicent.catalog.types import Catalogue
    from millicent.config.demo.live_doors import LiveDoors
    from millicent.config.demo.month import DemoPlan
    from millicent.config.demo.population import Population

app = typer.Typer()

HOME = Path(".millicent/demo")


@app.command()
def demo(
    seed: int = typer.Option(20261001, help="The same seed makes the same month."),
    subscribers: int = typer.Option(3000, min=100, help="About so many subscriptions."),
    records: int = typer.Option(0, min=0, help="About so many network records; 0: 60 for each subscription."),
    out: Path = typer.Option(None, "--out", help="Where files go. Default: a folder `demo` in the home folder."),
    as_json: bool = JSON_OPTION,
) -> None:
    """An operator, its customers, a month of records in every format, and the bills that follow. Repeat it: quick."""
    _choose_home()
    from millicent.config.setup import open_stores, tenant_id_of

    say(f"The demo lives in {settings().home_path} and its seed is {seed}. First start takes a moment.")
    open_stores()
    from millicent.config.demo.month import DemoPlan

    plan = DemoPlan(
        seed=seed,
        subscribers=subscribers,
        records=records or subscribers * 60,
        out=(out or settings().home_path / "demo").resolve(),
    )
    plan.remember()
    summary = _live_through(tenant_id_of(settings().tenant), plan=plan, as_json=as_json)
    if as_json:
        show_json(summary)


def _choose_home() -> None:
    """A home of its own unless one was chosen; compiled kernels are cached there too."""
    if "MILLICENT_HOME" in os.environ:
        return
    usual = str(settings().kernel_cache_path)
    os.environ["MILLICENT_HOME"] = str(HOME.resolve())
    settings.cache_clear()
    if os.environ.get("NUMBA_CACHE_DIR") == usual:
        os.environ["NUMBA_CACHE_DIR"] = str(settings().kernel_cache_path)


def _live_through(tenant_id: "UUID", *, plan: "DemoPlan", as_json: bool) -> dict[str, Any]:
    """Each step in the order of the story; what it says goes to standard error."""
    from millicent.config.demo import month

    made = month.people(plan)
    release, catalogue = month.released_catalogue(tenant_id)
    say(
        f"25 August 2026: {catalogue.operator.legal_name} releases its catalogue, number {release.number}: "
        f"{len(catalogue.offerings)} offerings, {len(catalogue.tariffs)} tariffs, {len(catalogue.taxes)} taxes."
    )
    doors = _opened_doors(tenant_id, out=plan.out)
    try:
        return _live_on(tenant_id, plan=plan, made=made, catalogue=catalogue, doors=doors, as_json=as_json)
    finally:
        if doors is not None:
            doors.stop()


def _opened_doors(tenant_id: "UUID", *, out: Path) -> "LiveDoors | None":
    """Start the charging process while the month goes on: its loops are compiled by the time they are needed."""
    from millicent.config.demo.live_doors import declared_doors, missing_clients
    from millicent.kit.clock import system_now

    missing = missing_clients()
    if missing:
        say(f"Live charging is left out: {' and '.join(missing)} play the network there. pip install them to see it.")
        return None
    doors = declared_doors(tenant_id, out=out, now=system_now())
    if doors is None:
        say("Live charging is left out: this home has doors of its own.")
    elif not (out / "live.json").exists():
        doors.start()
    return doors


def _live_on(
    tenant_id: "UUID",
    *,
    plan: "DemoPlan",
    made: "Population",
    catalogue: "Catalogue",
    doors: "LiveDoors | None",
    as_json: bool,
) -> dict[str, Any]:
    from millicent.config.demo import month

    report = month.imported_customers(tenant_id, plan=plan, made=made, catalogue=catalogue)
    for count in report.counts:
        say(f"1 September: {count.file}: {count.rows_in:,} rows, {count.new:,} new, {count.standing:,} known.")
    _release(tenant_id, through=month.FIRST_BILLS, label="2 October: September's bills")
    with progress("changes", None) as advance:
        stories = month.told_stories(tenant_id, made=made, catalogue=catalogue, advance=advance)
    say(f"October: {len(stories)} customers change something: {_kinds(stories)}.")
    say("October: the network writes its records.")
    manifest = month.written_records(plan=plan, made=made)
    with progress("collecting", None) as advance:
        files = month.collected(tenant_id, plan=plan, manifest=manifest, advance=advance)
    say(f"2 November: {files} files collected; {len(manifest['files'])} were written.")  # type: ignore[arg-type]
    with progress("rehearsing", None) as advance:
        rehearsal = month.rehearsed(tenant_id, through=month.SECOND_BILLS, advance=advance)
    say(f"2 November, rehearsal: {rehearsal.bills:,} bills, {len(rehearsal.outliers):,} stand out; nothing is issued.")
    _release(tenant_id, through=month.SECOND_BILLS, label="2 November: October's bills")
    month.recognised(tenant_id)
    live: dict[str, Any] | None = None
    if doors is not None:
        from millicent.config.demo.live_doors import DemoShardSilent
        from millicent.config.demo.live_story import live_through

        try:
            live = live_through(tenant_id, doors=doors, catalogue=catalogue, out=plan.out)
        except DemoShardSilent as silence:
            say(f"Live charging is left out: {silence.message}. Repeat the demo: what was done is not done again.")
    from millicent.config.demo.showing import show_results

    return show_results(tenant_id, plan=plan, stories=stories, manifest=manifest, live=live, as_json=as_json)


def _release(tenant_id: "UUID", *, through: Any, label: str) -> None:
    from millicent.config.demo import month

    bills = 0
    with progress("releasing", None) as advance:
        for run in month.released_bills(tenant_id, through=through, workers=settings().worker_count, advance=advance):
            bills += run.bills
            for parked in run.parked_accounts:
                say(f"Parked: {parked.payer_code}: {parked.reason}: {parked.detail}")
    say(f"{label}: {bills:,} issued." if bills else f"{label} were issued before.")


def _kinds(stories: Any) -> str:
    counts: dict[str, int] = {}
    for story in stories:
        counts[story.kind] = counts.get(story.kind, 0) + 1
    return ", ".join(f"{kind} {count}" for kind, count in counts.items())
