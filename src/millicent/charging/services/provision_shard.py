"""Tell the shard who is there: everybody at first, then whatever changed since.

A poll looks back `LOOK_BACK_MS` beyond its last position: a transaction may commit after a poll that read a later
clock. What was told of a subscription meanwhile is known by a digest, so that nobody's sessions are disturbed twice.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from uuid import UUID

import polars as pl
import structlog

from millicent.billing.live import NoReleaseInForce, Releases, released_catalogues
from millicent.charging.declared import DeclaredCharging
from millicent.charging.models.people import ProvisioningPosition
from millicent.charging.ports import BalancePort
from millicent.charging.provisioning.changes import LOOK_BACK_MS, accounts_affected
from millicent.charging.provisioning.command_rows import counter_rows, policy_rows, threshold_rows
from millicent.charging.provisioning.difference import commands_between, commands_of_load, digests_of, part_of
from millicent.charging.provisioning.live_facts import live_facts
from millicent.charging.provisioning.telling import Provisioned, Telling
from millicent.charging.services.declare_services import declared_charging, policy_counters_of, service_map
from millicent.charging.services.welcome_arrivals import Arrivals
from millicent.charging.types_map import QuotaPolicy
from millicent.kit.clock import MS_PER_DAY, to_ms
from millicent.kit.lake import Lake
from millicent.kit.tenancy import tenant_scope
from millicent.subscriptions.live import subscription_ids_of

Told = dict[str, list[int]]  # subscription id -> digest of what the shard was told, and when that may be forgotten
SUBSCRIPTIONS_AT_ONCE = 20_000


def provision_shard(
    *,
    tenant_id: UUID,
    port: BalancePort,
    now: datetime,
    lake: Lake | None = None,
    shard: int = 0,
    at_once: int = SUBSCRIPTIONS_AT_ONCE,
) -> Provisioned:
    """Bring the shard up to `now`. May be killed at any point and called again. Opens its own tenant scopes.

    Whoever is new to the shard comes with what `lake` says they used in the running cycle, so that allowances, tiers
    and limits stand as the bill will have them; without a lake nothing was used before.

    Without a catalogue release there is nothing to tell. Raises Outage when the shard does not answer.
    """
    with tenant_scope(tenant_id):
        position = ProvisioningPosition.objects.filter(shard=shard).first()
        try:
            released = released_catalogues()
        except NoReleaseInForce:
            return Provisioned()
        declared = declared_charging()
        before = policy_counters_of(position.declared_version) if position else []
        policies = policies_in_force(declared)
    if position is None:
        position = _begin(tenant_id, shard=shard, now_ms=to_ms(now))
    telling = Telling(port)
    arrivals = Arrivals(tenant_id=tenant_id, lake=lake, released=released, now=now, shard=shard)
    newest = (declared.version, max(view.number for view in released.views))
    declaration_is_new = newest != (position.declared_version, position.release_number)
    if declaration_is_new:
        telling.tell(policy_rows(policies, names=telling.names, at_ms=to_ms(now)))
        telling.tell(threshold_rows(declared.thresholds, at_ms=to_ms(now)))
        counters = counter_rows(declared.policy_counters, before=before, names=telling.names, at_ms=to_ms(now))
        telling.tell(counters)
    if position.loaded:
        told = _follow(
            tenant_id, telling, released=released, declared=declared, position=position, now_ms=to_ms(now),
            everybody=declaration_is_new, arrivals=arrivals,
        )  # fmt: skip
    else:
        told = _load(
            tenant_id, telling, released=released, declared=declared, position=position, at_once=at_once,
            arrivals=arrivals,
        )  # fmt: skip
    _move(
        tenant_id, shard=shard, known_at_ms=to_ms(now) if position.loaded else position.known_at_ms, loaded=True,
        declared_version=newest[0], release_number=newest[1], recently_told=told,
    )  # fmt: skip
    report = telling.report()
    if report.refused:
        structlog.get_logger("millicent.charging").warning("the shard refused commands", **report.refused)
    return report


def policies_in_force(declared: DeclaredCharging) -> Mapping[str, QuotaPolicy]:
    """Every service that the map leads to, with how its slices are sized."""
    services = service_map(declared)
    return {code: services.policy_for(code, unit) for code, unit in services.services().items()}


def _load(
    tenant_id: UUID,
    telling: Telling,
    *,
    released: Releases,
    declared: DeclaredCharging,
    position: ProvisioningPosition,
    at_once: int,
    arrivals: Arrivals,
) -> Told:
    """Everybody, as of the instant at which the load began; the position says how far an earlier call came."""
    at_ms = position.known_at_ms
    with tenant_scope(tenant_id):
        facts = live_facts(at_ms=at_ms, known_at_ms=at_ms, released=released, declared=declared)
        recent = subscription_ids_of(accounts_affected(then_ms=at_ms, now_ms=at_ms))
    waiting = facts.subscribers["subscription_id"].sort()
    waiting = waiting.filter(waiting > position.loaded_until_id)
    for chosen in waiting.to_frame().iter_slices(at_once):
        part = part_of(facts, chosen["subscription_id"])
        arrivals.welcome(part.subscribers, telling=telling, blocks=commands_of_load(part, names=telling.names))
        telling.subscriptions += len(chosen)
        _move(tenant_id, shard=position.shard, loaded_until_id=int(chosen["subscription_id"][-1]))
    digests = digests_of(part_of(facts, pl.Series(recent, dtype=pl.Int64)))
    return {str(each): [digest, at_ms + LOOK_BACK_MS] for each, digest in digests.items()}


def _follow(
    tenant_id: UUID,
    telling: Telling,
    *,
    released: Releases,
    declared: DeclaredCharging,
    position: ProvisioningPosition,
    now_ms: int,
    everybody: bool,
    arrivals: Arrivals,
) -> Told:
    """What changed since the position: in the stores, by an instant that came, by a cycle that began."""
    then_ms, told = position.known_at_ms, dict(position.recently_told)
    with tenant_scope(tenant_id):
        grace_ms = declared.prepaid.grace_days * MS_PER_DAY
        chosen = None if everybody else accounts_affected(then_ms=then_ms, now_ms=now_ms, grace_ms=grace_ms)
        if chosen is not None and not chosen:
            return _still_recent(told, now_ms=now_ms)
        facts = partial(live_facts, released=released, declared=declared, account_ids=chosen)
        old = facts(at_ms=then_ms, known_at_ms=then_ms - LOOK_BACK_MS)
        new = facts(at_ms=now_ms, known_at_ms=now_ms)
    digests = digests_of(new)
    fresh = [each for each, digest in digests.items() if told.get(str(each), [None])[0] != digest]
    fresh_ids = pl.Series("subscription_id", fresh, dtype=pl.Int64)
    before, after = part_of(old, fresh_ids), part_of(new, fresh_ids)
    come = after.subscribers.join(before.subscribers, on="subscription_id", how="anti")
    arrivals.welcome(come, telling=telling, blocks=commands_between(before, after, names=telling.names))
    telling.subscriptions += len(fresh)
    told |= {str(each): [digests[each], now_ms + LOOK_BACK_MS] for each in fresh} if not everybody else {}
    return _still_recent(told, now_ms=now_ms)


def _still_recent(told: Told, *, now_ms: int) -> Told:
    return {each: kept for each, kept in told.items() if kept[1] > now_ms - LOOK_BACK_MS}


def _begin(tenant_id: UUID, *, shard: int, now_ms: int) -> ProvisioningPosition:
    with tenant_scope(tenant_id):
        ProvisioningPosition.objects.bulk_create(
            [ProvisioningPosition(shard=shard, known_at_ms=now_ms, loaded_until_id=0)], ignore_conflicts=True
        )
        return ProvisioningPosition.objects.get(shard=shard)


def _move(tenant_id: UUID, *, shard: int, **moved: int | bool | Told) -> None:
    with tenant_scope(tenant_id):
        ProvisioningPosition.objects.filter(shard=shard).update(**moved)
