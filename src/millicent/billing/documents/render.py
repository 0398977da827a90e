"""Bills for people and programs: PDF, HTML, JSON from the same `Bill`."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from millicent.billing.documents.content import bill_content
from millicent.billing.documents.html import write_html
from millicent.billing.documents.json_document import write_json
from millicent.billing.documents.logo import Logo, read_logo
from millicent.billing.documents.pdf import PdfPress
from millicent.billing.types import Bill, UsageDetail


class DocumentRenderer:
    """Renders bill after bill with a warm compiler. One for each process; build it once.

    `catalogue_files` are the files of a catalogue release, by name: the operator's logo is one of them. Without it the
    operator's name stands in its place.
    `font_folders` add fonts for scripts that the built-in ones do not have. Nothing else of the machine is read.
    """

    def __init__(
        self, *, catalogue_files: Mapping[str, bytes] | None = None, font_folders: Sequence[Path] = ()
    ) -> None:
        self._catalogue_files = catalogue_files
        self._press = PdfPress(font_folders=font_folders)
        self._logos: dict[str, Logo] = {}

    def pdf(self, bill: Bill, details: Sequence[UsageDetail] = (), *, language: str | None = None) -> bytes:
        """PDF/UA-1, tagged, in the customer's language. The same bill gives the same bytes."""
        return self._press.press(
            bill_content(bill, details, language=language),
            color=bill.operator.brand_color,
            logo=self._logo(bill),
            issued_at_ms=bill.issued_at_ms,
        )

    def html(self, bill: Bill, details: Sequence[UsageDetail] = (), *, language: str | None = None) -> str:
        """One self-contained page without scripts."""
        content = bill_content(bill, details, language=language)
        return write_html(content, color=bill.operator.brand_color, logo=self._logo(bill))

    def _logo(self, bill: Bill) -> Logo | None:
        name = bill.operator.logo_file
        if name is None or self._catalogue_files is None:
            return None
        if name not in self._logos:
            self._logos[name] = read_logo(self._catalogue_files, name)
        return self._logos[name]


@lru_cache(maxsize=1)
def _renderer() -> DocumentRenderer:
    return DocumentRenderer()


def render_pdf(bill: Bill, details: Sequence[UsageDetail] = (), *, language: str | None = None) -> bytes:
    """One bill as PDF, with the process's own renderer and no logo file; see `DocumentRenderer.pdf`."""
    return _renderer().pdf(bill, details, language=language)


def render_html(bill: Bill, details: Sequence[UsageDetail] = (), *, language: str | None = None) -> str:
    """One bill as HTML, without a logo file; see `DocumentRenderer.html`."""
    return write_html(bill_content(bill, details, language=language), color=bill.operator.brand_color, logo=None)


def render_json(bill: Bill, details: Sequence[UsageDetail] = (), *, language: str | None = None) -> bytes:
    """One bill as JSON of `bill.schema.json`. It holds every language, so `language` changes nothing."""
    return write_json(bill, details)
