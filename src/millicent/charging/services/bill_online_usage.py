"""What was charged live becomes billable usage, for services of which charging.yaml says so: `usage_from: {x: online}`.

Accounts that pay in advance have paid: their usage is left out. Charges are read from the lake's `charged`, and how far
is kept in the transaction that keeps the usage.
"""

from datetime import datetime
from uuid import UUID

import polars as pl
from django.db import connection

from millicent.billing.live import released_catalogues
from millicent.billing.sources import StoredFacts
from millicent.charging.balance_facts import advance_spans, stored_facts
from millicent.charging.journal.read import locked_position, move_reader
from millicent.charging.provisioning.file_usage import FILES_GROUP
from millicent.charging.services.declare_services import declared_charging
from millicent.charging.services.export_charges import CHARGED_TABLE, scan_charged
from millicent.kit.clock import to_ms
from millicent.kit.tenancy import tenant_scope
from millicent.mediation.services.accept_charged_usage import CHARGED_USAGE_SCHEMA, accept_charged_usage
from millicent.mediation.stores import MediationStores
from millicent.subscriptions.live import account_by_subscription

READER = "usage"
_BITS = 2**63 - 1  # halves of a key in the lake of usage have no top bit


def bill_online_usage(*, tenant_id: UUID, stores: MediationStores, now: datetime, shard: int = 0) -> int:
    """Take what reached the lake since the last time; returns how many usages. Opens its own tenant scopes.

    A service counts as `online` from the batch of the journal on at which this was called first with it: what was
    passed over before stays with the files. Without such a service nothing is read.
    """
    with tenant_scope(tenant_id):
        services = declared_charging().online_services
    if not services:
        return 0

    def take() -> pl.DataFrame:
        with connection.cursor() as cursor:
            position = locked_position(cursor, reader=READER, shard=shard)
            reached = stores.lake.committed_sequence(CHARGED_TABLE, writer=f"charging-{shard}") or 0
            if reached <= position:
                return pl.DataFrame(schema=CHARGED_USAGE_SCHEMA)
            move_reader(cursor, reader=READER, shard=shard, sequence=reached)
        charged = scan_charged(stores.lake)
        assert charged is not None, "a table that was written to is there"
        by_door = pl.col("rating_group") != FILES_GROUP  # the others came by file, and are usage already
        inside = (
            by_door & (pl.col("shard") == shard) & (pl.col("sequence") > position) & (pl.col("sequence") <= reached)
        )
        chosen = charged.filter(inside & pl.col("service").is_in(sorted(services))).collect()
        return usage_of_charges(chosen, facts=stored_facts(stores.lake), now=now)

    report = accept_charged_usage(
        take, tenant_id=tenant_id, stores=stores, name=f"charged live, {now.isoformat(timespec='seconds')}", now=now
    )
    return 0 if report is None else report.usages


def usage_of_charges(charged: pl.DataFrame, *, facts: StoredFacts, now: datetime) -> pl.DataFrame:
    """Charges of those who paid by bill when they used it, as usage. In a tenant's scope."""
    payers = charged["billing_account_id"].unique().to_list()
    spans = advance_spans(payers, facts=facts, released=released_catalogues(), at_ms=to_ms(now))
    used = charged.select("billing_account_id", "occurred_at_ms").iter_rows()
    by_bill = [not any(each.from_ms <= at_ms < each.until_ms for each in spans.get(payer, ())) for payer, at_ms in used]
    chosen = charged.filter(pl.Series(by_bill, dtype=pl.Boolean))
    accounts = account_by_subscription(chosen["subscription_id"].unique().to_list())
    octets = pl.col("unit").is_in(["total_octets", "input_octets", "output_octets"])
    told = pl.col("uplink_bytes") + pl.col("downlink_bytes")
    uplink = pl.when(pl.col("unit") == "input_octets").then(pl.max_horizontal("units", "uplink_bytes"))
    rest = pl.max_horizontal(pl.col("units") - told, pl.lit(0)) * (octets & (pl.col("unit") != "input_octets"))
    columns = {
        "event_key_high": pl.col("event_key_high") & _BITS,
        "event_key_low": pl.col("event_key_low") & _BITS,
        "answered": pl.lit(value=True),
        "billing_account_id": pl.col("subscription_id").replace_strict(accounts, return_dtype=pl.Int64),
        "duration_ms": pl.when(pl.col("unit") == "seconds").then(pl.col("units") * 1000).otherwise(0),
        "uplink_bytes": uplink.otherwise(pl.col("uplink_bytes")),
        "downlink_bytes": pl.col("downlink_bytes") + rest,
        "events": pl.when(pl.col("unit") == "service_units").then("units").otherwise(0),
    }
    absent = [name for name in CHARGED_USAGE_SCHEMA if name not in chosen.columns and name not in columns]
    empty = {name: pl.lit("") if CHARGED_USAGE_SCHEMA[name] == pl.String else pl.lit(0) for name in absent}
    return chosen.with_columns(**columns, **empty).select(
        pl.col(name).cast(kind) for name, kind in CHARGED_USAGE_SCHEMA.items()
    )
