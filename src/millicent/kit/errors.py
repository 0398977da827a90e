"""The four families of things that go wrong. Each has one way to be met.

Reason    an integer in an array: why this record could not go on. Counted, put in suspense, never raised.
          Each stage lists its own in `types.py`, as an IntEnum whose numbers are never reused.
MillicentError
|-- Refusal   the business says no: a stable code, the facts, and what to do. Never pages anybody.
|   `-- BadInput   what a person or a file gave us is wrong: says what, where and how to mend it.
|-- Outage    something we need does not answer: retried a bounded number of times.
`-- Defect    we broke our own promise: rolls back and pages.
"""

from collections.abc import Mapping
from typing import ClassVar


class MillicentError(Exception):
    """Root of every error that this program raises on purpose.

    `code` is stable and documented in docs/reference/errors.md; `facts` holds the values a caller may act on.
    """

    code: ClassVar[str] = "millicent_error"
    exit_status: ClassVar[int] = 1

    def __init__(self, message: str, /, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.facts: Mapping[str, object] = facts


class Refusal(MillicentError):
    """The business says no. Nothing was changed."""

    code = "refused"
    exit_status = 3


class BadInput(Refusal):
    """Something given to us is wrong. `where` is a file, line, column or option; `cure` says how to mend it."""

    code = "bad_input"
    exit_status = 2

    def __init__(self, message: str, /, *, where: str = "", cure: str = "", **facts: object) -> None:
        text = f"{where}: {message}" if where else message
        super().__init__(f"{text}. {cure}" if cure else text, **facts)
        self.what = message
        self.where = where
        self.cure = cure


class Outage(MillicentError):
    """Something we need is silent: a database, an object store. The same call may succeed later."""

    code = "outage"
    exit_status = 4


class Defect(MillicentError):
    """We broke a promise of our own. Whatever was being done is rolled back."""

    code = "defect"
    exit_status = 70
