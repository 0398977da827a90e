"""The dictionary as values and as tables: what an AVP is called, how it is written, and how the loops find it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from millicent.kit.declarations import read_declaration
from millicent.kit.errors import Defect
from millicent.kit.kernels import Int32s, Int64s
from millicent.network.diameter.kernel.slots import SLOT_NAMES

FILE = Path(__file__).with_name("dictionary.yaml")
LARGEST_CODE = 8_191
KNOWN, GROUPED, MUST = 1, 2, 4  # bits of an entry; above them the width, then the slot
WIDTH_SHIFT, SLOT_SHIFT = 4, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Avp:
    """What the dictionary says of one AVP. `width` is the length of its content in octets, 0 where it may be any."""

    vendor: int
    code: int
    name: str
    kind: str
    must: bool
    width: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """The dictionary as the loops read it."""

    vendors: Int64s  # [v]
    entries: Int32s  # [v, LARGEST_CODE + 1] 0: unknown
    code: Int64s  # [slots] by slot
    vendor: Int64s  # [slots]
    flags: Int64s  # [slots] as written: V and M


class Dictionary:
    """All AVPs by name and by (vendor, code)."""

    def __init__(self, avps: Mapping[tuple[int, int], Avp], values: Mapping[str, Mapping[str, int]]) -> None:
        self.by_code = avps
        self.values = values
        self._by_name = {avp.name: avp for avp in reversed([*avps.values()])}

    def named(self, name: str) -> Avp:
        """The AVP of that name; where two vendors share one, that of the IETF."""
        found = self._by_name.get(name)
        if found is None:
            raise Defect(f"the Diameter dictionary has no {name}", avp=name)
        return found

    def get(self, vendor: int, code: int) -> Avp | None:
        return self.by_code.get((vendor, code))

    def tables(self) -> Tables:
        vendors = sorted({vendor for vendor, _ in self.by_code})
        slots = {self.named(name): slot for slot, name in enumerate(SLOT_NAMES, start=1)}
        entries = np.zeros((len(vendors), LARGEST_CODE + 1), np.int32)
        for avp in self.by_code.values():
            bits = KNOWN | (GROUPED if avp.kind == "grouped" else 0) | (MUST if avp.must else 0)
            entries[vendors.index(avp.vendor), avp.code] = (
                bits | avp.width << WIDTH_SHIFT | slots.get(avp, 0) << SLOT_SHIFT
            )
        written = [None, *slots]
        return Tables(
            vendors=np.array(vendors, np.int64),
            entries=entries,
            code=np.array([avp.code if avp else 0 for avp in written], np.int64),
            vendor=np.array([avp.vendor if avp else 0 for avp in written], np.int64),
            flags=np.array([_flags(avp) if avp else 0 for avp in written], np.int64),
        )


def _flags(avp: Avp) -> int:
    return (0x80 if avp.vendor else 0) | (0x40 if avp.must else 0)


@cache
def dictionary() -> Dictionary:
    """Our dictionary, read once."""
    declared = read_declaration(FILE.read_text(encoding="utf-8"), where=FILE.name)
    widths = {kind: 0 if width == "any" else int(width) for kind, width in declared["types"].items()}
    avps = {
        (vendor, code): _avp(vendor=vendor, code=code, line=line, widths=widths)
        for vendor, lines in declared["avps"].items()
        for code, line in lines.items()
    }
    return Dictionary(avps, declared["values"])


def _avp(*, vendor: int, code: int, line: str, widths: Mapping[str, int]) -> Avp:
    name, kind, *must = line.split()
    return Avp(vendor=vendor, code=code, name=name, kind=kind, must=must == ["must"], width=widths[kind])


@cache
def tables() -> Tables:
    return dictionary().tables()
