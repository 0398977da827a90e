"""`millicent collect`: run, status, sources, add-source, push-token, gaps, rebuild-keys."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from millicent.config.output import JSON_OPTION, progress, say, show_json, show_record, show_table
from millicent.config.setup import tenant_work
from millicent.kit.clock import system_now
from millicent.kit.declarations import read_declaration
from millicent.kit.errors import BadInput

app = typer.Typer(no_args_is_help=True, help="Collect usage records from files, folders or object stores.")

_TOTALS = ("batch_id", "source", "name", "state", "records_in", "accepted", "suspended", "rejected", "duplicate")


@app.command("run")
def run(
    source: str = typer.Argument("", help="The source to collect; without it all that have a url."),
    files: list[str] = typer.Argument(None, help="These files or URLs instead of what is new at the source's url."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Bring what is new to the lake. Stopped half-way it goes on where it was; nothing is counted twice."""
    with tenant_work() as tenant_id:
        from millicent.mediation.selectors import source_names

        names = [source] if source else source_names(active_only=True, watched_only=True)
    from millicent.config.watching import mediation_stores
    from millicent.mediation.road import prepare_roads
    from millicent.mediation.services.close_lost_sessions import close_lost_sessions
    from millicent.mediation.services.collect_file import collect_file
    from millicent.mediation.services.collect_source import new_files

    if files and not source:
        raise BadInput("files were named, but not their source", where="collect run", cure="Name the source first.")
    stores, now, reports, prepare = mediation_stores(tenant_id), system_now(), [], prepare_roads()
    for name in names:
        found = [(url, _size(url)) for url in files or []] or [
            (each.url, each.size_bytes) for each in new_files(tenant_id=tenant_id, stores=stores, source=name, now=now)
        ]
        with progress(f"collecting {name}", sum(size for _, size in found)) as advance:
            for url, _ in found:
                reports.append(
                    collect_file(
                        tenant_id=tenant_id, stores=stores, source=name, url=url, now=now, on_progress=advance,
                        prepare=prepare,
                    )
                )  # fmt: skip
        reports += close_lost_sessions(tenant_id=tenant_id, stores=stores, source=name, now=now, prepare=prepare)
    rows = [{**asdict(report)} for report in reports]
    _show(rows, columns=("batch_id", *_TOTALS[2:], "repeats"), title="Collected", as_json=as_json)
    for report in reports:
        if report.note:
            say(f"{report.name} is {report.state}: {report.note}")


@app.command("status")
def show_status(
    source: str = typer.Option("", help="Only this source."),
    state: str = typer.Option("", help="Only batches in this state: collecting, closed, damaged, repeated."),
    limit: int = typer.Option(50, min=1, help="At most so many batches, the latest."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Control totals: records in = accepted + suspended + rejected + duplicate, file by file."""
    with tenant_work():
        from millicent.mediation.selectors import batch_totals

        rows = [asdict(each) for each in batch_totals(source=source, state=state, limit=limit)]
    _show(rows, columns=_TOTALS, title="Batches", as_json=as_json)


@app.command("sources")
def show_sources(as_json: bool = JSON_OPTION) -> None:
    """Declared sources."""
    with tenant_work():
        from millicent.mediation.selectors import declared_sources

        rows = [
            {
                "name": each.name,
                "format": each.format,
                "family": each.family,
                "url": each.url,
                "zone": each.zone,
                "dial_plan": each.dial_plan,
                "options": each.options,
                "collected": each.collected,
            }
            for each in declared_sources()
        ]
    _show(rows, columns=("name", "format", "family", "url", "zone"), title="Sources", as_json=as_json)


@app.command("add-source")
def add_source(
    file: Path = typer.Argument(..., help="YAML file: one declaration, or a list of them."), as_json: bool = JSON_OPTION
) -> None:
    """Declare sources, or change them for what is collected from now on."""
    declarations = _declarations(file)
    with tenant_work():
        from millicent.mediation.services.declare_source import declare_source

        now = system_now()
        declared = [declare_source(each, now=now, where=str(file)) for each in declarations]
    rows = [{"name": each.name, "format": each.format, "family": each.family, "url": each.url} for each in declared]
    _show(rows, columns=("name", "format", "family", "url"), title="Declared", as_json=as_json)


@app.command("push-token")
def push_token(
    source: str = typer.Argument(..., help="The source that is pushed to."), as_json: bool = JSON_OPTION
) -> None:
    """Make a token for pushing usage to a source. It is shown once: only its digest is kept. The old one is void."""
    with tenant_work():
        from millicent.mediation.services.renew_push_token import renew_push_token

        token = renew_push_token(source)
    from millicent.config.settings import settings

    path = f"/push/{settings().tenant}/{source}"
    show_record("Push token", {"source": source, "path": path, "token": token}, as_json=as_json)


@app.command("gaps")
def show_gaps(source: str = typer.Argument(..., help="The source."), as_json: bool = JSON_OPTION) -> None:
    """Running numbers that are missing: of files, and of records within files."""
    with tenant_work():
        from millicent.mediation.selectors import missing_files, record_gaps

        rows = [{"where": "files", "first": first, "last": last} for first, last in missing_files(source=source)]
        rows += [{"where": name, "first": first, "last": last} for name, first, last in record_gaps(source=source)]
    _show(rows, columns=("where", "first", "last"), title="Missing", as_json=as_json)


@app.command("rebuild-keys")
def rebuild_keys(
    family: str = typer.Argument(..., help="Source family whose event keys are made again from the lake."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Make the event keys again from the lake, after the home folder was lost."""
    with tenant_work() as tenant_id:
        pass
    from millicent.config.watching import mediation_stores
    from millicent.mediation.services.rebuild_key_index import rebuild_key_index

    count = rebuild_key_index(tenant_id=tenant_id, stores=mediation_stores(tenant_id), family=family)
    _show([{"family": family, "keys": count}], columns=("family", "keys"), title="Rebuilt", as_json=as_json)


def _declarations(file: Path) -> list[dict[str, object]]:
    if not file.is_file():
        raise BadInput("there is no such file", where=str(file), cure="Check the path.")
    content = read_declaration(file.read_text(encoding="utf-8", errors="replace"), where=str(file))
    declarations = content if isinstance(content, list) else [content]
    if not declarations or not all(isinstance(each, dict) for each in declarations):
        raise BadInput("no source is declared", where=str(file), cure="Write name: ... and format: ...")
    return declarations


def _size(url: str) -> int:
    path = Path(url)
    return path.stat().st_size if path.is_file() else 0


def _show(rows: Sequence[dict[str, Any]], *, columns: Sequence[str], title: str, as_json: bool) -> None:
    if as_json:
        show_json(rows)
        return
    cells = [[row[column] for column in columns] for row in rows]
    show_table(title, [column.replace("_", " ") for column in columns], cells, as_json=False)
