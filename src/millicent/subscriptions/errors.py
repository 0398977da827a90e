"""What subscriptions refuses, beside bad input."""

from millicent.kit.errors import Refusal
from millicent.subscriptions.types import ImportReport


class SubscriptionCodeTaken(Refusal):
    """A code already names another subscription."""

    code = "subscription_code_taken"


class UnknownSubscription(Refusal):
    """No subscription has this code."""

    code = "unknown_subscription"


class HistoryBroken(Refusal):
    """The versions brought for one subscription overlap or leave a gap."""

    code = "subscription_history_broken"


class IdentifierHeld(Refusal):
    """Somebody else holds this identifier in a part of that time."""

    code = "identifier_held"


class TransitionRefused(Refusal):
    """The life cycle does not go that way: see TRANSITIONS."""

    code = "subscription_transition_refused"


class NothingBefore(Refusal):
    """A change was asked for at a time when the subscription did not exist."""

    code = "subscription_not_yet"


class NotEligible(Refusal):
    """The catalogue does not sell this offering to this customer, or not beside what the customer has."""

    code = "not_eligible"


class CouponUsedUp(Refusal):
    """The coupon was redeemed as often as the catalogue allows."""

    code = "coupon_used_up"


class ImportRefused(Refusal):
    """Rows of an import are wrong, and all or nothing was asked for. `report` has every fault."""

    code = "import_refused"

    def __init__(self, message: str, /, *, report: ImportReport, **facts: object) -> None:
        super().__init__(message, **facts)
        self.report = report
