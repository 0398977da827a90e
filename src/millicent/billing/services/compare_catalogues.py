"""What a catalogue folder would have changed in the money of a past month: its usage, rated by both catalogues."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from millicent.billing.ports import BillingFacts
from millicent.billing.rules.allowances import granted
from millicent.billing.rules.context import BillContext, bill_context
from millicent.billing.rules.cycles import CycleSpan
from millicent.billing.rules.pricing import grant_frame, holding_layers
from millicent.billing.rules.releases import UnknownOffering
from millicent.billing.services.price_retail import Pricing
from millicent.billing.types import AccountGroupFacts, ReleasedCatalogue
from millicent.catalog.types import Catalogue
from millicent.customers.types import BillingAccountFacts
from millicent.kit.clock import local_midnight_ms
from millicent.kit.errors import BadInput
from millicent.mediation.facts import ACCOUNT_BUCKETS
from millicent.rating.types import Leg, Reason

_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
_ALWAYS_MS = -(2**62)
_PAYERS_AT_ONCE = 400
_BY_ACCOUNT = ("billing_account_id", "currency")


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyEffect:
    """The usage of some payers in one month, by two catalogues. Frames have before_nanos, after_nanos, `change`."""

    payers: int
    usages: int
    priced_before: int
    priced_after: int
    left_out: tuple[str, ...]  # codes of payers that hold an offering which one of the catalogues does not sell
    totals: pl.DataFrame  # currency, ..
    services: pl.DataFrame  # service, currency, ..
    accounts: pl.DataFrame  # billing_account_id, currency, .., the most affected first


def money_effect(
    *, facts: BillingFacts, before: Catalogue, after: Catalogue, month: str, buckets: int, known_until_ms: int
) -> MoneyEffect:
    """Rate a calendar month of payers in the first `buckets` of 16 by both catalogues, allowances full at its start.

    Usage only: fees, discounts and taxes are not in it. Retail legs only. What rolled over is not known here.
    """
    first, last = month_days(month)
    payers = [
        payer
        for payer in facts.payers(at_ms=local_midnight_ms(last, "UTC") - 1, known_until_ms=known_until_ms)
        if payer.billing_account_id % ACCOUNT_BUCKETS < buckets
    ]
    sides = [
        Pricing([ReleasedCatalogue(number=number, effective_from_ms=_ALWAYS_MS, catalogue=catalogue)])
        for number, catalogue in enumerate((before, after))
    ]
    pieces, left_out, usages = [_NO_SUMS], [], 0
    for chunk in _chunks(payers):
        cycles = {
            each.billing_account_id: CycleSpan(
                from_ms=local_midnight_ms(first, each.zone), until_ms=local_midnight_ms(last, each.zone)
            )
            for each in chunk
        }
        groups = facts.groups(
            list(cycles), at_ms=min(each.until_ms for each in cycles.values()) - 1, known_until_ms=known_until_ms
        )
        sold = [group for group in groups if _is_sold(group, sides, cycles[group.payer.billing_account_id])]
        left_out += sorted({group.payer.code for group in groups} - {group.payer.code for group in sold})
        usage = _usage_of(sold, cycles, facts=facts, known_until_ms=known_until_ms)
        usages += len(usage)
        for side, pricing in enumerate(sides):
            pieces.append(_sums(usage, groups=sold, cycles=cycles, pricing=pricing, side=side))
    return _effect(pl.concat(pieces), payers=len(payers), usages=usages, left_out=left_out)


def month_days(month: str) -> tuple[date, date]:
    """The first day of a month and of the next."""
    if not _MONTH.fullmatch(month):
        raise BadInput(f"{month!r} is no month", where="--month", cure="Write it as 2026-10.")
    year, number = int(month[:4]), int(month[5:])
    return date(year, number, 1), date(year + number // 12, number % 12 + 1, 1)


def _chunks(payers: Sequence[BillingAccountFacts]) -> Iterator[Sequence[BillingAccountFacts]]:
    ordered = sorted(payers, key=lambda each: (each.billing_account_id % ACCOUNT_BUCKETS, each.billing_account_id))
    for start in range(0, len(ordered), _PAYERS_AT_ONCE):
        yield ordered[start : start + _PAYERS_AT_ONCE]


def _context(group: AccountGroupFacts, pricing: Pricing, cycle: CycleSpan) -> BillContext:
    return bill_context(group=group, releases=pricing.releases, cycle=cycle)


def _is_sold(group: AccountGroupFacts, sides: Sequence[Pricing], cycle: CycleSpan) -> bool:
    try:
        for pricing in sides:
            holding_layers([(_context(group, pricing, cycle), cycle)])
            list(granted(_context(group, pricing, cycle), cycle=cycle))
    except UnknownOffering:
        return False
    return True


def _usage_of(
    groups: Sequence[AccountGroupFacts], cycles: dict[int, CycleSpan], *, facts: BillingFacts, known_until_ms: int
) -> pl.DataFrame:
    windows = pl.DataFrame(
        [
            (account.billing_account_id, span.from_ms, span.until_ms)
            for group in groups
            for account, span in ((each, cycles[group.payer.billing_account_id]) for each in group.accounts)
        ],
        schema=dict.fromkeys(("billing_account_id", "window_from_ms", "window_until_ms"), pl.Int64),
        orient="row",
    )
    usage = facts.usage(
        windows["billing_account_id"].to_list(),
        from_ms=min(each.from_ms for each in cycles.values()),
        until_ms=max(each.until_ms for each in cycles.values()),
        received_until_ms=known_until_ms,
    ).join(windows, on="billing_account_id")
    inside = pl.col("occurred_at_ms").is_between("window_from_ms", "window_until_ms", closed="left")
    return usage.filter(inside).drop("window_from_ms", "window_until_ms")


def _sums(
    usage: pl.DataFrame,
    *,
    groups: Sequence[AccountGroupFacts],
    cycles: dict[int, CycleSpan],
    pricing: Pricing,
    side: int,
) -> pl.DataFrame:
    work = [
        (_context(group, pricing, cycle), cycle)
        for group, cycle in ((each, cycles[each.payer.billing_account_id]) for each in groups)
    ]
    buckets = [bucket for context, cycle in work for bucket in granted(context, cycle=cycle)]
    rated = pricing.price(usage, holdings=holding_layers(work), grants=grant_frame(buckets)).rated
    return (
        rated.filter((pl.col("leg") == int(Leg.RETAIL)) & (pl.col("reason") == int(Reason.PRICED)))
        .group_by(*_BY_ACCOUNT, "service")
        .agg(nanos=pl.col("amount_nanos").sum(), events=pl.len().cast(pl.Int64))
        .with_columns(side=pl.lit(side, pl.Int8))
        .select(_NO_SUMS.columns)
    )


_NO_SUMS = pl.DataFrame(
    schema={
        "billing_account_id": pl.Int64,
        "currency": pl.String,
        "service": pl.String,
        "nanos": pl.Int64,
        "events": pl.Int64,
        "side": pl.Int8,
    }
)


def _effect(sums: pl.DataFrame, *, payers: int, usages: int, left_out: Sequence[str]) -> MoneyEffect:
    accounts = _by(sums, *_BY_ACCOUNT).filter(pl.col("change") != 0)
    priced = dict(sums.group_by("side").agg(pl.col("events").sum()).iter_rows())
    return MoneyEffect(
        payers=payers,
        usages=usages,
        priced_before=priced.get(0, 0),
        priced_after=priced.get(1, 0),
        left_out=tuple(left_out),
        totals=_by(sums, "currency"),
        services=_by(sums, "service", "currency"),
        accounts=accounts.sort(pl.col("change").abs(), "billing_account_id", descending=[True, False]),
    )


def _by(sums: pl.DataFrame, *names: str) -> pl.DataFrame:
    return (
        sums.group_by(*names)
        .agg(
            before_nanos=pl.col("nanos").filter(pl.col("side") == 0).sum(),
            after_nanos=pl.col("nanos").filter(pl.col("side") == 1).sum(),
        )
        .with_columns(change=pl.col("after_nanos") - pl.col("before_nanos"))
        .sort(*names)
    )
