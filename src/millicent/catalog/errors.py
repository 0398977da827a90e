"""What can be wrong with a catalogue, and how it is told: every fault with its file, line, column and cure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum, unique

from millicent.kit.errors import BadInput, Refusal


@unique
class Severity(StrEnum):
    FAULT = "fault"  # blocks a release
    WARNING = "warning"  # told, blocks only under `--strict`


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong. `code` is stable: "schema", "unknown_code", or the name of a lint."""

    code: str
    file: str
    line: int
    column: int
    message: str
    cure: str
    severity: Severity = Severity.FAULT

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file

    def __str__(self) -> str:
        return f"{self.where}: {self.message}. {self.cure}".rstrip()


class CatalogueFaults(BadInput):
    """A catalogue that cannot be used as it stands. `faults` holds every one that was found, not only the first."""

    code = "catalogue_faults"

    def __init__(self, faults: Sequence[Fault]) -> None:
        first = "; ".join(str(fault) for fault in faults[:3])
        more = f" (and {len(faults) - 3} more)" if len(faults) > 3 else ""
        super().__init__(
            f"the catalogue has {len(faults)} fault{'s' if len(faults) != 1 else ''}: {first}{more}",
            cure="Run `millicent catalog check` for the whole list.",
        )
        self.faults = tuple(faults)


class ReleaseRefused(Refusal):
    """A release that may not be made: nothing was stored."""

    code = "release_refused"


class ReleaseUnknown(Refusal):
    """No release has this number, or none was in force at that time."""

    code = "release_unknown"
