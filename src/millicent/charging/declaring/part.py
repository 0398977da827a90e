"""One mapping of a declaration, read key by key. Every refusal says where it stands and how to mend it."""

from collections.abc import Collection, Mapping
from fractions import Fraction
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from millicent.catalog.loading.units import (
    SECONDS,
    UnitKind,
    parse_days,
    parse_fraction,
    parse_instant_ms,
    parse_money,
    parse_quantity,
)
from millicent.charging.declared import Amounts
from millicent.kit.errors import BadInput

Choice = TypeVar("Choice")


class Part:
    """A mapping and its path in the document: "policies.data". Keys that nobody asked for are refused by `done`."""

    def __init__(self, values: object, *, where: str, path: str = "", zone: str = "UTC") -> None:
        if values is None:
            values = {}
        if not isinstance(values, dict):
            raise BadInput(f"{path or 'the declaration'} cannot be {values!r}", where=where, cure="Write keys: values.")
        self.values: Mapping[Any, Any] = values
        self.where = where
        self.path = path
        self.zone = zone
        self._asked: set[object] = set()

    def at(self, key: object) -> str:
        """Where a key stands, for people."""
        place = f"{self.path}.{key}" if self.path else str(key)
        return f"{self.where}: {place}" if self.where else place

    def done(self) -> None:
        """Refuse what has no meaning here: a slip of the pen would otherwise be silently without effect."""
        unknown = [key for key in self.values if key not in self._asked]
        if unknown:
            known = ", ".join(sorted(str(key) for key in self._asked))
            raise BadInput("has no meaning here", where=self.at(unknown[0]), cure=f"Use {known}.")

    def has(self, key: str) -> bool:
        self._asked.add(key)
        return self.values.get(key) is not None

    def part(self, key: str) -> "Part":
        self._asked.add(key)
        return Part(self.values.get(key), where=self.where, path=self._path(key), zone=self.zone)

    def parts(self, key: str) -> "list[Part]":
        """A list of mappings."""
        self._asked.add(key)
        found = self.values.get(key) or []
        if not isinstance(found, list):
            raise BadInput("is no list", where=self.at(key), cure="Begin each entry with a dash.")
        return [
            Part(each, where=self.where, path=self._path(f"{key}[{place}]"), zone=self.zone)
            for place, each in enumerate(found, start=1)
        ]

    def by_code(self, key: str) -> "dict[str, Part]":
        """A mapping of mappings."""
        inner = self.part(key)
        return {str(code): inner.part(code) for code in inner.values}

    def text(self, key: str, default: str | None = None) -> str:
        if not self.has(key):
            if default is None:
                raise BadInput("is missing", where=self.at(key), cure=f"Add {key}.")
            return default
        value = self.values[key]
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise BadInput(f"cannot be {value!r}", where=self.at(key), cure="Write a text.")
        return str(value)

    def texts(self, key: str) -> tuple[str, ...]:
        if not self.has(key):
            return ()
        value = self.values[key]
        found = value if isinstance(value, list) else [value]
        if not all(isinstance(each, str | int) for each in found):
            raise BadInput(f"cannot be {value!r}", where=self.at(key), cure="Write a list of texts.")
        return tuple(str(each) for each in found)

    def whole(self, key: str, default: int | None = None, *, least: int = 0, most: int = 2**62) -> int:
        if not self.has(key):
            if default is None:
                raise BadInput("is missing", where=self.at(key), cure=f"Add {key}.")
            return default
        value = self.values[key]
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise BadInput(f"cannot be {value!r}", where=self.at(key), cure=f"Write a number from {least} to {most}.")
        return value

    def wholes(self, key: str) -> tuple[int | None, ...]:
        """One number or several; (None,) where the key is absent: any."""
        if not self.has(key):
            return (None,)
        value = self.values[key]
        found = value if isinstance(value, list) else [value]
        if not found or not all(isinstance(each, int) and not isinstance(each, bool) and each >= 0 for each in found):
            raise BadInput(f"cannot be {value!r}", where=self.at(key), cure="Write a number, or several in brackets.")
        return tuple(found)

    def flag(self, key: str, default: bool) -> bool:
        if not self.has(key):
            return default
        value = self.values[key]
        if not isinstance(value, bool):
            raise BadInput(f"cannot be {value!r}", where=self.at(key), cure="Write true or false.")
        return value

    def choice(self, key: str, choices: Mapping[str, Choice], default: Choice) -> Choice:
        if not self.has(key):
            return default
        found = choices.get(self.text(key))
        if found is None:
            raise BadInput(f"cannot be {self.values[key]!r}", where=self.at(key), cure=f"Use {', '.join(choices)}.")
        return found

    def quantity(self, key: str, default: int, *, kind: UnitKind, counted: Collection[str], least: int = 1) -> int:
        """ "50 MB", "10 min", "3": units of the service."""
        if not self.has(key):
            return default
        found = parse_quantity(self.text(key), counted=counted, where=self.at(key))
        if found.kind not in (kind, UnitKind.BARE):
            raise BadInput(
                f"{self.text(key)!r} is not what this service counts",
                where=self.at(key),
                cure=f"Write a {kind.value}.",
            )
        if found.units < least:
            raise BadInput(f"cannot be {self.text(key)!r}", where=self.at(key), cure=f"Write at least {least}.")
        return found.units

    def seconds(self, key: str, default: int, *, least: int = 1) -> int:
        return self.quantity(key, default, kind=UnitKind.TIME, counted=SECONDS, least=least)

    def percent(self, key: str, default: int, *, most: int = 100) -> int:
        if not self.has(key):
            return default
        exact = self.share(key) * 100
        if exact.denominator != 1 or not 0 <= exact <= most:
            raise BadInput(f"cannot be {self.values[key]!r}", where=self.at(key), cure='Write for example "80%".')
        return int(exact)

    def share(self, key: str) -> Fraction:
        return parse_fraction(self.text(key), where=self.at(key)) if self.has(key) else Fraction(0)

    def days(self, key: str, default: int | None) -> int | None:
        return parse_days(self.text(key), where=self.at(key)) if self.has(key) else default

    def instant_ms(self, key: str) -> int | None:
        return parse_instant_ms(self.text(key), zone=ZoneInfo(self.zone), where=self.at(key)) if self.has(key) else None

    def money(self, key: str, currency: str, default: int | None = None) -> int:
        if not self.has(key):
            if default is None:
                raise BadInput("is missing", where=self.at(key), cure=f"Add {key}.")
            return default
        nanos = parse_money(self.text(key), currency=currency, where=self.at(key))
        if nanos < 0:
            raise BadInput("is below zero", where=self.at(key), cure="Write an amount of 0 or more.")
        return nanos

    def amounts(self, key: str) -> Amounts:
        """{EUR: "2.00", USD: "2.00"}"""
        inner = self.part(key)
        return {str(currency): inner.money(currency, str(currency)) for currency in inner.values}

    def _path(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key
