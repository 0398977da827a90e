"""Tax in what customers pay in advance: when the balance is used, or when it is sold, as the operator declares."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from millicent.billing.live import NoReleaseInForce, Releases, TaxRules, released_catalogues, split_gross, taxes_within
from millicent.charging.declared import PrepaidRules
from millicent.customers.selectors import billing_accounts
from millicent.customers.types import BillingAccountFacts

PREPAID_TAX = "asset:prepaid_tax"


class BalanceTax:
    """For one transaction in a tenant's scope: accounts and releases are read once."""

    def __init__(self, rules: PrepaidRules) -> None:
        self.when_sold = rules.tax_when_sold
        self._category = rules.tax_category
        self._account = lru_cache(maxsize=None)(_account_of)
        try:
            self._releases: Releases | None = released_catalogues()
        except NoReleaseInForce:
            self._releases = None

    def codes(self, account_id: int, *, payer_id: int, tax_category: str, at_ms: int) -> tuple[str, ...]:
        """The taxes in what this account pays. Where tax is due when sold, there is one category for all."""
        account, payer = self._account(account_id), self._account(payer_id)
        if self._releases is None or payer is None:
            return ()
        return taxes_within(
            account or payer, payer=payer, tax_category=self._category if self.when_sold else tax_category,
            at_ms=at_ms, rules=self._rules(at_ms),
        )  # fmt: skip

    def split(self, gross_nanos: int, *, codes: Sequence[str], at_ms: int) -> dict[str, int]:
        """See `split_gross`; by the rates of an instant."""
        taxes = {} if self._releases is None else self._rules(at_ms).taxes
        return split_gross(gross_nanos, codes=codes, taxes=taxes)

    def sold(self, gross_nanos: int, *, account_id: int, at_ms: int) -> dict[str, int]:
        """Tax within what a balance was filled with, by code."""
        codes = self.codes(account_id, payer_id=account_id, tax_category=self._category, at_ms=at_ms)
        parts = self.split(gross_nanos, codes=codes, at_ms=at_ms)
        return {code: nanos for code, nanos in parts.items() if code and nanos}

    def earned(self, parts: Mapping[str, int], *, revenue: str) -> list[tuple[str, int]]:
        """What of a used amount goes where: revenue, and tax that is owed now, or was when it was sold."""
        where = {code: PREPAID_TAX if self.when_sold else tax_account(code) for code in parts if code}
        sums: dict[str, int] = {revenue: parts[""]}
        for code, path in where.items():
            sums[path] = sums.get(path, 0) + parts[code]
        return [(path, nanos) for path, nanos in sums.items() if nanos]

    def _rules(self, at_ms: int) -> TaxRules:
        assert self._releases is not None, "asked where there are releases"
        catalogue = self._releases.at(at_ms).catalogue
        return TaxRules(taxes=catalogue.taxes, home_country=catalogue.operator.country)


def tax_account(code: str) -> str:
    return f"liability:tax:{code}"


def _account_of(account_id: int) -> BillingAccountFacts | None:
    return next(iter(billing_accounts(ids=[account_id])), None)
