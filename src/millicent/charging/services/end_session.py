"""End an open session from our side."""

from datetime import datetime

from millicent.charging.ports import BalancePort
from millicent.charging.types import Door, Result, Verb, commands
from millicent.kit.clock import to_ms


def end_session(*, port: BalancePort, key: str, now: datetime) -> str:
    """Close the session of a key in 32 hexadecimal digits: holds go back, what was used stays charged.

    Returns the shard's result in words; a session that is not open any more is "unknown_session".
    """
    rows = commands(1)
    rows["verb"], rows["door"] = Verb.CLOSE, Door.OPERATOR
    rows["key_high"], rows["key_low"] = int(key[:16], 16), int(key[16:], 16)
    rows["received_ms"] = to_ms(now)
    answers = port.submit(rows)
    return Result(int(answers["result"][0])).name.lower()
