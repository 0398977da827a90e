"""Find the billing account that an order is about."""

from millicent.charging.errors import UnknownBalanceAccount
from millicent.customers.selectors import billing_accounts


def paying_account_id(code: str) -> int:
    """The id of the account that pays for a billing account, itself or one above: balances are kept with who pays.

    Raises UnknownBalanceAccount.
    """
    found = billing_accounts(codes=[code])
    if not found:
        raise UnknownBalanceAccount(f"there is no billing account {code!r}", account=code)
    return found[0].payer_id


def currency_of(account_id: int) -> str:
    """The currency of an account's balances: its own, for life."""
    found = billing_accounts(ids=[account_id])
    if not found:
        raise UnknownBalanceAccount(f"there is no billing account of id {account_id}", billing_account_id=account_id)
    return found[0].currency
