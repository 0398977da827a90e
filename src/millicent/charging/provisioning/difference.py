"""From what the shard was told to what it should know: the commands between two instants, and those of a first load."""

import polars as pl

from millicent.charging.provisioning.command_rows import (
    NameNumbers,
    account_rows,
    credit_rows,
    expire_rows,
    grant_rows,
    identifier_rows,
    roll_rows,
    subscriber_rows,
)
from millicent.charging.provisioning.live_facts import LiveFacts
from millicent.charging.types import Rows


def commands_of_load(facts: LiveFacts, *, names: NameNumbers) -> list[Rows]:
    """Everything, in an order in which each command finds what it refers to. Identifiers come last: from then on
    doors find who it is, and what was used before must have been told."""
    at_ms = facts.at_ms
    return [
        account_rows(facts.accounts, names=names, at_ms=at_ms),
        credit_rows(facts.accounts, at_ms=at_ms),
        subscriber_rows(facts.subscribers, names=names, at_ms=at_ms),
        grant_rows(facts.grants, names=names, at_ms=at_ms),
        identifier_rows(facts.identifiers, at_ms=at_ms),
    ]


def commands_between(old: LiveFacts, new: LiveFacts, *, names: NameNumbers) -> list[Rows]:
    """What must be said so that a shard that knows `old` knows `new`. Said again, it changes nothing more.

    A bucket that ends with its cycle ends in the shard by itself; one whose offering went away earlier is ended here,
    and is not granted again in its cycle when the offering comes back.
    Identifiers come last, as in a load.
    """
    at_ms = new.at_ms
    accounts = new.accounts  # few, and what was declared or agreed for them is not kept by instant
    subscribers = _new_rows(old.subscribers.drop("cycle_from_ms"), new.subscribers.drop("cycle_from_ms"))
    gone = old.identifiers.join(new.identifiers, on="key", how="anti")
    rolled = new.subscribers.join(old.subscribers, on="subscription_id", how="semi").filter(
        (pl.col("cycle_from_ms") > old.at_ms) & (pl.col("cycle_from_ms") <= at_ms)
    )
    ended = old.grants.join(new.grants, on="bucket_id", how="anti").filter(
        ~((pl.col("valid_until_ms") == pl.col("cycle_until_ms")) & (pl.col("valid_until_ms") <= at_ms))
    )
    granted = new.grants.join(old.grants, on="bucket_id", how="anti").filter(~pl.col("resumed"))
    return [
        identifier_rows(gone, at_ms=at_ms, held=False),
        account_rows(accounts, names=names, at_ms=at_ms),
        credit_rows(accounts, at_ms=at_ms),
        subscriber_rows(subscribers, names=names, at_ms=at_ms),
        roll_rows(rolled, names=names, at_ms=at_ms),
        expire_rows(ended, at_ms=at_ms),
        grant_rows(granted, names=names, at_ms=at_ms),
        identifier_rows(_new_rows(old.identifiers, new.identifiers), at_ms=at_ms),
    ]


def part_of(facts: LiveFacts, subscription_ids: pl.Series) -> LiveFacts:
    """The same facts of some subscriptions and of those who pay for them."""
    chosen = pl.DataFrame({"subscription_id": subscription_ids})
    subscribers = facts.subscribers.join(chosen, on="subscription_id", how="semi")
    return LiveFacts(
        at_ms=facts.at_ms,
        accounts=facts.accounts.join(subscribers, on="account_id", how="semi"),
        subscribers=subscribers,
        identifiers=facts.identifiers.join(chosen, on="subscription_id", how="semi"),
        grants=facts.grants.join(chosen, on="subscription_id", how="semi"),
    )


def digests_of(facts: LiveFacts) -> dict[int, int]:
    """For each subscription, one number of all that the shard is told of it. Good for comparing within one program."""
    told = [
        facts.subscribers,
        facts.identifiers,
        facts.grants.select("subscription_id", "bucket_id", "valid_until_ms"),
    ]
    hashed = pl.concat(
        frame.select("subscription_id", digest=frame.hash_rows(seed=place).cast(pl.Int128))
        for place, frame in enumerate(told)
    )
    summed = hashed.group_by("subscription_id").agg(pl.col("digest").sum() % 2**62)
    return dict(zip(summed["subscription_id"].to_list(), summed["digest"].to_list(), strict=True))


def _new_rows(old: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    """Rows that were not there, or not like this."""
    return new.join(old, on=new.columns, how="anti", nulls_equal=True)
