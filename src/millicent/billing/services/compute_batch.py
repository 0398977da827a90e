"""Compute the bills of some payers. Reads facts and history, writes nothing: a rehearsal and a release share it all."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import polars as pl

from millicent.billing import history
from millicent.billing.carrying import carried_or_why
from millicent.billing.errors import UsageNotConserved
from millicent.billing.ports import BillingFacts
from millicent.billing.rules.allowances import Bucket, carried_over, granted
from millicent.billing.rules.bill import MOST_LINES, compute_bills
from millicent.billing.rules.charges import Charge, ChargeKey
from millicent.billing.rules.context import BillContext, bill_context
from millicent.billing.rules.cycles import CycleSpan
from millicent.billing.rules.pricing import (
    PricedSum,
    UnpricedSum,
    UsageTexts,
    closing_buckets,
    grant_frame,
    holding_layers,
    off_the_bill,
    sum_usage,
    usage_charges,
)
from millicent.billing.rules.replay import changed_from, replayed_cycles
from millicent.billing.runs import BatchOrder, ClosedCycle, ComputedBatch, DuePayer, Parked, PayerResult, Unpriced
from millicent.billing.services.find_advance import find_advance
from millicent.billing.services.find_billed_before import find_billed_before
from millicent.billing.services.find_late_usage import find_late_usage
from millicent.billing.services.price_retail import Pricing
from millicent.billing.types import AccountGroupFacts
from millicent.customers.types import BillingAccountFacts
from millicent.kit.errors import MillicentError, Outage

_Sum = TypeVar("_Sum", PricedSum, UnpricedSum)


@dataclass(slots=True, kw_only=True)
class _Work:
    """One payer while its bills are computed. Lives within one call."""

    due: DuePayer
    context: BillContext
    cycles: tuple[CycleSpan, ...]  # replayed ones first, the one that is billed last
    known_before_ms: int  # what was received from here on is new to this bill
    issued: list[Charge] = field(default_factory=list)
    unpriced_before: history.UnpricedBefore = field(default_factory=history.UnpricedBefore)
    carried: list[Bucket] = field(default_factory=list)
    usage: dict[ChargeKey, Charge] = field(default_factory=dict)
    closed: list[ClosedCycle] = field(default_factory=list)
    unpriced: list[Unpriced] = field(default_factory=list)
    advance: tuple[CycleSpan, ...] = ()  # when the payer paid in advance
    usage_in: int = 0
    parked: Parked | None = None

    @property
    def account_ids(self) -> list[int]:
        return [account.billing_account_id for account in self.context.group.accounts]

    def park(self, error: Exception) -> None:
        """Set this payer aside: the run goes on without it, and names it."""
        if isinstance(error, Outage):
            raise error
        reason = error.code if isinstance(error, MillicentError) else type(error).__name__
        self.parked = Parked(
            payer_id=self.due.payer_id,
            payer_code=self.context.group.payer.code,
            reason=reason,
            detail=str(error)[:500],
            usage_count=self.usage_in,
        )


def compute_batch(
    order: BatchOrder, *, facts: BillingFacts, pricing: Pricing, most_lines: int = MOST_LINES
) -> ComputedBatch:
    """The bills of a batch, in its order. A payer that cannot be computed is parked and the others go on."""
    groups = _groups(order, facts=facts)
    works, parked = _works(order, groups=groups, facts=facts, pricing=pricing)
    usage = _read_usage(works, order=order, facts=facts)
    texts = UsageTexts()
    deepest = max((len(work.cycles) for work in works), default=0)
    for step in range(deepest):
        now = [
            (work, work.cycles[place])
            for work in works
            if (place := step - deepest + len(work.cycles)) >= 0 and work.parked is None
        ]
        _price_cycles(now, usage=usage, pricing=pricing, texts=texts)
    results = []
    for work in works:
        result = _finish(work, order=order, most_lines=most_lines)
        if result is not None:
            results.append(result)
    parked += [work.parked for work in works if work.parked is not None]
    return ComputedBatch(order=order, results=tuple(results), parked=tuple(parked), release_count=len(pricing.released))


# ---------------------------------------------------------------- facts and history


def _groups(order: BatchOrder, *, facts: BillingFacts) -> dict[int, AccountGroupFacts]:
    """Groups by payer, with the terms in force when each cycle ended."""
    by_end: dict[int, list[int]] = {}
    for due in order.due:
        by_end.setdefault(due.cycle.until_ms, []).append(due.payer_id)
    return {
        group.payer.billing_account_id: group
        for until_ms, payer_ids in sorted(by_end.items())
        for group in facts.groups(payer_ids, at_ms=until_ms - 1, known_until_ms=order.known_until_ms)
    }


def _works(
    order: BatchOrder, *, groups: dict[int, AccountGroupFacts], facts: BillingFacts, pricing: Pricing
) -> tuple[list[_Work], list[Parked]]:
    """Every payer with its context and what earlier bills left; a payer without facts is parked at once."""
    billed, unpriced = find_billed_before(order, groups=groups, facts=facts)
    late = find_late_usage(order, groups=groups, billed=billed, facts=facts)
    works, parked = [], []
    for due in order.due:
        group = groups.get(due.payer_id)
        if group is None:
            parked.append(
                Parked(payer_id=due.payer_id, payer_code="", reason="no_such_payer", detail="no terms at that time")
            )
            continue
        work = _work(due, group=group, billed=billed.get(due.payer_id, []), late=late, pricing=pricing)
        work.unpriced_before = unpriced.get(due.payer_id, work.unpriced_before)
        works.append(work)
    _bring_terms(works, facts=facts, known_until_ms=order.known_until_ms)
    _bring_history(works, facts=facts, known_until_ms=order.known_until_ms)
    advance = find_advance([work.context for work in works], facts=facts, known_until_ms=order.known_until_ms)
    for work in works:
        work.advance = advance[work.due.payer_id]
    return works, parked


def _work(
    due: DuePayer,
    *,
    group: AccountGroupFacts,
    billed: Sequence[history.BilledSpan],
    late: dict[int, int],
    pricing: Pricing,
) -> _Work:
    spans = tuple(each.span for each in billed)
    cycles: tuple[CycleSpan, ...] = (due.cycle,)
    if billed:
        since_ms = changed_from(
            subscriptions=group.subscriptions,
            releases=pricing.released,
            known_until_ms=billed[-1].known_until_ms,
            release_count=billed[-1].release_count,
            late_usage_from_ms=late.get(due.payer_id),
            cycle_from_ms=due.cycle.from_ms,
        )
        cycles = replayed_cycles(changed_from_ms=since_ms, billed=spans, cycle=due.cycle)
    context = bill_context(
        group=group, releases=pricing.releases, cycle=due.cycle, replay_from_ms=cycles[0].from_ms, spans=spans
    )
    return _Work(due=due, context=context, cycles=cycles, known_before_ms=billed[-1].known_until_ms if billed else 0)


def _bring_terms(works: Sequence[_Work], *, facts: BillingFacts, known_until_ms: int) -> None:
    """Each cycle that is computed again has the terms that were in force when it ended."""
    by_end: dict[int, list[_Work]] = {}
    for work in works:
        for cycle in work.cycles[:-1]:
            by_end.setdefault(cycle.until_ms, []).append(work)
    terms: dict[int, dict[int, tuple[BillingAccountFacts, ...]]] = {}
    for until_ms, replaying in by_end.items():
        ids = [account_id for work in replaying for account_id in work.account_ids]
        then = facts.terms(ids, at_ms=until_ms - 1, known_until_ms=known_until_ms)
        found = {account.billing_account_id: account for account in then}
        for work in replaying:
            own = tuple(found[account_id] for account_id in work.account_ids if account_id in found)
            terms.setdefault(work.due.payer_id, {})[until_ms] = own
    for work in works:
        if work.due.payer_id in terms:
            work.context = replace(work.context, terms=terms[work.due.payer_id])


def _bring_history(works: Sequence[_Work], *, facts: BillingFacts, known_until_ms: int) -> None:
    """What was charged before, by bill or to a balance, and what the cycle before left of its allowances."""
    since = {account_id: work.context.replay_from_ms for work in works for account_id in work.account_ids}
    issued = history.issued_charges(since)
    for account_id, fees in facts.balances.fees(since).items():
        issued[account_id] = [*issued.get(account_id, ()), *fees]
    openings = [(work.context, work.cycles[0].from_ms) for work in works]
    for work, found in zip(works, carried_or_why(openings, known_at_ms=known_until_ms - 1), strict=True):
        if isinstance(found, MillicentError):
            work.park(found)
        else:
            work.carried = found
        work.issued = [charge for account_id in work.account_ids for charge in issued.get(account_id, ())]


def _read_usage(works: Sequence[_Work], *, order: BatchOrder, facts: BillingFacts) -> pl.DataFrame:
    """Usage of every cycle that is computed; replays of some payers do not make the others read their past."""
    if not works:
        return pl.DataFrame()
    first_ms = min(work.due.cycle.from_ms for work in works)
    frames = [
        facts.usage(
            [account_id for work in works for account_id in work.account_ids],
            from_ms=first_ms,
            until_ms=max(work.due.cycle.until_ms for work in works),
            received_until_ms=order.known_until_ms,
        )
    ]
    replaying = [work for work in works if work.cycles[0].from_ms < first_ms]
    if replaying:
        frames.append(
            facts.usage(
                [account_id for work in replaying for account_id in work.account_ids],
                from_ms=min(work.cycles[0].from_ms for work in replaying),
                until_ms=first_ms,
                received_until_ms=order.known_until_ms,
            )
        )
    return pl.concat(frames)


# ---------------------------------------------------------------- pricing


def _price_cycles(
    now: Sequence[tuple[_Work, CycleSpan]], *, usage: pl.DataFrame, pricing: Pricing, texts: UsageTexts
) -> None:
    """Price one cycle of each payer, all in one call; when the call breaks, one by one, to find who breaks it."""
    places = _in_their_windows(now, usage=usage)
    _count_in(now, rows=places)
    every = pl.int_range(len(usage), eager=True, dtype=_PLACE)
    rows = usage if places["place"].equals(every) else usage[places["place"]]  # wide rows: not copied without need
    try:
        _price_together(now, rows=rows, pricing=pricing, texts=texts)
    except Outage:
        raise
    except Exception as fault:
        if len(now) == 1:
            now[0][0].park(fault)
            return
        for work, cycle in now:
            own = rows.filter(pl.col("billing_account_id").is_in(work.account_ids))
            try:
                _price_together([(work, cycle)], rows=own, pricing=pricing, texts=texts)
            except Exception as own_fault:
                work.park(own_fault)


_PLACE = pl.get_index_type()


def _in_their_windows(now: Sequence[tuple[_Work, CycleSpan]], *, usage: pl.DataFrame) -> pl.DataFrame:
    """Which usage each payer's cycle sees: its place in `usage`, the payer and when it was received."""
    narrow = usage.select("billing_account_id", "occurred_at_ms", "received_at_ms").with_row_index("place")
    return (
        narrow.join(_windows(now), on="billing_account_id", maintain_order="left")
        .filter(
            (pl.col("occurred_at_ms") >= pl.col("window_from_ms"))
            & (pl.col("occurred_at_ms") < pl.col("window_until_ms"))
        )
        .select("place", "payer_id", "received_at_ms")
    )


