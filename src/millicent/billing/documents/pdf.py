"""PDF by typst. The template is a file of ours; a bill reaches it as data, so no text of a bill is ever markup."""

import json
import re
import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Literal

import typst

from millicent.billing.documents.brand import brand_colors
from millicent.billing.documents.content import BillContent
from millicent.billing.documents.logo import Logo
from millicent.billing.documents.sheet import bill_tables, fitted_charts
from millicent.kit.clock import from_ms

_TEMPLATE = Path(__file__).parent / "template" / "bill.typ"
_NOT_IN_FONTS = "could not be displayed with"


class PdfPress:
    """A warm typst compiler: fonts found once, the template parsed once, its unchanging parts laid out once.

    Only the fonts inside the wheel and those in `font_folders` are used, so a bill looks the same on every machine.
    One bill at a time; other threads wait.
    """

    def __init__(self, *, font_folders: Sequence[Path] = ()) -> None:
        self._root = Path(tempfile.mkdtemp(prefix="millicent-bills-"))
        weakref.finalize(self, shutil.rmtree, self._root, ignore_errors=True)
        self._fonts = typst.Fonts(include_system_fonts=False, font_paths=list(font_folders))
        main = self._root / "bill.typ"
        main.write_bytes(_TEMPLATE.read_bytes())
        self._compiler = typst.Compiler(main, root=self._root, font_paths=self._fonts, ignore_system_fonts=True)
        self._bill_file = self._root / "bill.json"
        self._lock = Lock()
        self._logos: dict[str, str] = {}

    def press(self, content: BillContent, *, color: str, logo: Logo | None, issued_at_ms: int) -> bytes:
        """One bill as PDF/UA-1. Where no font has a character of its texts, as tagged PDF without that claim."""
        with self._lock:
            self._bill_file.write_bytes(_as_json(self._sheet(content, color=color, logo=logo)))
            moment = from_ms(issued_at_ms).replace(microsecond=0)  # typst knows whole seconds
            try:
                return self._compile(standard="ua-1", moment=moment)
            except typst.TypstError as fault:
                if _NOT_IN_FONTS not in str(fault):
                    raise
                return self._compile(standard=None, moment=moment)
            finally:
                self._bill_file.unlink()  # nobody's bill stays on the disk

    def _compile(self, *, standard: Literal["ua-1"] | None, moment: datetime) -> bytes:
        made = self._compiler.compile(format="pdf", pdf_standards=standard, timestamp=moment.astimezone(UTC))
        assert isinstance(made, bytes), "a PDF is one piece"
        return made

    def _sheet(self, content: BillContent, *, color: str, logo: Logo | None) -> dict[str, object]:
        shades = brand_colors(color)
        brand = {"fill": shades.fill, "ink": shades.ink, "tint": shades.tint}
        if logo is not None:
            brand["logo"] = self._logo_file(logo)
        return {**content, **bill_tables(content), "charts": fitted_charts(content["charts"]), "brand": brand}

    def _logo_file(self, logo: Logo) -> str:
        """Typst reads images from its root only: put each logo there once."""
        name = f"{logo.digest}.{logo.kind}"
        if name not in self._logos:
            (self._root / name).write_bytes(logo.content)
            self._logos[name] = name
        return name


_LONGEST_WORD = 40  # letters: each line has room for that many
LONGEST_TEXT = 500  # characters: a name or a description that is longer is a mistake or an attack
_LONG_WORD = re.compile(rf"[^\s\"\\]{{{_LONGEST_WORD},}}")
_JSON = json.JSONEncoder(ensure_ascii=False, check_circular=False)
_ZERO_WIDTH_SPACE = "\u200b"


def _as_json(values: Mapping[str, object]) -> bytes:
    """Half characters (lone surrogates) become question marks: UTF-8 cannot hold them."""
    text = _JSON.encode(values)
    if _may_be_too_long(text):
        text = _JSON.encode(_fitted(values))
    return text.encode("utf-8", "replace")


def _may_be_too_long(text: str) -> bool:
    """Whether a word or a text in this JSON is too long. Splitting is many times faster than searching by pattern."""
    longest_word = max(map(len, text.replace('"', " ").split()))
    return longest_word >= _LONGEST_WORD or max(map(len, text.split('"'))) >= LONGEST_TEXT


def _fitted(value: object) -> object:
    """The same, with words too long for any line allowed to break, and texts too long for any bill cut short."""
    if isinstance(value, str):
        short = value if len(value) <= LONGEST_TEXT else value[: LONGEST_TEXT - 1] + "…"
        return _LONG_WORD.sub(lambda word: _ZERO_WIDTH_SPACE.join(_pieces(word.group())), short)
    if isinstance(value, Mapping):
        return {key: each if key in _NOT_TEXT else _fitted(each) for key, each in value.items()}
    return [_fitted(each) for each in value] if isinstance(value, list | tuple) else value


_NOT_TEXT = ("brand", "title", "alternative")  # a file name, and texts that no line holds


def _pieces(word: str) -> list[str]:
    return [word[at : at + 16] for at in range(0, len(word), 16)]
