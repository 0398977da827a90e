"""`millicent charging`: serve, stand by, status, snapshot, verify."""

from collections.abc import Mapping
from typing import Any

import typer

from millicent.config.output import JSON_OPTION, say, show_json, show_record
from millicent.kit.errors import Defect

app = typer.Typer(no_args_is_help=True, help="Serve, watch and verify the charging shard: live balances and sessions.")


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
    document = _verified(tenant_id_of(settings().tenant))
    show_record("Journal", document, as_json=as_json)
    if document["faults"]:
        raise ChargingNotProved(str(document["faults"][0]), faults=document["faults"])


def _verified(tenant_id: Any) -> Mapping[str, Any]:
    from dataclasses import asdict

    from millicent.charging.journal.verify import verify_journal
    from millicent.config.charging_process import journal_store, new_shard, snapshots_folder

    found = verify_journal(
        journal_store(tenant_id), folder=snapshots_folder(tenant_id), new_shard=lambda: new_shard(tenant_id)[0]
    )
    return asdict(found)
