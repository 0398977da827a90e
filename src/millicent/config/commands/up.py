"""`millicent up`: the whole installation in one process, until it is told to stop."""

import signal
import threading
from typing import TYPE_CHECKING

import typer

from millicent.config.output import say

if TYPE_CHECKING:
    from millicent.config.children import Child

app = typer.Typer(help="Start the stores and keep them running; watch folders; take pushed usage; serve metrics.")


@app.command()
def up(
    port: int = typer.Option(-1, help="Port of /metrics and /healthz. Default: MILLICENT_HTTP_PORT."),
    once: bool = typer.Option(False, "--once", help="Do every work once, then stop."),
    charging: bool = typer.Option(True, help="Keep a charging process while the tenant has a released catalogue."),
) -> None:
    """Start the stores, bring tables up to date, do what is due, answer /metrics, /healthz and pushes on 127.0.0.1.

    Live charging runs in a process of its own beside it (`millicent charging status`), started again when it dies.
    SIGTERM and Ctrl-C stop it cleanly: the step in hand is finished first.
    """
    from millicent.config.health import HealthServer
    from millicent.config.settings import settings
    from millicent.config.setup import open_stores

    chosen = settings()
    open_stores(migrate=not chosen.database_url or bool(chosen.owner_database_url))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    from millicent.config.watching import mediation_stores
    from millicent.network.push.door import PushDoor

    push = PushDoor(stores_of=mediation_stores)
    server = HealthServer(port=chosen.http_port if port < 0 else port, health=_health, push=push)
    server.start()
    say(f"millicent is up: http://127.0.0.1:{server.port}/healthz and /metrics")
    try:
        _do_works(stop, once=once, charging=charging and not once)
    finally:
        server.stop()
        say("millicent has stopped")


def _do_works(stop: threading.Event, *, once: bool, charging: bool) -> None:
    """Each work when it is due; beside them the charging process, and the one that reads its journal."""
    from millicent.config.children import Child

    children = [Child("charging", each, "--beside-parent") for each in ("serve", "follow")]
    if charging:
        keeper = threading.Thread(target=_keep_charging, args=(children, stop), daemon=True)
        keeper.start()
    try:
        _works(stop, once=once)
    finally:
        stop.set()
        if charging:
            keeper.join()
            for child in children:
                child.stop()


def _keep_charging(children: "list[Child]", stop: threading.Event) -> None:
    """In a thread: a long work must not leave the shard dead meanwhile."""
    ready = False
    while not stop.wait(timeout=1):
        ready = ready or _has_catalogue()
        for child in children if ready else []:
            child.keep()


def _has_catalogue() -> bool:
    from django.db import Error, close_old_connections

    from millicent.catalog.selectors import latest_release
    from millicent.config.setup import tenant_work

    try:
        with tenant_work():
            return latest_release() is not None
    except Error:  # the works tell about a silent database
        return False
    finally:
        close_old_connections()


def _works(stop: threading.Event, *, once: bool) -> None:
    """Each work when it is due, one after the other, for every tenant."""
    from millicent.config.works import WORKS, do_work, load_works
    from millicent.kit.clock import system_now
    from millicent.kit.models import Tenant

    works = load_works()
    due = dict.fromkeys(works, 0)
    tick = 0
    while not stop.is_set():
        for name in [name for name, at in due.items() if at <= tick]:
            for tenant_id in Tenant.objects.values_list("id", flat=True):
                do_work(name, works[name], tenant_id=tenant_id, now=system_now())
                if stop.is_set():
                    return
            due[name] = tick + WORKS[name].every_seconds
        if once:
            return
        stop.wait(timeout=1)
        tick += 1


def _health() -> dict[str, str]:
    from millicent.config.django import DATABASE_URLS
    from millicent.config.settings import settings
    from millicent.config.stores import lake_state
    from millicent.kit.errors import Outage
    from millicent.kit.postgres import connect

    try:
        with connect(DATABASE_URLS.application) as connection:
            connection.execute("SELECT 1")
        database = "ok"
    except Outage:
        database = "silent"
    return {"database": database, "lake": lake_state(settings())}
