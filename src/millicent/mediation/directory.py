"""Who held which identifier when: the subscribers' side of enrichment, as arrays."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from millicent.kit.kernels import Int8s, Int32s, Int64s, UInt64s
from millicent.mediation.kernel.directory import NOT_HELD, fill_slots, find_holders
from millicent.mediation.texts import hashes

IDENTIFIER_COLUMNS = {
    "identifier_kind": pl.String,
    "identifier": pl.String,
    "effective_from_ms": pl.Int64,
    "effective_until_ms": pl.Int64,
    "subscription_id": pl.Int64,
    "billing_account_id": pl.Int64,
}
NOBODY_ID = -1
_FOREVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriberDirectory:
    """Tenures (who held an identifier from when until when) behind a hash table. A million take some 100 MB."""

    slots: Int32s
    high: UInt64s
    low: UInt64s
    from_ms: Int64s
    until_ms: Int64s
    subscription_id: Int64s
    billing_account_id: Int64s

    def find(self, *, kinds: pl.Series, identifiers: pl.Series, occurred_at_ms: Int64s) -> Int64s:
        """The tenure that covers each instant, -1 where nobody held the identifier."""
        holder = np.full(len(identifiers), NOT_HELD, np.int64)
        if len(self.high):
            high, low = _identifier_hashes(kinds, identifiers)
            find_holders(
                high, low, occurred_at_ms, self.slots, self.high, self.low, self.from_ms, self.until_ms, holder
            )
        return holder

    def subscriptions(self, holder: Int64s) -> tuple[Int64s, Int64s]:
        """Subscription and billing account of each tenure, -1 for nobody."""
        if not len(self.high):
            return np.full(len(holder), NOBODY_ID, np.int64), np.full(len(holder), NOBODY_ID, np.int64)
        found = np.maximum(holder, 0)
        nobody = holder == NOT_HELD
        return (
            np.where(nobody, NOBODY_ID, self.subscription_id[found]),
            np.where(nobody, NOBODY_ID, self.billing_account_id[found]),
        )


def build_directory(frame: pl.DataFrame) -> SubscriberDirectory:
    """Arrange the rows of `subscriptions.selectors.identifier_frame()` for finding."""
    high, low = _identifier_hashes(frame["identifier_kind"], frame["identifier"])
    order = np.lexsort((frame["effective_from_ms"].to_numpy(), low, high))
    until = frame["effective_until_ms"].fill_null(_FOREVER).to_numpy()
    slots = np.full(1 << max(2 * len(high), 2).bit_length(), -1, np.int32)
    fill_slots(high[order], slots)
    return SubscriberDirectory(
        slots=slots,
        high=high[order],
        low=low[order],
        from_ms=frame["effective_from_ms"].to_numpy()[order],
        until_ms=until[order],
        subscription_id=frame["subscription_id"].to_numpy()[order],
        billing_account_id=frame["billing_account_id"].to_numpy()[order],
    )


def _identifier_hashes(kinds: pl.Series, identifiers: pl.Series) -> tuple[UInt64s, UInt64s]:
    if not len(kinds):
        return np.empty(0, np.uint64), np.empty(0, np.uint64)
    first = str(kinds[0])
    if bool((kinds == first).all()):
        return hashes(identifiers, names=[f"identifier:{first}"])
    names = sorted(set(kinds.unique().to_list()))
    codes: Int8s = kinds.replace_strict(names, list(range(len(names))), return_dtype=pl.Int8).to_numpy()
    return hashes(identifiers, names=[f"identifier:{name}" for name in names], kind=codes)
