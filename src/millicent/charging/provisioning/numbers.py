"""Numbers that follow from what they name: the same grant has the same bucket wherever and whenever it is computed."""

from hashlib import blake2b

import numpy as np
import polars as pl
from numpy.typing import NDArray

from millicent.charging.keys import LONGEST_NUMBER, identifier_key
from millicent.subscriptions.types import IdentifierKind

UInt64s = NDArray[np.uint64]
_POSITIVE = np.uint64(2**62 - 1)
_KIND_BITS = np.uint64(60)


def text_number(text: str) -> int:
    """64 bits of a text."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def mixed(first: UInt64s, second: UInt64s) -> UInt64s:
    """64 bits of two numbers: the finalizer of SplitMix64 over both (Steele, Lea and Flood 2014)."""
    with np.errstate(over="ignore"):
        value = first * np.uint64(0x9E3779B97F4A7C15) + second
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return value ^ (value >> np.uint64(31))


def bucket_number(text: str, owner_id: int) -> int:
    """The bucket of one kind that an owner has once: its main balance, its credit."""
    made = mixed(np.array([text_number(text)], np.uint64), np.array([owner_id], np.uint64))
    return int(made[0] & _POSITIVE)


def bucket_numbers(text: str, owner_ids: pl.Series) -> pl.Series:
    """The same for many owners."""
    made = mixed(np.full(len(owner_ids), text_number(text), np.uint64), owner_ids.to_numpy().astype(np.uint64))
    return pl.Series("bucket_id", (made & _POSITIVE).astype(np.int64))


def grant_numbers(grants: pl.DataFrame) -> pl.Series:
    """Bucket ids of grants by allowance, who brought it, when it opened, and which of several alike it is."""
    texts = grants["allowance"].unique()
    numbers = pl.Series([text_number(text) for text in texts], dtype=pl.UInt64)
    allowance = grants["allowance"].replace_strict(texts, numbers, return_dtype=pl.UInt64).to_numpy()
    made = mixed(allowance, grants["subscription_id"].to_numpy().astype(np.uint64))
    made = mixed(made, grants["valid_from_ms"].to_numpy().astype(np.uint64))
    made = mixed(made, grants["twin"].to_numpy().astype(np.uint64))
    return pl.Series("bucket_id", (made & _POSITIVE).astype(np.int64))


def command_keys(purpose: str, numbers: NDArray[np.int64] | UInt64s) -> tuple[UInt64s, UInt64s]:
    """128-bit keys of commands that must be done once, however often they are sent."""
    low = numbers.astype(np.uint64)
    return mixed(np.full(len(low), text_number(purpose), np.uint64), low), low


def identifier_numbers(kinds: pl.Series, identifiers: pl.Series) -> pl.Series:
    """`identifier_key` of many: digits by column, other names one by one."""
    frame = pl.DataFrame({"kind": kinds, "text": identifiers}).with_row_index("place")
    digits = frame.filter(
        pl.col("kind").is_in([IdentifierKind.MSISDN.value, IdentifierKind.IMSI.value])
        & pl.col("text").str.contains(rf"^[0-9]{{1,{LONGEST_NUMBER}}}$")
    )
    numbers = np.zeros(len(frame), np.uint64)
    for kind in (IdentifierKind.MSISDN, IdentifierKind.IMSI):
        some = digits.filter(pl.col("kind") == kind.value)
        above = np.uint64(identifier_key(kind, "0") >> int(_KIND_BITS)) << _KIND_BITS
        numbers[some["place"].to_numpy()] = some["text"].cast(pl.UInt64).to_numpy() | above
    for place, kind_text, text in frame.join(digits, on="place", how="anti").iter_rows():
        numbers[place] = identifier_key(IdentifierKind(kind_text), text)
    return pl.Series("key", numbers)
