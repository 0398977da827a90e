"""Which offerings a subscription held, as uninterrupted runs of pieces."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from millicent.billing.rules.charges import OPEN_END_MS
from millicent.subscriptions.types import SubscriptionFacts, SubscriptionStatus, SubscriptionVersion

_HOLDING = frozenset({SubscriptionStatus.ACTIVE, SubscriptionStatus.SUSPENDED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A stretch of one run in which nothing changed."""

    from_ms: int
    until_ms: int
    quantity: int
    suspended: bool
    price_overrides: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRun:
    """An offering held without a break from `from_ms` until `until_ms` (`OPEN_END_MS`: still held).

    `terminated` says that the subscription itself ended there, rather than changed. `first` is the run with which the
    subscription began.
    """

    offering: str
    add_on: bool
    first: bool
    from_ms: int
    until_ms: int
    terminated: bool
    pieces: tuple[Piece, ...]

    def active_within(self, *, from_ms: int, until_ms: int) -> bool:
        return any(
            not piece.suspended and piece.from_ms < until_ms and piece.until_ms > from_ms for piece in self.pieces
        )


def held_runs(subscription: SubscriptionFacts) -> tuple[HeldRun, ...]:
    """Every run of every offering of a subscription, plan and add-ons, in the order they began."""
    open_runs: dict[tuple[str, bool], list[Piece]] = {}
    done: list[HeldRun] = []
    began_ms = next((each.effective_from_ms for each in subscription.versions if each.status in _HOLDING), None)
    for version in subscription.versions:
        held = _held_in(version)
        for key in [key for key in open_runs if key not in held]:
            ended = version.status is SubscriptionStatus.TERMINATED
            done.append(_closed(key, open_runs.pop(key), terminated=ended, began_ms=began_ms))
        for key, quantity in held.items():
            open_runs.setdefault(key, []).append(_piece(version, quantity=quantity))
    for key, pieces in open_runs.items():
        done.append(_closed(key, pieces, terminated=pieces[-1].until_ms != OPEN_END_MS, began_ms=began_ms))
    return tuple(sorted(done, key=lambda run: (run.from_ms, run.add_on, run.offering)))


def _held_in(version: SubscriptionVersion) -> Mapping[tuple[str, bool], int]:
    if version.status not in _HOLDING:
        return {}
    held = {(version.offering, False): version.quantity}
    for code, times in Counter(version.add_ons).items():
        held[code, True] = times * version.quantity
    return held


def _piece(version: SubscriptionVersion, *, quantity: int) -> Piece:
    return Piece(
        from_ms=version.effective_from_ms,
        until_ms=OPEN_END_MS if version.effective_until_ms is None else version.effective_until_ms,
        quantity=quantity,
        suspended=version.status is SubscriptionStatus.SUSPENDED,
        price_overrides=version.price_overrides,
    )


def _closed(key: tuple[str, bool], pieces: list[Piece], *, terminated: bool, began_ms: int | None) -> HeldRun:
    offering, add_on = key
    return HeldRun(
        offering=offering,
        add_on=add_on,
        first=not add_on and pieces[0].from_ms == began_ms,
        from_ms=pieces[0].from_ms,
        until_ms=pieces[-1].until_ms,
        terminated=terminated,
        pieces=tuple(pieces),
    )
