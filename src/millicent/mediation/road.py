"""Everything the records of one source meet on their way, read once for a pass over many files."""

import time
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field

from millicent.mediation.directory import SubscriberDirectory, build_directory
from millicent.mediation.errors import UnknownSource
from millicent.mediation.key_index import KeyIndex, KeyRun
from millicent.mediation.models import EventKeyRun, UsageSource
from millicent.mediation.pricing import list_price_in_force, services_on_sale
from millicent.mediation.refine import ListPrice, Surroundings
from millicent.mediation.rules.declaration import CollectionRules, collection_rules_from
from millicent.mediation.rules.numbering import DialPlan, dial_plan_from
from millicent.mediation.stores import MediationStores
from millicent.subscriptions.selectors import identifier_frame


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFacts:
    """A source as it was declared, checked."""

    source_id: int
    name: str
    format: str
    family: str
    url: str
    zone: str
    options: Mapping[str, str]
    dial_plan: DialPlan
    rules: CollectionRules
    storage_options: Mapping[str, str] = field(default_factory=dict)  # option -> environment variable


@dataclass(frozen=True, slots=True, kw_only=True)
class Road:
    """A source with the subscribers, the list price and the event keys that its records meet."""

    source: SourceFacts
    directory: SubscriberDirectory
    list_price: ListPrice | None
    index: KeyIndex
    known_services: Set[str] | None = None

    def surroundings(self, *, batch_id: int, received_at_ms: int) -> Surroundings:
        return Surroundings(
            source=self.source.name,
            family=self.source.family,
            batch_id=batch_id,
            received_at_ms=received_at_ms,
            rules=self.source.rules,
            dial_plan=self.source.dial_plan,
            directory=self.directory,
            list_price=self.list_price,
            known_services=self.known_services,
        )


PrepareRoad = Callable[[SourceFacts, MediationStores], Road]
FRESH_SECONDS = 30


def source_named(name: str) -> SourceFacts:
    """The declared source, inside a tenant's scope."""
    row = UsageSource.objects.filter(name=name).first()
    if row is None:
        raise UnknownSource(f"there is no source {name!r}. `millicent collect add-source` declares it", source=name)
    where = f"source {name}"
    return SourceFacts(
        source_id=row.pk,
        name=row.name,
        format=row.format,
        family=row.family,
        url=row.url,
        zone=row.zone,
        options=row.options,
        dial_plan=dial_plan_from(row.dial_plan, where=where),
        rules=collection_rules_from(row.collected, where=where),
        storage_options=row.storage_options,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFacts:
    """Subscribers and prices: the same for every source of a tenant, and dear to read where there are many."""

    directory: SubscriberDirectory
    list_price: ListPrice | None
    services: Set[str] | None


def read_facts() -> KnownFacts:
    """As PostgreSQL knows them now, inside a tenant's scope."""
    return KnownFacts(
        directory=build_directory(identifier_frame()), list_price=list_price_in_force(), services=services_on_sale()
    )


def prepare_road(source: SourceFacts, stores: MediationStores) -> Road:
    """Read what the records will meet, inside a tenant's scope and while the family's lock is held."""
    return _road(source, stores, facts=read_facts())


def prepare_roads(*, fresh_seconds: int = FRESH_SECONDS) -> PrepareRoad:
    """The same for file after file of one tenant: subscribers and prices are read again after `fresh_seconds`.

    A folder of a thousand small files does not read all subscribers a thousand times. Whoever subscribes meanwhile and
    uses at once is suspended as NOBODY, and a retry finds them.
    """
    kept: list[tuple[float, KnownFacts]] = []

    def prepare(source: SourceFacts, stores: MediationStores) -> Road:
        if not kept or time.monotonic() - kept[0][0] >= fresh_seconds:
            kept[:] = [(time.monotonic(), read_facts())]
        return _road(source, stores, facts=kept[0][1])

    return prepare


def _road(source: SourceFacts, stores: MediationStores, *, facts: KnownFacts) -> Road:
    return Road(
        source=source,
        directory=facts.directory,
        list_price=facts.list_price,
        index=open_key_index(source.family, stores=stores),
        known_services=facts.services,
    )


def open_key_index(family: str, *, stores: MediationStores) -> KeyIndex:
    runs = [
        KeyRun(month=row.month, file=row.file, key_count=row.key_count)
        for row in EventKeyRun.objects.filter(family=family).order_by("id")
    ]
    index = KeyIndex(folder=stores.keys_folder(family), runs=runs)
    index.delete_strays()
    return index
