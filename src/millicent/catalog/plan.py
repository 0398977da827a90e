"""The difference between two catalogues, as a person reads it: what is added, removed, changed, from what to what."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum, StrEnum, unique
from fractions import Fraction

import polars as pl

from millicent.catalog.types import Catalogue, RateDeck, Slot, TierStep
from millicent.kit.clock import from_ms
from millicent.kit.money import format_plain

_NAMELESS = frozenset({"where", "expectations"})
_MOST_DECK_CHANGES = 20
Flat = dict[tuple[str, ...], str]


@unique
class ChangeKind(StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference. `place` leads to it: ("tariffs", "flex", "rules", "national", "card", "slots")."""

    kind: ChangeKind
    place: tuple[str, ...]
    before: str
    after: str

    def in_words(self) -> str:
        place = " / ".join(self.place)
        match self.kind:
            case ChangeKind.ADDED:
                return f"+ {place}: {self.after}"
            case ChangeKind.REMOVED:
                return f"- {place}: {self.before}"
        return f"~ {place}: {self.before} -> {self.after}"

    def as_json(self) -> dict[str, object]:
        return {"kind": str(self.kind), "place": list(self.place), "before": self.before, "after": self.after}


def compare_catalogues(*, before: Catalogue | None, after: Catalogue) -> list[Change]:
    """Every difference, in the order of the places. Against nothing, whole things are added."""
    old = _flatten(before) if before else {}
    new = _flatten(after)
    found = list(_differences(old, new))
    for code in sorted((before.decks.keys() if before else set()) | after.decks.keys()):
        found.extend(
            _deck_changes(code, before=before.decks.get(code) if before else None, after=after.decks.get(code))
        )
    return found


def _differences(old: Flat, new: Flat) -> Iterator[Change]:
    whole_new = {place[:2] for place in new} - {place[:2] for place in old}
    whole_old = {place[:2] for place in old} - {place[:2] for place in new}
    for place in sorted(whole_new):
        yield Change(kind=ChangeKind.ADDED, place=place, before="", after=f"new, {_count(new, place)} fields")
    for place in sorted(whole_old):
        yield Change(kind=ChangeKind.REMOVED, place=place, before=f"{_count(old, place)} fields", after="")
    for place in sorted(old.keys() | new.keys()):
        if place[:2] in whole_new | whole_old or old.get(place) == new.get(place):
            continue
        before, after = old.get(place, ""), new.get(place, "")
        kind = ChangeKind.ADDED if place not in old else ChangeKind.REMOVED if place not in new else ChangeKind.CHANGED
        yield Change(kind=kind, place=place, before=before, after=after)


def _count(flat: Flat, start: tuple[str, ...]) -> int:
    return sum(place[: len(start)] == start for place in flat)


def _flatten(catalogue: Catalogue) -> Flat:
    """Every leaf of a catalogue by its place, as text; decks apart."""
    flat: Flat = {}
    for each in fields(catalogue):
        if each.name != "decks" and each.name not in _NAMELESS:
            _walk(getattr(catalogue, each.name), place=(each.name,), currency=catalogue.operator.currency, flat=flat)
    return flat


def _walk(value: object, *, place: tuple[str, ...], currency: str, flat: Flat) -> None:
    if isinstance(value, Slot | TierStep):
        flat[place] = _price_words(value, currency=currency)
    elif is_dataclass(value):
        own = getattr(value, "currency", None) or currency
        for each in fields(value):
            if each.name not in _NAMELESS:
                _walk(getattr(value, each.name), place=(*place, each.name), currency=own, flat=flat)
    elif isinstance(value, Mapping):
        for key, part in value.items():
            _walk(part, place=(*place, str(key)), currency=currency, flat=flat)
    elif isinstance(value, tuple) and value and is_dataclass(value[0]):
        for number, part in enumerate(value, start=1):
            name = str(getattr(part, "code", None) or number)
            taken = sum(key[: len(place) + 1] == (*place, name) for key in flat)
            _walk(part, place=(*place, f"{name} ({number})" if taken else name), currency=currency, flat=flat)
    else:
        flat[place] = _words(value, name=place[-1], currency=currency)


