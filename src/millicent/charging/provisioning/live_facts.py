"""What the shard should know at an instant: columns from the stores of customers, subscriptions and the catalogue.

Everything is a function of (at_ms, known_at_ms): what changed between two instants is the difference of two answers.
Of the plans that an account pays for, the most careful way of payment counts; an agreement overrules them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from millicent.billing.live import CycleSpan, Releases, cycle_containing
from millicent.catalog.types import Payment, Period, PeriodUnit
from millicent.charging.declared import DeclaredCharging
from millicent.charging.keys import plan_text
from millicent.charging.models.people import AccountAgreement
from millicent.charging.provisioning.grants import below_pool, grants_of
from millicent.charging.provisioning.numbers import identifier_numbers
from millicent.charging.provisioning.unpaid import unpaid_plans
from millicent.charging.types import NO_LIMIT, Status
from millicent.customers.live import TURN_COLUMNS, paying_frame
from millicent.customers.types import BillCycle
from millicent.kit.errors import BadInput, Refusal
from millicent.kit.money import parse_nanos
from millicent.subscriptions.live import held_frame, subscription_ids_of, version_frame

_STATUS = {"active": int(Status.ACTIVE), "suspended": int(Status.BARRED)}
_CAREFUL = [each.value for each in Payment]  # the most careful first


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFacts:
    """`accounts`: account_id, currency, payment, credit_limit, barred, low_nanos.
    `subscribers`: subscription_id, account_id (who pays), plan, pool, status, spend_limit, cycle_from_ms.
    `identifiers`: subscription_id, key. `grants`: see `grants.GRANT_FRAME`."""

    at_ms: int
    accounts: pl.DataFrame
    subscribers: pl.DataFrame
    identifiers: pl.DataFrame
    grants: pl.DataFrame


def live_facts(
    *,
    at_ms: int,
    known_at_ms: int,
    released: Releases,
    declared: DeclaredCharging,
    account_ids: Sequence[int] | None = None,
) -> LiveFacts:
    """Facts of what these accounts hold, or of all. Name all that one payer pays for and the payer, or none of it."""
    subscription_ids = None if account_ids is None else subscription_ids_of(account_ids)
    paying = with_cycles(paying_frame(at_ms=at_ms, known_at_ms=known_at_ms, ids=account_ids), at_ms=at_ms)
    since_ms = int(paying["cycle_from_ms"].min() or at_ms)  # type: ignore[arg-type]
    versions = version_frame(since_ms=since_ms, known_at_ms=known_at_ms, ids=subscription_ids).join(
        paying, on="billing_account_id"
    )
    held = _held(versions, released=released, at_ms=at_ms)
    accounts = _accounts(held, declared=declared)
    unpaid = unpaid_plans(held, accounts=accounts, at_ms=at_ms, known_at_ms=known_at_ms, rules=declared.prepaid)
    barred = pl.col("subscription_id").is_in(unpaid.filter("barred")["subscription_id"].implode())
    held = held.with_columns(
        status=pl.when(barred & (pl.col("status") == int(Status.ACTIVE)))
        .then(pl.lit(int(Status.BARRED), pl.Int8))
        .otherwise("status")
    )
    return LiveFacts(
        at_ms=at_ms,
        accounts=accounts,
        subscribers=held.select(
            "subscription_id", "account_id", "plan", "pool", "status", "spend_limit", "cycle_from_ms"
        ),
        identifiers=_identifiers(at_ms=at_ms, known_at_ms=known_at_ms, subscription_ids=subscription_ids),
        grants=grants_of(versions, released=released, at_ms=at_ms).join(unpaid, on="subscription_id", how="anti"),
    )


def with_cycles(paying: pl.DataFrame, *, at_ms: int) -> pl.DataFrame:
    """Each account with the cycle of its payer around `at_ms`: a payer's bill gathers them all."""
    turns = paying.select(TURN_COLUMNS).unique()
    spans = [cycle_of(turn, at_ms=at_ms) for turn in turns.iter_rows()]
    spanned = turns.with_columns(
        cycle_from_ms=pl.Series([span.from_ms for span in spans], dtype=pl.Int64),
        cycle_until_ms=pl.Series([span.until_ms for span in spans], dtype=pl.Int64),
    )
    payers = paying.join(spanned, on=TURN_COLUMNS).select(
        "cycle_from_ms", "cycle_until_ms", *TURN_COLUMNS, payer_id="billing_account_id"
    )
    return paying.select("billing_account_id", "payer_id", "currency", "segment").join(payers, on="payer_id")


def cycle_of(turn: tuple[str, int, int, str, int], *, at_ms: int) -> CycleSpan:
    """The cycle around an instant of accounts of one kind (TURN_COLUMNS)."""
    zone, day, count, unit, anchor_ms = turn
    cycle = BillCycle(day=day, period=Period(count=count, unit=PeriodUnit(unit)), anchor_ms=anchor_ms)
    return cycle_containing(cycle=cycle, zone=zone, instant_ms=at_ms)


