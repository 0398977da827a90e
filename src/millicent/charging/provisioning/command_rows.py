"""Facts as rows of COMMAND.

What a command of provisioning says where: ACCOUNT `account_id`, `other_name` currency, flag POSTPAID, `limit` the
low-balance threshold (NO_LIMIT none), `amount` a Status. CREDIT `account_id`, `bucket_id`, `limit`. SUBSCRIBER
`subscription_id`, `account_id` who pays, `name` plan, `other_name` pool (-2 none), `limit` spend limit of a cycle,
`amount` a Status. IDENTIFIER `subscriber_key`, `subscription_id`. GRANT `bucket_id`, `name` allowance, `scope` and its
owner, `amount`, `from_ms`, `until_ms`. POLICY: see `charging.rules.policy_command`. THRESHOLDS `asked`: percent of use,
seconds before money ends, before allowances end. COUNTER `name`, `other_name` allowance, `asked` percents.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from millicent.catalog.types import Payment
from millicent.charging.declared import PolicyCounter, ThresholdRules
from millicent.charging.ports import BalancePort
from millicent.charging.provisioning.numbers import bucket_numbers, command_keys, mixed
from millicent.charging.types import NOT_SAID, Flag, NameKind, Rows, Status, Verb, commands
from millicent.charging.types_map import QuotaPolicy

_NO_POOL = -2
SECONDS_PER_DAY = 86_400


class NameNumbers:
    """The shard's numbers for texts, each asked for once. Good for one connection to one shard."""

    def __init__(self, port: BalancePort) -> None:
        self._port = port
        self._known: dict[tuple[NameKind, str], int] = {}

    def of(self, kind: NameKind, text: str) -> int:
        """NOT_SAID for the empty text."""
        if text == "":
            return NOT_SAID
        if (kind, text) not in self._known:
            self._known[kind, text] = self._port.number_of(kind, text)
        return self._known[kind, text]

    def column(self, kind: NameKind, texts: pl.Series) -> np.ndarray:
        distinct = texts.unique(maintain_order=True)
        numbers = pl.Series([self.of(kind, text) for text in distinct], dtype=pl.Int32)
        return texts.replace_strict(distinct, numbers, return_dtype=pl.Int32).to_numpy()


def rows_of(verb: Verb, count: int, *, at_ms: int) -> Rows:
    rows = commands(count)
    rows["verb"] = verb
    rows["received_ms"] = at_ms
    return rows


def account_rows(accounts: pl.DataFrame, *, names: NameNumbers, at_ms: int) -> Rows:
    rows = rows_of(Verb.ACCOUNT, len(accounts), at_ms=at_ms)
    rows["account_id"] = accounts["account_id"].to_numpy()
    rows["other_name"] = names.column(NameKind.CURRENCY, accounts["currency"])
    rows["flags"] = np.where((accounts["payment"] != Payment.PREPAID.value).to_numpy(), Flag.POSTPAID, 0)
    rows["limit"] = accounts["low_nanos"].to_numpy()
    rows["amount"] = np.where(accounts["barred"].to_numpy(), Status.BARRED, Status.ACTIVE)
    return rows


def credit_rows(accounts: pl.DataFrame, *, at_ms: int) -> Rows:
    """What each account may owe; 0 of a prepaid one."""
    rows = rows_of(Verb.CREDIT, len(accounts), at_ms=at_ms)
    rows["account_id"] = accounts["account_id"].to_numpy()
    rows["bucket_id"] = bucket_numbers("credit", accounts["account_id"]).to_numpy()
    rows["limit"] = accounts["credit_limit"].to_numpy()
    return rows


def subscriber_rows(subscribers: pl.DataFrame, *, names: NameNumbers, at_ms: int) -> Rows:
    rows = rows_of(Verb.SUBSCRIBER, len(subscribers), at_ms=at_ms)
    rows["subscription_id"] = subscribers["subscription_id"].to_numpy()
    rows["account_id"] = subscribers["account_id"].to_numpy()
    rows["name"] = names.column(NameKind.PLAN, subscribers["plan"])
    pools = names.column(NameKind.POOL, subscribers["pool"])
    rows["other_name"] = np.where(pools == NOT_SAID, _NO_POOL, pools)
    rows["limit"] = subscribers["spend_limit"].to_numpy()
    rows["amount"] = subscribers["status"].to_numpy()
    return rows


def identifier_rows(identifiers: pl.DataFrame, *, at_ms: int, held: bool = True) -> Rows:
    """Identifiers that are held from now on; or, `held` False, that nobody holds any more."""
    rows = rows_of(Verb.IDENTIFIER, len(identifiers), at_ms=at_ms)
    rows["subscriber_key"] = identifiers["key"].to_numpy()
    if held:
        rows["subscription_id"] = identifiers["subscription_id"].to_numpy()
    return rows


