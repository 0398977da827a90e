"""Mend the fields of suspended records by a JSON patch."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from millicent.kit.clock import to_ms
from millicent.kit.errors import BadInput
from millicent.mediation.errors import SuspenseSettled, UnknownSuspense
from millicent.mediation.models import SuspendedRecord, SuspenseAction
from millicent.mediation.states import SUSPENSE_TRANSITIONS, SuspenseState
from millicent.mediation.suspense_filter import SuspenseFilter, chosen_records
from millicent.mediation.usage_events import CORRECTABLE, check_field

Patch = Sequence[Mapping[str, Any]]


def correct_suspense(chosen: SuspenseFilter, *, patch: Patch, who: str, why: str, now: datetime) -> int:
    """Apply a patch (RFC 6902: `replace`, `add`, `test` of top-level fields) to each record; returns how many.

    All or none: a patch that does not fit one record changes no record. Runs inside a tenant's scope. A record whose
    bytes could not be read at all has no fields: give it all it needs with `add`.
    """
    chosen.check()
    records = list(chosen_records(chosen).filter(stage="mediation").select_for_update())
    refuse_settled(chosen, found=len(records))
    for record in records:
        record.fields = patched(record.fields or {}, patch=patch, where=f"record {record.pk}")
        record.state = step(record, SuspenseState.CORRECTED)
    SuspendedRecord.objects.bulk_update(records, ["fields", "state"], batch_size=1_000)
    note_actions(records, action="correct", who=who, why=why, now=now, patch=patch)
    return len(records)


def patched(fields: Mapping[str, Any], *, patch: Patch, where: str) -> dict[str, Any]:
    """The fields with the patch applied, each value checked."""
    mended = dict(fields)
    for change in patch:
        name = str(change.get("path", "")).removeprefix("/")
        if change.get("op") not in ("replace", "add", "test") or name not in CORRECTABLE or "value" not in change:
            raise BadInput(
                f"{json.dumps(dict(change))[:200]} is no change that a record takes",
                where=where,
                cure='Write {"op": "replace", "path": "/other_party", "value": "34911234567"}.',
            )
        if change["op"] == "test" and mended.get(name) != change["value"]:
            raise BadInput(f"{name} is {mended.get(name)!r}, not {change['value']!r}", where=where, cure="Look again.")
        check_field(name, change["value"], where=where)
        mended[name] = change["value"]
    return mended


def refuse_settled(chosen: SuspenseFilter, *, found: int) -> None:
    """Records that were named must be there and must wait; those of a filter are what they are."""
    if not chosen.record_ids or found == len(set(chosen.record_ids)):
        return
    there = SuspendedRecord.objects.filter(pk__in=chosen.record_ids).values_list("pk", "state")
    states = dict(there)
    for record_id in chosen.record_ids:
        if record_id not in states:
            raise UnknownSuspense(f"there is no suspended record {record_id}", record_id=record_id)
        if not SUSPENSE_TRANSITIONS[SuspenseState(states[record_id])]:
            raise SuspenseSettled(
                f"record {record_id} is {states[record_id]}: nothing can be done to it any more", record_id=record_id
            )
    raise UnknownSuspense("not all records that were named fit the filter", record_ids=list(chosen.record_ids))


def step(record: SuspendedRecord, state: SuspenseState) -> str:
    """The new state, which its life cycle must permit."""
    assert state in SUSPENSE_TRANSITIONS[SuspenseState(record.state)], f"{record.state} cannot become {state}"
    return state.value


def note_actions(
    records: Sequence[SuspendedRecord], *, action: str, who: str, why: str, now: datetime, patch: Patch = ()
) -> None:
    """Keep for ever who did it and why."""
    if not who or not why:
        raise BadInput("an action needs who and why", where="suspense", cure="Say both.")
    SuspenseAction.objects.bulk_create(
        (
            SuspenseAction(
                record_id=record.pk,
                action=action,
                outcome=record.state,
                who=who,
                why=why,
                acted_at_ms=to_ms(now),
                patch=[dict(change) for change in patch],
            )
            for record in records
        ),
        batch_size=5_000,
    )
