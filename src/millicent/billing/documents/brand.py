"""An operator's colour, made safe to read: darkened where it is text, thinned where it is a background."""

import re
from dataclasses import dataclass

_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
DEFAULT_COLOR = "#0b5cad"
_DARK_ENOUGH = 0.135  # relative luminance: 4.5 to 1 on white needs 0.18, the tint a little less (WCAG 2.2, 1.4.3)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrandColors:
    """All as "#rrggbb"."""

    fill: str  # the colour itself, for bars and areas
    ink: str  # the colour, darkened until it can be read on white and on `tint`
    tint: str  # a breath of the colour, for the background of the total


def brand_colors(color: str) -> BrandColors:
    """The shades of a brand colour. What is no colour becomes the default."""
    fill = color.lower() if _COLOR.fullmatch(color) else DEFAULT_COLOR
    ink = fill
    while _luminance(ink) > _DARK_ENOUGH:
        ink = _mixed(ink, "#000000", percent=10)
    return BrandColors(fill=fill, ink=ink, tint=_mixed(fill, "#ffffff", percent=91))


def _channels(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _luminance(color: str) -> float:
    """Relative luminance, WCAG 2.2."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (channel / 255 for channel in _channels(color))
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, 1 to 21 (WCAG 2.2)."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _mixed(color: str, other: str, *, percent: int) -> str:
    """`percent` of the way from one colour to another."""
    pairs = zip(_channels(color), _channels(other), strict=True)
    return "#" + "".join(f"{(a * (100 - percent) + b * percent) // 100:02x}" for a, b in pairs)
