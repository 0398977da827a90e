"""Agree a price of one's own with a customer."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from millicent.subscriptions.services.record_change import History, record_change
from millicent.subscriptions.types import Signature


def override_price(
    *, code: str, price_code: str, amount_nanos: int | None, at_ms: int, now: datetime, signature: Signature
) -> History:
    """From `at_ms` on `price_code` costs `amount_nanos`, until the next recorded change of it.

    The amount is in the currency of the price; None goes back to the catalogue's price.
    """
    return record_change(
        code=code,
        verb="override_price",
        at_ms=at_ms,
        now=now,
        signature=signature,
        change=lambda holding: replace(
            holding,
            price_overrides=_overrides(holding.price_overrides, price_code=price_code, amount_nanos=amount_nanos),
        ),
        follows=lambda holding: holding.price_overrides.get(price_code),
        details={"price_code": price_code, "amount_nanos": str(amount_nanos)},
    )


def _overrides(earlier: Mapping[str, int], *, price_code: str, amount_nanos: int | None) -> dict[str, int]:
    others = {code: nanos for code, nanos in earlier.items() if code != price_code}
    return others if amount_nanos is None else others | {price_code: amount_nanos}
