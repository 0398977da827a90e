"""Whom the charging benchmark serves: subscribers with money, minutes and bytes; open calls; names of every door."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from millicent.catalog.types import (
    Allowance,
    Catalogue,
    Match,
    Measure,
    PriceCard,
    ServiceSpecification,
    Slot,
    Tariff,
    TariffRule,
)
from millicent.charging.bench import ShardWorkload
from millicent.charging.keys import identifier_key
from millicent.charging.types import NameKind, Verb, commands
from millicent.charging.types_map import ServiceMap, default_service_map
from millicent.rating.bench import bench_catalogue, prefix_texts
from millicent.rating.program import TariffProgram
from millicent.rating.services import compile_catalogue
from millicent.subscriptions.types import IdentifierKind

PLANS = 200
PREFIXES = 25_000
SEED = 7
FIRST_MSISDN = 34_600_000_000  # subscriber n of the doors' loads
OWN_BYTES = 50_000_000  # included for each; then money
_NAMES = {"en": "bench"}
_BYTES = Slot(start_units=0, increment_units=1_000, amount_nanos=1_000, per_units=1_000)


def with_data(catalogue: Catalogue) -> Catalogue:
    """The catalogue of rating's benchmark, whose plans also price data and include some."""
    specification = ServiceSpecification(code="data", names=_NAMES, measure=Measure.TOTAL_VOLUME, unit="byte")
    included = Allowance(code="bytes", names=_NAMES, match=Match(services=("data",)), amount=OWN_BYTES)
    offering = catalogue.offerings["plan"]
    return replace(
        catalogue,
        specifications={**catalogue.specifications, "data": specification},
        tariffs={code: _with_data(tariff) for code, tariff in catalogue.tariffs.items()},
        offerings={"plan": replace(offering, allowances=(*offering.allowances, included))},
    )


def _with_data(tariff: Tariff) -> Tariff:
    card = PriceCard(slots=(_BYTES,), discount=Fraction(0))
    return replace(tariff, rules=(*tariff.rules, TariffRule(code="data", match=Match(services=("data",)), card=card)))


def the_catalogue() -> Catalogue:
    return with_data(bench_catalogue(plans=PLANS, prefixes=prefix_texts(PREFIXES, seed=SEED)))


def the_programs() -> Sequence[tuple[int, int, TariffProgram]]:
    """What every process of the benchmark prices with."""
    return [(0, 1, compile_catalogue(the_catalogue()))]


def the_services() -> ServiceMap:
    return default_service_map(the_catalogue().specifications)


def radius_user(number: int) -> str:
    return f"user{number}@bench.example.net"


def a_world(*, subscribers: int, sessions: int, named: int, now_ms: int) -> ShardWorkload:
    """The loaded shard. The first `named` subscribers are known to the doors by MSISDN and RADIUS user."""
    workload = ShardWorkload(
        subscribers=subscribers, sessions=sessions, plans=PLANS, prefixes=PREFIXES, seed=SEED, start_ms=now_ms,
        changed=with_data,
    )  # fmt: skip
    allowance = workload.shard.number_of(NameKind.ALLOWANCE, "plan/bytes")
    ids = np.arange(named)
    numbers, users, grants = commands(named), commands(named), commands(named)
    for rows, verb in ((numbers, Verb.IDENTIFIER), (users, Verb.IDENTIFIER), (grants, Verb.GRANT)):
        rows["verb"] = verb
        rows["received_ms"] = workload.now_ms
        rows["subscription_id"] = ids
    numbers["subscriber_key"] = [identifier_key(IdentifierKind.MSISDN, str(FIRST_MSISDN + each)) for each in ids]
    users["subscriber_key"] = [identifier_key(IdentifierKind.RADIUS_USER, radius_user(int(each))) for each in ids]
    grants["bucket_id"], grants["name"], grants["amount"] = 2 * subscribers + ids, allowance, OWN_BYTES
    for rows in (numbers, users, grants):
        workload.shard.apply(rows)
    return workload
