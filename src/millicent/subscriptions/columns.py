"""The columns of files of subscriptions and identifiers, each with how it is read and how a fault is mended."""

import json
from functools import partial

import polars as pl

from millicent.kit.errors import BadInput
from millicent.kit.intake import Column, parse_whole
from millicent.kit.money import parse_nanos
from millicent.subscriptions.types import IdentifierKind, SubscriptionStatus

DATE_CURE = "Write a date such as 2026-10-01, or an instant with its offset such as 2026-10-01T08:00:00+02:00."
LIST_CURE = "Codes separated by |."


def as_written(text: str) -> str:
    return text


def codes(text: str) -> str:
    """ "a|b" as a JSON list, in the order written."""
    return json.dumps([code.strip() for code in text.split("|") if code.strip()], ensure_ascii=False)


def _status(text: str) -> str | None:
    return text if text in [status.value for status in SubscriptionStatus] else None


def _kind(text: str) -> str | None:
    return text if text in [kind.value for kind in IdentifierKind] else None


def price_overrides(text: str, *, currency: str) -> str | None:
    """ "monthly=9.50|setup=0" as a JSON object of nanos in the account's currency."""
    agreed = {}
    for part in text.split("|"):
        code, equals, amount = part.partition("=")
        if not equals or not code.strip():
            return None
        try:
            agreed[code.strip()] = parse_nanos(amount.strip(), currency)
        except BadInput:
            return None
    return json.dumps(agreed, ensure_ascii=False, sort_keys=True)


SUBSCRIPTION_COLUMNS = (
    Column(name="subscription", parse=as_written, required=True, cure="Give every subscription a code of its own."),
    Column(name="account", parse=as_written, required=True, cure="The code of its billing account."),
    Column(name="offering", parse=as_written, required=True, cure="The code of an offering of the catalogue."),
    Column(name="from", parse=as_written, required=True, cure=DATE_CURE),
    Column(name="until", parse=as_written, cure=DATE_CURE),
    Column(
        name="status",
        parse=_status,
        default=SubscriptionStatus.ACTIVE.value,
        cure="Write pending, active, suspended or terminated.",
    ),
    Column(
        name="quantity",
        parse=partial(parse_whole, smallest=1, largest=2_000_000_000),
        into=pl.Int64,
        default=1,
        cure="Write a whole number of at least 1.",
    ),
    Column(name="pool", parse=as_written, cure="The name of the group that shares an allowance, or nothing."),
    Column(name="add_ons", parse=codes, default="[]", cure=LIST_CURE),
    Column(name="coupons", parse=codes, default="[]", cure=LIST_CURE),
    Column(name="price_overrides", parse=as_written, cure="Write price=amount, separated by |."),
)

IDENTIFIER_COLUMNS = (
    Column(name="subscription", parse=as_written, required=True, cure="The code of the subscription that holds it."),
    Column(
        name="kind", parse=_kind, required=True, cure=f"One of: {', '.join(kind.value for kind in IdentifierKind)}."
    ),
    Column(name="identifier", parse=as_written, required=True, cure="The number, SIM, user name, address or device."),
    Column(name="from", parse=as_written, cure=DATE_CURE),
    Column(name="until", parse=as_written, cure=DATE_CURE),
)
