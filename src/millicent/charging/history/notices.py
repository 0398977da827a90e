"""Notifications from notices: to whom, in which language, in which words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from millicent.charging.history.texts import is_told, language_of, money_text, text_of
from millicent.charging.journal.read import JournalledBatch
from millicent.charging.models.durability import ProjectedBalance
from millicent.charging.models.people import Notification
from millicent.charging.types import NOT_SAID, NoticeKind
from millicent.customers.live import account_contacts, account_currencies


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    language: str
    reach: Mapping[str, str]
    currency: str


def recipients_of(account_ids: Sequence[int]) -> dict[int, Recipient]:
    """Language, ways to reach them and currency, by billing account."""
    currencies = account_currencies(ids=account_ids)
    return {
        account_id: Recipient(language=language_of(language), reach=reach, currency=currencies[account_id])
        for account_id, (language, reach) in account_contacts(ids=account_ids).items()
    }


def notifications_of(
    batches: Sequence[JournalledBatch], *, shard: int, names: Mapping[str, Mapping[str, str]]
) -> list[Notification]:
    """What customers hear of these batches. `names` are texts of allowances by code and language."""
    told = [
        (journalled.sequence, place, row)
        for journalled in batches
        for place, row in enumerate(journalled.batch.notices)
        if is_told(int(row["kind"])) and row["account_id"] != NOT_SAID
    ]
    recipients = recipients_of(sorted({int(row["account_id"]) for _, _, row in told}))
    allowances = _allowances([int(row["bucket_id"]) for _, _, row in told], shard=shard)
    made = []
    for sequence, place, row in told:
        recipient = recipients.get(int(row["account_id"]))
        if recipient is None:
            continue
        kind = NoticeKind(int(row["kind"]))
        allowance = allowances.get(int(row["bucket_id"]), "")
        said = {
            "percent": str(int(row["percent"])),
            "amount": money_text(int(row["amount"]), recipient.currency, language=recipient.language),
        }
        if recipient.language in names.get(allowance, {}):
            said["name"] = names[allowance][recipient.language]
        about = "units" if row["bucket_id"] != NOT_SAID and kind is not NoticeKind.LOW_BALANCE else "money"
        made.append(
            Notification(
                shard=shard,
                sequence=sequence,
                place=place,
                kind=int(kind),
                billing_account_id=int(row["account_id"]),
                subscription_id=None if row["subscription_id"] == NOT_SAID else int(row["subscription_id"]),
                language=recipient.language,
                reach=dict(recipient.reach),
                text=text_of(kind, about=about, language=recipient.language, said=said),
                facts={"allowance": allowance, **{name: said[name] for name in ("percent", "amount")}},
                happened_at_ms=int(row["instant_ms"]),
            )
        )
    return made


def _allowances(bucket_ids: Sequence[int], *, shard: int) -> dict[int, str]:
    """Which allowance a bucket is of, as far as the projection knows it yet."""
    known = ProjectedBalance.objects.filter(shard=shard, bucket_id__in=bucket_ids)
    return dict(known.values_list("bucket_id", "allowance"))
