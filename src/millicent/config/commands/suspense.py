"""`millicent suspense`: list, show, correct, retry, write-off; one record by its number, many by what they share."""

import getpass
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from millicent.config.output import JSON_OPTION, confirm, show_json, show_record, show_table
from millicent.config.setup import tenant_work
from millicent.kit.clock import from_ms, system_now
from millicent.kit.errors import BadInput

if TYPE_CHECKING:
    from millicent.mediation.suspense_filter import SuspenseFilter

app = typer.Typer(no_args_is_help=True, help="List, correct, retry and write off records that could not go on.")

RECORDS = typer.Argument(None, help="Numbers of suspended records.")
SOURCE = typer.Option("", "--source", help="Only of this source.")
BATCH = typer.Option(0, "--batch", help="Only of this batch.")
REASON = typer.Option("", "--reason", help="Only with this reason, such as NOBODY.")
STAGE = typer.Option("", "--stage", help="mediation or rating.")
ALL = typer.Option(False, "--all", help="All that wait.")
WHO = typer.Option("", "--who", help="Who does this; your login when left out.")
WHY = typer.Option(..., "--why", help="Why: it is kept for ever.")
YES = typer.Option(False, "--yes", help="Do not ask.")


@app.command("list")
def list_records(
    source: str = SOURCE,
    batch: int = BATCH,
    reason: str = REASON,
    stage: str = STAGE,
    state: str = typer.Option("", help="suspended, corrected, retried, written_off; all that wait when left out."),
    limit: int = typer.Option(100, min=1, help="At most so many."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Suspended records, oldest first."""
    with tenant_work():
        from millicent.mediation.selectors import reason_name, suspended_records

        chosen = _filter([], source=source, batch=batch, reason=reason, stage=stage, everything=True, state=state)
        rows = [
            {
                "record": each.pk,
                "source": each.batch.source.name if each.batch is not None else "",
                "file": each.batch.name if each.batch is not None else "",
                "number": each.record_number,
                "state": each.state,
                "reason": reason_name(each.reason),
                "detail": each.detail,
            }
            for each in suspended_records(chosen, limit=limit)
        ]
    if as_json:
        show_json(rows)
        return
    columns = ("record", "source", "file", "number", "state", "reason", "detail")
    show_table("Suspense", columns, [[row[name] for name in columns] for row in rows], as_json=False)


@app.command("show")
def show(record: int = typer.Argument(..., help="Number of the record."), as_json: bool = JSON_OPTION) -> None:
    """One record: its bytes, its fields, why it stopped and what was done to it."""
    with tenant_work():
        from millicent.mediation.errors import UnknownSuspense
        from millicent.mediation.models import SuspendedRecord
        from millicent.mediation.selectors import reason_name, suspense_history

        found = SuspendedRecord.objects.select_related("batch__source").filter(pk=record).first()
        if found is None:
            raise UnknownSuspense(f"there is no suspended record {record}", record_id=record)
        document: dict[str, Any] = {
            "record": found.pk,
            "file": found.batch.name if found.batch is not None else "",
            "number": found.record_number,
            "stage": found.stage,
            "state": found.state,
            "reason": reason_name(found.reason),
            "detail": found.detail,
            "fields": found.fields,
            "raw": bytes(found.raw).decode(errors="backslashreplace"),
            "history": [
                {
                    "action": each.action,
                    "outcome": each.outcome,
                    "who": each.who,
                    "why": each.why,
                    "at": from_ms(each.acted_at_ms).isoformat(),
                    "patch": each.patch,
                }
                for each in suspense_history(record)
            ],
        }
    show_record(f"Suspended record {record}", document if as_json else _readable(document), as_json=as_json)


def _readable(document: dict[str, Any]) -> dict[str, Any]:
    """A row for each field that holds something and for each thing that was done."""
    fields, history = document["fields"] or {}, document["history"]
    rows = {name: value for name, value in document.items() if name not in ("fields", "history") and value != ""}
    rows |= {f"/{name}": value for name, value in sorted(fields.items()) if value not in ("", 0, -1)}
    for place, each in enumerate(history, start=1):
        changed = f" {json.dumps(each['patch'], ensure_ascii=False)}" if each["patch"] else ""
        rows[f"{place}. {each['action']}"] = f"{each['outcome']}, {each['at']}, {each['who']}: {each['why']}{changed}"
    return rows


@app.command("correct")
def correct(
    records: list[int] = RECORDS,
    patch: str = typer.Option(
        ..., help='JSON patch: [{"op": "replace", "path": "/other_party", "value": "34911234567"}]'
    ),
    source: str = SOURCE,
    batch: int = BATCH,
    reason: str = REASON,
    everything: bool = ALL,
    who: str = WHO,
    why: str = WHY,
    as_json: bool = JSON_OPTION,
) -> None:
    """Mend fields of records; a retry then sends them on."""
    try:
        changes = json.loads(patch)
    except ValueError as fault:
        raise BadInput(f"not JSON: {fault}", where="--patch", cure="Write a list of changes.") from None
    if not isinstance(changes, list) or not all(isinstance(each, dict) for each in changes):
        raise BadInput("not a JSON patch", where="--patch", cure="Write a list of changes.")
    with tenant_work():
        from millicent.mediation.services.correct_suspense import correct_suspense

        chosen = _filter(records, source=source, batch=batch, reason=reason, stage="", everything=everything)
        count = correct_suspense(chosen, patch=changes, who=who or getpass.getuser(), why=why, now=system_now())
    show_record("Corrected", {"corrected": count}, as_json=as_json)


@app.command("retry")
def retry(
    records: list[int] = RECORDS,
    source: str = SOURCE,
    batch: int = BATCH,
    reason: str = REASON,
    stage: str = STAGE,
    everything: bool = ALL,
    who: str = WHO,
    why: str = WHY,
    as_json: bool = JSON_OPTION,
) -> None:
    """Send records down the road again, with what is declared and known now."""
    with tenant_work() as tenant_id:
        chosen = _filter(records, source=source, batch=batch, reason=reason, stage=stage, everything=everything)
    from millicent.config.watching import mediation_stores
    from millicent.mediation.services.retry_suspense import retry_suspense

    report = retry_suspense(
        chosen,
        tenant_id=tenant_id,
        stores=mediation_stores(tenant_id),
        who=who or getpass.getuser(),
        why=why,
        now=system_now(),
    )
    show_record("Retried", asdict(report), as_json=as_json)


@app.command("write-off")
def write_off(
    records: list[int] = RECORDS,
    source: str = SOURCE,
    batch: int = BATCH,
    reason: str = REASON,
    stage: str = STAGE,
    everything: bool = ALL,
    who: str = WHO,
    why: str = WHY,
    yes: bool = YES,
    as_json: bool = JSON_OPTION,
) -> None:
    """Give records up: nobody will be charged for them. This cannot be undone."""
    if not records:
        confirm("Write off every record that fits?", yes=yes)
    with tenant_work():
        from millicent.mediation.services.write_off_suspense import write_off_suspense

        chosen = _filter(records, source=source, batch=batch, reason=reason, stage=stage, everything=everything)
        count = write_off_suspense(chosen, who=who or getpass.getuser(), why=why, now=system_now())
    show_record("Written off", {"written_off": count}, as_json=as_json)


def _filter(
    records: list[int] | None,
    *,
    source: str,
    batch: int,
    reason: str,
    stage: str,
    everything: bool,
    state: str = "",
) -> "SuspenseFilter":
    from millicent.mediation.suspense_filter import SuspenseFilter

    return SuspenseFilter(
        record_ids=tuple(records or ()),
        source=source,
        batch_id=batch or None,
        reason=_reason(reason) if reason else None,
        stage=stage,
        state=state,
        everything=everything,
    )


def _reason(name: str) -> int:
    from millicent.mediation.types import SuspenseReason
    from millicent.rating.types import Reason

    for names in (SuspenseReason, Reason):
        if name.upper() in names.__members__:
            return int(names[name.upper()])
    known = ", ".join([*SuspenseReason.__members__, *Reason.__members__])
    raise BadInput(f"{name!r} is no reason", where="--reason", cure=f"Use one of {known}.")
