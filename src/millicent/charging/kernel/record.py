"""What a batch tells others: movements of buckets, charges, notices."""

from millicent.charging.kernel.chain import touch
from millicent.charging.kernel.layout import (
    J_COMMAND,
    OUT_CHARGES,
    OUT_MOVEMENTS,
    OUT_NOTICES,
    T_BUCKET,
    Books,
    Out,
)
from millicent.charging.kernel.splice import called, spliced
from millicent.charging.types import NOT_SAID, NoticeKind
from millicent.kit.kernels import Int64s

UNITS, CATALOGUE_MONEY, MONEY, CREDIT = 0, 1, 2, 3  # BucketKind
PART_PERCENT, ALL_PERCENT = 80, 100
_PART_USED, _ALL_USED = int(NoticeKind.PART_USED), int(NoticeKind.ALL_USED)


@spliced
def payer_of(books: Books, subscriber: int, group: int) -> int:
    """The account that pays for a group's segment: that of its subscription, or the one that it moved away from."""
    usage = books.group[group]
    return int(usage["account"]) if usage["left"] else int(books.subscriber[subscriber]["account"])


@called
def note_notice(
    books: Books, out: Out, job: Int64s, kind: int, subscriber: int, account: int, bucket: int, session: int,
    percent: int, amount: int,
) -> None:  # fmt: skip
    """Tell somebody. Rows of 0 are not said. When there is no room left the notice is not written: see ROOM."""
    place = out.counts[OUT_NOTICES]
    if place >= out.notice.shape[0]:
        return
    out.counts[OUT_NOTICES] = place + 1
    row = out.notice[place]
    row["kind"] = kind
    row["percent"] = percent
    row["command"] = job[J_COMMAND]
    row["subscription_id"] = books.subscriber[subscriber]["subscription_id"] if subscriber > 0 else NOT_SAID
    row["account_id"] = books.account[account]["account_id"] if account > 0 else NOT_SAID
    row["bucket_id"] = books.bucket[bucket]["bucket_id"] if bucket > 0 else NOT_SAID
    row["session"] = session if session > 0 else NOT_SAID
    row["door"] = books.session[session]["door"]
    row["peer"] = books.session[session]["peer"] if session > 0 else NOT_SAID
    row["session_high"] = books.session[session]["key_high"]
    row["session_low"] = books.session[session]["key_low"]
    row["name"] = NOT_SAID
    row["amount"] = amount
    row["instant_ms"] = books.meta[0]["now_ms"]
    row["until_ms"] = books.bucket[bucket]["valid_until_ms"] if bucket > 0 else NOT_SAID


@called
def note_movement(books: Books, out: Out, job: Int64s, bucket: int, change: int, remaining: int, cause: int) -> None:
    """Write what changed in a bucket; usage has the cause NOT_SAID."""
    if change == 0:
        return
    place = out.counts[OUT_MOVEMENTS]
    out.counts[OUT_MOVEMENTS] = place + 1
    row = out.movement[place]
    moved = books.bucket[bucket]
    account = 0
    subscriber = 0
    if moved["scope"] == 1:
        account = int(moved["owner"])
    elif moved["scope"] == 0:
        subscriber = int(moved["owner"])
        account = int(books.subscriber[subscriber]["account"])
    row["command"] = job[J_COMMAND]
    row["cause"] = cause
    row["bucket_id"] = moved["bucket_id"]
    row["account_id"] = books.account[account]["account_id"] if account > 0 else NOT_SAID
    row["subscription_id"] = books.subscriber[subscriber]["subscription_id"] if subscriber > 0 else NOT_SAID
    row["change"] = change
    row["remaining"] = remaining
    row["kind"] = moved["kind"]
    touch(out, T_BUCKET, bucket)


@spliced
def part_percent(books: Books) -> int:
    """The share of an allowance, or of a limit, whose use is told."""
    said = int(books.meta[0]["part_percent"])
    return said if said > 0 else PART_PERCENT


@spliced
def reaches(used: int, whole: int, percent: int) -> bool:
    """Whether so many percent of a whole are used, exactly and without a product that is too large."""
    return used >= whole // 100 * percent + (whole % 100 * percent + 99) // 100


@called
def tell_used(books: Books, out: Out, job: Int64s, bucket: int, remaining: int) -> None:
    """The thresholds of a bucket of units, each told once."""
    seen = books.bucket[bucket]
    opened = int(seen["opened"])
    if opened <= 0:
        return
    kind = 0
    percent = 0
    told = int(seen["told"])
    if remaining <= 0 and (told & 2) == 0:
        kind = _ALL_USED
        percent = ALL_PERCENT
        told |= 3
    elif remaining > 0 and (told & 1) == 0 and reaches(opened - remaining, opened, part_percent(books)):
        kind = _PART_USED
        percent = part_percent(books)
        told |= 1
    if kind == 0:
        return
    seen["told"] = told
    touch(out, T_BUCKET, bucket)
    subscriber = int(seen["owner"]) if seen["scope"] == 0 else 0
    account = int(seen["owner"]) if seen["scope"] == 1 else int(books.subscriber[subscriber]["account"])
    note_notice(books, out, job, kind, subscriber, account, bucket, 0, percent, remaining)


@called
def note_charge(
    books: Books, out: Out, job: Int64s, group: int, key_high: int, key_low: int, traffic_subscriber: int, ended_ms: int
) -> None:
    """A segment's price is final. `group` 0 is the one-time event at hand."""
    place = out.counts[OUT_CHARGES]
    out.counts[OUT_CHARGES] = place + 1
    row = out.charge[place]
    usage = books.group[group]
    account = payer_of(books, traffic_subscriber, group)
    row["command"] = job[J_COMMAND]
    row["traffic"] = usage["traffic"]
    row["key_high"] = key_high
    row["key_low"] = key_low
    row["subscription_id"] = books.subscriber[traffic_subscriber]["subscription_id"]
    row["account_id"] = books.account[account]["account_id"] if account > 0 else NOT_SAID
    row["group"] = usage["group"]
    row["unit"] = usage["unit"]
    row["reason"] = usage["reason"]
    row["throttled"] = usage["throttled"]
    row["release"] = usage["release"]
    row["plan"] = usage["plan"]
    row["case"] = usage["case"]
    row["zone_set"] = usage["zone_set"]
    row["occurred_at_ms"] = usage["start_ms"]
    row["ended_at_ms"] = ended_ms
    row["units"] = usage["units"]
    row["input_octets"] = usage["input_octets"]
    row["output_octets"] = usage["output_octets"]
    row["charged_units"] = usage["charged_units"]
    row["bucket_units"] = usage["bucket_units"]
    row["amount_nanos"] = usage["amount_nanos"]
    row["uncollected_nanos"] = usage["uncollected_nanos"]
    row["number_key"] = usage["number_key"]
    row["number_digits"] = usage["number_digits"]
