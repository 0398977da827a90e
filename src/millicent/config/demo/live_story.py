"""The demo's last part happens now: charged while it goes on, through Diameter and RADIUS that others wrote.

Each step goes through a door of charging or a service of ours, on real sockets of this machine.
"""

import csv
import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from millicent.assurance.live import live_against_bill
from millicent.catalog.types import Catalogue
from millicent.charging.client import SyncChargingClient
from millicent.charging.selectors import statement
from millicent.charging.services.issue_vouchers import issue_vouchers
from millicent.charging.services.provision_shard import provision_shard
from millicent.charging.services.redeem_voucher import redeem_voucher
from millicent.config.charging_port import charging_port
from millicent.config.charging_works import bill_all_online_usage, export_all_charges, keep_all_history
from millicent.config.commands.charging import verified
from millicent.config.demo.access_server import AccessServer, access_server
from millicent.config.demo.gateway import (
    INITIAL,
    LIMIT_REACHED,
    SUCCESS,
    TERMINATION,
    UPDATE,
    Gateway,
    connected_gateway,
)
from millicent.config.demo.live_customers import BY_BILL, ON_LINE, PREPAID, opened_customers
from millicent.config.demo.live_doors import LiveDoors
from millicent.config.output import say
from millicent.config.setup import tenant_lake
from millicent.config.watching import mediation_stores
from millicent.kit.clock import system_now, to_ms
from millicent.kit.money import format_plain, parse_nanos
from millicent.kit.tenancy import tenant_scope
from millicent.mediation.services.collect_file import collect_file
from millicent.mediation.services.declare_source import declare_source

_MEGABYTE = 10**6
_TERABYTE = 10**12
_ON_LINE_OCTETS = 21 * _TERABYTE // 10
_MOST_SLICES = 100  # of a balance of a few euro: an answer that never says "the last one" is a fault, not a wait
_ABROAD = "33145000000"
_CALL_PARTS = (60, 35)  # seconds between the reports of the call
Line = Callable[[str], None]


def live_through(
    tenant_id: UUID, *, doors: LiveDoors, catalogue: Catalogue, out: Path, told: Line = say
) -> dict[str, Any]:
    """Live it once; returns what came of it, which a second run reads from `live.json`."""
    path = out / "live.json"
    if path.exists():
        summary: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for line in summary["told"]:
            told(line)
        return summary
    lines: list[str] = []

    def keep(line: str) -> None:
        lines.append(line)
        told(line)

    doors.wait()
    summary = _live(tenant_id, doors=doors, catalogue=catalogue, out=out, told=keep) | {"told": lines}
    path.write_text(json.dumps(summary, ensure_ascii=False) + "\n", encoding="utf-8")
    return summary


def _live(tenant_id: UUID, *, doors: LiveDoors, catalogue: Catalogue, out: Path, told: Line) -> dict[str, Any]:
    now = system_now()
    run, password = str(to_ms(now)), secrets.token_urlsafe(12)
    accounts = opened_customers(tenant_id, catalogue=catalogue, password=password, now=now)
    with charging_port() as port:
        provision_shard(tenant_id=tenant_id, port=port, now=system_now())
        code = _a_voucher(tenant_id, out=out, run=run)
        fill = partial(_fill, tenant_id, port=port, code=code, account_id=accounts[PREPAID.account])
        with connected_gateway(doors.diameter_port) as gateway:
            _burn_a_balance(gateway, run=run, fill=fill, told=told)
            began = _call_abroad(gateway, run=run, told=told)
        _exceed_fair_use(doors, password=password, run=run, told=told)
    _switch_writes(tenant_id, out=out, run=run, began=began)
    export_all_charges(tenant_id=tenant_id, now=system_now())
    bill_all_online_usage(tenant_id=tenant_id, now=system_now())
    keep_all_history(tenant_id=tenant_id, now=system_now())
    return _proof(tenant_id, prepaid_id=accounts[PREPAID.account], told=told)


# ---------------------------------------------------------------- prepaid


def _a_voucher(tenant_id: UUID, *, out: Path, run: str) -> str:
    print_file = out / f"voucher-{run}.csv"
    with tenant_scope(tenant_id):
        issue_vouchers(
            batch=f"demo-{run}", count=1, amount_nanos=parse_nanos("10.00", "EUR"), currency="EUR",
            valid_until_ms=to_ms(system_now() + timedelta(days=365)), print_file=print_file, who="demo",
            now=system_now(),
        )  # fmt: skip
    with print_file.open(encoding="utf-8", newline="") as printed:
        return next(csv.DictReader(printed))["code"]


def _fill(tenant_id: UUID, *, port: SyncChargingClient, code: str, account_id: int) -> None:
    redeem_voucher(
        tenant_id=tenant_id, port=port, code=code, account_id=account_id, redeemer=PREPAID.account, who="demo",
        now=system_now(),
    )  # fmt: skip


def _burn_a_balance(gateway: Gateway, *, run: str, fill: Callable[[], None], told: Line) -> None:
    """Slice after slice until nothing is left; a voucher; the server asks the gateway to come again, and it goes on."""
    ask = partial(gateway.ask, session=f"data;{run}", msisdn=PREPAID.identifier)
    numbers = iter(range(_MOST_SLICES))
    granted = ask(INITIAL, next(numbers), at=system_now())
    slices = []
    for number in numbers:
        slices.append(granted.units)
        last = granted.is_last
        granted = ask(UPDATE, number, at=system_now(), used=granted.units)
        if granted.units == 0:
            break
    # By night a slice is worth an even part of the balance: then the one that takes it all is not called the last.
    _expect(granted.result == LIMIT_REACHED, f"the last slice was followed by {granted.result}")
    told(
        f"Now: {PREPAID.name}, prepaid, goes on line through Diameter: {len(slices)} slices, "
        f"{sum(slices) // _MEGABYTE:,} MB{', the last one final' if last else ''}; then {LIMIT_REACHED}: nothing left."
    )
    fill()
    _expect(gateway.is_asked_again(), "no Re-Auth-Request came")
    again = ask(UPDATE, next(numbers), at=system_now())
    _expect(again.result == SUCCESS and again.units > 0, f"after the voucher came {again.result}")
    ask(TERMINATION, next(numbers), at=system_now(), used=100 * _MEGABYTE)
    told(f"Now: a voucher of 10.00 EUR; our Re-Auth-Request; {again.units // _MEGABYTE:,} MB more, 100 MB used.")


