"""Notifications: who is told what, in which language, in which words. From notices of the journal and lost balances."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from millicent.charging.history.texts import date_text, is_told, language_of, money_text, text_of, whole_text
from millicent.charging.journal.read import JournalledBatch
from millicent.charging.models.durability import ProjectedBalance
from millicent.charging.models.people import LostBalance, Notification
from millicent.charging.types import NOT_SAID, NoticeKind
from millicent.customers.live import account_contacts, account_places
from millicent.kit.clock import MS_PER_DAY

Names = Mapping[str, Mapping[str, str]]  # texts of allowances by code and language
_LOST_FROM = 1_000_000  # places of notifications that no notice stands behind


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """Something to tell one account."""

    sequence: int
    place: int
    kind: NoticeKind
    about: str  # "money" | "units"
    billing_account_id: int
    subscription_id: int | None = None
    allowance: str = ""
    percent: int = 0
    amount_nanos: int = 0
    days: int = 0
    happened_at_ms: int = 0
    ends_at_ms: int = 0


def occasions_of_notices(batches: Sequence[JournalledBatch], *, shard: int) -> list[Occasion]:
    """Notices that customers hear of. A notice that names a bucket is about units, unless it is about the balance."""
    told = [
        (journalled.sequence, place, row)
        for journalled in batches
        for place, row in enumerate(journalled.batch.notices)
        if is_told(int(row["kind"])) and row["account_id"] != NOT_SAID
    ]
    allowances = _allowances([int(row["bucket_id"]) for _, _, row in told], shard=shard)
    return [
        Occasion(
            sequence=sequence,
            place=place,
            kind=NoticeKind(int(row["kind"])),
            about=_about(row, allowance=allowances.get(int(row["bucket_id"]), "")),
            billing_account_id=int(row["account_id"]),
            subscription_id=None if row["subscription_id"] == NOT_SAID else int(row["subscription_id"]),
            allowance=allowances.get(int(row["bucket_id"]), ""),
            percent=int(row["percent"]),
            amount_nanos=int(row["amount"]),
            happened_at_ms=int(row["instant_ms"]),
            ends_at_ms=int(row["until_ms"]) if row["kind"] == NoticeKind.EXPIRY_NEAR else 0,
        )
        for sequence, place, row in told
    ]


def _about(row: np.void, *, allowance: str) -> str:
    """An end that is near is about money unless an allowance's bucket ends; what was used, of what was used."""
    if row["kind"] == NoticeKind.EXPIRY_NEAR:
        return "units" if allowance else "money"
    return "money" if row["kind"] == NoticeKind.LOW_BALANCE or row["bucket_id"] == NOT_SAID else "units"


def occasions_of_losses(lost: Iterable[LostBalance]) -> list[Occasion]:
    """Money that expired, and until when a top-up brings it back."""
    return [
        Occasion(
            sequence=each.sequence,
            place=_LOST_FROM + each.place,
            kind=NoticeKind.EXPIRED,
            about="money",
            billing_account_id=each.billing_account_id,
            amount_nanos=each.amount_nanos,
            days=(each.grace_until_ms - each.expired_at_ms) // MS_PER_DAY,
            happened_at_ms=each.expired_at_ms,
        )
        for each in lost
    ]


def notifications_of(occasions: Sequence[Occasion], *, shard: int, names: Names) -> list[Notification]:
    """One notification for each occasion, in the language of the account."""
    account_ids = sorted({each.billing_account_id for each in occasions})
    contacts = account_contacts(ids=account_ids)
    places = account_places(ids=account_ids)
    return [
        _notification(
            each, shard=shard, names=names, contact=contacts[each.billing_account_id],
            where=places[each.billing_account_id],
        )
        for each in occasions
        if each.billing_account_id in contacts
    ]  # fmt: skip


def _notification(
    occasion: Occasion,
    *,
    shard: int,
    names: Names,
    contact: tuple[str, Mapping[str, str]],
    where: tuple[str, str],
) -> Notification:
    language, (currency, zone) = language_of(contact[0]), where
    said = {
        "percent": whole_text(occasion.percent, language=language),
        "amount": money_text(occasion.amount_nanos, currency, language=language),
        "days": whole_text(occasion.days, language=language),
        "date": date_text(occasion.ends_at_ms, zone=zone, language=language),
    }
    name = names.get(occasion.allowance, {})
    if name:
        said["name"] = name.get(language) or name["en"]
    return Notification(
        shard=shard,
        sequence=occasion.sequence,
        place=occasion.place,
        kind=int(occasion.kind),
        billing_account_id=occasion.billing_account_id,
        subscription_id=occasion.subscription_id,
        language=language,
        reach=dict(contact[1]),
        text=text_of(occasion.kind, about=occasion.about, language=language, said=said),
        facts={
            "kind": occasion.kind.name.lower(),
            "allowance": occasion.allowance,
            "percent": str(occasion.percent),
            "amount_nanos": str(occasion.amount_nanos),
            "currency": currency,
        },
        happened_at_ms=occasion.happened_at_ms,
    )


def _allowances(bucket_ids: Sequence[int], *, shard: int) -> dict[int, str]:
    """Which allowance a bucket is of, as far as the projection knows it yet."""
    known = ProjectedBalance.objects.filter(shard=shard, bucket_id__in=bucket_ids)
    return dict(known.values_list("bucket_id", "allowance"))
