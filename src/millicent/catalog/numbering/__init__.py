"""Numbering plans: which prefixes are a country's, and which of them are mobile, fixed, premium or toll free."""

from millicent.catalog.numbering.plans import NUMBER_TYPES, calling_codes, prefixes_of

__all__ = ["NUMBER_TYPES", "calling_codes", "prefixes_of"]
