"""How many PDF bills one core prints in a second: two-page bills, every one different."""

import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from millicent.billing.documents.render import DocumentRenderer
from millicent.billing.types import AllowanceUse, Bill, BillLine, BillState, BillTax
from millicent.catalog.types import ChargeKind, Operator
from millicent.customers.types import BillCycle, BillingAccountFacts

_CENT = 10_000_000
_FROM_MS, _UNTIL_MS = 1_790_812_800_000, 1_793_491_200_000  # October 2026
_MONTHS = tuple(f"2026-{month:02d}" for month in range(1, 11))
_WARM_UP = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentWorkload:
    documents: int = 300
    subscriptions: int = 3
    usage_lines: int = 3  # of each subscription


def run(*, documents: int = 300) -> dict[str, object]:
    """Print bills on one core and say how many a second, in time of this process and by the clock."""
    workload = DocumentWorkload(documents=documents)
    renderer = DocumentRenderer()
    bills = list(_bills(workload))
    for bill in bills[:_WARM_UP]:
        renderer.pdf(bill)
    cpu_start, start = time.process_time(), time.perf_counter()
    size = sum(len(renderer.pdf(bill)) for bill in bills[_WARM_UP:])
    cpu_seconds, seconds = time.process_time() - cpu_start, time.perf_counter() - start
    return {
        "workload": f"{documents} different bills of two pages: {workload.subscriptions} subscriptions, "
        f"{workload.usage_lines} usage lines each, two taxes, two charts, three allowances",
        "documents_per_second_per_core": round(documents / cpu_seconds),
        "documents_per_second": round(documents / seconds),
        "bytes_per_document": size // documents,
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "cpu_microseconds_per_document": round(cpu_seconds * 1_000_000 / documents),
        "limited_by": "typst: two fifths are layout, a quarter is cutting the fonts of each PDF to its letters",
    }


def _bills(workload: DocumentWorkload) -> Iterator[Bill]:
    for number in range(workload.documents + _WARM_UP):
        yield _bill(number, workload)


def _bill(number: int, workload: DocumentWorkload) -> Bill:
    lines = tuple(_lines(number, workload))
    net = sum(line.net_nanos for line in lines)
    taxes = tuple(_taxes(net))
    tax = sum(each.amount_nanos for each in taxes)
    payer = _payer(number)
    return Bill(
        number=f"A-2026-{number:06d}",
        state=BillState.ISSUED,
        operator=_OPERATOR,
        payer=payer,
        currency="EUR",
        cycle_from_ms=_FROM_MS,
        cycle_until_ms=_UNTIL_MS,
        issued_at_ms=_UNTIL_MS + 86_400_000,
        due_at_ms=_UNTIL_MS + 15 * 86_400_000,
        lines=lines,
        taxes=taxes,
        net_nanos=net,
        tax_nanos=tax,
        total_nanos=net + tax,
        accounts=(payer,),
        usage_history={
            "voice": tuple((month, 3_000 + (number * 37 + place * 911) % 9_000) for place, month in enumerate(_MONTHS)),
            "data": tuple((month, (5 + (number * 13 + place * 7) % 20) * 10**9) for place, month in enumerate(_MONTHS)),
        },
        allowances=tuple(_allowances(number)),
    )


_OPERATOR = Operator(
    code="bench",
    legal_name="Bench Telecom Ltd",
    country="ES",
    currency="EUR",
    zone="Europe/Madrid",
    tax_number="B00000000",
    address_lines=("1 Bench Street", "28001 Madrid"),
    contact_lines=("bench.example",),
    payment_lines=("ES00 0000 0000 0000 0000 0000",),
)


def _payer(number: int) -> BillingAccountFacts:
    return BillingAccountFacts(
        billing_account_id=1,
        code=f"C-{number:07d}",
        party_name=f"Customer {number * 7_919 % 100_003}",
        payer_id=1,
        parent_id=None,
        currency="EUR",
        zone="Europe/Madrid",
        cycle=BillCycle(),
        address_lines=(f"{number % 200} Long Road", f"{28_000 + number % 999} Madrid"),
    )


def _lines(number: int, workload: DocumentWorkload) -> Iterator[BillLine]:
    plan = _line(number)
    for place in range(workload.subscriptions):
        code = f"S-{number:06d}{place}"
        yield replace(plan, subscription_code=code, net_nanos=(1_500 + number % 900) * _CENT)
        for zone in range(workload.usage_lines):
            yield replace(
                plan,
                kind=ChargeKind.USAGE,
                subscription_code=code,
                texts={"en": f"Calls to zone {zone}"},
                service="voice",
                zone=f"zone {zone}",
                event_count=1 + (number + zone) % 90,
                charged_units=60 + (number * 61 + zone * 17 + place) % 9_000,
                unit="second",
                net_nanos=(7 + (number * 31 + zone * 5 + place) % 900) * _CENT,
            )


def _line(number: int) -> BillLine:
    return BillLine(
        line_number=1,
        kind=ChargeKind.RECURRING,
        billing_account_id=1,
        subscription_id=1,
        subscription_code="",
        texts={"en": "Fibre and mobile"},
        offering="plan",
        price_code="monthly",
        service="",
        zone="",
        period_from_ms=_FROM_MS,
        period_until_ms=_UNTIL_MS,
        event_count=0,
        charged_units=0,
        bucket_units=0,
        unit="",
        net_nanos=number,
        tax_category="standard",
        ledger_code="recurring",
    )


def _taxes(net_nanos: int) -> Iterator[BillTax]:
    for code, percent in (("VAT", 21), ("Regulatory fee", 2)):
        amount = net_nanos * percent // 100 // _CENT * _CENT
        yield BillTax(
            tax=code.lower(),
            texts={"en": code},
            jurisdiction="ES",
            rate=Fraction(percent, 100),
            base_nanos=net_nanos,
            amount_nanos=amount,
        )


def _allowances(number: int) -> Iterator[AllowanceUse]:
    for place in range(3):
        yield AllowanceUse(
            subscription_code=f"S-{number:06d}{place}",
            texts={"en": "Data"},
            unit="byte",
            granted_units=20 * 10**9,
            used_units=(number * 7 + place * 3) % 20 * 10**9,
        )
