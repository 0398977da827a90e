"""What balances paid, as billing asks for it: `billing.ports.BalanceFacts` of the stores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from millicent.billing.live import Charge, CycleSpan, Releases, charge_written, paid_in_advance
from millicent.billing.sources import StoredFacts
from millicent.billing.types import PaymentAgreement
from millicent.catalog.types import Payment
from millicent.charging.models.people import AccountAgreement
from millicent.charging.models.plans import BalanceFee
from millicent.charging.people import OrderState
from millicent.charging.types import BucketKind
from millicent.kit.bulk import read_rows
from millicent.kit.lake import Lake

Spans = Sequence[CycleSpan]


def stored_facts(lake: Lake) -> StoredFacts:
    """All that bills are computed from, with what balances paid. Every bill of an installation is made of these."""
    return StoredFacts(lake=lake, balances=StoredBalances())


@dataclass(frozen=True, slots=True)
class StoredBalances:
    """Reads happen in the caller's tenant transaction."""

    def agreements(self, payer_ids: Sequence[int], *, known_until_ms: int) -> Mapping[int, Sequence[PaymentAgreement]]:
        """An agreement holds from when it was recorded; "" takes an earlier one back."""
        found: dict[int, list[PaymentAgreement]] = {}
        kept = AccountAgreement.objects.filter(
            billing_account_id__in=list(payer_ids), recorded_at_ms__lt=known_until_ms
        ).order_by("id")
        for payer_id, payment, at_ms in kept.values_list("billing_account_id", "payment", "recorded_at_ms"):
            agreed = PaymentAgreement(from_ms=at_ms, payment=Payment(payment) if payment else None)
            found.setdefault(payer_id, []).append(agreed)
        return found

    def fees(self, since_ms_by_account: Mapping[int, int]) -> Mapping[int, Sequence[Charge]]:
        """What was refused for want of money was not taken; what is on its way to the shard is."""
        if not since_ms_by_account:
            return {}
        found: dict[int, list[Charge]] = {}
        kept = BalanceFee.objects.filter(
            billing_account_id__in=list(since_ms_by_account),
            service_cycle_from_ms__gte=min(since_ms_by_account.values()),
        ).exclude(order__state=OrderState.REFUSED.value)
        for fee in kept.order_by("id"):
            if fee.service_cycle_from_ms >= since_ms_by_account[fee.billing_account_id]:
                found.setdefault(fee.billing_account_id, []).append(charge_written(fee.charge))
        return found

    def used(self, payer_ids: Sequence[int], *, from_ms: int, until_ms: int) -> Mapping[int, Mapping[int, int]]:
        """From the history of balances, by when the money was taken."""
        found: dict[int, dict[int, int]] = {}
        for payer_id, subscription_id, taken in read_rows(
            "SELECT billing_account_id, subscription_id, -sum(change)::bigint FROM charging_balance_line "
            "WHERE kind = %s AND cause = '' AND happened_at_ms >= %s AND happened_at_ms < %s "
            "AND billing_account_id = ANY(%s) AND subscription_id IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2",
            [int(BucketKind.MONEY), from_ms, until_ms, list(payer_ids)],
        ):
            found.setdefault(payer_id, {})[subscription_id] = taken
        return found


def advance_spans(
    payer_ids: Sequence[int], *, facts: StoredFacts, released: Releases, at_ms: int
) -> Mapping[int, Spans]:
    """When each of these payers paid in advance, as bills have it. Those who never did are not in it."""
    groups = facts.groups(payer_ids, at_ms=at_ms, known_until_ms=at_ms + 1)
    agreements = facts.balances.agreements(payer_ids, known_until_ms=at_ms + 1)
    found = {}
    for group in groups:
        payer_id = group.payer.billing_account_id
        spans = paid_in_advance(group, releases=released, agreements=agreements.get(payer_id, ()))
        if spans:
            found[payer_id] = spans
    return found
