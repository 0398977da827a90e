"""Dial plans: how the digits that a switch writes become E.164.

The defaults of a region come from the metadata of libphonenumber; everything can be declared instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache

import numpy as np
import polars as pl
from phonenumbers import PhoneMetadata, country_code_for_region

from millicent.kit.errors import BadInput
from millicent.kit.kernels import Int8s, Int64s, UInt8s
from millicent.mediation.kernel.numbers import (
    BARE_AUTO,
    BARE_INTERNATIONAL,
    BARE_NATIONAL,
    LONGEST_WRITTEN,
    normalise_numbers,
)
from millicent.mediation.texts import flat, from_flat

SHORT_MARK = "short:"
_BARE = {"auto": BARE_AUTO, "national": BARE_NATIONAL, "international": BARE_INTERNATIONAL}


@dataclass(frozen=True, slots=True, kw_only=True)
class DialPlan:
    """The rules of one source. Applied in this order: "+" first, then pass-through digits, short codes, prefixes."""

    region: str = ""  # ISO 3166 code whose defaults hold, "" none
    country_code: str = ""
    international_prefixes: tuple[str, ...] = ("00",)
    national_prefix: str = ""
    short_codes: tuple[str, ...] = ()  # numbers that are short whatever else they look like
    longest_short: int = 4  # a national number of at most so many digits is short
    longest_national: int = 15  # a bare longer one already has its country code
    pass_through: tuple[str, ...] = ()  # digits for an outside line, dropped
    bare: str = "auto"  # numbers without any prefix: "national", "international", or "auto" (by length and prefix)
    names_are_short: bool = False  # "alice" becomes "short:alice"; otherwise it is no number


def dial_plan_from(declared: Mapping[str, object], *, where: str = "") -> DialPlan:
    """Read a declared dial plan; `region` fills in what is not declared."""
    known = {each.name for each in fields(DialPlan)}
    unknown = sorted(declared.keys() - known)
    if unknown:
        raise BadInput(
            f"{unknown[0]!r} is no part of a dial plan", where=where, cure=f"Use {', '.join(sorted(known))}."
        )
    plan = _plan_of_region(str(declared.get("region", "")), where=where)
    given: dict[str, object] = {}
    for name, value in declared.items():
        default = getattr(DialPlan(), name)
        given[name] = tuple(str(each) for each in value) if isinstance(value, list | tuple) else value
        if type(given[name]) is not type(default):
            raise BadInput(f"{name} cannot be {value!r}", where=where, cure=f"Write it like {default!r}.")
    plan = replace(plan, **given)  # type: ignore[arg-type]
    if plan.bare not in _BARE:
        raise BadInput(f"bare cannot be {plan.bare!r}", where=where, cure=f"Use one of {', '.join(_BARE)}.")
    digits = (plan.country_code, plan.national_prefix, *plan.international_prefixes, *plan.pass_through)
    for each in digits:
        if each and not (each.isascii() and each.isdigit()):
            raise BadInput(f"{each!r} is not digits", where=where, cure="Prefixes are digits, without +.")
    return plan


@lru_cache(maxsize=64)
def _plan_of_region(region: str, *, where: str) -> DialPlan:
    if not region:
        return DialPlan()
    known = PhoneMetadata.metadata_for_region(region.upper(), None)
    if known is None or known.general_desc is None:
        raise BadInput(f"{region!r} is not a region", where=where, cure="Use an ISO 3166 code such as ES.")
    lengths = [length for length in known.general_desc.possible_length if length > 0]
    abroad = known.preferred_international_prefix or known.international_prefix or "00"
    shortest = min(lengths)
    return DialPlan(
        region=region,
        country_code=str(country_code_for_region(region.upper())),
        international_prefixes=tuple({abroad.replace("~", ""), "00"}) if _is_digits(abroad) else ("00",),
        national_prefix=str(known.national_prefix) if _is_digits(known.national_prefix) else "",
        longest_short=min(shortest - 1, 6),
        longest_national=max(lengths),
    )


def _is_digits(text: str | None) -> bool:
    return bool(text) and str(text).replace("~", "").isdigit()


@lru_cache(maxsize=64)
def _tables(plan: DialPlan) -> tuple[UInt8s, UInt8s, Int64s, list[Int64s]]:
    """The plan as arrays: country digits, the bytes of all lists, three lengths, and the offsets of each list."""
    lists: Sequence[Sequence[str]] = (
        plan.pass_through,
        plan.short_codes,
        plan.international_prefixes,
        (plan.national_prefix,) if plan.national_prefix else (),
    )
    start, offsets = 0, []
    for entries in lists:
        ends = np.cumsum([start, *(len(entry) for entry in entries)]).astype(np.int64)
        offsets.append(ends)
        start = int(ends[-1])
    text = "".join(entry for entries in lists for entry in entries).encode()
    country = np.frombuffer(plan.country_code.encode(), np.uint8)
    lengths = np.array([plan.longest_short, plan.longest_national, _BARE[plan.bare]], np.int64)
    return country, np.frombuffer(text, np.uint8), lengths, offsets


def normalised(column: pl.Series, plan: DialPlan) -> tuple[pl.Series, Int8s]:
    """E.164 digits (or "short:NNN", or "") for every dialled number, and a verdict: GOOD, EMPTY or BAD."""
    text, offsets = flat(column)
    country, tables, lengths, (through, short, abroad, trunk) = _tables(plan)
    mark = np.frombuffer(SHORT_MARK.encode(), np.uint8)
    count = len(column)
    written = np.empty(count * LONGEST_WRITTEN, np.uint8)
    ends, verdict = np.empty(count + 1, np.int64), np.empty(count, np.int8)
    scratch, seen = np.empty(LONGEST_WRITTEN - len(mark), np.uint8), np.empty(3, np.int8)
    normalise_numbers(
        text, offsets, country, lengths, tables, through, short, abroad, trunk,
        plan.names_are_short, mark, scratch, seen, written, ends, verdict,
    )  # fmt: skip
    return from_flat(written[: ends[-1]], ends, name=column.name), verdict
