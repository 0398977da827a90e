"""Charging for applications: operations in, one submission, answers out. All of it is durable before it is told."""

from collections.abc import Sequence

import numpy as np

from millicent.charging.types import ChargingPort, Result, Rows, stacked
from millicent.kit.errors import Refusal
from millicent.network.http.answering import read_answer
from millicent.network.http.applications import Application
from millicent.network.http.messages import Event, Granted, Operation, Problem, Start
from millicent.network.http.naming import Naming, Offered
from millicent.network.http.writing import Writer, Written, checking_rows, closing_rows


class Charging:
    """The charging API without its HTTP."""

    def __init__(self, port: ChargingPort, *, offered: Offered) -> None:
        self._port = port
        self._naming = Naming(port, offered=offered)

    async def charge(
        self, operations: Sequence[Operation], *, application: Application, now_ms: int
    ) -> list[Granted | Problem]:
        """An answer for each operation, in their order. Raises Outage: nothing was done, or the same again tells."""
        writer = Writer(self._naming, application=application, now_ms=now_ms)
        answers: dict[int, Granted | Problem] = {}
        written: dict[int, Written] = {}
        for place, operation in enumerate(operations):
            try:
                written[place] = await self._write(writer, operation)
            except Refusal as refusal:
                answers[place] = unusable(refusal)
        if written:
            submitted = await self._submit(list(written.values()))
            for (place, each), rows in zip(written.items(), submitted, strict=True):
                answers[place] = await self._read(operations[place], each, rows)
        return [answers[place] for place in range(len(operations))]

    async def _write(self, writer: Writer, operation: Operation) -> Written:
        written = await writer.write(operation)
        if isinstance(operation, Event) and operation.amount is not None:
            await self._check_currency(operation, written)
        return written

    async def _check_currency(self, operation: Event, written: Written) -> None:
        """An amount is of its account's currency: one of another would be taken as if it were."""
        (answer,) = await self._port.submit(checking_rows(written))
        known = await self._naming.currency(int(answer["currency"]))
        if int(answer["result"]) == Result.DONE and known != operation.currency:
            raise CurrencyStrange(f"the account is not kept in {operation.currency}", account_currency=known)

    async def _submit(self, written: Sequence[Written]) -> list[Rows]:
        if len(written) == 1:
            return [await self._port.submit(written[0].rows, written[0].text)]
        rows = stacked([each.rows for each in written])
        texts, at, start = b"", [], 0
        for each in written:
            if each.text:
                rows["text_offset"][start] = len(texts)
                texts += each.text
            start += len(each.rows)
            at.append(start)
        answers = await self._port.submit(rows, texts)
        return np.split(answers, at[:-1])

    async def _read(self, operation: Operation, written: Written, answers: Rows) -> Granted | Problem:
        """Of a start, OPEN tells first. What was opened for a slice that is refused is closed again."""
        answer = answers[written.telling]
        if isinstance(operation, Start):
            if int(answers[0]["result"]) != Result.DONE:
                answer = answers[0]
            elif int(answer["result"]) != Result.DONE and not answer["stored"]:
                await self._port.submit(closing_rows(written))
        return await read_answer(operation, answer, naming=self._naming)


class CurrencyStrange(Refusal):
    """An amount over HTTP is not in the currency of the account that would pay."""

    code = "charging_currency_strange"


def unusable(refusal: Refusal) -> Problem:
    """A request that names what cannot be charged: nothing was asked of the shard."""
    return Problem(title="This cannot be charged", status=422, detail=refusal.message, code=refusal.code)


def with_key(operation: Operation, key: str) -> Operation:
    """The operation with the key of the header Idempotency-Key, where it takes one and has none of its own."""
    if key and hasattr(operation, "key") and operation.key is None:
        operation.key = key
    return operation
