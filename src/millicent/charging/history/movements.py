"""Movements of journalled batches as one frame, each with the command that caused it, in words."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import polars as pl

from millicent.charging.journal.read import JournalledBatch
from millicent.charging.keys import SEPARATOR
from millicent.charging.types import NOT_SAID, NameKind, Unit, Verb
from millicent.customers.live import account_currencies
from millicent.kit.bulk import read_rows
from millicent.rating.kernel.arrays import SHORT_CODES
from millicent.rating.kernel.number import KEY_DIGITS

EXPIRED = "expired"  # the shard's own cause of what ends with its bucket
MOVEMENT_FRAME = {
    "sequence": pl.Int64,
    "place": pl.Int32,  # in the batch
    "command": pl.Int64,
    "verb": pl.Int16,
    "happened_at_ms": pl.Int64,
    "billing_account_id": pl.Int64,
    "subscription_id": pl.Int64,  # NOT_SAID: of the account
    "bucket_id": pl.Int64,
    "kind": pl.Int16,
    "change": pl.Int64,
    "remaining": pl.Int64,
    "cause": pl.String,  # "" usage
    "order_key": pl.String,  # "" none
    "key_high": pl.UInt64,
    "key_low": pl.UInt64,
    "group": pl.Int64,
    "traffic": pl.String,
    "allowance": pl.String,  # of a grant
    "other_party": pl.String,
    "unit": pl.String,
    "quantity": pl.Int64,
}
_ORDERED = (Verb.TOP_UP, Verb.ADJUST, Verb.TRANSFER)  # their text is the key of an order


def movement_frame(batches: Sequence[JournalledBatch], *, shard: int) -> pl.DataFrame:
    """MOVEMENT_FRAME with `currency` beside ("" of units), in the journal's order."""
    frames = [_frame_of(each) for each in batches if len(each.batch.movements)]
    if not frames:
        return pl.DataFrame(schema={**MOVEMENT_FRAME, "currency": pl.String})
    moved = pl.concat(frames)
    named = {kind: names_of(kind, moved[column], shard=shard) for column, kind in _NAMED.items()}
    moved = moved.with_columns(
        pl.col(column).replace_strict(named[kind], default="", return_dtype=pl.String)
        for column, kind in _NAMED.items()
    )
    currencies = account_currencies(ids=moved["billing_account_id"].unique().to_list())
    money = pl.col("kind") >= 1
    return moved.with_columns(
        currency=pl.when(money)
        .then(pl.col("billing_account_id").replace_strict(currencies, default="", return_dtype=pl.String))
        .otherwise(pl.lit("")),
    )


_NAMED = {"cause": NameKind.CAUSE, "traffic": NameKind.TRAFFIC, "allowance": NameKind.ALLOWANCE}


def names_of(kind: NameKind, numbers: pl.Series, *, shard: int) -> Mapping[int, str]:
    """The texts of a shard's numbers, from where the journal keeps them."""
    wanted = [number for number in numbers.unique().to_list() if number is not None and number >= 0]
    query = "SELECT number, text FROM charging_name WHERE shard = %s AND kind = %s AND number = ANY(%s)"
    return dict(read_rows(query, [shard, kind.value, wanted]))


def _frame_of(journalled: JournalledBatch) -> pl.DataFrame:
    batch = journalled.batch
    moved = batch.movements
    asked = batch.commands[moved["command"]]
    used = np.maximum(asked["used"], 0)
    unit = used.argmax(axis=1)
    columns = {
        "sequence": np.full(len(moved), journalled.sequence, np.int64),
        "place": np.arange(len(moved), dtype=np.int32),
        "command": moved["command"].astype(np.int64),
        "verb": asked["verb"].astype(np.int16),
        "happened_at_ms": asked["received_ms"],
        "billing_account_id": moved["account_id"],
        "subscription_id": moved["subscription_id"],
        "bucket_id": moved["bucket_id"],
        "kind": moved["kind"].astype(np.int16),
        "change": moved["change"],
        "remaining": moved["remaining"],
        "cause": moved["cause"].astype(np.int64),
        "order_key": _order_keys(batch.texts, asked),
        "key_high": asked["key_high"],
        "key_low": asked["key_low"],
        "group": asked["group"].astype(np.int64),
        "traffic": np.where(asked["verb"] < Verb.TOP_UP, asked["traffic"], NOT_SAID).astype(np.int64),
        "allowance": np.where(asked["verb"] == Verb.GRANT, asked["name"], NOT_SAID).astype(np.int64),
        "other_party": _numbers(asked["number_key"], asked["number_digits"]),
        "unit": np.array([each.name.lower() for each in Unit])[unit],
        "quantity": used[np.arange(len(used)), unit],
    }
    return pl.DataFrame({name: np.ascontiguousarray(column) for name, column in columns.items()})


def _order_keys(texts: bytes, asked: np.ndarray) -> np.ndarray:
    """The text of commands that carry out an order."""
    keys = [
        texts[row["text_offset"] : row["text_offset"] + row["text_length"]].decode("utf-8", "replace").replace("\0", "")
        if row["verb"] in _ORDERED
        else ""
        for row in asked[["verb", "text_offset", "text_length"]]
    ]
    return np.array(keys, dtype=np.str_)


def _numbers(keys: np.ndarray, digits: np.ndarray) -> np.ndarray:
    """Numbers back from their keys (rating.kernel.number)."""
    return np.array([number_text(int(key), int(count)) for key, count in zip(keys, digits, strict=True)], np.str_)


def number_text(key: int, digits: int) -> str:
    """The digits of a key, "short:" before those of a short code; "" for none."""
    if digits <= 0:
        return ""
    short = key >= SHORT_CODES
    value = (key - SHORT_CODES if short else key) // 10 ** (KEY_DIGITS - digits)
    return f"{'short:' if short else ''}{value:0{digits}d}"


def traffic_words(text: str) -> dict[str, str]:
    """What a traffic text says, without what it leaves empty."""
    names = ("service", "direction", "call_type", "visited_network", "attributes")
    return {name: word for name, word in zip(names, text.split(SEPARATOR), strict=False) if word}


def session_words(rows: Iterable[tuple[int, int]]) -> list[str]:
    """128-bit keys as people copy them."""
    return [f"{high:016x}{low:016x}" for high, low in rows]
