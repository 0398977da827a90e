"""Pure decisions about accounts: who stands above whom, who may pay."""

from collections.abc import Iterator, Mapping

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
