"""`millicent bench`: measure rating, mediation, billing and charging on this machine."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import typer

from millicent.config.output import JSON_OPTION, say, show_json, show_record
from millicent.kit.errors import Defect

app = typer.Typer(no_args_is_help=True, help="Measure rating, mediation, billing and charging on this machine.")

_OPERATORS_OWN = ("MILLICENT_DATABASE_URL", "MILLICENT_OWNER_DATABASE_URL", "MILLICENT_LAKE", "MILLICENT_TENANT")
STAGES = ("rating", "mediation", "billing", "charging")


@app.command()
def rating(
    events: int = typer.Option(5_000_000, "--events", min=1_000, help="Events priced in each round."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Events priced per second on one core."""
    _show(_measured("rating", events=events), as_json=as_json)


@app.command()
def mediation(
    records: int = typer.Option(10_000_000, "--records", min=1_000, help="Records in the file."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Records from files on disk to committed, rated rows, per second."""
    _show(_measured("mediation", records=records), as_json=as_json)


@app.command()
def billing(
    accounts: int = typer.Option(20_000, "--accounts", min=100, help="Accounts billed."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Accounts billed and documents made, per second."""
    _show(_measured("billing", accounts=accounts), as_json=as_json)


@app.command()
def charging(
    subscribers: int = typer.Option(1_000_000, "--subscribers", min=20_000, help="Subscribers in the shard."),
    sessions: int = typer.Option(100_000, "--sessions", min=2_048, help="Calls that are open."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Commands, Credit-Control requests, RADIUS packets and HTTP requests per second; time to come back."""
    _show(_measured("charging", subscribers=subscribers, sessions=sessions), as_json=as_json)


@app.command("all")
def everything(
    page: Path | None = typer.Option(None, "--page", help="Also write a page with the figures.", metavar="FILE"),
    as_json: bool = JSON_OPTION,
) -> None:
    """All of them, one after the other."""
    results = [_measured(stage) for stage in STAGES]
    if page is not None:
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(_page(results), encoding="utf-8")
    if as_json:
        show_json(results)
        return
    for result in results:
        _show(result, as_json=False)


def _measured(stage: str, **options: int) -> dict[str, object]:
    """Run one stage's benchmark in a process of its own, on a workload and a home that it makes itself."""
    say(f"Measuring {stage}; this takes minutes.")
    with tempfile.TemporaryDirectory(prefix="millicent-bench-") as home:
        environment = {name: text for name, text in os.environ.items() if name not in _OPERATORS_OWN}
        done = subprocess.run(
            [sys.executable, "-m", "millicent.config.bench_child", stage, json.dumps(options)],
            env={**environment, "MILLICENT_HOME": home},
            stdout=subprocess.PIPE,
            check=False,
        )
    if done.returncode != 0:
        raise Defect(f"the {stage} benchmark ended with status {done.returncode}; its own words stand above")
    result: dict[str, object] = json.loads(done.stdout)
    return result


def _show(result: dict[str, object], *, as_json: bool) -> None:
    show_record(f"Benchmark {result.get('benchmark', '')}", result, as_json=as_json)


def _page(results: list[dict[str, object]]) -> str:
    parts = ["# Benchmarks", "", "Written by `make bench` on the machine it ran on."]
    for stage, result in zip(STAGES, results, strict=True):
        parts += ["", f"## {stage}", "", "| figure | value |", "| --- | --- |"]
        parts += [f"| {name} | {_cell(value)} |" for name, value in result.items() if name != "benchmark"]
    return "\n".join([*parts, ""])


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_cell(each)}" for name, each in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)
