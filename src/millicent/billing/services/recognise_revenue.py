"""Recognise deferred revenue: every day that has passed earns its part of what was billed in advance."""

from datetime import UTC, date, datetime

from millicent.billing.models import RecognitionRun
from millicent.billing.rules.postings import default_revenue_account, deferred_account
from millicent.billing.rules.recognition import DayOfRevenue, DeferredLine, days_of, revenue_by_day, split_by_sign
from millicent.catalog.selectors import catalogue_of
from millicent.catalog.types import ChargeKind
from millicent.kit.bulk import read_rows
from millicent.kit.clock import MS_PER_DAY, to_ms
from millicent.ledger.services.declare_accounts import declare_accounts
from millicent.ledger.services.post_entries import post_entries
from millicent.ledger.types import Entry, Posting

_LINES = """
SELECT line.id, line.currency, line.ledger_code, line.kind, bill.release_number, line.net_nanos,
       line.period_from_ms, line.period_until_ms
FROM billing_line line JOIN billing_bill bill ON bill.id = line.bill_id
WHERE line.in_advance AND line.net_nanos <> 0
  AND (line.id > %s OR line.period_until_ms > %s)
  AND line.period_from_ms < %s
ORDER BY line.id
"""


def recognise_revenue(*, through: date, now: datetime) -> int:
    """Post what every day up to and with `through` earned, one entry for each day, currency and direction.

    Returns how many entries were posted. A day is recognised once: asking again, or for an earlier day, posts nothing.
    Bills issued later that reach back earn their past days on the first day of the next call.
    """
    until_day = through.toordinal() - date(1970, 1, 1).toordinal() + 1
    last = RecognitionRun.objects.order_by("-through_ms").first()
    last_day = last.through_ms // MS_PER_DAY if last else None
    if last_day is not None and last_day >= until_day:
        return 0
    newest = read_rows("SELECT coalesce(max(id), 0) FROM billing_line")[0][0]
    lines = _deferred(last=last, last_day=last_day, until_day=until_day)
    first_day = last_day if last_day is not None else min((line.first_day for line in lines), default=until_day)
    entries = [
        entry for day in revenue_by_day(lines, from_day=first_day, until_day=until_day) for entry in _entries(day)
    ]
    if entries:
        declare_accounts({each.ledger_account for entry in entries for each in entry.postings}, now=now)
        post_entries(entries, now=now)
    RecognitionRun.objects.create(through_ms=until_day * MS_PER_DAY, last_line_id=newest, recognised_at_ms=to_ms(now))
    return len(entries)


def _deferred(*, last: RecognitionRun | None, last_day: int | None, until_day: int) -> list[DeferredLine]:
    """Lines that still have something to earn: new ones, and old ones whose period had not passed."""
    last_line_id = last.last_line_id if last else 0
    found = []
    for line_id, currency, ledger_code, kind, release, net_nanos, from_ms, until_ms in read_rows(
        _LINES, [last_line_id, ((last_day or 0) - 1) * MS_PER_DAY, (until_day + 1) * MS_PER_DAY]
    ):
        first_day, day_count = days_of(from_ms=from_ms, until_ms=until_ms)
        given = catalogue_of(release).ledger_codes.get(ledger_code)
        found.append(
            DeferredLine(
                currency=currency,
                ledger_code=ledger_code,
                revenue_account=given if given is not None else default_revenue_account(ChargeKind(kind)),
                net_nanos=net_nanos,
                first_day=first_day,
                day_count=day_count,
                recognised_until_day=last_day if line_id <= last_line_id else None,
            )
        )
    return found


def _entries(day: DayOfRevenue) -> list[Entry]:
    name = datetime.fromtimestamp(day.day * 86_400, UTC).date().isoformat()
    entries = []
    for template, sign, nanos in zip(
        ("revenue_recognised", "recognition_reversed"), (1, -1), split_by_sign(day.nanos), strict=True
    ):
        if nanos:
            entries.append(
                Entry(
                    template=template,
                    reference=f"{template}:{day.currency}:{name}",
                    currency=day.currency,
                    occurred_at_ms=day.day * MS_PER_DAY,
                    postings=_postings(nanos),
                    facts={"day": name, "sign": str(sign)},
                )
            )
    return entries


def _postings(nanos: dict[tuple[str, str], int]) -> tuple[Posting, ...]:
    sums: dict[str, int] = {}
    for (ledger_code, revenue), amount in nanos.items():
        sums[deferred_account(ledger_code)] = sums.get(deferred_account(ledger_code), 0) + amount
        sums[revenue] = sums.get(revenue, 0) - amount
    return tuple(Posting(ledger_account=path, amount_nanos=amount) for path, amount in sorted(sums.items()) if amount)
