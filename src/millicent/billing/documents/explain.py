"""Why an amount is what it is, in a few words beneath the line, from the inputs that billing kept with it."""

from collections.abc import Iterator, Mapping
from fractions import Fraction

from millicent.billing.documents.formats import Formats
from millicent.billing.types import BillLine
from millicent.catalog.types import Proration

_BY_DAYS = (Proration.BY_DAY.value, Proration.THIRTY_DAY.value)


def why(line: BillLine, formats: Formats) -> Iterator[str]:
    """Nothing where the amount is the whole price, or where the inputs are not known to us."""
    known = line.explanation
    if "price_period_length" in known:
        yield from _part_of_period(known, formats)
    elif "fraction" in known and "base_nanos" in known:
        base = formats.money(_whole(known["base_nanos"]))
        yield formats.word("why_percent_of", percent=formats.percent(Fraction(str(known["fraction"]))), base=base)
    elif "spent_nanos" in known:
        yield from _commitment(known, formats)


def _part_of_period(known: Mapping[str, object], formats: Formats) -> Iterator[str]:
    shares, length = known.get("shares"), _whole(known["price_period_length"])
    counted = sum(_whole(share) for share in shares) if isinstance(shares, list | tuple) else length
    if counted >= length or counted <= 0:
        return
    price = formats.money(_whole(known.get("price_nanos")))
    if known.get("proration") in _BY_DAYS:
        yield formats.word("why_part_of_period", days=counted, all_days=length, price=price)
    else:
        yield formats.word("why_fraction_of_period", percent=formats.percent(Fraction(counted, length)), price=price)


def _commitment(known: Mapping[str, object], formats: Formats) -> Iterator[str]:
    spent = formats.money(_whole(known["spent_nanos"]))
    if known.get("minimum_nanos") is not None and _whole(known["minimum_nanos"]) > _whole(known["spent_nanos"]):
        yield formats.word("why_minimum", minimum=formats.money(_whole(known["minimum_nanos"])), spent=spent)
    elif known.get("maximum_nanos") is not None:
        yield formats.word("why_maximum", maximum=formats.money(_whole(known["maximum_nanos"])), spent=spent)


def _whole(number: object) -> int:
    return int(str(number)) if number is not None else 0
