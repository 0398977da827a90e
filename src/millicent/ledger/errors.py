"""What the ledger refuses. Nothing is ever posted in part: one refused entry refuses the whole call.

Refusal
|-- EntryRefused            root of the faults in one entry: `facts` holds its reference
|   |-- UnbalancedEntry     its postings do not sum to zero
|   |-- UnknownTemplate     nobody declared such a business event
|   |-- NonsensicalPosting  the template does not let this ledger account be debited or credited
|   |-- UndeclaredAccount   no such ledger account in the chart
|   |-- ReferenceReused     the reference was posted before with other content
|   `-- PeriodIsClosed      it happened in a period that is closed
`-- PeriodGoesBack          a later instant is closed already
Defect
`-- ChainIsBroken           an entry is not what was posted: somebody went around the ledger
"""

from millicent.kit.errors import Defect, Refusal


class EntryRefused(Refusal):
    """The ledger does not take this entry."""

    code = "ledger_entry_refused"


class UnbalancedEntry(EntryRefused):
    """Debits and credits of an entry differ."""

    code = "ledger_entry_unbalanced"


class UnknownTemplate(EntryRefused):
    """No posting template is declared for this business event."""

    code = "ledger_template_unknown"


class NonsensicalPosting(EntryRefused):
    """The template does not let this ledger account be debited, or credited."""

    code = "ledger_posting_nonsensical"


class UndeclaredAccount(EntryRefused):
    """The chart has no such ledger account."""

    code = "ledger_account_undeclared"


class ReferenceReused(EntryRefused):
    """The reference was posted before with other content."""

    code = "ledger_reference_reused"


class PeriodIsClosed(EntryRefused):
    """The entry happened in a period that is closed."""

    code = "ledger_period_closed"


class PeriodGoesBack(Refusal):
    """A later instant is closed already."""

    code = "ledger_period_goes_back"


class ChainIsBroken(Defect):
    """An entry of the chain is not what was posted. The message names the first."""

    code = "ledger_chain_broken"