def roll_rows(subscribers: pl.DataFrame, *, names: NameNumbers, at_ms: int) -> Rows:
    """A cycle began, once for each subscription, account and pool and each cycle."""
    own = rows_of(Verb.ROLL, len(subscribers), at_ms=at_ms)
    own["subscription_id"] = subscribers["subscription_id"].to_numpy()
    accounts = subscribers.select("account_id", "cycle_from_ms").unique(maintain_order=True)
    theirs = rows_of(Verb.ROLL, len(accounts), at_ms=at_ms)
    theirs["account_id"] = accounts["account_id"].to_numpy()
    pools = subscribers.filter(pl.col("pool") != "").select("pool", "cycle_from_ms").unique(maintain_order=True)
    shared = rows_of(Verb.ROLL, len(pools), at_ms=at_ms)
    shared["other_name"] = names.column(NameKind.POOL, pools["pool"])
    for kind, owner, rows, frame in (
        ("roll subscription", "subscription_id", own, subscribers),
        ("roll account", "account_id", theirs, accounts),
        ("roll pool", "other_name", shared, pools),
    ):
        rows["instant_ms"] = frame["cycle_from_ms"].to_numpy()
        numbers = mixed(rows[owner].astype(np.uint64), rows["instant_ms"].astype(np.uint64))
        rows["key_high"], rows["key_low"] = command_keys(kind, numbers)
    return np.concatenate([own, theirs, shared])


def grant_rows(grants: pl.DataFrame, *, names: NameNumbers, at_ms: int) -> Rows:
    rows = rows_of(Verb.GRANT, len(grants), at_ms=at_ms)
    for name, column in (
        ("bucket_id", "bucket_id"),
        ("subscription_id", "subscription_id"),
        ("account_id", "account_id"),
        ("scope", "scope"),
        ("amount", "amount"),
        ("from_ms", "valid_from_ms"),
        ("until_ms", "valid_until_ms"),
        ("instant_ms", "valid_from_ms"),
    ):
        rows[name] = grants[column].to_numpy()
    rows["name"] = names.column(NameKind.ALLOWANCE, grants["allowance"])
    rows["other_name"] = names.column(NameKind.POOL, grants["pool"])
    rows["key_high"], rows["key_low"] = command_keys("grant", grants["bucket_id"].to_numpy())
    return rows


def expire_rows(grants: pl.DataFrame, *, at_ms: int) -> Rows:
    """Buckets whose offering is not held any more."""
    rows = rows_of(Verb.EXPIRE, len(grants), at_ms=at_ms)
    rows["bucket_id"] = grants["bucket_id"].to_numpy()
    rows["account_id"] = grants["account_id"].to_numpy()
    rows["subscription_id"] = grants["subscription_id"].to_numpy()
    return rows


def policy_rows(policies: Mapping[str, QuotaPolicy], *, names: NameNumbers, at_ms: int) -> Rows:
    """How slices of each service are sized."""
    rows = rows_of(Verb.POLICY, len(policies), at_ms=at_ms)
    for row, (service, policy) in zip(rows, policies.items(), strict=True):
        row["name"] = names.of(NameKind.SERVICE, service)
        sizes = (policy.slice_units, policy.most_units, policy.least_units, policy.share)
        row["asked"][: len(sizes)] = sizes
        times = (policy.validity_seconds, policy.grace_seconds, policy.holding_seconds)
        row["used"][:5] = (*times, policy.threshold_percent, int(policy.final))
    return rows


def threshold_rows(rules: ThresholdRules, *, at_ms: int) -> Rows:
    """When people are told of what they used, and of an end that is near."""
    rows = rows_of(Verb.THRESHOLDS, 1, at_ms=at_ms)
    leads = (rules.expiry_near_days, rules.allowance_expiry_near_days)
    rows["asked"][0, :3] = (rules.part_used_percent, *(days * SECONDS_PER_DAY for days in leads))
    return rows


def counter_rows(
    counters: Sequence[PolicyCounter], *, before: Sequence[PolicyCounter], names: NameNumbers, at_ms: int
) -> Rows:
    """What each policy counter looks at. One that is no longer declared has no thresholds any more."""
    declared = {each.code for each in counters}
    gone = [replace(each, statuses=()) for each in before if each.code not in declared]
    rows = rows_of(Verb.COUNTER, len(gone) + len(counters), at_ms=at_ms)
    for row, counter in zip(rows, [*gone, *counters], strict=True):
        row["name"] = names.of(NameKind.POLICY_COUNTER, counter.code)
        row["other_name"] = names.of(NameKind.ALLOWANCE, counter.allowance)
        row["asked"][: len(counter.statuses)] = [percent for percent, _ in counter.statuses]
    return rows
