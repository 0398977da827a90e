"""What goes on beside the shard, again and again: telling it who is there, and reading its journal for others."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

from millicent.charging.client import SyncChargingClient, socket_path
from millicent.charging.notifiers import StatusMessages, notifier_of
from millicent.charging.services.bill_online_usage import bill_online_usage
from millicent.charging.services.carry_over import carry_over
from millicent.charging.services.charge_fees import charge_fees
from millicent.charging.services.deliver_notifications import deliver_notifications
from millicent.charging.services.export_charges import export_charges
from millicent.charging.services.keep_history import keep_history
from millicent.charging.services.post_usage_days import post_usage_days
from millicent.charging.services.provision_shard import provision_shard
from millicent.charging.services.record_usage import record_usage
from millicent.charging.services.report_statuses import keep_statuses, report_statuses
from millicent.charging.services.settle_orders import settle_orders
from millicent.config.settings import settings
from millicent.config.setup import tenant_lake
from millicent.config.watching import mediation_stores
from millicent.config.works import Declared

_HERE = "millicent.config.charging_works"
CHARGING_WORKS: dict[str, Declared] = {
    "tell the shard": Declared(function=f"{_HERE}:tell_shard", every_seconds=5),
    "settle balance orders": Declared(function=f"{_HERE}:settle_waiting_orders", every_seconds=10),
    "keep balance history": Declared(function=f"{_HERE}:keep_all_history", every_seconds=1),
    "charge fees": Declared(function=f"{_HERE}:charge_all_fees", every_seconds=5),
    "charge usage of files": Declared(function=f"{_HERE}:charge_usage_of_files", every_seconds=30),
    "carry allowances over": Declared(function=f"{_HERE}:carry_allowances_over", every_seconds=10),
    "report spending status": Declared(function=f"{_HERE}:report_spending_status", every_seconds=1),
    "deliver notifications": Declared(function=f"{_HERE}:deliver_waiting_notifications", every_seconds=2),
    "post prepaid usage": Declared(function=f"{_HERE}:post_days_that_are_over", every_seconds=300),
    "export charges": Declared(function=f"{_HERE}:export_all_charges", every_seconds=30),
    "bill online usage": Declared(function=f"{_HERE}:bill_all_online_usage", every_seconds=30),
}


@contextmanager
def shard_port() -> Iterator[SyncChargingClient]:
    """The configured tenant's shard, from another process. ShardSilent when none is running."""
    chosen = settings()
    with SyncChargingClient(socket_path(chosen.home_path, tenant=chosen.tenant), timeout_seconds=120) as port:
        yield port


def tell_shard(*, tenant_id: UUID, now: datetime) -> int:
    with shard_port() as port:
        return provision_shard(tenant_id=tenant_id, port=port, now=now, lake=tenant_lake(tenant_id)).commands


def settle_waiting_orders(*, tenant_id: UUID, now: datetime) -> int:
    with shard_port() as port:
        return settle_orders(tenant_id=tenant_id, port=port, now=now)


def keep_all_history(*, tenant_id: UUID, now: datetime) -> int:
    count = 0
    while step := keep_history(tenant_id=tenant_id, now=now):
        count += step
    return count


def charge_all_fees(*, tenant_id: UUID, now: datetime) -> int:
    with shard_port() as port:
        return charge_fees(tenant_id=tenant_id, port=port, lake=tenant_lake(tenant_id), now=now)


def charge_usage_of_files(*, tenant_id: UUID, now: datetime) -> int:
    with shard_port() as port:
        return record_usage(tenant_id=tenant_id, port=port, lake=tenant_lake(tenant_id), now=now)


def carry_allowances_over(*, tenant_id: UUID, now: datetime) -> int:
    with shard_port() as port:
        return carry_over(tenant_id=tenant_id, port=port, now=now)


def report_spending_status(*, tenant_id: UUID, now: datetime) -> int:
    with shard_port() as port:
        while keep_statuses(tenant_id=tenant_id, port=port, now=now):
            pass
    listeners = {"notifications": StatusMessages(notifier=notifier_of(settings().notifications))}
    return report_statuses(tenant_id=tenant_id, listeners=listeners, now=now)


def deliver_waiting_notifications(*, tenant_id: UUID, now: datetime) -> int:
    notifier = notifier_of(settings().notifications)
    return deliver_notifications(tenant_id=tenant_id, notifier=notifier, now=now)


def post_days_that_are_over(*, tenant_id: UUID, now: datetime) -> int:
    return post_usage_days(tenant_id=tenant_id, now=now)


def export_all_charges(*, tenant_id: UUID, now: datetime) -> int:
    lake, count = tenant_lake(tenant_id), 0
    while step := export_charges(tenant_id=tenant_id, lake=lake):
        count += step
    return count


def bill_all_online_usage(*, tenant_id: UUID, now: datetime) -> int:
    return bill_online_usage(tenant_id=tenant_id, stores=mediation_stores(tenant_id), now=now)
