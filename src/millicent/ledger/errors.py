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
"""

from millicent.kit.errors import Refusal


class EntryRefused(Refusal):
    code = "ledger_entry_refused"


class UnbalancedEntry(EntryRefused):
    code = "ledger_entry_unbalanced"


class UnknownTemplate(EntryRefused):
    code = "ledger_template_unknown"


class NonsensicalPosting(EntryRefused):
    code = "ledger_posting_nonsensical"


class UndeclaredAccount(EntryRefused):
    code = "ledger_account_undeclared"


class ReferenceReused(EntryRefused):
    code = "ledger_reference_reused"


class PeriodIsClosed(EntryRefused):
    code = "ledger_period_closed"


class PeriodGoesBack(Refusal):
    code = "ledger_period_goes_back"
