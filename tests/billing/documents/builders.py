"""Bills as billing computes them: a household, a company with departments, and the smallest bill there is."""

from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from millicent.billing.types import AllowanceUse, Bill, BillLine, BillState, BillTax, UsageDetail
from millicent.catalog.types import ChargeKind, Operator
from millicent.customers.types import BillCycle, BillingAccountFacts
from millicent.kit.clock import to_ms

EURO = 1_000_000_000
CENT = EURO // 100
FROM_MS = to_ms(datetime(2026, 9, 30, 22, tzinfo=UTC))  # 1 October in Madrid
UNTIL_MS = to_ms(datetime(2026, 10, 31, 23, tzinfo=UTC))  # 1 November in Madrid
ISSUED_MS = to_ms(datetime(2026, 11, 2, 8, tzinfo=UTC))
DUE_MS = to_ms(datetime(2026, 11, 16, 8, tzinfo=UTC))
DAY_MS = 86_400_000

NAMES = {
    "es/fixed": {"en": "Spain, landlines", "es": "España, fijos", "fr": "Espagne, fixes"},
    "es/mobile": {"en": "Spain, mobiles", "es": "España, móviles", "fr": "Espagne, mobiles"},
    "eu": {"en": "European Union", "es": "Unión Europea", "fr": "Union européenne"},
    "us": {"en": "United States", "es": "Estados Unidos", "fr": "États-Unis"},
    "ma": {"en": "Morocco", "es": "Marruecos", "fr": "Maroc"},
}


def an_operator(**changes: Any) -> Operator:
    fields: dict[str, Any] = {
        "code": "aurora",
        "legal_name": "Aurora Telecom, S.L.",
        "country": "ES",
        "currency": "EUR",
        "zone": "Europe/Madrid",
        "tax_number": "B12345674",
        "address_lines": ("Calle del Faro 12", "28013 Madrid", "España"),
        "contact_lines": ("aurora.example", "ayuda@aurora.example", "+34 900 000 000"),
        "payment_lines": ("Bank transfer to ES79 2100 0813 6101 2345 6789", "Reference: the bill number"),
        "languages": ("es", "en", "fr"),
    }
    return Operator(**{**fields, **changes})


def an_account(billing_account_id: int = 1, **changes: Any) -> BillingAccountFacts:
    fields: dict[str, Any] = {
        "billing_account_id": billing_account_id,
        "code": f"C-{100_200 + billing_account_id}",
        "party_name": "Lucía Fernández Ortega",
        "payer_id": 1,
        "parent_id": None,
        "currency": "EUR",
        "zone": "Europe/Madrid",
        "cycle": BillCycle(),
        "language": "en",
        "country": "ES",
        "jurisdiction": "ES",
        "address_lines": ("Avenida de la Constitución 8, 3.º B", "41001 Sevilla", "Spain"),
    }
    return BillingAccountFacts(**{**fields, **changes})


def texts(en: str, es: str = "", fr: str = "") -> dict[str, str]:
    return {"en": en, "es": es or en, "fr": fr or en}


def a_line(line_number: int = 1, **changes: Any) -> BillLine:
    fields: dict[str, Any] = {
        "line_number": line_number,
        "kind": ChargeKind.RECURRING,
        "billing_account_id": 1,
        "subscription_id": 11,
        "subscription_code": "S-600100200",
        "texts": texts("Fibra 600 + Móvil 20 GB", "Fibra 600 + Móvil 20 GB", "Fibre 600 + Mobile 20 Go"),
        "offering": "fibra_movil",
        "price_code": "monthly",
        "service": "",
        "zone": "",
        "period_from_ms": FROM_MS,
        "period_until_ms": UNTIL_MS,
        "event_count": 0,
        "charged_units": 0,
        "bucket_units": 0,
        "unit": "",
        "net_nanos": 39 * EURO,
        "tax_category": "standard",
        "ledger_code": "recurring",
    }
    return BillLine(**{**fields, **changes})


