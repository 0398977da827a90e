"""What customers refuses, beside bad input."""

from millicent.kit.errors import Refusal


class CodeTaken(Refusal):
    """A code already names another party or billing account."""

    code = "customer_code_taken"


class UnknownAccount(Refusal):
    """No billing account has this code."""

    code = "unknown_billing_account"


class PayerNotAbove(Refusal):
    """The payer is neither the account itself nor an account above it that pays for itself."""

    code = "payer_not_above"


class ParentTwice(Refusal):
    """Accounts stand above each other in a circle."""

    code = "account_circle"


class NotYetOpen(Refusal):
    """Terms were to change before the billing account was opened."""

    code = "billing_account_not_yet_open"


class AlreadyBilled(Refusal):
    """Terms were to change within cycles that are billed. A bill is replayed with the terms at the end of its cycle."""

    code = "terms_already_billed"


class CyclesDiffer(Refusal):
    """The bills of the old and the new payer do not turn on the same days: days would be billed twice, or never."""

    code = "payer_cycles_differ"


class StillPaysForOthers(Refusal):
    """The account pays for others, so it must go on paying for itself. Change their payer first."""

    code = "still_pays_for_others"


class UnknownExemption(Refusal):
    """The billing account has no such exemption in force at that time."""

    code = "unknown_exemption"


class UnknownReseller(Refusal):
    """The catalogue has no tariff for this reseller: its share of the usage would be priced at nothing."""

    code = "unknown_reseller"
