"""Expected prices, as the operator wrote them."""

from collections.abc import Mapping

from millicent.catalog.loading.matching import DIRECTIONS, Specifications, unit_kinds
from millicent.catalog.loading.reading import Section
from millicent.catalog.types import Expectation, Offering, Tariff, TariffCalendar


def read_expectation(
    section: Section,
    *,
    specifications: Specifications,
    calendars: Mapping[str, TariffCalendar],
    tariffs: Mapping[str, Tariff],
    offerings: Mapping[str, Offering],
) -> Expectation | None:
    """None, with a fault, when it does not say whose price it means."""
    tariff = _tariff_of(section, tariffs=tariffs, offerings=offerings)
    if tariff is None:
        return None
    if not any(section.has(key) for key in ("costs", "included", "rule", "refused")):
        section.reading.fault(
            section.node, "this row expects nothing", "Add `costs:`, `included:`, `rule:` or `refused:`."
        )
    kinds = unit_kinds(section.words("service"), specifications)
    calendar = calendars.get(tariff.calendar)
    direction = section.text("direction", "originating")
    if direction not in DIRECTIONS:
        section.fault("direction", f"{direction!r} is not a direction", f"Use one of: {', '.join(DIRECTIONS)}.")
    attributes, counters = section.section("attributes"), section.section("used_before")
    return Expectation(
        claim=section.text("expect"),
        tariff=tariff.code,
        offering=section.text("offering"),
        occurred_at_ms=section.instant_ms("at", zone=calendar.zone if calendar else "UTC") or 0,
        service=section.refer("specification", "service"),
        quantity_units=section.quantity("usage", kinds=kinds),
        currency=tariff.currency,
        other_party=section.text("to").removeprefix("+").replace(" ", ""),
        origin_number=section.text("from").removeprefix("+").replace(" ", ""),
        direction=direction,
        call_type=section.text("call_type"),
        visited_network=section.text("visited"),
        segment=section.text("segment", "consumer"),
        answered=section.flag("answered", True),
        content_nanos=section.money("content", currency=tariff.currency),
        attributes={name: attributes.text(name) for name in attributes.node.fields},
        counters={name: counters.quantity(name, kinds=kinds) for name in counters.node.fields},
        costs_nanos=section.maybe_money("costs", currency=tariff.currency),
        included_units=section.quantity("included", kinds=kinds) if section.has("included") else None,
        rule=section.text("rule"),
        refused=section.text("refused").upper(),
        where=section.where,
    )


def _tariff_of(section: Section, *, tariffs: Mapping[str, Tariff], offerings: Mapping[str, Offering]) -> Tariff | None:
    if section.has("offering") == section.has("tariff"):
        section.reading.fault(
            section.node, "this row does not say whose price", "Give one of `offering:` and `tariff:`."
        )
        return None
    if section.has("tariff"):
        return tariffs.get(section.refer("tariff", "tariff"))
    offering = offerings.get(section.refer("offering", "offering"))
    if offering is None:
        return None
    if offering.tariff is None:
        section.fault("offering", f"offering {offering.code!r} has no tariff", "Name an offering with one.")
        return None
    return tariffs.get(offering.tariff)