def a_usage_line(line_number: int, *, zone: str, net_nanos: int, **changes: Any) -> BillLine:
    name = NAMES[zone]
    fields: dict[str, Any] = {
        "kind": ChargeKind.USAGE,
        "texts": texts(f"Calls to {name['en']}", f"Llamadas a {name['es']}", f"Appels vers {name['fr']}"),
        "service": "voice",
        "zone": zone,
        "unit": "second",
        "event_count": 23,
        "charged_units": 5_400,
    }
    return a_line(line_number, net_nanos=net_nanos, **{**fields, **changes})


def a_bill(**changes: Any) -> Bill:
    """A bill whose sums are those of its lines, with one tax of 21 per cent."""
    lines = tuple(changes.pop("lines", (a_line(),)))
    net = sum(line.net_nanos for line in lines)
    tax = (net * 21 + 50 * CENT) // (100 * CENT) * CENT
    vat = BillTax(
        tax="vat_es",
        texts=texts("VAT", "IVA", "TVA"),
        jurisdiction="ES",
        rate=Fraction(21, 100),
        base_nanos=net,
        amount_nanos=tax,
    )
    fields: dict[str, Any] = {
        "number": "A-2026-000123",
        "state": BillState.ISSUED,
        "operator": an_operator(),
        "payer": an_account(),
        "currency": "EUR",
        "cycle_from_ms": FROM_MS,
        "cycle_until_ms": UNTIL_MS,
        "issued_at_ms": ISSUED_MS,
        "due_at_ms": DUE_MS,
        "lines": lines,
        "taxes": (vat,),
        "net_nanos": net,
        "tax_nanos": tax,
        "total_nanos": net + tax,
        "digest": "0" * 64,
        "accounts": (an_account(),),
        "names": NAMES,
    }
    return Bill(**{**fields, **changes})


def a_household_bill(**changes: Any) -> Bill:
    """Two pages: a bundle, an add-on for part of the month, usage, a discount, a correction, allowances, a history."""
    lines = (
        a_line(1),
        a_line(
            2,
            texts=texts("Data booster 10 GB", "Bono 10 GB", "Supplément 10 Go"),
            offering="booster",
            net_nanos=516 * CENT,
            explanation={
                "proration": "by_day",
                "price_nanos": 10 * EURO,
                "price_period_length": 31,
                "shares": [16],
            },
            period_from_ms=FROM_MS + 15 * DAY_MS,
        ),
        a_line(
            3,
            kind=ChargeKind.ONE_TIME,
            texts=texts("SIM replacement", "Duplicado de SIM", "Remplacement de carte SIM"),
            net_nanos=5 * EURO,
        ),
        a_usage_line(4, zone="es/mobile", net_nanos=0, charged_units=0, bucket_units=14_820, event_count=61),
        a_usage_line(5, zone="eu", net_nanos=342 * CENT, event_count=7, charged_units=1_140),
        a_usage_line(6, zone="us", net_nanos=118 * CENT, event_count=2, charged_units=354),
        a_usage_line(7, zone="ma", net_nanos=905 * CENT, event_count=5, charged_units=1_086),
        a_line(
            8,
            kind=ChargeKind.DISCOUNT,
            texts=texts("Loyalty 10 %", "Fidelidad 10 %", "Fidélité 10 %"),
            net_nanos=-390 * CENT,
            explanation={"base_nanos": 39 * EURO, "fraction": "1/10"},
        ),
        a_line(
            9,
            kind=ChargeKind.ADJUSTMENT,
            texts=texts("Late roaming records", "Registros de itinerancia tardíos", "Relevés d’itinérance tardifs"),
            net_nanos=-125 * CENT,
            period_from_ms=FROM_MS - 30 * DAY_MS,
            period_until_ms=FROM_MS,
        ),
        a_line(
            10,
            subscription_id=12,
            subscription_code="S-600100201",
            texts=texts("Mobile 5 GB", "Móvil 5 GB", "Mobile 5 Go"),
            net_nanos=9 * EURO,
        ),
    )
    voice = (4_100, 5_230, 4_800, 6_900, 7_420, 5_600, 6_010, 6_660, 7_000, 8_100, 6_400, 17_400)
    traffic = (6, 7, 9, 8, 11, 14, 16, 12, 13, 15, 17, 18)
    months = ("2025-11", "2025-12", *(f"2026-{month:02d}" for month in range(1, 11)))
    fields: dict[str, Any] = {
        "lines": lines,
        "usage_history": {
            "voice": tuple(zip(months, voice, strict=True)),
            "data": tuple((month, size * 10**9) for month, size in zip(months, traffic, strict=True)),
        },
        "allowances": (
            AllowanceUse(
                subscription_code="S-600100200",
                texts=texts("Mobile data 20 GB", "Datos 20 GB", "Données 20 Go"),
                unit="byte",
                granted_units=30 * 10**9,
                used_units=18_240_000_000,
            ),
            AllowanceUse(
                subscription_code="S-600100200",
                texts=texts("National calls", "Llamadas nacionales", "Appels nationaux"),
                unit="second",
                granted_units=None,
                used_units=14_820,
            ),
            a_shared_allowance(),
        ),
    }
    return a_bill(**{**fields, **changes})


