"""Commands on their way to the shard, a bounded number at a time, and what became of them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from millicent.charging.ports import BalancePort
from millicent.charging.provisioning.command_rows import NameNumbers
from millicent.charging.types import Result, Rows

COMMANDS_AT_ONCE = 4_096
_FINE = (int(Result.DONE), int(Result.ALREADY))


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisioned:
    """What one call told the shard. `refused` counts commands by how they ended, where that was not well."""

    commands: int = 0
    subscriptions: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)


class Telling:
    def __init__(self, port: BalancePort) -> None:
        self.port = port
        self.names = NameNumbers(port)
        self.subscriptions = 0
        self._sent = 0
        self._refused: Counter[str] = Counter()

    def tell(self, rows: Rows) -> None:
        """Submit rows in their order and count how they ended."""
        for first in range(0, len(rows), COMMANDS_AT_ONCE):
            answers = self.port.submit(rows[first : first + COMMANDS_AT_ONCE])
            results = answers["result"]
            for result in results[~np.isin(results, _FINE)]:
                self._refused[Result(result).name.lower()] += 1
        self._sent += len(rows)

    def report(self) -> Provisioned:
        return Provisioned(commands=self._sent, subscriptions=self.subscriptions, refused=dict(self._refused))
