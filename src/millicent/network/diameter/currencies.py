"""Money that a request names is of the currency of who pays: anything else would be taken as if it were."""

import numpy as np
import pycountry

from millicent.charging.types import ChargingPort, Door, NameKind, Result, Verb, commands
from millicent.network.diameter.codec import RESULT_CODES, Requests


async def refuse_other_currencies(requests: Requests, *, port: ChargingPort, now_ms: int) -> None:
    """Refuse messages whose Currency-Code is not the account's. Raises Outage where that cannot be known now."""
    messages, units = requests.messages, requests.units
    said = np.flatnonzero((units["currency"] >= 0) & (messages["result"][units["message"]] == 0))
    if not said.size:
        return
    of = units["message"][said]
    rows = commands(said.size)
    rows["verb"], rows["door"], rows["received_ms"] = Verb.CHECK, Door.DIAMETER, now_ms
    rows["subscriber_key"] = messages["subscriber"][of]
    answers = await port.submit(rows)
    for row, message, answer in zip(units[said], messages[of], answers, strict=True):
        known = await _number_of(int(row["currency"]), port=port)
        if answer["result"] == Result.DONE and answer["currency"] != known and message["result"] == 0:
            place = int(row["message"])
            messages["result"][place] = RESULT_CODES[Result.CURRENCY_DIFFERS]
            messages["failed_at"][place], messages["failed_length"][place] = row["currency_at"], _AVP_OCTETS


_AVP_OCTETS = 12  # Currency-Code with its header


async def _number_of(code: int, *, port: ChargingPort) -> int:
    """The shard's number of an ISO 4217 number; -1 for what is no currency."""
    found = pycountry.currencies.get(numeric=f"{code:03d}")
    return await port.number_of(NameKind.CURRENCY, found.alpha_3) if found else -1
