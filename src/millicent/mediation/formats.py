"""Usage formats by their code, as installed packages offer them."""

from functools import lru_cache
from importlib.metadata import entry_points

from millicent.mediation.errors import UnknownFormat
from millicent.mediation.types import UsageFormat

GROUP = "millicent.usage_formats"


def format_codes() -> list[str]:
    """Every format that may be declared."""
    return sorted({each.name for each in entry_points(group=GROUP)})


@lru_cache(maxsize=64)
def format_named(code: str) -> UsageFormat:
    """The decoder of one format; its package is imported now."""
    found = [each for each in entry_points(group=GROUP) if each.name == code]
    if not found:
        raise UnknownFormat(
            f"{code!r} is not an installed usage format",
            where="format",
            cure=f"Installed: {', '.join(format_codes())}.",
        )
    made: UsageFormat = found[0].load()()
    return made
