"""Long seeded walks over the verbs, shard and model side by side; a walk that fails is cut down to what is needed."""

import random
from collections.abc import Callable, Iterable
from typing import Any

from tests.charging.model import NOT_SAID
from tests.charging.test_model import EVENTS, PLANS, SESSIONS, SUBSCRIPTIONS, ShardAgainstModel
from tests.rating.builders import EURO

from millicent.charging.types import Verb

Step = tuple[str, dict[str, Any]]
QUANTITIES = (0, 1, 9, 60, 61, 100, 240, 600)


def _units(dice: random.Random) -> dict[str, Any]:
    return {
        "session": dice.choice(SESSIONS),
        "group": dice.choice((1, 2)),
        "used": dice.choice((None, *QUANTITIES)),
        "after": dice.choice((None, None, 0, 5)),
        "asked": dice.choice((None, NOT_SAID, NOT_SAID, *QUANTITIES)),
        "final": dice.random() < 0.1,
        "cumulative": dice.random() < 0.2,
        "late": dice.choice((0,) * 12 + (1, 2)),
    }


# verb -> how often, and what it is called with
STEPS: dict[str, tuple[int, Callable[[random.Random], dict[str, Any]]]] = {
    "units_are_used": (40, _units),
    "a_session_opens": (
        12, lambda dice: {"session": dice.choice(SESSIONS), "subscription_id": dice.choice((*SUBSCRIPTIONS * 3, 9))}
    ),
    "a_session_ends": (3, lambda dice: {"session": dice.choice(SESSIONS), "late": dice.random() < 0.2}),
    "money_comes": (
        8,
        lambda dice: {
            "account_id": dice.choice((10, 20)), "cents": dice.randint(0, 900), "priority": dice.choice((0, 1)),
            "days": dice.choice((0, 1, 30)), "again": dice.random() < 0.3,
        },
    ),
    "a_balance_is_corrected": (
        2,
        lambda dice: {
            "number": dice.randint(1, 30), "change": dice.choice((-300, -1, 0, 1, 50)), "forced": dice.random() < 0.05
        },
    ),
    "money_is_transferred": (
        2,
        lambda dice: {
            "giver": dice.choice((10, 20)), "cents": dice.choice((0, 1, 200, 2000)), "again": dice.random() < 0.5
        },
    ),
    "credit_changes": (2, lambda dice: {"account_id": dice.choice((10, 20)), "cents": dice.choice((0, 50, 500))}),
    "units_are_granted": (
        8,
        lambda dice: {
            "allowance": dice.choice(("seconds", "bytes", "any")), "scope": dice.choice((0, 1, 2)),
            "owner": dice.choice(SUBSCRIPTIONS), "units": dice.choice((1, 35, 100, 250)), "days": dice.choice((1, 30)),
        },
    ),
    "a_bucket_ends": (3, lambda dice: {"number": dice.randint(1, 30)}),
    "an_event_happens": (
        8,
        lambda dice: {
            "verb": dice.choice((Verb.DEBIT, Verb.RECORD, Verb.CHECK, Verb.ENQUIRE)), "event": dice.choice(EVENTS),
            "subscription_id": dice.choice((*SUBSCRIPTIONS * 3, 9)), "service": dice.choice(("voice", "data")),
            "units": dice.choice(QUANTITIES),
        },
    ),
    "an_event_is_given_back": (3, lambda dice: {"event": dice.choice(EVENTS), "again": dice.random() < 0.3}),
    "time_passes": (6, lambda dice: {"minutes": dice.choice((1, 1, 20, 20, 70, 24 * 60))}),
    "a_subscription_changes": (
        4,
        lambda dice: {
            "subscription_id": dice.choice(SUBSCRIPTIONS), "plan": dice.choice(PLANS),
            "limit": dice.choice((2**60, EURO)), "barred": dice.random() < 0.1,
        },
    ),
    "a_subscription_moves": (
        2,
        lambda dice: {
            "subscription_id": dice.choice(SUBSCRIPTIONS), "account_id": dice.choice((10, 20)),
            "pool": dice.choice(("p", "p", "")),
        },
    ),
    "an_account_is_barred_or_not": (
        2, lambda dice: {"account_id": dice.choice((10, 20)), "barred": dice.random() < 0.3}
    ),
    "a_cycle_begins": (2, lambda dice: {"subscription_id": dice.choice(SUBSCRIPTIONS)}),
}  # fmt: skip


def a_walk(dice: random.Random, *, steps: int) -> list[Step]:
    names = list(STEPS)
    weights = [STEPS[name][0] for name in names]
    begin = {"plans": tuple(dice.choice(PLANS) for _ in SUBSCRIPTIONS), "limit": dice.choice((2**60, EURO))}
    chosen = dice.choices(names, weights, k=steps)
    return [("begin", begin), *((name, STEPS[name][1](dice)) for name in chosen)]


def walk(machine: type[ShardAgainstModel], steps: Iterable[Step]) -> ShardAgainstModel:
    """Take the steps; after each all is compared."""
    pair = machine()
    for name, said in steps:
        getattr(pair, name)(**said)
        pair.both_hold_the_same()
        pair.both_tell_the_same()
    pair.what_was_charged_is_what_was_taken()
    pair.teardown()
    return pair


def fails(machine: type[ShardAgainstModel], steps: list[Step]) -> str:
    try:
        walk(machine, steps)
    except Exception as error:  # whatever goes wrong is what is looked for
        return type(error).__name__ + ": " + str(error)
    return ""


def cut_down(machine: type[ShardAgainstModel], steps: list[Step]) -> list[Step]:
    """The same failure in fewer steps: pieces are left out as long as something still fails."""
    piece = max(1, len(steps) // 2)
    while piece:
        at = 1
        while at < len(steps):
            without = steps[:at] + steps[at + piece :]
            if fails(machine, without):
                steps = without
            else:
                at += piece
        piece //= 2
    return steps
