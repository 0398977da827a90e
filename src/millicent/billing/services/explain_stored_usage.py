"""Why a usage in the lake costs what it does: its bill cycle is replayed up to it, by the code that makes the bills."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from millicent.billing import history
from millicent.billing.carrying import carried_into
from millicent.billing.ports import BillingFacts
from millicent.billing.rules.allowances import carried_over, granted
from millicent.billing.rules.context import bill_context
from millicent.billing.rules.cycles import CycleSpan
from millicent.billing.rules.pricing import closing_buckets, grant_frame, holding_layers
from millicent.billing.rules.releases import NoReleaseInForce
from millicent.billing.rules.replay import changed_from
from millicent.billing.services.find_late_usage import LATE_USAGE_DAYS
from millicent.billing.services.plan_bill_run import next_cycle
from millicent.billing.services.price_retail import Pricing
from millicent.billing.types import AccountGroupFacts
from millicent.customers.selectors import billing_accounts
from millicent.kit.clock import MS_PER_DAY
from millicent.kit.errors import Defect, Refusal
from millicent.rating.explain import explain_charge
from millicent.rating.services import Priced, TracedCharge, compile_catalogue, trace_usage
from millicent.rating.types import Leg, Reason


class UsageNeverBilled(Refusal):
    """The usage began before the first bill cycle of whoever would pay for it."""

    code = "usage_never_billed"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Replay:
    """Who pays for a usage, and the cycles to go through: the last one is the usage's own."""

    group: AccountGroupFacts
    cycles: tuple[CycleSpan, ...]
    billed: tuple[history.BilledSpan, ...]

    @property
    def payer_id(self) -> int:
        return self.group.payer.billing_account_id

    @property
    def account_ids(self) -> list[int]:
        return [account.billing_account_id for account in self.group.accounts]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What one layer of a pricing was told."""

    usage: pl.DataFrame
    holdings: pl.DataFrame
    grants: pl.DataFrame
    counters: pl.DataFrame | None


class _WitnessedPricing(Pricing):
    """Billing's own pricing, which also keeps what each layer of it was told."""

    def __init__(self, facts: BillingFacts, *, known_until_ms: int) -> None:
        super().__init__(facts.releases(known_until_ms=known_until_ms))
        self.told: list[_Told] = []

    def _price(
        self, usage: pl.DataFrame, *, holdings: pl.DataFrame, grants: pl.DataFrame, counters: pl.DataFrame | None
    ) -> Priced:
        self.told.append(_Told(usage=usage, holdings=holdings, grants=grants, counters=counters))
        return super()._price(usage, holdings=holdings, grants=grants, counters=counters)


def explain_stored_usage(usage: pl.DataFrame, *, facts: BillingFacts, known_until_ms: int) -> list[dict[str, object]]:
    """Explanations of every leg of one stored usage (a frame of one row), retail first, as known until an instant.

    Buckets and tiers stand where everything before it in its cycle left them. Raises UsageNeverBilled.
    """
    row = usage.row(0, named=True)
    pricing = _WitnessedPricing(facts, known_until_ms=known_until_ms)
    replay = _replay(row["billing_account_id"], occurred_at_ms=row["occurred_at_ms"], facts=facts, known=known_until_ms)
    cycles = _from_what_changed(replay, pricing=pricing, facts=facts, known_until_ms=known_until_ms)
    context = bill_context(group=replay.group, releases=pricing.releases, cycle=cycles[-1])
    rows = facts.usage(
        replay.account_ids,
        from_ms=cycles[0].from_ms,
        until_ms=cycles[-1].until_ms,
        received_until_ms=known_until_ms,
    )
    (carried,) = carried_into([(context, cycles[0].from_ms)], known_at_ms=known_until_ms - 1)
    for cycle in cycles:
        pricing.told.clear()
        buckets = [*carried, *granted(context, cycle=cycle)]
        priced = pricing.price(
            rows.filter(pl.col("occurred_at_ms").is_between(cycle.from_ms, cycle.until_ms, closed="left")),
            holdings=holding_layers([(context, cycle)]),
            grants=grant_frame(buckets),
        )
        carried = carried_over(context, closing=closing_buckets(buckets, grants=priced.grants), ended=cycle)
    key = (row["event_key_high"], row["event_key_low"])
    return [explain_charge(each) for each in _traced(key, priced=priced, pricing=pricing)]


# ---------------------------------------------------------------- who pays, and since when


