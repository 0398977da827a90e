"""Countries and number types from the metadata of `phonenumbers`, as E.164 prefixes."""

from collections.abc import Iterator

import phonenumbers
from phonenumbers.phonemetadata import PhoneMetadata

from millicent.catalog.numbering.patterns import MOST_PREFIXES, compact, prefixes_of_pattern
from millicent.kit.errors import BadInput

NUMBER_TYPES = {
    "mobile": "mobile",
    "fixed_line": "fixed_line",
    "premium_rate": "premium_rate",
    "toll_free": "toll_free",
    "shared_cost": "shared_cost",
    "voip": "voip",
    "uan": "uan",
    "pager": "pager",
}
# In a calling code that several countries share, these types tell who is called; toll free and premium do not.
_OWN_TYPES = ("fixed_line", "mobile")
NANP = 1  # calling code of the North American plan: three digits after it say which country, the rest does not
_AREA_CODE = 3


def calling_codes() -> list[int]:
    """Calling codes of countries. Satellite, freephone and premium codes of no country are left out."""
    shared = phonenumbers.COUNTRY_CODE_TO_REGION_CODE
    return sorted(code for code, regions in shared.items() if regions != ("001",))


def prefixes_of(country: str, types: tuple[str, ...]) -> list[str]:
    """Prefixes of a country, all of them or only those of some types.

    The main country of a shared calling code has the code itself, the others their own longer prefixes. Under +1
    nobody is the main one: each country has its area codes.
    """
    metadata = _metadata(country)
    found = set(_typed(metadata, types) if types else _all(metadata))
    if len(found) > MOST_PREFIXES:
        raise BadInput(f"{country} would need {len(found)} prefixes", cure="List the prefixes that matter.")
    return sorted(found)


def _metadata(country: str) -> PhoneMetadata:
    metadata = PhoneMetadata.metadata_for_region(country, None)
    if metadata is None:
        raise BadInput(f"no numbering plan is known for {country!r}", cure="Use an ISO 3166 code such as ES.")
    return metadata


def _is_main(metadata: PhoneMetadata) -> bool:
    assert metadata.country_code is not None, "a country has a calling code"
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[metadata.country_code]
    return bool(regions[0] == metadata.id)


def _all(metadata: PhoneMetadata) -> Iterator[str]:
    code = metadata.country_code
    if _is_main(metadata) and code != NANP:
        return iter([str(code)])
    if metadata.leading_digits:
        return _with_code(metadata, _expanded(metadata, metadata.leading_digits))
    types = _OWN_TYPES + (("toll_free", "premium_rate") if _is_main(metadata) else ())
    patterns = [_pattern(metadata, each) for each in types]
    found = [prefix for pattern in patterns if pattern for prefix in _expanded(metadata, pattern)]
    return _with_code(metadata, compact(found))


def _typed(metadata: PhoneMetadata, types: tuple[str, ...]) -> Iterator[str]:
    found: set[str] = set()
    for each in types:
        pattern = _pattern(metadata, each)
        if pattern is None:
            raise BadInput(f"{metadata.id} has no numbers of type {each}", cure="Remove the country or the type.")
        other = {"mobile": "fixed_line", "fixed_line": "mobile"}.get(each)
        if other and other not in types and pattern == _pattern(metadata, other):
            raise BadInput(
                f"numbers of {metadata.id} do not tell mobile from fixed",
                cure="Name both types, or the country without `number_types:`.",
            )
        found |= _expanded(metadata, pattern)
    return _with_code(metadata, compact(found))


def _pattern(metadata: PhoneMetadata, number_type: str) -> str | None:
    description = getattr(metadata, NUMBER_TYPES[number_type])
    pattern = description.national_number_pattern if description else None
    return str(pattern) if pattern and pattern != "NA" else None


def _expanded(metadata: PhoneMetadata, pattern: str) -> frozenset[str]:
    return prefixes_of_pattern(pattern, longest=_AREA_CODE if metadata.country_code == NANP else 15)


def _with_code(metadata: PhoneMetadata, national: frozenset[str]) -> Iterator[str]:
    return (f"{metadata.country_code}{prefix}" for prefix in national)