def _price_words(price: Slot | TierStep, *, currency: str) -> str:
    amount = f"{format_plain(price.amount_nanos, currency)} {currency} per {price.per_units}"
    if isinstance(price, Slot):
        return f"from {price.start_units}: {amount}, in steps of {price.increment_units}"
    entry = f", entry {format_plain(price.flat_nanos, currency)} {currency}" if price.flat_nanos else ""
    return f"above {price.floor_units}: {amount}{entry}"


def _words(value: object, *, name: str, currency: str) -> str:
    if value is None or value == ():
        return "none"
    if isinstance(value, Enum):
        return value.name.lower()
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Fraction):
        return f"{format_plain(int(value * 100 * 10**9), 'EUR', decimals=0)}%" if _is_plain(value) else str(value)
    if isinstance(value, int) and name.endswith("_nanos"):
        return f"{format_plain(value, currency)} {currency}"
    if isinstance(value, int) and name.endswith("_ms"):
        return f"{from_ms(value):%Y-%m-%d %H:%M} UTC"
    if isinstance(value, tuple | frozenset):
        return ", ".join(sorted(_words(each, name="", currency=currency) for each in value))
    return str(value)


def _is_plain(share: Fraction) -> bool:
    return (share * 100 * 10**9).denominator == 1


def _deck_changes(code: str, *, before: RateDeck | None, after: RateDeck | None) -> Iterator[Change]:
    """Rates of a deck by prefix and start; the first twenty changes one by one, then their number."""
    place = ("decks", code)
    if before is None or after is None:
        present = after or before
        rows = len(present.prefixes) if present else 0
        kind = ChangeKind.ADDED if before is None else ChangeKind.REMOVED
        text = f"{rows} rows"
        yield Change(kind=kind, place=place, before="" if before is None else text, after="" if after is None else text)
        return
    keys = ["prefix", "valid_from_ms"]
    joined = _deck_frame(before).join(_deck_frame(after), on=keys, how="full", coalesce=True, suffix="_after")
    changed = joined.filter(pl.col("price").ne_missing(pl.col("price_after"))).sort(keys)
    for row in changed.head(_MOST_DECK_CHANGES).iter_rows(named=True):
        old, new = row["price"], row["price_after"]
        kind = ChangeKind.ADDED if old is None else ChangeKind.REMOVED if new is None else ChangeKind.CHANGED
        yield Change(kind=kind, place=(*place, row["prefix"]), before=_rate(old, before), after=_rate(new, after))
    if changed.height > _MOST_DECK_CHANGES:
        more = changed.height - _MOST_DECK_CHANGES
        yield Change(kind=ChangeKind.CHANGED, place=place, before="", after=f"{more} more rows differ")


def _deck_frame(deck: RateDeck) -> pl.DataFrame:
    frame = pl.DataFrame(
        {
            "prefix": list(deck.prefixes),
            "valid_from_ms": deck.valid_from_ms,
            "rate": deck.rate_nanos,
            "connect": deck.connect_nanos,
            "first": deck.first_increment,
            "next": deck.next_increment,
            "blocked": deck.blocked,
        }
    )
    price = pl.struct("rate", "connect", "first", "next", "blocked").alias("price")
    return frame.select("prefix", "valid_from_ms", price)


def _rate(price: Mapping[str, int] | None, deck: RateDeck) -> str:
    if price is None:
        return ""
    if price["blocked"]:
        return "blocked"
    connect = f" + {format_plain(price['connect'], deck.currency)} a call" if price["connect"] else ""
    rate = format_plain(price["rate"], deck.currency)
    return f"{rate} {deck.currency} per {deck.per_units}, {price['first']}/{price['next']}{connect}"