def _replay(account_id: int, *, occurred_at_ms: int, facts: BillingFacts, known: int) -> _Replay:
    """The payer when the cycle ends gets the whole cycle, so a change of payer within it is looked at again."""
    at_ms = occurred_at_ms
    for _ in range(2):
        terms = billing_accounts(ids=[account_id], at_ms=at_ms)
        if not terms:
            break
        payer_id = terms[0].payer_id
        (payer,) = billing_accounts(ids=[payer_id], at_ms=at_ms)
        others = facts.paid_by_others([payer_id], at_ms=at_ms, known_until_ms=known)
        paid_until_ms = max((each.until_ms for each in others.get(payer_id, ())), default=None)
        billed = tuple(history.billed_spans([payer_id]).get(payer_id, ()))
        cycles = [each.span for each in billed]
        while not cycles or cycles[-1].until_ms <= occurred_at_ms:
            until_ms = cycles[-1].until_ms if cycles else None
            cycles.append(next_cycle(payer, billed_until_ms=until_ms, paid_by_another_until_ms=paid_until_ms))
        until_now = tuple(cycle for cycle in cycles if cycle.from_ms <= occurred_at_ms)
        if not until_now:
            break
        at_ms = until_now[-1].until_ms - 1
        for group in facts.groups([payer_id], at_ms=at_ms, known_until_ms=known):
            if account_id in [account.billing_account_id for account in group.accounts]:
                return _Replay(group=group, cycles=until_now, billed=billed)
    raise UsageNeverBilled(
        "the usage began before the first bill cycle of whoever would pay for it: no bill will show it",
        billing_account_id=account_id,
    )


def _from_what_changed(
    replay: _Replay, *, pricing: Pricing, facts: BillingFacts, known_until_ms: int
) -> tuple[CycleSpan, ...]:
    """The cycles that a bill run would compute before this one: those not billed, and those that changed since."""
    earlier, own = replay.cycles[:-1], replay.cycles[-1]
    if not replay.billed:
        return replay.cycles
    last = replay.billed[-1]
    late = facts.usage(
        replay.account_ids,
        from_ms=own.from_ms - LATE_USAGE_DAYS * MS_PER_DAY,
        until_ms=own.from_ms,
        received_from_ms=last.known_until_ms,
        received_until_ms=known_until_ms,
    )["occurred_at_ms"]
    since_ms = changed_from(
        subscriptions=replay.group.subscriptions,
        releases=pricing.released,
        known_until_ms=last.known_until_ms,
        release_count=last.release_count,
        late_usage_from_ms=min(late.to_list(), default=None),
        cycle_from_ms=min(own.from_ms, last.span.until_ms),
    )
    return (*(cycle for cycle in earlier if cycle.until_ms > since_ms), own)


# ---------------------------------------------------------------- the steps


def _traced(key: tuple[int, int], *, priced: Priced, pricing: _WitnessedPricing) -> list[TracedCharge]:
    """Every leg of the usage, in the layer that answered: its amount is that of the replay, or it is a defect.

    Raises NoReleaseInForce: then there are no steps to tell.
    """
    programs = [(each.effective_from_ms, each.number, compile_catalogue(each.catalogue)) for each in pricing.released]
    charged = priced.rated.filter(
        (pl.col("event_key_high") == key[0]) & (pl.col("event_key_low") == key[1]) & (pl.col("leg") == int(Leg.RETAIL))
    )
    if charged["reason"][0] == int(Reason.NO_RELEASE):
        raise NoReleaseInForce("no catalogue release was in force when the usage began", event_key=key)
    others: list[TracedCharge] = []
    for told in pricing.told:
        if told.usage.filter((pl.col("event_key_high") == key[0]) & (pl.col("event_key_low") == key[1])).is_empty():
            break
        legs = trace_usage(
            programs=programs,
            usage=told.usage,
            holdings=told.holdings,
            event_key=key,
            grants=told.grants,
            counters=told.counters,
        )
        others = others or [each for each in legs if _leg(each) != Leg.RETAIL]
        retail = [each for each in legs if _leg(each) == Leg.RETAIL and _answer(each) == _answer_of(charged)]
        if retail:
            return [*retail, *others]
    raise Defect("the steps of a usage do not end in what its replay charges", event_key=key)


def _leg(traced: TracedCharge) -> int:
    return int(traced.call.legs.leg[traced.charge])


def _answer(traced: TracedCharge) -> tuple[str, int, int]:
    tariff = int(traced.stage.charges.tariff[traced.row])
    return (
        traced.stage.program.tariff_codes[tariff] if tariff >= 0 else "",
        int(traced.answers.amount_nanos[traced.row]),
        int(traced.answers.reason[traced.row]),
    )


def _answer_of(charged: pl.DataFrame) -> Sequence[object]:
    return charged.select("tariff", "amount_nanos", "reason").row(0)
