"""Compile the loops of pricing and of charging before the first customer waits for them."""

import time
from pathlib import Path

_PRICING_LOOP = "price.price_charges-*.nbc"


def pricing_loop_is_compiled(cache: Path) -> bool:
    """Whether the cache holds the loop of this very version: another version's machine code is never run."""
    import millicent.rating.kernel as loops
    from millicent.kit.kernels import sources_digest

    folder = cache / sources_digest(Path(loops.__file__).parent)
    return any(folder.rglob(_PRICING_LOOP))


def compile_pricing_loop() -> int:
    """Price one call with the demo's catalogue, which compiles everything that pricing needs. Returns the seconds."""
    import polars as pl

    from millicent.catalog.loading import load_catalogue
    from millicent.rating.services import compile_catalogue, price_usage
    from millicent.rating.usage_files import fresh_grants, holdings_for

    started = time.monotonic()
    catalogue = load_catalogue(Path(__file__).parent / "demo" / "catalogue")
    code, offering = next((code, each) for code, each in catalogue.offerings.items() if each.tariff and each.allowances)
    call = {
        "event_key_low": 1,
        "subscription_id": 1,
        "billing_account_id": 1,
        "occurred_at_ms": 1_790_812_800_000,
        "service": "voice",
        "direction": "originating",
        "other_party": "14155550100",
        "duration_ms": 60_000,
    }
    holdings = holdings_for(tariff=offering.tariff or "")
    price_usage(
        programs=[(-(2**62), 1, compile_catalogue(catalogue))],
        usage=pl.DataFrame([call]),
        holdings=holdings,
        grants=fresh_grants(catalogue, code, holdings),
    )
    return round(time.monotonic() - started)


def compile_charging_loop() -> int:
    """Apply nothing to a shard that is thrown away, and read one message. Returns the seconds."""
    from millicent.catalog.loading import load_catalogue
    from millicent.charging.shard import Shard
    from millicent.network.diameter.warming import warm
    from millicent.rating.services import compile_catalogue

    started = time.monotonic()
    catalogue = load_catalogue(Path(__file__).parent / "demo" / "catalogue")
    Shard([(0, 1, compile_catalogue(catalogue))]).ready()
    warm()
    return round(time.monotonic() - started)