def _windows(now: Sequence[tuple[_Work, CycleSpan]]) -> pl.DataFrame:
    rows = [
        (account_id, work.due.payer_id, cycle.from_ms, cycle.until_ms)
        for work, cycle in now
        for account_id in work.account_ids
    ]
    names = ("billing_account_id", "payer_id", "window_from_ms", "window_until_ms")
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.Int64), orient="row")


def _count_in(now: Sequence[tuple[_Work, CycleSpan]], *, rows: pl.DataFrame) -> None:
    """Usage that is new to this bill: all of the billed cycle, and of replayed ones what arrived since."""
    known = pl.DataFrame(
        {
            "payer_id": [work.due.payer_id for work, _ in now],
            "new_from_ms": [0 if cycle == work.due.cycle else work.known_before_ms for work, cycle in now],
        },
        schema={"payer_id": pl.Int64, "new_from_ms": pl.Int64},
    )
    counts = dict(
        rows.select("payer_id", "received_at_ms")
        .join(known, on="payer_id")
        .filter(pl.col("received_at_ms") >= pl.col("new_from_ms"))
        .group_by("payer_id")
        .len()
        .iter_rows()
    )
    for work, _ in now:
        work.usage_in += counts.get(work.due.payer_id, 0)


def _price_together(
    now: Sequence[tuple[_Work, CycleSpan]], *, rows: pl.DataFrame, pricing: Pricing, texts: UsageTexts
) -> None:
    contexts = [work.context.during(cycle) for work, cycle in now]
    opened = [
        [*work.carried, *granted(context, cycle=cycle)] for (work, cycle), context in zip(now, contexts, strict=True)
    ]
    together = [bucket for buckets in opened for bucket in buckets]
    priced = pricing.price(
        rows,
        holdings=holding_layers([(context, cycle) for (_, cycle), context in zip(now, contexts, strict=True)]),
        grants=grant_frame(together),
    )
    closing = closing_buckets(together, grants=priced.grants)
    advance = {account_id: work.advance for work, _ in now if work.advance for account_id in work.account_ids}
    sums = sum_usage(off_the_bill(priced.rated, advance=advance))
    priced_rows = _by_account(sums.priced)
    unpriced_rows = _by_account(sums.unpriced)
    start = 0
    for (work, cycle), context, buckets in zip(now, contexts, opened, strict=True):
        closed = closing[start : start + len(buckets)]
        start += len(buckets)
        own = [row for account_id in work.account_ids for row in priced_rows.get(account_id, ())]
        work.usage.update(usage_charges(own, context=context, cycle=cycle, texts=texts))
        work.closed.append(ClosedCycle(cycle=cycle, opened=tuple(buckets), closed=tuple(closed)))
        work.carried = carried_over(work.context, closing=closed, ended=cycle)
        _note_unpriced(
            work, cycle=cycle, rows=[row for each in work.account_ids for row in unpriced_rows.get(each, ())]
        )


