"""How far back facts changed since they were billed: from there on everything is computed again."""

from collections.abc import Iterable, Sequence

from millicent.billing.rules.cycles import CycleSpan
from millicent.billing.types import ReleasedCatalogue
from millicent.subscriptions.types import SubscriptionFacts


def changed_from(
    *,
    subscriptions: Iterable[SubscriptionFacts],
    releases: Sequence[ReleasedCatalogue],
    known_until_ms: int,
    release_count: int,
    late_usage_from_ms: int | None,
    cycle_from_ms: int,
) -> int:
    """The earliest instant for which something was learned since `known_until_ms`; at latest the cycle's start."""
    learned = [
        version.effective_from_ms
        for subscription in subscriptions
        for version in subscription.versions
        if version.recorded_at_ms >= known_until_ms
    ]
    learned += [release.effective_from_ms for release in sorted(releases, key=_number)[release_count:]]
    if late_usage_from_ms is not None:
        learned.append(late_usage_from_ms)
    return min([cycle_from_ms, *learned])


def replayed_cycles(*, changed_from_ms: int, billed: Sequence[CycleSpan], cycle: CycleSpan) -> tuple[CycleSpan, ...]:
    """Billed cycles from the changed instant on, oldest first, then the one being billed."""
    return (*(span for span in billed if span.until_ms > changed_from_ms), cycle)


def _number(release: ReleasedCatalogue) -> int:
    return release.number