def a_shared_allowance(*, owner: str = "") -> AllowanceUse:
    return AllowanceUse(
        subscription_code="",
        texts=texts("Family messages", "Mensajes en familia", "Messages famille"),
        unit="message",
        granted_units=100,
        used_units=100,
        owner=owner,
    )


def a_company_bill(**changes: Any) -> Bill:
    """Several pages: three accounts, several taxes, reverse charge and an exemption, many subscriptions."""
    payer = an_account(
        party_name="Transportes Guadalquivir, S.A.", is_business=True, tax_number="A28000018", language="es"
    )
    departments = [
        an_account(2, party_name="Logística Norte", parent_id=1),
        an_account(3, party_name="Flota & Taller", parent_id=1),
    ]
    lines = []
    for number in range(30):
        account = (1, 2, 3)[number % 3]
        common: dict[str, Any] = {
            "billing_account_id": account,
            "subscription_id": 100 + number // 2,
            "subscription_code": f"S-61020{number // 2:04d}",
        }
        if number % 2:
            zone = sorted(NAMES)[number % 5]
            lines.append(a_usage_line(number + 1, zone=zone, net_nanos=(117 + 31 * number) * CENT, **common))
        else:
            name = texts("Business mobile 50 GB", "Móvil empresa 50 GB", "Mobile entreprise 50 Go")
            lines.append(a_line(number + 1, texts=name, net_nanos=24 * EURO, **common))
    fields: dict[str, Any] = {
        "number": "B-2026-004711",
        "payer": payer,
        "accounts": (payer, *departments),
        "lines": tuple(lines),
    }
    bill = a_bill(**{**fields, **changes})
    notes = (
        BillTax(
            tax="vat_fr",
            texts=texts("French VAT", "IVA francés", "TVA française"),
            jurisdiction="FR",
            rate=Fraction(0),
            base_nanos=12 * EURO,
            amount_nanos=0,
            note="reverse_charge",
        ),
        BillTax(
            tax="usf",
            texts=texts("Universal service fee", "Tasa de servicio universal", "Taxe de service universel"),
            jurisdiction="ES",
            rate=Fraction(2625, 100_000),
            base_nanos=24 * EURO,
            amount_nanos=0,
            note="exempt:GOV-2026-17",
        ),
    )
    return a_bill(**{**fields, "taxes": (*bill.taxes, *notes), **changes})


def some_details(how_many: int, *, subscription_code: str = "S-600100200") -> list[UsageDetail]:
    """Calls, data sessions and messages, one each 37 minutes."""
    zones = sorted(NAMES)
    shapes = (("voice", "second", 61, "34910000"), ("data", "byte", 48_300_000, ""), ("sms", "message", 1, "34655000"))
    rows = []
    for number in range(how_many):
        service, unit, size, party = shapes[number % 3]
        rows.append(
            UsageDetail(
                occurred_at_ms=FROM_MS + number * 37 * 60_000 + 11_000,
                subscription_code=subscription_code,
                service=service,
                other_party=f"+{party}{number % 1000:03d}" if party else "",
                zone=zones[number % 5] if party else "",
                unit=unit,
                quantity_units=size * (1 + number % 7) if unit != "message" else 1,
                bucket_units=size * (1 + number % 7) if unit == "byte" else 0,
                amount_nanos=(number % 11) * 1_130_000 if unit == "second" else 0,
            )
        )
    return rows