def _by_account(sums: Iterable[_Sum]) -> dict[int, list[_Sum]]:
    found: dict[int, list[_Sum]] = {}
    for each in sums:
        found.setdefault(each.billing_account_id, []).append(each)
    return found


def _note_unpriced(work: _Work, *, cycle: CycleSpan, rows: Sequence[UnpricedSum]) -> None:
    """Usage without a price, less what earlier bills of this cycle had noted already."""
    now = {(row.subscription_id, row.service, row.reason): (row.event_count, row.first_at_ms) for row in rows}
    before = {key[1:]: count for key, count in work.unpriced_before.counts.items() if key[0] == cycle.from_ms}
    for key in sorted({*now, *before}):
        count, first_ms = now.get(key, (0, cycle.from_ms))
        if count != before.get(key, 0):
            work.unpriced.append(
                Unpriced(
                    payer_id=work.due.payer_id,
                    cycle_from_ms=cycle.from_ms,
                    subscription_id=key[0],
                    service=key[1],
                    reason=key[2],
                    event_count=count - before.get(key, 0),
                    first_at_ms=first_ms,
                )
            )


def _finish(work: _Work, *, order: BatchOrder, most_lines: int) -> PayerResult | None:
    if work.parked is not None:
        return None
    try:
        return _result(work, order=order, most_lines=most_lines)
    except Exception as fault:
        work.park(fault)
        return None


def _result(work: _Work, *, order: BatchOrder, most_lines: int) -> PayerResult:
    bills = compute_bills(
        work.context,
        usage=work.usage,
        replayed=work.cycles,
        issued=work.issued,
        issued_at_ms=order.issued_at_ms,
        most_lines=most_lines,
        with_fees=not any(span.from_ms < work.due.cycle.until_ms <= span.until_ms for span in work.advance),
    )
    billed = sum(line.charge.event_count for each in bills for line in each.lines if line.charge.key.service)
    unpriced = sum(each.event_count for each in work.unpriced)
    if work.usage_in != billed + unpriced:
        raise UsageNotConserved(
            f"{work.usage_in} usages went in, {billed} are billed and {unpriced} have a reason",
            payer_id=work.due.payer_id,
        )
    return PayerResult(
        payer_id=work.due.payer_id,
        payer_code=work.context.group.payer.code,
        cycle=work.due.cycle,
        bills=bills,
        closed=tuple(work.closed),
        unpriced=tuple(work.unpriced),
        usage_in=work.usage_in,
        usage_billed=billed,
        usage_unpriced=unpriced,
    )
