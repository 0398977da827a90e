"""What is derived from the tables, built again: chains of hashes, candidates."""

from millicent.charging.kernel.chain import chain, member_of, mixed
from millicent.charging.kernel.layout import BUCKET_UNUSED, Books, Index
from millicent.charging.kernel.owner import first_member, insert_candidate, next_member
from millicent.charging.kernel.record import MONEY
from millicent.charging.kernel.splice import uncounted
from millicent.kit.kernels import Bools, Int32s, Int64s
from millicent.rating.kernel.arrays import State


@uncounted
def fill_chains(
    key: Int64s,  # [rows]
    used: Bools,  # [rows]
    head: Int32s,  # [power of two] of zeros, written
    links: Int32s,  # [rows] written
) -> None:
    """Chain the rows in use by the hash of their key."""
    for row in range(1, key.shape[0]):
        if used[row]:
            chain(head, links, mixed(key[row]), row)


@uncounted
def count_candidates(books: Books, count: Int64s) -> None:
    """How many buckets of allowances each subscription may draw on."""
    for bucket in range(1, int(books.meta[0]["buckets"])):
        row = books.bucket[bucket]
        if row["state"] == BUCKET_UNUSED or row["kind"] >= MONEY:
            continue
        member = first_member(books, int(row["scope"]), int(row["owner"]))
        while member != 0:
            count[member] += 1
            member = next_member(books, int(row["scope"]), member)


@uncounted
def fill_candidates(books: Books, index: Index, state: State) -> None:
    """Put every bucket where it belongs among the candidates of everybody who may draw on it."""
    for bucket in range(1, int(books.meta[0]["buckets"])):
        row = books.bucket[bucket]
        if row["state"] == BUCKET_UNUSED or row["kind"] >= MONEY:
            continue
        member = first_member(books, int(row["scope"]), int(row["owner"]))
        while member != 0:
            counted = member_of(books, member, bucket) if row["per_member"] else 0
            insert_candidate(books, index, state, member, bucket, counted)
            member = next_member(books, int(row["scope"]), member)
