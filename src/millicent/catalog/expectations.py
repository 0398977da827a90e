"""The operator's own expected prices: what was written, against what the rating kernel says.

Rating lies above the catalogue, so it is handed in as a `Pricer`: the command line brings the two together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from millicent.catalog.errors import Fault, Severity
from millicent.catalog.lints.places import remark
from millicent.catalog.types import Catalogue, Expectation
from millicent.kit.money import format_plain

PRICED = "PRICED"


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedExpectation:
    """What rating answered for one expectation. `reason` is the name of a rating reason; PRICED when all is well."""

    amount_nanos: int
    charged_units: int
    included_units: int
    rule: str
    zone: str
    reason: str


class Pricer(Protocol):
    """Prices every expectation for itself, with the allowances of its offering fresh; one answer for each, in order."""

    def __call__(self, catalogue: Catalogue, expectations: Sequence[Expectation], /) -> Sequence[PricedExpectation]: ...


def check_expectations(catalogue: Catalogue, *, pricer: Pricer) -> list[Fault]:
    """A fault for each expected price that does not come out."""
    answers = pricer(catalogue, catalogue.expectations)
    return [
        fault
        for expectation, answer in zip(catalogue.expectations, answers, strict=True)
        for fault in _differences(expectation, answer)
    ]


def _differences(expectation: Expectation, answer: PricedExpectation) -> Iterator[Fault]:
    wanted_reason = expectation.refused or PRICED
    if answer.reason != wanted_reason:
        yield _unmet(expectation, wanted=f"reason {wanted_reason}", found=f"reason {answer.reason}")
        return
    if expectation.costs_nanos not in (None, answer.amount_nanos):
        assert expectation.costs_nanos is not None
        wanted = format_plain(expectation.costs_nanos, expectation.currency)
        found = format_plain(answer.amount_nanos, expectation.currency)
        yield _unmet(
            expectation,
            wanted=f"{wanted} {expectation.currency}",
            found=f"{found} {expectation.currency} (rule {answer.rule or 'none'}, zone {answer.zone or 'none'}, "
            f"{answer.charged_units} units charged, {answer.included_units} included)",
        )
    if expectation.included_units not in (None, answer.included_units):
        yield _unmet(
            expectation,
            wanted=f"{expectation.included_units} units included",
            found=f"{answer.included_units} units included",
        )
    if expectation.rule and expectation.rule != answer.rule:
        yield _unmet(expectation, wanted=f"rule {expectation.rule!r}", found=f"rule {answer.rule!r}")


def _unmet(expectation: Expectation, *, wanted: str, found: str) -> Fault:
    return remark(
        "expectation",
        expectation.where,
        f"{expectation.claim!r}: expected {wanted}, the tariff gives {found}",
        "Mend the tariff, or the expectation if the tariff is right.",
        severity=Severity.FAULT,
    )
