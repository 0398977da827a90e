"""The transport failure algorithm of RFC 3539 clause 3.4.1, without a clock: its timer is rung from outside."""

from dataclasses import dataclass
from enum import Enum, auto, unique


@unique
class Step(Enum):
    """What to do after the timer rang."""

    WAIT = auto()
    ASK = auto()  # send a Device-Watchdog-Request
    DOUBT = auto()  # no answer: use another connection where there is one
    CLOSE = auto()


@dataclass(slots=True)
class Watchdog:
    """Whether a connection is alive, as far as can be known."""

    pending: bool = False
    suspect: bool = False

    def on_receive(self, *, is_watchdog_answer: bool) -> None:
        """Anything that comes shows life; the timer is to be set again."""
        self.suspect = False
        if is_watchdog_answer:
            self.pending = False

    def on_timer(self) -> Step:
        """Nothing came for a whole interval; the timer is to be set again."""
        if self.suspect:
            return Step.CLOSE
        if self.pending:
            self.suspect = True
            return Step.DOUBT
        self.pending = True
        return Step.ASK
