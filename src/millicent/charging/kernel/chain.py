"""Finding rows: chains of one hash, lists of an owner, rows that are used again, and which rows a batch touched."""

from millicent.charging.kernel.layout import (
    OUT_STAMP,
    OUT_TOUCHED,
    T_MEMBER,
    T_META,
    T_SUBSCRIBER,
    Books,
    Index,
    Out,
)
from millicent.charging.kernel.splice import spliced
from millicent.kit.kernels import Int32s


@spliced
def touch(out: Out, table: int, row: int) -> None:
    """Note that a row changed: its image goes into the journal with the batch."""
    place = out.base[table] + row
    if out.stamp[place] != out.counts[OUT_STAMP]:
        out.stamp[place] = out.counts[OUT_STAMP]
        out.touched[out.counts[OUT_TOUCHED]] = place
        out.counts[OUT_TOUCHED] += 1


@spliced
def is_touched(out: Out, table: int, row: int) -> bool:
    """Whether a row changed in the batch at hand."""
    return out.stamp[out.base[table] + row] == out.counts[OUT_STAMP]


@spliced
def mixed(number: int) -> int:
    """31 bits of a number, spread: ids that rise one by one fall into different chains."""
    low = (number ^ (number >> 31)) & 0x7FFFFFFF
    low = ((low ^ (low >> 15)) * 0x2C1B3C6D) & 0x7FFFFFFF
    return low ^ (low >> 12)


@spliced
def chain(head: Int32s, links: Int32s, hashed: int, row: int) -> None:
    """Put a row in front of the chain of its hash."""
    place = hashed & (head.shape[0] - 1)
    links[row] = head[place]
    head[place] = row


@spliced
def unchain(head: Int32s, links: Int32s, hashed: int, row: int) -> None:
    place = hashed & (head.shape[0] - 1)
    at = head[place]
    if at == row:
        head[place] = links[row]
        return
    while links[at] != row:
        at = links[at]
    links[at] = links[row]


@spliced
def find_subscription(books: Books, index: Index, subscription_id: int) -> int:
    row = int(index.subscription_head[mixed(subscription_id) & (index.subscription_head.shape[0] - 1)])
    while row != 0 and books.subscriber[row]["subscription_id"] != subscription_id:
        row = int(index.subscription_chain[row])
    return row


@spliced
def find_account(books: Books, index: Index, account_id: int) -> int:
    row = int(index.account_head[mixed(account_id) & (index.account_head.shape[0] - 1)])
    while row != 0 and books.account[row]["account_id"] != account_id:
        row = int(index.account_chain[row])
    return row


@spliced
def find_bucket(books: Books, index: Index, bucket_id: int) -> int:
    row = int(index.bucket_head[mixed(bucket_id) & (index.bucket_head.shape[0] - 1)])
    while row != 0 and books.bucket[row]["bucket_id"] != bucket_id:
        row = int(index.bucket_chain[row])
    return row


@spliced
def find_identifier(books: Books, index: Index, key: int) -> int:
    row = int(index.identifier_head[mixed(key) & (index.identifier_head.shape[0] - 1)])
    while row != 0 and books.identifier[row]["key"] != key:
        row = int(index.identifier_chain[row])
    return row


@spliced
def find_session(books: Books, index: Index, high: int, low: int) -> int:
    row = int(index.session_head[mixed(low) & (index.session_head.shape[0] - 1)])
    while row != 0 and (books.session[row]["key_low"] != low or books.session[row]["key_high"] != high):
        row = int(index.session_chain[row])
    return row


@spliced
def find_deed(books: Books, index: Index, high: int, low: int) -> int:
    row = int(index.deed_head[mixed(low) & (index.deed_head.shape[0] - 1)])
    while row != 0 and (books.deed[row]["key_low"] != low or books.deed[row]["key_high"] != high):
        row = int(index.deed_chain[row])
    return row


@spliced
def member_of(books: Books, subscriber: int, bucket: int) -> int:
    """The row that counts what a subscriber took of a bucket, 0 for none."""
    row = member_row(books, subscriber, bucket)
    return row if books.member[row]["bucket_id"] == books.bucket[bucket]["bucket_id"] else 0


@spliced
def member_row(books: Books, subscriber: int, bucket: int) -> int:
    """The same, or what a subscriber who left counted of the bucket that had this row before."""
    row = int(books.subscriber[subscriber]["first_member"])
    while row != 0 and books.member[row]["bucket"] != bucket:
        row = int(books.member[row]["next"])
    return row


@spliced
def drop_member(books: Books, out: Out, subscriber: int, bucket: int) -> None:
    """Forget what a subscriber took of a bucket that is no longer there."""
    before = 0
    row = int(books.subscriber[subscriber]["first_member"])
    while row != 0 and books.member[row]["bucket"] != bucket:
        before = row
        row = int(books.member[row]["next"])
    if row == 0:
        return
    follows = int(books.member[row]["next"])
    if before == 0:
        books.subscriber[subscriber]["first_member"] = follows
        touch(out, T_SUBSCRIBER, subscriber)
    else:
        books.member[before]["next"] = follows
        touch(out, T_MEMBER, before)
    free = books.member[row]
    free["taken"] = 0
    free["bucket_id"] = 0
    free["subscriber"] = 0
    free["bucket"] = 0
    free["next"] = books.meta[0]["free_member"]
    books.meta[0]["free_member"] = row
    touch(out, T_MEMBER, row)
    touch(out, T_META, 0)
