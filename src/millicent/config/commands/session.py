"""`millicent session`: list, show, trace and end sessions of the running shard."""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from millicent.config.output import JSON_OPTION, show_json, show_record, show_table
from millicent.kit.errors import Refusal

if TYPE_CHECKING:
    from millicent.charging.history.tracing import SessionTrace, TraceStep

app = typer.Typer(no_args_is_help=True, help="Sessions of live charging: list, show, trace, end.")
SESSION = typer.Argument(..., help="Its Session-Id, or its key of 32 hexadecimal digits.")
_PAUSE_MS = 500


class SessionNotOpen(Refusal):
    """No open session has this Session-Id or key."""

    code = "session_not_open"


@app.command("list")
def list_sessions(
    subscription: str = typer.Option("", help="Only those of the subscription of this code."),
    limit: int = typer.Option(100, min=1, max=1000, help="At most so many, the latest."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Open sessions, the latest first."""
    from millicent.config.charging_port import charging_port

    asked: dict[str, Any] = {"limit": limit}
    if subscription:
        asked["subscription_id"] = _subscription(subscription)
    with charging_port() as port:
        rows = port.look("sessions", **asked)
    if as_json:
        show_json(rows)
        return
    columns = ("session_id", "door", "peer", "subscription_id", "opened", "groups", "money")
    cells = [
        (
            row["session_id"] or row["key"],
            row["door"],
            row["peer"],
            str(row["subscription_id"]),
            _moment(row["opened_ms"]),
            row["group_count"],
            _decimal(row["money_nanos"]),
        )
        for row in rows
    ]
    show_table("Open sessions", columns, cells, as_json=False)


@app.command("show")
def show(session: str = SESSION, as_json: bool = JSON_OPTION) -> None:
    """One open session: what each of its rating groups used, was granted and holds."""
    found = _open_session(session)
    if as_json:
        show_json(found)
        return
    groups = found.pop("groups")
    show_record("Session", found, as_json=False)
    columns = ("group", "service", "used", "granted", "unit", "amount", "held", "until")
    cells = [
        (
            group["group"],
            group.get("service", ""),
            group["used_units"],
            group["granted_units"],
            group["unit"],
            _decimal(group["amount_nanos"]),
            ", ".join(_held(each) for each in group["held"]),
            _moment(group["deadline_ms"]),
        )
        for group in groups
    ]
    show_table("Rating groups", columns, cells, as_json=False)


def _held(each: dict[str, Any]) -> str:
    return f"{each['amount']} of {each['allowance']}" if each["allowance"] else f"{_decimal(each['amount'])} of money"


@app.command("trace")
def trace(
    session: str = SESSION,
    follow: bool = typer.Option(False, "--follow", help="Go on until Ctrl-C: each step as it becomes durable."),
    look_back: int = typer.Option(5_000, min=0, help="How many batches of the journal to look back."),
    as_json: bool = JSON_OPTION,
) -> None:
    """The life of a session, step by step: what was asked, answered, charged and held. --json: one object a line."""
    import json

    from millicent.config.setup import open_stores

    open_stores()
    from millicent.charging.history.tracing import SessionTrace

    traced = SessionTrace(session)
    with suppress(KeyboardInterrupt):
        for step in _steps(traced, look_back=look_back, follow=follow):
            typer.echo(json.dumps(asdict(step), ensure_ascii=False) if as_json else _told(step))


def _steps(traced: "SessionTrace", *, look_back: int, follow: bool) -> "Iterator[TraceStep]":
    from django.db import connection

    from millicent.config.setup import tenant_work

    while True:
        with tenant_work(), connection.cursor() as cursor:
            found = list(traced.steps(cursor, looked_back=look_back))
        yield from found
        if not follow:
            return
        time.sleep(_PAUSE_MS / 1000)


def _told(step: "TraceStep") -> str:
    """One step as a line for people."""
    words = [_moment(step.at_ms, milliseconds=True), f"#{step.request_number}", step.verb]
    if step.verb == "units":
        words.append(f"group {step.group}")
    words += [f"used {units} {unit}" for unit, units in step.used.items() if units]
    words += [f"asks {units} {unit}" for unit, units in step.asked.items()]
    words.append(f"-> {step.result}")
    if step.stored:
        words.append("(resend: the stored answer)")
    if step.granted_units >= 0:
        words.append(f"granted {step.granted_units}{', the last' if step.final else ''}")
    if step.charged_nanos:
        words.append(f"charged {_decimal(step.charged_nanos)}, session {_decimal(step.session_nanos)}")
    if step.uncollected_nanos:
        words.append(f"uncollected {_decimal(step.uncollected_nanos)}")
    if step.held:
        words.append("holds " + ", ".join(f"{units} for group {group}" for group, units in step.held.items()))
    return "  ".join(words)


@app.command("end")
def end(session: str = SESSION, as_json: bool = JSON_OPTION) -> None:
    """Close a session from our side: what it holds goes back, what it used stays charged."""
    from millicent.charging.services.end_session import end_session
    from millicent.config.charging_port import charging_port
    from millicent.kit.clock import system_now

    found = _open_session(session)
    with charging_port() as port:
        result = end_session(port=port, key=found["key"], now=system_now())
    show_record("Session", {"session": session, "result": result, "money": _decimal(found["money_nanos"])},
                as_json=as_json)  # fmt: skip


def _open_session(session: str) -> dict[str, Any]:
    from millicent.config.charging_port import charging_port

    with charging_port() as port:
        found = port.look("session", session=session)
    if found is None:
        raise SessionNotOpen(f"no open session is called {session!r}", session=session)
    return dict(found)


def _subscription(code: str) -> int:
    from millicent.config.setup import tenant_work
    from millicent.kit.errors import BadInput

    with tenant_work():
        from millicent.subscriptions.selectors import subscription_ids

        found = subscription_ids(codes=[code])
    if code not in found:
        raise BadInput(f"there is no subscription {code!r}", where="--subscription", cure="See `millicent customers`.")
    return found[code]


def _decimal(nanos: int) -> str:
    """Nanos of a currency with nine digits; sessions do not say which it is."""
    return (
        f"{nanos // 10**9}.{abs(nanos) % 10**9:09d}".rstrip("0").rstrip(".") if nanos >= 0 else f"-{_decimal(-nanos)}"
    )


def _moment(instant_ms: int, *, milliseconds: bool = False) -> str:
    from millicent.kit.clock import from_ms

    moment = from_ms(instant_ms)
    return moment.isoformat(sep=" ", timespec="milliseconds" if milliseconds else "seconds")[
        : 23 if milliseconds else 19
    ]
