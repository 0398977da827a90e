"""Read an issued bill back as the value it was, with what a customer likes to see beside it."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any

from millicent.billing.errors import NoSuchBill
from millicent.billing.models import IssuedBill
from millicent.billing.rules.allowances import ALONE
from millicent.billing.rules.releases import ReleaseView
from millicent.billing.types import AllowanceUse, Bill, BillLine, BillState, BillTax, ReleasedCatalogue
from millicent.catalog.selectors import catalogue_of
from millicent.catalog.types import (
    Allowance,
    AllowanceKind,
    Catalogue,
    ChargeKind,
    CounterScope,
    LocalizedText,
    Period,
    PeriodUnit,
)
from millicent.customers.types import BillCycle, BillingAccountFacts, TaxExemption
from millicent.kit.bulk import read_rows
from millicent.kit.clock import from_ms, zone_named

HISTORY_BILLS = 6


def show_bill(number: str, *, catalogue: Catalogue | None = None) -> Bill:
    """The bill of this number, rebuilt from its rows; its catalogue is the release it was made with.

    Raises NoSuchBill. `catalogue` is for callers that hold it already.
    """
    row = IssuedBill.objects.filter(number=number).first()
    if row is None:
        raise NoSuchBill(f"there is no bill {number}", number=number)
    known = catalogue if catalogue is not None else catalogue_of(row.release_number)
    accounts = tuple(account_from(each) for each in row.accounts)
    lines = _lines(row)
    return Bill(
        number=row.number,
        state=BillState.ISSUED,
        operator=known.operator,
        payer=accounts[0],
        currency=row.currency,
        cycle_from_ms=row.cycle_from_ms,
        cycle_until_ms=row.cycle_until_ms,
        issued_at_ms=row.issued_at_ms,
        due_at_ms=row.due_at_ms,
        lines=lines,
        taxes=_taxes(row),
        net_nanos=row.net_nanos,
        tax_nanos=row.tax_nanos,
        total_nanos=row.total_nanos,
        digest=row.digest,
        accounts=accounts,
        usage_history=_usage_history(row, zone=accounts[0].zone),
        allowances=_allowances(row, catalogue=known, accounts=accounts),
        names=names_on(lines, catalogue=known),
    )


def account_from(printed: Mapping[str, Any]) -> BillingAccountFacts:
    """An account as it was printed on a bill."""
    cycle = printed["cycle"]
    period = Period(count=cycle["period"]["count"], unit=PeriodUnit(cycle["period"]["unit"]))
    return BillingAccountFacts(
        **{
            **printed,
            "cycle": BillCycle(day=cycle["day"], period=period, anchor_ms=cycle["anchor_ms"]),
            "tax_exemptions": tuple(TaxExemption(**each) for each in printed["tax_exemptions"]),
            "address_lines": tuple(printed["address_lines"]),
        }
    )


_LINE_FIELDS = (
    "line_number", "kind", "billing_account_id", "subscription_id", "subscription_code", "texts", "offering",
    "price_code", "service", "zone", "period_from_ms", "period_until_ms", "event_count", "charged_units",
    "bucket_units", "unit", "net_nanos", "tax_category", "ledger_code", "in_advance", "explanation",
)  # fmt: skip


def _lines(row: IssuedBill) -> tuple[BillLine, ...]:
    found = read_rows(
        f"SELECT {', '.join(_LINE_FIELDS)} FROM billing_line WHERE bill_id = %s ORDER BY line_number",  # noqa: S608
        [row.id],
    )
    return tuple(_line(dict(zip(_LINE_FIELDS, values, strict=True))) for values in found)


def _line(values: dict[str, Any]) -> BillLine:
    values["kind"] = ChargeKind(values["kind"])
    values["texts"] = json.loads(values["texts"])
    values["explanation"] = json.loads(values["explanation"])
    return BillLine(**values)


def _taxes(row: IssuedBill) -> tuple[BillTax, ...]:
    found = read_rows(
        "SELECT tax, texts, jurisdiction, rate_numerator, rate_denominator, base_nanos, amount_nanos, inclusive, note "
        "FROM billing_tax WHERE bill_id = %s ORDER BY place",
        [row.id],
    )
    return tuple(
        BillTax(
            tax=tax,
            texts=json.loads(texts),
            jurisdiction=jurisdiction,
            rate=Fraction(numerator, denominator),
            base_nanos=base_nanos,
            amount_nanos=amount_nanos,
            inclusive=inclusive,
            note=note,
        )
        for tax, texts, jurisdiction, numerator, denominator, base_nanos, amount_nanos, inclusive, note in found
    )


def _usage_history(row: IssuedBill, *, zone: str) -> dict[str, tuple[tuple[str, int], ...]]:
    """Units of each service on this payer's last bills, this one last; a cycle is named by the month it began in."""
    found = read_rows(
        """
        SELECT line.service, bill.cycle_from_ms, sum(line.charged_units + line.bucket_units)::bigint
        FROM billing_line line
        JOIN (
            SELECT id, cycle_from_ms FROM billing_bill
            WHERE payer_id = %s AND currency = %s AND cycle_from_ms <= %s ORDER BY cycle_from_ms DESC LIMIT %s
        ) bill ON bill.id = line.bill_id
        WHERE line.service <> '' GROUP BY 1, 2 ORDER BY 1, 2
        """,
        [row.payer_id, row.currency, row.cycle_from_ms, HISTORY_BILLS],
    )
    history: dict[str, list[tuple[str, int]]] = {}
    for service, cycle_from_ms, units in found:
        began: datetime = from_ms(cycle_from_ms).astimezone(zone_named(zone))
        history.setdefault(service, []).append((began.strftime("%Y-%m"), units))
    return {service: tuple(months) for service, months in history.items()}


