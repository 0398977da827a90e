"""Pure decisions about accounts: who stands above whom, who may pay."""

from collections.abc import Iterator, Mapping

from stdnum import get_cc_module
from stdnum.eu import vat as european_vat

from millicent.customers.errors import ParentTwice


def above(code: str, *, parents: Mapping[str, str]) -> Iterator[str]:
    """The account itself, then its parent, and so on up. `parents` maps a code to its parent's, "" at the top."""
    seen: set[str] = set()
    while code:
        if code in seen:
            raise ParentTwice(f"billing account {code} stands above itself", accounts=sorted(seen))
        seen.add(code)
        yield code
        code = parents.get(code, "")


def depth(code: str, *, parents: Mapping[str, str]) -> int:
    """How many accounts stand above this one."""
    return sum(1 for _ in above(code, parents=parents)) - 1


def may_pay(payer: str, *, account: str, parents: Mapping[str, str], payers: Mapping[str, str]) -> bool:
    """Whether `payer` is the account itself, or stands above it and pays for itself."""
    if payer == account:
        return True
    return payers.get(payer, payer) == payer and payer in above(account, parents=parents)


_TAX_NUMBERS = ("vat", "tin", "nif", "ein", "businessid")  # as stdnum calls those of a country


def is_sound_tax_number(number: str, *, country: str) -> bool:
    """Whether its check digits are those of a tax number of the country, or of a VAT number of the European Union.

    True where nobody here knows what numbers of that country look like.
    """
    known = [module for name in _TAX_NUMBERS if country and (module := get_cc_module(country.lower(), name))]
    return not known or any(module.is_valid(number) for module in known) or bool(european_vat.is_valid(number))
