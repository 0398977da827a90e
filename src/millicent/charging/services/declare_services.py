"""Declare what rating groups mean, how slices are sized, and the rules of balances: charging.yaml of one tenant."""

from datetime import datetime

from django.db import connection

from millicent.catalog.selectors import catalogue_of, latest_release
from millicent.charging.declared import DeclaredCharging, PolicyCounter
from millicent.charging.declaring import read_charging, read_policy_counters
from millicent.charging.models.people import ChargingDeclaration
from millicent.charging.types_map import ServiceMap, default_service_map
from millicent.kit.clock import to_ms

_LOCK = 7_261_081  # two who declare at once follow each other: versions have no gap and no twin


def declare_services(text: str, *, who: str, now: datetime, where: str = "charging.yaml") -> DeclaredCharging:
    """Keep a checked declaration as the next version, which holds from now on; the same text again changes nothing.

    Runs in a tenant's scope. Services are checked against the latest catalogue release. On refusal nothing is kept.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    last = ChargingDeclaration.objects.order_by("version").last()
    version = last.version if last else 0
    if last is not None and last.text == text:
        return _read(text, version=version, where=where)
    declared = _read(text, version=version + 1, where=where)
    ChargingDeclaration.objects.create(version=version + 1, text=text, declared_at_ms=to_ms(now), who=who)
    return declared


def policy_counters_of(version: int) -> list[PolicyCounter]:
    """The policy counters of an earlier declaration; none where there was none. Runs in a tenant's scope."""
    kept = ChargingDeclaration.objects.filter(version=version).first()
    return [] if kept is None else read_policy_counters(kept.text, where=f"charging.yaml, version {version}")


def declared_charging() -> DeclaredCharging:
    """The declaration that holds; the default rules when nothing was ever declared. Runs in a tenant's scope."""
    last = ChargingDeclaration.objects.order_by("version").last()
    return DeclaredCharging() if last is None else _read(last.text, version=last.version, where="charging.yaml")


def service_map(declared: DeclaredCharging | None = None) -> ServiceMap:
    """What doors ask: the declared map with its policies, or the one that the latest catalogue release suggests."""
    rules = declared or declared_charging()
    if rules.services is not None:
        return ServiceMap(rules.services, policies=rules.policies)
    release = latest_release()
    specifications = catalogue_of(release.number).specifications if release else {}
    return ServiceMap(default_service_map(specifications).rules, policies=rules.policies)


def _read(text: str, *, version: int, where: str) -> DeclaredCharging:
    release = latest_release()
    if release is None:
        return read_charging(text, specifications={}, where=where, version=version)
    catalogue = catalogue_of(release.number)
    return read_charging(
        text, specifications=catalogue.specifications, zone=catalogue.operator.zone, where=where, version=version
    )
