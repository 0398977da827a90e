"""Pure decisions about allowances that billing and the doors share."""

from millicent.catalog.types import Allowance, FairUse


def opening_units(allowance: Allowance) -> int:
    """What the bucket of a whole cycle holds at first.

    An unlimited allowance with fair use counts down from its threshold: below zero it is beyond fair use. One without
    counts down from its amount, and going below zero means nothing.
    """
    if allowance.unlimited and allowance.fair_use is not FairUse.NONE:
        return allowance.fair_use_units
    return allowance.amount