# ---------------------------------------------------------------- by bill


def _call_abroad(gateway: Gateway, *, run: str, told: Line) -> datetime:
    """A call that is charged while it lasts; returns when it began. It is told a little late, as it is over by now."""
    length = sum(_CALL_PARTS)
    began = system_now().replace(microsecond=0) - timedelta(seconds=length)
    ask = partial(gateway.ask, session=f"call;{run}", msisdn=BY_BILL.identifier, called=_ABROAD)
    answers = [ask(INITIAL, 0, at=began)]
    passed = 0
    for number, used in enumerate(_CALL_PARTS, start=1):
        passed += used
        kind = TERMINATION if passed == length else UPDATE
        answers.append(ask(kind, number, at=began + timedelta(seconds=passed), used=used))
    _expect(all(each.result == SUCCESS for each in answers), f"the call was answered {answers}")
    told(f"Now: {BY_BILL.name}, who pays by bill, calls France for {length} s: charged live in {len(answers)} steps.")
    return began


def _switch_writes(tenant_id: UUID, *, out: Path, run: str, began: datetime) -> None:
    """The switch's own record of the same call, collected as any file is."""
    path = out / "live" / f"calls-{run}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    record = {
        "event_id": run,
        "service": "voice",
        "identifier_kind": BY_BILL.kind.value,
        "identifier": BY_BILL.identifier,
        "other_party": f"+{_ABROAD}",
        "occurred_at_ms": to_ms(began),
        "duration_ms": sum(_CALL_PARTS) * 1000,
    }
    path.write_text(json.dumps(record) + "\n", encoding="utf-8")
    now = system_now()
    with tenant_scope(tenant_id):
        declare_source({"name": "today", "format": "usage_events", "dial_plan": {"region": "ES"}}, now=now)
    collect_file(tenant_id=tenant_id, stores=mediation_stores(tenant_id), source="today", url=str(path), now=now)


# ---------------------------------------------------------------- broadband


def _exceed_fair_use(doors: LiveDoors, *, password: str, run: str, told: Line) -> None:
    """A session goes beyond fair use and is slowed while it goes on."""
    opened = access_server(
        authentication=doors.authentication_port, accounting=doors.accounting_port, listener=doors.changes,
        secret=doors.secret,
    )  # fmt: skip
    with opened as server:
        rate = server.let_in(ON_LINE.identifier, password=password)["Mikrotik-Rate-Limit"]
        for status, octets, seconds in _broadband_reports():
            _report(server, status, run=run, octets=octets, seconds=seconds)
        order = server.next_order()
        _report(server, "Stop", run=run, octets=_ON_LINE_OCTETS, seconds=900)
    _expect(order["Mikrotik-Rate-Limit"] == "10M/10M", f"the access server was told {order}")
    told(f"Now: {ON_LINE.name} comes in through RADIUS at {rate} and uses 2.1 of 2 TB.")
    told(f"Now: the access server hears our CoA: Mikrotik-Rate-Limit = {order['Mikrotik-Rate-Limit']}.")


def _broadband_reports() -> Iterator[tuple[str, int, int]]:
    yield "Start", 0, 0
    yield "Interim-Update", 12 * _TERABYTE // 10, 300
    yield "Interim-Update", _ON_LINE_OCTETS, 600


def _report(server: AccessServer, status: str, *, run: str, octets: int, seconds: int) -> None:
    server.report(status, user=ON_LINE.identifier, session=f"live-{run}", octets=octets, seconds=seconds)


# ---------------------------------------------------------------- what must agree


def _proof(tenant_id: UUID, *, prepaid_id: int, told: Line) -> dict[str, Any]:
    now = system_now()
    with tenant_scope(tenant_id):
        lines = statement(prepaid_id)
        live = live_against_bill(tenant_lake(tenant_id), now=now)
    proof = verified(tenant_id)
    money = [line for line in lines if line.currency]
    for line in money[-6:]:
        what = line.cause or "usage"
        change, left = (format_plain(each, line.currency) for each in (line.change, line.remaining))
        told(f"    {PREPAID.account} {what}: {change} {line.currency}, {left} left")
    told(
        f"The charging journal was replayed: {proof['batches']:,} batches, to the byte."
        if not proof["faults"]
        else f"THE CHARGING JOURNAL DIFFERS: {proof['faults'][0]}"
    )
    for total in live.totals:
        charged, billed, between = (
            format_plain(each, total.currency) for each in (total.live_nanos, total.bill_nanos, total.difference_nanos)
        )
        told(f"Charged live {charged} {total.currency}, on the bill to come {billed}: difference {between}.")
    return {
        "holds": not proof["faults"] and live.holds and live.compared > 0,
        "live_against_bill": asdict(live),
        "verified": dict(proof),
    }


def _expect(so: bool, otherwise: str) -> None:
    """The demo stops where the product does not do what it says."""
    if not so:
        raise RuntimeError(otherwise)
