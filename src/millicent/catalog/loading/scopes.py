"""`scope:` of discounts and commitments: which charges they look at."""

from millicent.catalog.loading.reading import Section
from millicent.catalog.types import ChargeKind, ChargeScope


def read_scope(section: Section) -> ChargeScope:
    return ChargeScope(
        kinds=tuple(ChargeKind(word) for word in section.words("kinds") if word in set(ChargeKind)),
        offerings=section.refer_all("offering", "offerings"),
        services=section.refer_all("specification", "services"),
        price_codes=section.refer_all("price", "price_codes"),
    )
