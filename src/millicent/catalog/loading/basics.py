"""The small rooms: operator, specifications, networks, taxes, ledger codes, discounts."""

from millicent.catalog.loading.matching import Specifications
from millicent.catalog.loading.reading import Section
from millicent.catalog.loading.scopes import read_scope
from millicent.catalog.types import Discount, Measure, NetworkZone, Operator, ServiceSpecification, Tax
from millicent.kit.rounding import RoundingMode


def read_operator(section: Section) -> Operator:
    section.time_zone(section.text("zone"))
    logo = section.text("logo") or None
    if logo is not None and logo not in section.reading.files:
        section.fault("logo", f"there is no file {logo!r} in the folder", "Put it there as .svg or .png.")
    return Operator(
        code=section.text("code"),
        legal_name=section.text("legal_name"),
        country=section.text("country"),
        currency=section.text("currency"),
        zone=section.text("zone"),
        tax_number=section.text("tax_number"),
        address_lines=section.words("address"),
        contact_lines=section.words("contact"),
        payment_lines=section.words("payment"),
        brand_color=section.text("brand_color", "#0b5cad"),
        logo_file=logo,
        languages=section.words("languages") or ("en",),
        bill_series=section.text("bill_series", "A"),
        due_days=section.whole("due_days", 14),
        second_approval=section.flag("second_approval"),
    )


def read_partner_tariffs(section: Section, key: str) -> dict[str, str]:
    """`suppliers:` or `resellers:`: partner code to tariff code."""
    partners = section.section(key)
    return {code: partners.refer("tariff", code) for code in partners.node.fields}


def read_specifications(document: Section) -> Specifications:
    found: Specifications = {}
    for code, section in document.entries():
        section.reading.counted.add(section.text("unit"))
        attributes = section.section("attributes")
        found[code] = ServiceSpecification(
            code=code,
            names=section.names() if section.has("names") else {"en": code},
            measure=section.choice("measure", Measure, Measure.EVENTS),
            unit=section.text("unit"),
            subunit_rounding=section.choice("subunit_rounding", RoundingMode, RoundingMode.UP),
            attributes={name: attributes.words(name) for name in attributes.node.fields},
            tax_category=section.refer("tax category", "tax_category", "standard"),
        )
    return found


def read_networks(document: Section) -> dict[str, NetworkZone]:
    found: dict[str, NetworkZone] = {}
    for code, section in document.entries():
        for node in section.nodes("networks"):
            if not (node.text.isdigit() and 3 <= len(node.text) <= 6):
                section.reading.fault(
                    node, f"{node.text!r} is not a network", 'Write MCC+MNC digits ("21407") or an MCC.'
                )
        found[code] = NetworkZone(
            code=code,
            names=section.names() if section.has("names") else {"en": code},
            networks=section.words("networks"),
        )
    return found


def read_taxes(document: Section) -> dict[str, Tax]:
    return {code: _read_tax(code, section) for code, section in document.entries()}


def _read_tax(code: str, section: Section) -> Tax:
    currency = section.text("currency") or section.reading.currency
    if section.has("rate") == section.has("fixed"):
        section.reading.fault(section.node, "a tax has a rate or a fixed amount", "Give one of `rate:` and `fixed:`.")
    zone = section.reading.zone
    valid = section.section("valid")
    return Tax(
        code=code,
        names=section.names() if section.has("names") else {"en": code},
        jurisdiction=section.text("jurisdiction"),
        categories=section.words("categories"),
        rate=section.fraction("rate"),
        except_jurisdictions=section.words("except"),
        inclusive=section.flag("inclusive"),
        per_line=section.text("round_each", "bill") == "line",
        rounding=section.choice("rounding", RoundingMode, RoundingMode.HALF_UP),
        on_top_of=section.refer_all("tax", "on_top_of"),
        exemption_kinds=section.words("exemptions"),
        reverse_charge=section.flag("reverse_charge"),
        fixed_nanos=section.maybe_money("fixed", currency=currency),
        currency=currency if section.has("fixed") else None,
        valid_from_ms=valid.instant_ms("from", zone=zone),
        valid_until_ms=valid.instant_ms("until", zone=zone),
        where=section.where,
    )


def read_ledger_codes(document: Section) -> dict[str, str]:
    return {code: node.text for code, node in document.node.fields.items()}


def read_discounts(document: Section) -> dict[str, Discount]:
    return {code: _read_discount(code, section) for code, section in document.entries()}


def _read_discount(code: str, section: Section) -> Discount:
    currency = section.text("currency") or section.reading.currency
    if section.has("percent") == section.has("amount"):
        section.reading.fault(
            section.node, "a discount is a percentage or an amount", "Give one of `percent:` and `amount:`."
        )
    share = section.fraction("percent")
    if not 0 <= share <= 1:
        section.fault("percent", f"{section.text('percent')!r} is not between 0% and 100%", 'Write for example "20%".')
    valid = section.section("valid")
    money = section.has("amount") or section.has("cap") or section.has("minimum_spend")
    return Discount(
        code=code,
        names=section.names() if section.has("names") else {"en": code},
        scope=read_scope(section.section("scope")),
        fraction=share if section.has("percent") else None,
        fixed_nanos=section.maybe_money("amount", currency=currency),
        currency=currency if money else None,
        cap_nanos=section.maybe_money("cap", currency=currency),
        duration_cycles=section.whole("cycles") if section.has("cycles") else None,
        minimum_spend_nanos=section.maybe_money("minimum_spend", currency=currency),
        priority=section.whole("priority"),
        coupon=section.flag("coupon"),
        redemptions_limit=section.whole("redemptions") if section.has("redemptions") else None,
        valid_from_ms=valid.instant_ms("from", zone=section.reading.zone),
        valid_until_ms=valid.instant_ms("until", zone=section.reading.zone),
    )
