"""Which charges a discount or a commitment looks at."""

from millicent.billing.rules.charges import ChargeKey
from millicent.catalog.types import ChargeScope


def in_scope(key: ChargeKey, scope: ChargeScope) -> bool:
    """All that the scope asks must hold; an empty scope asks nothing."""
    return (
        (not scope.kinds or key.kind in scope.kinds)
        and (not scope.offerings or key.offering in scope.offerings)
        and (not scope.services or key.service in scope.services)
        and (not scope.price_codes or key.price_code in scope.price_codes)
    )
