"""`millicent bench`: measure rating, mediation and billing on this machine."""

from importlib import import_module
from pathlib import Path
from typing import Any

import typer

from millicent.config.output import JSON_OPTION, say, show_json, show_record

app = typer.Typer(no_args_is_help=True, help="Measure rating, mediation and billing on this machine.")

STAGES = ("rating", "mediation", "billing")


@app.command()
def rating(
    events: int = typer.Option(5_000_000, "--events", min=1_000, help="Events priced in each round."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Events priced per second on one core."""
    _show(_measured("rating", events=events), as_json=as_json)


@app.command()
def mediation(as_json: bool = JSON_OPTION) -> None:
    """Records from files on disk to committed, rated rows, per second."""
    _show(_measured("mediation"), as_json=as_json)


@app.command()
def billing(as_json: bool = JSON_OPTION) -> None:
    """Accounts billed and documents made, per second."""
    _show(_measured("billing"), as_json=as_json)


@app.command("all")
def everything(
    page: Path | None = typer.Option(None, "--page", help="Also write a page with the figures.", metavar="FILE"),
    as_json: bool = JSON_OPTION,
) -> None:
    """All three, one after the other."""
    results = [_measured(stage) for stage in STAGES]
    if page is not None:
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(_page(results), encoding="utf-8")
    if as_json:
        show_json(results)
        return
    for result in results:
        _show(result, as_json=False)


def _measured(stage: str, **options: Any) -> dict[str, object]:
    """Run one stage's benchmark. Each is measured in this process, on a workload it makes itself."""
    say(f"Measuring {stage}; this takes minutes.")
    result: dict[str, object] = import_module(f"millicent.{stage}.bench").run(**options)
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
