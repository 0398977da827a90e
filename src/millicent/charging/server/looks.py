"""Questions of people that the charging process answers from its tables: balances of an account, open sessions."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from millicent.charging.history.movements import traffic_words
from millicent.charging.kernel.layout import BUCKET_LIVE, COUNTERS, DRAWS
from millicent.charging.server.looking import session_texts
from millicent.charging.server.opening import OpenShard
from millicent.charging.server.projection import balance_columns
from millicent.charging.server.sockets import Look
from millicent.charging.shard import Shard
from millicent.charging.types import NO_LIMIT, NO_SERVICE, NOT_SAID, BucketKind, Door, NameKind, Rows, Unit

_MOST_SESSIONS = 1_000
Places = NDArray[np.intp]
Chosen = NDArray[np.bool_]
assert DRAWS >= COUNTERS, "a segment draws on buckets before it counts"


def looks_of(shard: Shard) -> Mapping[str, Look]:
    """Named questions for `ServePlan.looks`."""

    async def balances(asked: Mapping[str, Any]) -> object:
        return balances_of_account(shard, int(asked["account_id"]))

    async def sessions(asked: Mapping[str, Any]) -> object:
        return open_sessions(
            shard, subscription_id=int(asked.get("subscription_id", NOT_SAID)), limit=int(asked.get("limit", 100))
        )

    async def session(asked: Mapping[str, Any]) -> object:
        return one_session(shard, str(asked["session"]))

    async def spending(asked: Mapping[str, Any]) -> object:
        return spending_of(shard, int(asked["subscription_id"]))

    return {"balances": balances, "sessions": sessions, "session": session, "spending": spending}


def looks_of_open(opened: OpenShard) -> Mapping[str, Look]:
    """The same for a shard that was opened; one of another make has nothing to show."""
    shard = opened.engine.shard
    return looks_of(shard) if isinstance(shard, Shard) else {}


def balances_of_account(shard: Shard, account_id: int) -> list[dict[str, Any]]:
    """Every live bucket of an account, of the subscriptions it pays for and of their pools."""
    tables = shard.tables()
    bucket, account = tables["bucket"], tables["account"]
    found = np.flatnonzero(account["account_id"] == account_id)
    if not len(found):
        return []
    members = np.flatnonzero(tables["subscriber"]["account"] == found[0])
    pools = np.unique(tables["subscriber"]["pool"][members])
    owned = (
        ((bucket["scope"] == 1) & (bucket["owner"] == found[0]))
        | ((bucket["scope"] == 0) & np.isin(bucket["owner"], members[members > 0]))
        | ((bucket["scope"] == 2) & np.isin(bucket["owner"], pools[pools > 0]))
    )
    columns = balance_columns(shard, np.flatnonzero(owned & (bucket["state"] == BUCKET_LIVE)))
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def spending_of(shard: Shard, subscription_id: int) -> list[dict[str, Any]]:
    """What a subscription used of its spend limit and of each allowance that it draws on, by code; [] when unknown."""
    tables = shard.tables()
    found = np.flatnonzero(tables["subscriber"]["subscription_id"] == subscription_id)
    if not len(found):
        return []
    subscriber = tables["subscriber"][found[0]]
    limit = int(subscriber["spend_limit"])
    counters = [_counter("spend_limit", "nanos", used=int(subscriber["spent_nanos"]), limit=limit)]
    bucket = tables["bucket"]
    owners = (int(found[0]), int(subscriber["account"]), int(subscriber["pool"]))
    mine = np.zeros(len(bucket), np.bool_)
    for scope, owner in enumerate(owners):
        mine |= (bucket["scope"] == scope) & (bucket["owner"] == owner) & (owner > 0)
    mine &= (bucket["state"] == BUCKET_LIVE) & (bucket["kind"] < BucketKind.MONEY)
    for allowance in sorted({int(each) for each in bucket["allowance"][mine]}):
        rows = bucket[mine & (bucket["allowance"] == allowance)]
        unit = "nanos" if (rows["kind"] == BucketKind.CATALOGUE_MONEY).all() else "units"
        opened = sum(int(each) for each in rows["opened"])
        left = sum(int(each) for each in rows["free"]) + sum(int(each) for each in rows["reserved"])
        code = shard.text_of(NameKind.ALLOWANCE, allowance)
        counters.append(_counter(code, unit, used=opened - left, limit=opened))
    return sorted(counters, key=lambda counter: str(counter["code"]))


def _counter(code: str, unit: str, *, used: int, limit: int) -> dict[str, Any]:
    return {"code": code, "unit": unit, "used": used, "limit": None if limit >= NO_LIMIT else limit}


def open_sessions(shard: Shard, *, subscription_id: int, limit: int) -> list[dict[str, Any]]:
    """Open sessions of one subscription, or of all, the latest first."""
    session, subscriber = shard.tables()["session"], shard.tables()["subscriber"]
    rows = np.flatnonzero(session["state"] == 1)
    if subscription_id != NOT_SAID:
        rows = rows[subscriber["subscription_id"][session["subscriber"][rows]] == subscription_id]
    newest = rows[np.argsort(session["opened_ms"][rows], kind="stable")[::-1]][: min(limit, _MOST_SESSIONS)]
    return [_session(shard, int(row)) for row in newest]


def one_session(shard: Shard, wanted: str) -> dict[str, Any] | None:
    """An open session by its key in 32 hexadecimal digits or by its Session-Id, with its groups; None: not open."""
    session = shard.tables()["session"]
    rows = np.flatnonzero(session["state"] == 1)
    for row in rows[_candidates(shard, rows, wanted)].tolist():
        seen = _session(shard, row)
        if wanted in (seen["key"], seen["session_id"]):
            return {**seen, "groups": _groups(shard, row)}
    return None


def _candidates(shard: Shard, rows: Places, wanted: str) -> Chosen:
    """Rows whose key or whose Session-Id's first bytes are those wanted: no text is decoded for the others."""
    if len(wanted) == 32 and all(letter in "0123456789abcdef" for letter in wanted):
        session = shard.tables()["session"][rows]
        high, low = (np.array(int(part, 16), np.uint64) for part in (wanted[:16], wanted[16:]))
        found: Chosen = (session["key_high"].view(np.uint64) == high) & (session["key_low"].view(np.uint64) == low)
        if found.any():
            return found
    texts = shard.tables()["session_text"][rows]
    text = np.frombuffer(wanted.encode()[: texts["text"].shape[1]], np.uint8)
    begins: Chosen = (texts["text"][:, : len(text)] == text).all(axis=1)
    return begins


