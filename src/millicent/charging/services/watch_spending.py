"""Watch the policy counters of a subscription: what Sy and Nchf_SpendingLimitControl call a subscription."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import numpy as np

from millicent.charging.declared import PolicyCounter
from millicent.charging.errors import PolicyCounterUnknown, WatchedSubscriptionUnknown
from millicent.charging.models.status import StatusWatch
from millicent.charging.ports import BalancePort
from millicent.charging.services.declare_services import declared_charging
from millicent.charging.types import Flag, NameKind, Result, Verb, commands
from millicent.kit.clock import to_ms
from millicent.kit.tenancy import tenant_scope


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedSpending:
    """SpendingStatus of one tenant's shard."""

    tenant_id: UUID
    port: BalancePort
    now: datetime
    shard: int = 0

    def subscribe(
        self, *, reference: str, subscription_id: int, counters: Sequence[str] = (), listener: str
    ) -> Mapping[str, str]:
        """See SpendingStatus.

        The watch is there before the shard is asked, and locked while it is: whatever changes afterwards is read from
        the journal by `report_statuses`, which waits for the lock and asks again. So no change falls between the two.
        """
        with tenant_scope(self.tenant_id):
            declared = declared_charging().policy_counters
            unknown = sorted({*counters} - {each.code for each in declared})
            if unknown:
                raise PolicyCounterUnknown("no such policy counter", counters=unknown)
            watched = {
                "listener": listener, "shard": self.shard, "subscription_id": subscription_id,
                "counters": list(counters), "final": False,
            }  # fmt: skip
            StatusWatch.objects.update_or_create(reference=reference, defaults=watched)
        with tenant_scope(self.tenant_id):
            watch = StatusWatch.objects.select_for_update().get(reference=reference)
            statuses = statuses_of(self.port, [watch], declared=declared, now=self.now)[0]
            if statuses is not None:
                number = watch.number + 1  # the answer is a report of its own
                StatusWatch.objects.filter(reference=reference).update(
                    statuses=statuses, number=number, told_number=number, fault="", tries=0
                )
                return statuses
            StatusWatch.objects.filter(reference=reference).delete()
        raise WatchedSubscriptionUnknown("no such subscription", subscription_id=subscription_id)

    def unsubscribe(self, *, reference: str) -> bool:
        """See SpendingStatus. The shard is told when nobody else watches the subscription."""
        with tenant_scope(self.tenant_id):
            watch = StatusWatch.objects.select_for_update().filter(reference=reference).first()
            if watch is None:
                return False
            StatusWatch.objects.filter(reference=reference).delete()
            others = StatusWatch.objects.filter(shard=watch.shard, subscription_id=watch.subscription_id)
            if not others.exists():
                rows = commands(1)
                rows["verb"], rows["flags"], rows["received_ms"] = Verb.STATUS, Flag.FINAL, to_ms(self.now)
                rows["subscription_id"] = watch.subscription_id
                self.port.submit(rows)
        return True


def statuses_of(
    port: BalancePort, watches: Sequence[StatusWatch], *, declared: Sequence[PolicyCounter], now: datetime
) -> list[dict[str, str] | None]:
    """What is so now for each watch, and from now on whatever changes is told; None: the subscription is gone.

    One submission. A row without a counter goes before those of the counters: it says who is there.
    """
    asked = [[None, *(each for each in declared if each.code in (watch.counters or [each.code]))] for watch in watches]
    rows = commands(sum(len(each) for each in asked))
    if not len(rows):
        return []
    rows["verb"], rows["flags"], rows["received_ms"] = Verb.STATUS, Flag.ASKED, to_ms(now)
    rows["subscription_id"] = np.repeat([each.subscription_id for each in watches], [len(each) for each in asked])
    flat = [counter for counters in asked for counter in counters]
    numbers = {each.code: port.number_of(NameKind.POLICY_COUNTER, each.code) for each in flat if each is not None}
    for row, counter in zip(rows, flat, strict=True):
        if counter is not None:
            row["name"] = numbers[counter.code]
    answers = iter(port.submit(rows))
    found: list[dict[str, str] | None] = []
    for counters in asked:
        there = next(answers)["result"] == Result.DONE
        states = [(counter, int(next(answers)["granted_units"])) for counter in counters if counter is not None]
        known = {counter.code: counter.status(state) for counter, state in states if state >= 0}
        found.append(known if there else None)
    return found
