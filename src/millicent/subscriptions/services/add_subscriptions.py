"""Add subscriptions that exist already, with their history and identifiers: one, or a hundred thousand at once."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import polars as pl
from django.db import IntegrityError, transaction

from millicent.customers import selectors as customers
from millicent.customers.errors import UnknownAccount
from millicent.kit.bulk import insert_frame, refresh_statistics, reserve_ids
from millicent.kit.clock import to_ms
from millicent.subscriptions import selectors
from millicent.subscriptions.errors import IdentifierHeld, SubscriptionCodeTaken, UnknownSubscription
from millicent.subscriptions.rules import refuse_broken_history
from millicent.subscriptions.services.tally_coupons import count_redemptions, coupons_held, lock_tallies
from millicent.subscriptions.types import NEW_IDENTIFIER_COLUMNS, NEW_VERSION_COLUMNS, NewSubscription

_MANY = 1_000  # rows, from which on it pays to tell the planner


@transaction.atomic
def add_subscriptions(subscriptions: Sequence[NewSubscription], *, now: datetime) -> dict[str, int]:
    """Add all of these or none; returns their ids by code. Refuses broken histories and what the two below refuse."""
    for each in subscriptions:
        refuse_broken_history(each.code, each.versions)
    versions = pl.DataFrame(
        [row for each in subscriptions for row in _version_rows(each)], schema=_schema(NEW_VERSION_COLUMNS)
    )
    identifiers = pl.DataFrame(
        [row for each in subscriptions for row in _identifier_rows(each)], schema=_schema(NEW_IDENTIFIER_COLUMNS)
    )
    added = add_versions_of_frame(versions, now=now)
    add_identifiers_of_frame(identifiers, now=now)
    return dict(zip(added["subscription_code"].to_list(), added["subscription_id"].to_list(), strict=True))


@transaction.atomic
def add_versions_of_frame(versions: pl.DataFrame, *, now: datetime) -> pl.DataFrame:
    """Add subscriptions from columns (NEW_VERSION_COLUMNS); returns subscription_code, subscription_id.

    Refuses a code that is taken and an account that does not exist. Coupons are counted as redeemed, not held against
    their limits: who knows the catalogue does that before. The caller has checked that the rows of one subscription
    meet without gap; overlaps are refused by the table.
    """
    recorded_at_ms = to_ms(now)
    named = versions.unique("subscription_code", keep="first", maintain_order=True)
    taken = sorted(selectors.subscription_ids(codes=named["subscription_code"].to_list()))
    if taken:
        raise SubscriptionCodeTaken(f"subscription code {taken[0]} is taken", subscription_codes=taken)
    added = named.join(_accounts(named["account_code"].unique().to_list()), on="account_code").with_columns(
        id=reserve_ids("subscriptions_subscription", how_many=named.height)
    )
    redeemed = dict(coupons_held(versions).group_by("coupon").len().iter_rows())
    lock_tallies(redeemed)
    insert_frame(
        added.select(
            "id", "billing_account_id", "pool", code="subscription_code", recorded_at_ms=pl.lit(recorded_at_ms)
        ),
        table="subscriptions_subscription",
    )
    insert_frame(
        versions.drop("account_code", "pool")
        .join(added.select("subscription_code", subscription_id="id"), on="subscription_code")
        .drop("subscription_code")
        .with_columns(learned_at_ms=pl.lit(recorded_at_ms), recorded_at_ms=pl.lit(recorded_at_ms)),
        table="subscriptions_version",
    )
    if versions.height > _MANY:
        refresh_statistics("subscriptions_subscription", "subscriptions_version")
    count_redemptions(redeemed)
    return added.select("subscription_code", subscription_id="id")


@transaction.atomic
def add_identifiers_of_frame(identifiers: pl.DataFrame, *, now: datetime) -> None:
    """Let subscriptions hold identifiers (NEW_IDENTIFIER_COLUMNS, already normalised).

    Refuses an unknown subscription, and an identifier that is held by anybody in a part of the same time.
    """
    codes = identifiers["subscription_code"].unique().to_list()
    ids = selectors.subscription_ids(codes=codes)
    if len(ids) < len(codes):
        missing = sorted(set(codes) - set(ids))
        raise UnknownSubscription(f"there is no subscription {missing[0]}", subscription_codes=missing)
    known = pl.DataFrame(
        {"subscription_code": list(ids), "subscription_id": list(ids.values())},
        schema={"subscription_code": pl.String, "subscription_id": pl.Int64},
    )
    rows = identifiers.join(known, on="subscription_code").drop("subscription_code")
    try:
        with transaction.atomic():
            insert_frame(rows.with_columns(recorded_at_ms=pl.lit(to_ms(now))), table="subscriptions_serviceidentifier")
            if rows.height > _MANY:
                refresh_statistics("subscriptions_serviceidentifier")
    except IntegrityError as refused:
        if "an_identifier_has_one_holder_at_a_time" not in str(refused):
            raise
        raise IdentifierHeld(f"an identifier is already held at that time: {_detail(refused)}") from refused


def _accounts(codes: Iterable[str]) -> pl.DataFrame:
    wanted = list(codes)
    ids = customers.billing_account_ids(codes=wanted)
    missing = sorted(set(wanted) - set(ids))
    if missing:
        raise UnknownAccount(f"there is no billing account {missing[0]}", account_codes=missing)
    return pl.DataFrame(
        {"account_code": list(ids), "billing_account_id": list(ids.values())},
        schema={"account_code": pl.String, "billing_account_id": pl.Int64},
    )


def _detail(refused: IntegrityError) -> str:
    diagnosis = getattr(refused.__cause__, "diag", None)
    return str(getattr(diagnosis, "message_detail", None) or refused)


def _schema(columns: Mapping[str, str]) -> dict[str, pl.DataType]:
    return {name: getattr(pl, type_name) for name, type_name in columns.items()}


def _version_rows(subscription: NewSubscription) -> list[dict[str, object]]:
    return [
        {
            "subscription_code": subscription.code,
            "account_code": subscription.account_code,
            "pool": subscription.pool,
            "effective_from_ms": version.effective_from_ms,
            "effective_until_ms": version.effective_until_ms,
            "offering": version.offering,
            "status": version.status.value,
            "quantity": version.quantity,
            "price_overrides": json.dumps(dict(version.price_overrides)),
            "add_ons": json.dumps(list(version.add_ons)),
            "coupons": json.dumps(list(version.coupons)),
            "characteristics": json.dumps(dict(version.characteristics)),
        }
        for version in subscription.versions
    ]


def _identifier_rows(subscription: NewSubscription) -> list[dict[str, object]]:
    return [
        {
            "subscription_code": subscription.code,
            "kind": held.kind.value,
            "identifier": held.identifier,
            "effective_from_ms": held.effective_from_ms,
            "effective_until_ms": held.effective_until_ms,
        }
        for held in subscription.identifiers
    ]
