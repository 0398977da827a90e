"""What must hold of a shard's tables after every batch, whatever happened: looked at whole, apart from the loop."""

from collections.abc import Mapping

import numpy as np

from millicent.charging.kernel.layout import BUCKET_UNUSED, COUNTERS, DRAWS
from millicent.charging.types import NO_LIMIT, BucketKind, Rows
from millicent.kit.kernels import Int64s


def broken_promises(tables: Mapping[str, Rows], *, endless: frozenset[int] = frozenset()) -> list[str]:
    """Every promise that the tables break, in words; none when all is well.

    `endless` are numbers of allowances without an end: what is free of their buckets may be below zero, and means
    nothing. A limit of credit may be lowered below what is owed, and a correction forced below the floor: those two
    are what an operator wanted, and are not looked for.
    """
    return [
        *_balances(tables, endless),
        *_reservations(tables),
        *_spending(tables),
        *_sessions(tables),
        *_counters(tables),
        *_left(tables),
    ]


def _balances(tables: Mapping[str, Rows], endless: frozenset[int]) -> list[str]:
    bucket = tables["bucket"]
    used = bucket["state"] != BUCKET_UNUSED
    free_to_fall = (bucket["kind"] == BucketKind.CREDIT) | np.isin(bucket["allowance"], list(endless))
    below = used & ~free_to_fall & (bucket["free"] < 0)
    reserved = bucket["reserved"] < 0
    return [
        *(f"bucket {bucket['bucket_id'][row]} has {bucket['free'][row]} free" for row in np.flatnonzero(below)),
        *(f"bucket {bucket['bucket_id'][row]} reserves less than nothing" for row in np.flatnonzero(reserved)),
    ]


def _reservations(tables: Mapping[str, Rows]) -> list[str]:
    """What a bucket reserves is what the open slices hold of it, and it knows how many segments refer to it."""
    bucket, group = tables["bucket"], tables["group"]
    open_groups = group["session"] > 0
    drawn = group["draw_bucket"][open_groups].reshape(-1, DRAWS)
    held = np.zeros(len(bucket), np.int64)
    users = np.zeros(len(bucket), np.int64)
    np.add.at(held, drawn, group["draw_held"][open_groups].reshape(-1, DRAWS))
    np.add.at(users, drawn, 1)
    held[0] = users[0] = 0
    wrong = np.flatnonzero((held != bucket["reserved"]) | (users != bucket["users"]))
    return [
        f"bucket {bucket['bucket_id'][row]} reserves {bucket['reserved'][row]} for {bucket['users'][row]} segments, "
        f"but {users[row]} hold {held[row]}"
        for row in wrong
    ]


def _spending(tables: Mapping[str, Rows]) -> list[str]:
    """What a subscription is held to spend is what its slices hold of money."""
    subscriber, group, bucket = tables["subscriber"], tables["group"], tables["bucket"]
    held = np.zeros(len(subscriber), np.int64)
    open_groups = np.flatnonzero(group["session"] > 0)
    owner = tables["session"]["subscriber"][group["session"][open_groups]]
    drawn = group["draw_bucket"][open_groups].reshape(-1, DRAWS)
    money = (bucket["kind"][drawn] >= BucketKind.MONEY) & (drawn > 0)
    np.add.at(held, owner, (group["draw_held"][open_groups].reshape(-1, DRAWS) * money).sum(axis=1))
    wrong = np.flatnonzero(held != subscriber["spend_held_nanos"])
    return [
        f"subscription {subscriber['subscription_id'][row]} is held to spend {subscriber['spend_held_nanos'][row]}, "
        f"its slices hold {held[row]}"
        for row in wrong
    ]


def _sessions(tables: Mapping[str, Rows]) -> list[str]:
    """Every open session can be reached from its subscription, has its groups, and ends one day."""
    session, group, subscriber = tables["session"], tables["group"], tables["subscriber"]
    wrong = []
    reached = 0
    for row in np.flatnonzero(subscriber["first_session"]):
        at = int(subscriber["first_session"][row])
        while at:
            reached += 1
            if not session["state"][at] or session["subscriber"][at] != row:
                wrong.append(f"session {at} is in the list of another subscription")
                break
            at = int(session["next"][at])
    opened = int(session["state"].sum())
    if not reached == opened == int(tables["meta"]["open_sessions"][0]):
        wrong.append(f"{opened} sessions are open, {reached} can be reached")
    counted = np.zeros(len(session), np.int64)
    np.add.at(counted, group["session"], 1)
    counted[0] = 0
    if (counted != np.where(session["state"] == 1, session["groups"], 0)).any():
        wrong.append("a session has other groups than it counts")
    if (session["deadline_ms"][session["state"] == 1] >= NO_LIMIT).any():
        wrong.append("a session never ends")
    return wrong


def _counters(tables: Mapping[str, Rows]) -> list[str]:
    """No counter stands below what the open segments moved it by."""
    counter, group = tables["counter"], tables["group"]
    moved = np.zeros(len(counter), np.int64)
    current = (group["session"] > 0) & (group["old_cycle"] == 0)
    rows = group["counter"][current].reshape(-1, COUNTERS)
    np.add.at(moved, rows, (group["counter_settled"] + group["counter_held"])[current].reshape(-1, COUNTERS))
    moved[0] = 0
    return [f"counter {row} stands at {counter['units'][row]}, segments moved it by {moved[row]}"
            for row in np.flatnonzero(counter["units"] < moved)]  # fmt: skip


def _left(tables: Mapping[str, Rows]) -> list[str]:
    """Every group that was left by its subscription is in the list of those, and nothing else is."""
    group = tables["group"]
    wanted = int((group["left"] == 1).sum())
    at, before, reached = int(tables["meta"]["first_left"][0]), 0, 0
    while at and reached <= wanted:
        reached += 1
        row = group[at]
        if not row["left"] or row["session"] <= 0 or row["previous_left"] != before:
            return [f"group {at} is not one that was left"]
        at, before = int(row["next_left"]), at
    return [] if reached == wanted else [f"{wanted} groups were left, {reached} can be reached"]


def balances(tables: Mapping[str, Rows]) -> dict[int, int]:
    """What every bucket has, with what is reserved: the sums of all its movements."""
    bucket = tables["bucket"]
    rows: Int64s = np.flatnonzero(bucket["state"] != BUCKET_UNUSED)
    remaining = bucket["free"][rows] + bucket["reserved"][rows]
    return dict(zip(bucket["bucket_id"][rows].tolist(), remaining.tolist(), strict=True))


def money_of_open_sessions(tables: Mapping[str, Rows]) -> int:
    """What the segments that are still open took in money: their price less what nobody could pay."""
    group = tables["group"]
    current = group["session"] > 0
    return int((group["amount_nanos"] - group["uncollected_nanos"])[current].sum())