def _held(versions: pl.DataFrame, *, released: Releases, at_ms: int) -> pl.DataFrame:
    """What each subscription is at the instant; one that is nothing then is gone."""
    now = versions.filter((pl.col("effective_from_ms") <= at_ms) & (pl.col("effective_until_ms") > at_ms))
    offers = now.select("offering", "add_ons", "currency").unique()
    found = [_offer(*row, released=released, at_ms=at_ms) for row in offers.iter_rows()]
    offers = offers.with_columns(
        tariff=pl.Series([tariff for tariff, _, _ in found], dtype=pl.String),
        payment=pl.Series([payment.value for _, payment, _ in found], dtype=pl.String),
        has_fees=pl.Series([has_fees for _, _, has_fees in found], dtype=pl.Boolean),
    )
    now = now.join(offers, on=("offering", "add_ons", "currency"))
    return now.with_columns(
        account_id="payer_id",
        plan=pl.concat_str("tariff", "segment", separator=plan_text(tariff="", segment="")),
        pool=pool_names(),
        status=pl.col("status").replace_strict(_STATUS, default=int(Status.GONE), return_dtype=pl.Int8),
        spend_limit=_spend_limits(now),
    )


def pool_names() -> pl.Expr:
    """Pools are shared within one payer's accounts, as billing has it: the same name elsewhere is another pool."""
    below = pl.when(pl.col("billing_account_id") != pl.col("payer_id")).then(below_pool()).otherwise(pl.lit(""))
    return pl.when(pl.col("pool") == "").then(below).otherwise(pl.concat_str("payer_id", "pool", separator="/"))


def _offer(offering: str, add_ons: str, currency: str, *, released: Releases, at_ms: int) -> tuple[str, Payment, bool]:
    """The tariff that prices usage, of the plan or else of the first add-on that has one; how the plan is paid; and
    whether what is held costs something by itself.

    An offering that the release does not know prices nothing and pays in advance, until the catalogue is mended.
    """
    view = released.at(at_ms)
    held = [offering, *pl.Series([add_ons]).str.json_decode(pl.List(pl.String))[0]]
    try:
        views = [view.offering(code, currency=currency) for code in held]
    except Refusal:
        return "", Payment.PREPAID, False
    has_fees = any(each.recurring or each.one_time for each in views)
    return (
        next((each.tariff for each in views if each.tariff), ""),
        view.catalogue.offerings[offering].payment,
        has_fees,
    )


def _spend_limits(now: pl.DataFrame) -> pl.Series:
    written = now.select("spend_limit", "currency").unique()
    limits = [_nanos(text, currency) for text, currency in written.iter_rows()]
    read = written.with_columns(limit=pl.Series(limits, dtype=pl.Int64))
    return now.join(read, on=("spend_limit", "currency"), maintain_order="left")["limit"]


def _nanos(text: str, currency: str) -> int:
    """A limit that cannot be read is none: it was checked where it was written, and never stops the whole load."""
    try:
        return parse_nanos(text, currency) if text else NO_LIMIT
    except BadInput:
        return NO_LIMIT


def _accounts(held: pl.DataFrame, *, declared: DeclaredCharging) -> pl.DataFrame:
    alive = pl.col("status") != int(Status.GONE)
    rank = pl.col("payment").replace_strict(_CAREFUL, list(range(len(_CAREFUL))), return_dtype=pl.Int8)
    by_account = held.group_by("account_id").agg(
        pl.col("currency").first(), rank.filter(alive).min().fill_null(0).alias("rank")
    )
    agreed = _agreements()
    by_account = by_account.with_columns(
        payment=pl.col("rank").replace_strict(list(range(len(_CAREFUL))), _CAREFUL, return_dtype=pl.String)
    ).join(agreed, on="account_id", how="left")
    payment = pl.when(pl.col("agreed_payment").fill_null("") == "").then("payment").otherwise("agreed_payment")
    limits = pl.col("currency").replace_strict(dict(declared.credit_limits), default=NO_LIMIT, return_dtype=pl.Int64)
    low = pl.col("currency").replace_strict(
        dict(declared.thresholds.low_balance), default=NO_LIMIT, return_dtype=pl.Int64
    )
    return by_account.with_columns(payment=payment).select(
        "account_id",
        "currency",
        "payment",
        credit_limit=pl.when(pl.col("payment") == Payment.PREPAID.value)
        .then(pl.lit(0, pl.Int64))
        .otherwise(pl.coalesce("agreed_limit", limits)),
        barred=pl.col("agreed_barred").fill_null(value=False),
        low_nanos=low,
    )


def _agreements() -> pl.DataFrame:
    """The last agreement of each account."""
    rows = (
        AccountAgreement.objects.order_by("billing_account_id", "-id")
        .distinct("billing_account_id")
        .values_list("billing_account_id", "payment", "credit_limit_nanos", "barred")
    )
    schema = {
        "account_id": pl.Int64, "agreed_payment": pl.String, "agreed_limit": pl.Int64, "agreed_barred": pl.Boolean,
    }  # fmt: skip
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def _identifiers(*, at_ms: int, known_at_ms: int, subscription_ids: Sequence[int] | None) -> pl.DataFrame:
    held = held_frame(at_ms=at_ms, known_at_ms=known_at_ms, ids=subscription_ids)
    return held.select("subscription_id").with_columns(identifier_numbers(held["kind"], held["identifier"]))
