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
