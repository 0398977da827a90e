"""What billing refuses, and the promises it checks of itself.

MillicentError
|-- Refusal
|   |-- RunIsBusy          another process is releasing this run
|   |-- AnotherRunIsOpen   a run through another instant was begun and not finished
|   `-- NoSuchBill
`-- Defect
    `-- UsageNotConserved  usage in is not what was billed and what had no price
"""

from millicent.kit.errors import Defect, Refusal


class RunIsBusy(Refusal):
    """Another process is releasing. Wait for it, or end it; nothing is lost."""

    code = "bill_run_is_busy"


class AnotherRunIsOpen(Refusal):
    """A run that was begun must be finished before another begins."""

    code = "another_bill_run_is_open"


class NoSuchBill(Refusal):
    """No bill has this number."""

    code = "no_such_bill"


class UsageNotConserved(Defect):
    """Usage went in that neither was billed nor has a reason: this payer is not billed until somebody looked."""

    code = "usage_not_conserved"
