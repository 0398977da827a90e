"""The list price of usage at collection: what it costs before allowances, tiers and discounts."""

from millicent.mediation.refine import ListPrice


def list_price_in_force() -> ListPrice | None:
    """How to price usage by the released catalogue; None while nothing was released."""
    return None