def _session(shard: Shard, row: int) -> dict[str, Any]:
    tables = shard.tables()
    session, subscriber = tables["session"][row], tables["subscriber"]
    high, low = (int(session[name]) & (2**64 - 1) for name in ("key_high", "key_low"))
    return {
        "key": f"{high:016x}{low:016x}",
        "session_id": session_texts(tables, [row])[0],
        "door": Door(int(session["door"])).name.lower(),
        "peer": shard.text_of(NameKind.PEER, int(session["peer"])),
        "subscription_id": int(subscriber["subscription_id"][session["subscriber"]]),
        "opened_ms": int(session["opened_ms"]),
        "deadline_ms": int(session["deadline_ms"]),
        "last_request": int(session["last_request"]),
        "money_nanos": int(session["money_nanos"]),
        "group_count": int(session["groups"]),
    }


def _groups(shard: Shard, session: int) -> list[dict[str, Any]]:
    """Each rating group with its segment: what was used, what it cost, what is granted and held."""
    tables = shard.tables()
    groups = tables["group"]
    return [_group(shard, row) for row in groups[groups["session"] == session]] if session > 0 else []


def _group(shard: Shard, row: Rows) -> dict[str, Any]:
    buckets = shard.tables()["bucket"]
    held = [(int(bucket), int(units)) for bucket, units in zip(row["draw_bucket"], row["draw_held"], strict=True)]
    return {
        "group": int(row["group"]),
        "service_id": None if row["service_id"] == NO_SERVICE else int(row["service_id"]),
        **traffic_words(shard.text_of(NameKind.TRAFFIC, int(row["traffic"]))),
        "unit": Unit(int(row["unit"])).name.lower(),
        "segment": int(row["segment"]),
        "used_units": int(row["units"]),
        "amount_nanos": int(row["amount_nanos"]),
        "granted_units": int(row["granted_units"]),
        "deadline_ms": int(row["deadline_ms"]),
        "held": [
            {
                "bucket_id": int(buckets["bucket_id"][bucket]),
                "allowance": shard.text_of(NameKind.ALLOWANCE, int(buckets["allowance"][bucket])),
                "amount": units,
            }
            for bucket, units in held
            if bucket > 0 and units != 0
        ],
    }