# ---------------------------------------------------------------- allowances


def _allowances(
    row: IssuedBill, *, catalogue: Catalogue, accounts: Sequence[BillingAccountFacts]
) -> tuple[AllowanceUse, ...]:
    """What each allowance gave in the cycle, one entry for all buckets of one allowance and owner."""
    found = read_rows(
        """
        SELECT bucket.allowance, bucket.scope, bucket.owner_id, bucket.pool,
               sum(bucket.opened_units), sum(bucket.opened_units - bucket.remaining),
               min(coalesce(subscription.code, ''))
        FROM billing_closing_bucket bucket
        JOIN billing_run run ON run.number = bucket.run_number AND run.id = %s
        LEFT JOIN LATERAL (
            SELECT line.subscription_code AS code FROM billing_line line
            WHERE line.subscription_id = bucket.subscription_id
                AND (bucket.scope = 'subscription' OR position(%s IN bucket.pool) > 0) LIMIT 1
        ) subscription ON true
        WHERE bucket.payer_id = %s AND bucket.cycle_until_ms = %s
        GROUP BY 1, 2, 3, 4 ORDER BY min(bucket.subscription_id), 1, 3, 4
        """,
        [row.run_id, f"/{ALONE}", row.payer_id, row.cycle_until_ms],
    )
    view = ReleaseView(ReleasedCatalogue(number=row.release_number, effective_from_ms=0, catalogue=catalogue))
    uses = []
    codes = {account.billing_account_id: account.code for account in accounts}
    for code, scope, owner_id, pool, opened, used, subscription_code in found:
        allowance = _allowance_named(code, view=view)
        if allowance is not None:
            uses.append(
                AllowanceUse(
                    subscription_code=subscription_code,
                    texts=allowance.names,
                    unit=_unit_of(allowance, catalogue=catalogue, currency=row.currency),
                    granted_units=None if allowance.unlimited else int(opened),
                    used_units=int(used),
                    owner=codes.get(owner_id, "") if scope == CounterScope.ACCOUNT else _pool_name(pool),
                )
            )
    return tuple(uses)


def _pool_name(pool: str) -> str:
    """A pool's name as its operator gave it. A subscription outside any pool shares with nobody."""
    name = pool.partition("/")[2]
    return "" if name.startswith(ALONE) else name


def _allowance_named(code: str, *, view: ReleaseView) -> Allowance | None:
    offering, _, name = code.rpartition("/")
    found = view.catalogue.offerings.get(offering)
    return next((each for each in found.allowances if each.code == name), None) if found else None


def _unit_of(allowance: Allowance, *, catalogue: Catalogue, currency: str) -> str:
    if allowance.kind is AllowanceKind.MONEY:
        return currency
    services = allowance.match.services or tuple(catalogue.specifications)
    specification = catalogue.specifications.get(services[0]) if services else None
    return specification.unit if specification else ""


def names_on(lines: Sequence[BillLine], *, catalogue: Catalogue) -> dict[str, LocalizedText]:
    """What the codes of services and zones on these lines are called."""
    names: dict[str, LocalizedText] = {}
    for service in sorted({line.service for line in lines} - {""}):
        if service in catalogue.specifications:
            names[service] = catalogue.specifications[service].names
    for code in sorted({line.zone for line in lines} - {""}):
        map_code, _, zone_code = code.rpartition("/")
        maps = [catalogue.zone_maps[map_code]] if map_code in catalogue.zone_maps else catalogue.zone_maps.values()
        for zone_map in maps:
            for zone in zone_map.zones:
                if zone.code == zone_code:
                    names.setdefault(code, zone.names)
    return names
