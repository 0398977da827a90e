"""What the network's own numbers mean: which catalogue service a rating group is, and how its slices are sized.

Plain values without any framework, so that every door may hold them. `services.declare_services` reads and keeps what
an operator declares; `default_service_map` is what holds while nothing is declared.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from millicent.catalog.types import Measure, ServiceSpecification
from millicent.charging.types import NO_LIMIT, NO_SERVICE, NOT_SAID, FinalAction, Unit

PACKET_CONTEXT = "32251@3gpp.org"  # TS 32.251: packet switched
IMS_CONTEXT = "32260@3gpp.org"  # TS 32.260: voice over IMS
SMS_CONTEXT = "32274@3gpp.org"  # TS 32.274: messages
RADIUS_CONTEXT = "radius"  # accounting that names no service
UNIT_OF: Mapping[Measure, Unit] = {
    Measure.DURATION: Unit.SECONDS,
    Measure.TOTAL_VOLUME: Unit.TOTAL_OCTETS,
    Measure.UPLINK_VOLUME: Unit.INPUT_OCTETS,
    Measure.DOWNLINK_VOLUME: Unit.OUTPUT_OCTETS,
    Measure.EVENTS: Unit.SERVICE_UNITS,
}
_VOLUMES = (Measure.TOTAL_VOLUME, Measure.UPLINK_VOLUME, Measure.DOWNLINK_VOLUME)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceEntry:
    """What a slice is of, in the catalogue's words. `unit` is the one in which the service is counted."""

    service: str
    unit: Unit
    direction: str = "originating"
    call_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRule:
    """One line of the declared map. `group` or `service_id` None: any."""

    context: str  # Service-Context-Id without its release and operator: "32251@3gpp.org"
    group: int | None = None
    service_id: int | None = None
    entry: ServiceEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaPolicy:
    """How slices of one service are sized, and what happens at the last one. Units are those of the service."""

    slice_units: int  # where none were asked for
    most_units: int = NO_LIMIT  # however many were asked for
    least_units: int = 1  # a smaller share is not worth a message: then all that is left is given
    share: int = 1  # never more than 1/share of what could still be paid
    validity_seconds: int = 3600
    grace_seconds: int = 300  # after the validity, before a session without a sign of life is closed
    holding_seconds: int = NOT_SAID
    threshold_percent: int = 20  # ask again when so much of the slice is left
    final: FinalAction = FinalAction.TERMINATE
    redirect_address: str = ""  # where FinalAction.REDIRECT leads
    filter_ids: tuple[str, ...] = ()  # what FinalAction.RESTRICT still lets through


DEFAULT_POLICIES: Mapping[Unit, QuotaPolicy] = {
    Unit.SECONDS: QuotaPolicy(slice_units=600, least_units=10, threshold_percent=10),
    Unit.TOTAL_OCTETS: QuotaPolicy(slice_units=50_000_000, least_units=100_000),
    Unit.INPUT_OCTETS: QuotaPolicy(slice_units=50_000_000, least_units=100_000),
    Unit.OUTPUT_OCTETS: QuotaPolicy(slice_units=50_000_000, least_units=100_000),
    Unit.SERVICE_UNITS: QuotaPolicy(slice_units=1),
}


class ServiceMap:
    """The declared rules as one look-up; the same question is answered from memory.

    The rule that says most is taken: group and service identifier, then service identifier, then group, then neither.
    """

    def __init__(self, rules: Iterable[ServiceRule], *, policies: Mapping[str, QuotaPolicy] | None = None) -> None:
        self.rules: Sequence[ServiceRule] = tuple(rules)
        self.policies: Mapping[str, QuotaPolicy] = dict(policies or {})
        self._by_place = {(rule.context, rule.group, rule.service_id): rule.entry for rule in reversed(self.rules)}
        self._contexts = frozenset(rule.context for rule in self.rules)
        self._found: dict[tuple[str, int, int], ServiceEntry | None] = {}

    def service_for(self, context: str, group: int, service_id: int = NO_SERVICE) -> ServiceEntry | None:
        """The service that a rating group is; None where nothing was declared for it: it cannot be rated."""
        asked = (context, group, service_id)
        if asked not in self._found:
            if len(self._found) > _MOST_REMEMBERED:  # a peer that makes up numbers must not fill our memory
                self._found.clear()
            self._found[asked] = self._look_up(self._known_context(context), group, service_id)
        return self._found[asked]

    def policy_for(self, service: str, unit: Unit) -> QuotaPolicy:
        """The declared policy of a service, or that of everything counted like it."""
        return self.policies.get(service) or DEFAULT_POLICIES[unit]

    def services(self) -> Mapping[str, Unit]:
        """Every service that the map leads to, and how it is counted."""
        return {rule.entry.service: rule.entry.unit for rule in self.rules}

    def _known_context(self, context: str) -> str:
        """TS 32.299 clause 7.1.12: "extensions.MNC.MCC.release.specification@domain"; what leads may be left out."""
        while context not in self._contexts and "." in context.partition("@")[0]:
            context = context.partition(".")[2]
        return context

    def _look_up(self, context: str, group: int, service_id: int) -> ServiceEntry | None:
        for place in ((group, service_id), (None, service_id), (group, None), (None, None)):
            entry = self._by_place.get((context, *place))
            if entry is not None:
                return entry
        return None


_MOST_REMEMBERED = 65_536


def entry_of(specification: ServiceSpecification) -> ServiceEntry:
    """A service counted in the unit that its specification measures."""
    return ServiceEntry(service=specification.code, unit=UNIT_OF[specification.measure])


def default_service_map(specifications: Mapping[str, ServiceSpecification]) -> ServiceMap:
    """What holds while nothing is declared.

    Packets and RADIUS sessions are the first service counted by volume, calls the first counted by time, messages the
    one called "sms" or the first that counts events.
    """
    every = list(specifications.values())
    volume = next((each for each in every if each.measure in _VOLUMES), None)
    duration = next((each for each in every if each.measure is Measure.DURATION), None)
    counted = [each for each in every if each.measure is Measure.EVENTS]
    message = next((each for each in counted if each.code == "sms"), counted[0] if counted else None)
    by_context = {PACKET_CONTEXT: volume, RADIUS_CONTEXT: volume, IMS_CONTEXT: duration, SMS_CONTEXT: message}
    return ServiceMap(
        ServiceRule(context=context, entry=entry_of(found)) for context, found in by_context.items() if found
    )
