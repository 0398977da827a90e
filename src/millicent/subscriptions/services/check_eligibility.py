"""Ask the catalogue whether an offering may be sold to a customer."""

from millicent.catalog.types import Catalogue
from millicent.customers import selectors as customers
from millicent.subscriptions import selectors
from millicent.subscriptions.errors import NotEligible
from millicent.subscriptions.rules import refuse_ineligible
from millicent.subscriptions.types import CustomerHoldings


def check_eligibility(
    *,
    offering: str,
    account_id: int,
    at_ms: int,
    catalogue: Catalogue,
    leaving: str = "",
    as_add_on: bool = False,
) -> None:
    """Refuse an offering that is unknown, of the wrong sort, or not for this customer beside what the customer has.

    The customer is the party: what all its billing accounts hold at `at_ms` counts, except the plan being left.
    """
    found = catalogue.offerings.get(offering)
    if found is None:
        raise NotEligible(f"the catalogue has no offering {offering}", offering=offering)
    if found.add_on != as_add_on:
        sort = "an add-on: it goes on a plan" if found.add_on else "a plan, not an add-on"
        raise NotEligible(f"{offering} is {sort}", offering=offering)
    accounts = customers.billing_accounts(ids=customers.accounts_of_same_party(account_id))
    account = next(each for each in accounts if each.billing_account_id == account_id)
    held = selectors.offerings_held([each.billing_account_id for each in accounts], at_ms=at_ms)
    customer = CustomerHoldings(
        account_code=account.code, segment=account.segment, country=account.country, held=frozenset(held - {leaving})
    )
    refuse_ineligible(found, customer=customer, offerings=catalogue.offerings)
