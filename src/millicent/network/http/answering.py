"""The shard's answers in words: what is granted, or why not, as RFC 9457 says it."""

from datetime import UTC
from functools import lru_cache
from typing import Final, Literal, get_args

import numpy as np

from millicent.charging.types import ANSWER, NO_LIMIT, FinalAction, Result, Unit
from millicent.kit.clock import from_ms
from millicent.kit.money import format_plain
from millicent.network.http.messages import Authorise, Granted, Money, Operation, Problem
from millicent.network.http.naming import Naming

Answer = dict[str, int]  # a row of ANSWER: read as a whole, once
_FIELDS: Final = ANSWER.names or ()
Final_ = Literal["", "terminate", "redirect", "restrict"]
_FINALS: Final[dict[int, Final_]] = {
    int(FinalAction.NONE): "",
    int(FinalAction.TERMINATE): "terminate",
    int(FinalAction.REDIRECT): "redirect",
    int(FinalAction.RESTRICT): "restrict",
}
_UNITS: Final = {
    Unit.SECONDS: "seconds",
    Unit.TOTAL_OCTETS: "total_octets",
    Unit.INPUT_OCTETS: "input_octets",
    Unit.OUTPUT_OCTETS: "output_octets",
    Unit.SERVICE_UNITS: "units",
    Unit.MONEY_NANOS: "money",
}
# result -> status, title, what to say
_PROBLEMS: Final = {
    Result.UNKNOWN_SUBSCRIBER: (404, "No such subscriber", "nobody holds that identifier now"),
    Result.UNKNOWN_SESSION: (404, "No such session or event", "it was never begun, or has ended"),
    Result.UNKNOWN_ACCOUNT: (404, "No such account", "the subscription has no account that could pay"),
    Result.UNKNOWN_BUCKET: (404, "No such balance", "the balance is gone"),
    Result.INSUFFICIENT: (402, "Not enough is left", "neither money nor units reach for it"),
    Result.NOT_SERVED: (403, "Not served", "the subscription or its account is barred"),
    Result.NOT_PRICED: (422, "There is no price for this", "no rule of the tariff prices this usage"),
    Result.OUT_OF_ORDER: (409, "Out of order", "a later report of this session was already answered"),
    Result.CURRENCY_DIFFERS: (409, "Another currency", "the tariff's currency is not that of the account"),
    Result.INVALID: (422, "This makes no sense", "the quantities are none that the service is counted in"),
    Result.FULL: (503, "No room", "try the same again later"),
    Result.ALREADY: (409, "Already done", "it was done before, by another request"),
}
assert {each for each in Result if each is not Result.DONE} == _PROBLEMS.keys()


async def read_answer(operation: Operation, row: np.void, *, naming: Naming) -> Granted | Problem:
    """How an operation went. To authorise, "no" is an answer and no problem: a switch asks how long it may allow."""
    answer: Answer = dict(zip(_FIELDS, row.item(), strict=True))
    result = Result(answer["result"])
    currency = await naming.currency(answer["currency"])
    if result is Result.DONE or (isinstance(operation, Authorise) and result in (Result.INSUFFICIENT,)):
        return _granted(operation, answer, result=result, currency=currency)
    status, title, detail = _PROBLEMS[result]
    if result is Result.NOT_PRICED:
        detail = f"{detail} (reason {answer['reason']})"
    return Problem(
        title=title,
        status=status,
        detail=detail,
        code=result.name.lower(),
        available=_money(answer["available_nanos"], currency),
    )


def _granted(operation: Operation, answer: Answer, *, result: Result, currency: str) -> Granted:
    unit = Unit(answer["unit"]) if 0 <= answer["unit"] <= Unit.MONEY_NANOS else None
    granted = answer["granted_units"]
    known = granted if granted >= 0 else None
    if isinstance(operation, Authorise) and result is not Result.DONE:
        known = max(granted, 0)  # less than was asked for
    return Granted(
        status=200,
        allowed=known != 0,
        why=result.name.lower() if known == 0 and result is not Result.DONE else "",
        unit="" if unit is None or known is None else _UNITS[unit],
        granted=known,
        maximum_duration_seconds=known if unit is Unit.SECONDS else None,
        final=_FINALS.get(answer["final"], ""),
        ask_again_within_seconds=max(answer["validity_seconds"], 0) or None,
        ask_again_at=max(answer["threshold_units"], 0) or None,
        price_changes_at=_instant(answer["tariff_change_ms"]),
        throttled=bool(answer["throttled"]),
        charged=_money(answer["charged_nanos"], currency),
        session_total=_money(answer["session_nanos"], currency),
        price=_money(answer["price_nanos"], currency),
        available=_money(answer["available_nanos"], currency),
        uncollected=_money(answer["uncollected_nanos"], currency) if answer["uncollected_nanos"] else None,
        repeated=bool(answer["stored"]),
    )


def _instant(instant_ms: int) -> str | None:
    return from_ms(instant_ms).astimezone(UTC).isoformat().replace("+00:00", "Z") if instant_ms > 0 else None


@lru_cache(maxsize=16_384)
def _money(nanos: int, currency: str) -> Money | None:
    """None for an amount without an end, and where the currency is not known: a number alone would be guessed at."""
    if not currency or nanos >= NO_LIMIT:
        return None
    return Money(amount=format_plain(nanos, currency), currency=currency)


assert set(_FINALS.values()) == set(get_args(Final_))
