"""`millicent charging`: declare, serve, stand by, status, snapshot, verify."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from millicent.config.commands.charging_declare import declare
from millicent.config.output import JSON_OPTION, say, show_json, show_record
from millicent.kit.errors import Defect

if TYPE_CHECKING:
    import threading

app = typer.Typer(no_args_is_help=True, help="Serve, watch and verify the charging shard: live balances and sessions.")
app.command("declare")(declare)


class ChargingNotProved(Defect):
    """`charging verify` found that journal, snapshots and sums do not agree; the message names the first fault."""

    code = "charging_not_proved"


@app.command("serve")
def serve(
    beside_parent: bool = typer.Option(False, "--beside-parent", help="End when the process that started this ends."),
) -> None:
    """Be the charging process of the tenant until SIGTERM or Ctrl-C. `millicent up` starts one by itself."""
    _serve(standby=False, beside_parent=beside_parent)


@app.command("standby")
def standby() -> None:
    """Follow the journal, and take over within five seconds when the charging process is gone.

    It reads snapshots from the home folder: on another machine that folder is a shared one.
    """
    _serve(standby=True)


def _serve(*, standby: bool, beside_parent: bool = False) -> None:
    from millicent.config.logs import configure_logs
    from millicent.config.settings import settings
    from millicent.config.setup import open_stores, tenant_id_of

    chosen = settings()
    configure_logs(log_format=chosen.log_format, log_level=chosen.log_level)
    open_stores()
    from millicent.config.charging_process import serve as serve_tenant

    say("standing by" if standby else "opening the shard")
    serve_tenant(
        tenant_id_of(chosen.tenant),
        tenant=chosen.tenant,
        standby=standby,
        beside_parent=beside_parent,
        on_ready=lambda: say("charging is open"),
    )
    say("charging has stopped")


@app.command("follow")
def follow(
    beside_parent: bool = typer.Option(False, "--beside-parent", help="End when the process that started this ends."),
    once: bool = typer.Option(False, "--once", help="Do every work once, then stop."),
) -> None:
    """Tell the shard who is there, and read its journal: balance history, ledger, lake. `millicent up` starts one."""
    import os
    import signal
    import threading

    from millicent.config.logs import configure_logs
    from millicent.config.settings import settings
    from millicent.config.setup import open_stores, tenant_id_of

    parent = os.getppid() if beside_parent else 0
    chosen = settings()
    configure_logs(log_format=chosen.log_format, log_level=chosen.log_level)
    open_stores()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    _follow(tenant_id_of(chosen.tenant), stop, parent=parent, once=once)


def _follow(tenant_id: Any, stop: "threading.Event", *, parent: int, once: bool) -> None:
    import os

    from django.db import connections

    from millicent.config.charging_works import CHARGING_WORKS
    from millicent.config.works import do_work, load_works
    from millicent.kit.clock import system_now

    works = load_works(CHARGING_WORKS)
    due, tick = dict.fromkeys(works, 0), 0
    while not stop.is_set() and (not parent or os.getppid() == parent):
        for name in [name for name, at in due.items() if at <= tick]:
            do_work(name, works[name], tenant_id=tenant_id, now=system_now())
            due[name] = tick + CHARGING_WORKS[name].every_seconds
        connections.close_all()  # a server that was killed meanwhile is connected to anew
        if once:
            return
        stop.wait(timeout=1)
        tick += 1


@app.command("status")
def status(as_json: bool = JSON_OPTION) -> None:
    """What the charging process says of itself: where its journal stands, what waits, how large its tables are."""
    document = _look("status")
    if as_json:
        show_json(document)
        return
    rows = document.pop("rows")
    show_record("Charging", {**document, **{f"{name} rows": count for name, count in rows.items()}}, as_json=False)


@app.command("snapshot")
def snapshot(as_json: bool = JSON_OPTION) -> None:
    """Have the charging process take a snapshot now, while it goes on."""
    show_record("Snapshot", _look("snapshot"), as_json=as_json)


def _look(what: str, **asked: object) -> dict[str, Any]:
    """Ask the running process; without one this is an Outage."""
    from millicent.charging.client import SyncChargingClient, socket_path
    from millicent.config.settings import settings

    chosen = settings()
    with SyncChargingClient(socket_path(chosen.home_path, tenant=chosen.tenant)) as port:
        document: dict[str, Any] = port.look(what, **asked)
    return document


@app.command("verify")
def verify(as_json: bool = JSON_OPTION) -> None:
    """Replay the journal into a new shard, compare it with each snapshot to the byte, and add everything up.

    The charging process may go on meanwhile. Ends with status 70 and the first fault when anything differs.
    """
    from millicent.config.settings import settings
    from millicent.config.setup import open_stores, tenant_id_of

    open_stores()
    document = verified(tenant_id_of(settings().tenant))
    show_record("Journal", document, as_json=as_json)
    if document["faults"]:
        raise ChargingNotProved(str(document["faults"][0]), faults=document["faults"])


def verified(tenant_id: Any) -> Mapping[str, Any]:
    from dataclasses import asdict

    from millicent.charging.conservation import broken_promises
    from millicent.charging.journal.verify import verify_journal
    from millicent.config.charging_process import journal_store, new_shard, snapshots_folder

    endless = _endless_allowances(tenant_id)
    found = verify_journal(
        journal_store(tenant_id),
        folder=snapshots_folder(tenant_id),
        new_shard=lambda: new_shard(tenant_id)[0],
        judge=lambda shard: broken_promises(shard.tables(), endless=endless),
    )
    return asdict(found)


def _endless_allowances(tenant_id: Any) -> frozenset[int]:
    """Numbers of allowances without an end: their buckets go on below zero once fair use is over."""
    from millicent.charging.live_charges import endless_allowances
    from millicent.kit.tenancy import tenant_scope

    with tenant_scope(tenant_id):
        return endless_allowances()
