"""`millicent bill document`: an issued bill as PDF, HTML or JSON. `bill.py` mounts it."""

from collections.abc import Sequence
from pathlib import Path

import typer

from millicent.billing.types import Bill, UsageDetail
from millicent.config.output import JSON_OPTION, say, show_json
from millicent.config.setup import tenant_lake, tenant_work
from millicent.kit.errors import BadInput

FORMATS = ("pdf", "html", "json")
LANGUAGES = ("en", "es", "fr")


def document(
    number: str = typer.Argument(..., help="The bill's number, such as A-2026-000123."),
    out: Path = typer.Option(None, help="File to write; its ending says the format. Default: NUMBER.pdf."),
    language: str = typer.Option("", help="en, es or fr. Default: the customer's."),
    itemised: bool = typer.Option(True, help="With every call, session and message."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Write an issued bill as PDF, HTML or JSON."""
    if language and language not in LANGUAGES:
        raise BadInput(f"{language!r} is not a language of bills", where="--language", cure="Use en, es or fr.")
    path = out or Path(f"{number}.pdf")
    kind = path.suffix.removeprefix(".").lower()
    if kind not in FORMATS:
        raise BadInput(f"{path.name!r} says no format", where="--out", cure="End it in .pdf, .html or .json.")
    content = _rendered(number, kind=kind, language=language or None, itemised=itemised)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    if as_json:
        show_json({"number": number, "file": str(path), "format": kind, "bytes": len(content)})
    else:
        say(f"{path}: {len(content):,} bytes")


def _rendered(number: str, *, kind: str, language: str | None, itemised: bool) -> bytes:
    with tenant_work() as tenant_id:
        from millicent.billing.models import IssuedBill
        from millicent.billing.services.itemise_bill import itemise_bill
        from millicent.billing.services.show_bill import show_bill
        from millicent.catalog.selectors import files_of
        from millicent.charging.balance_facts import stored_facts

        bill = show_bill(number)
        details = itemise_bill(number, facts=stored_facts(tenant_lake(tenant_id))) if itemised else ()
        files = files_of(IssuedBill.objects.values_list("release_number", flat=True).get(number=number))
    return _written(bill, details, kind=kind, language=language, files=dict(files))


def _written(
    bill: Bill, details: Sequence[UsageDetail], *, kind: str, language: str | None, files: dict[str, bytes]
) -> bytes:
    from millicent.billing.documents.render import DocumentRenderer, render_json

    if kind == "json":
        return render_json(bill, details)
    renderer = DocumentRenderer(catalogue_files=files)
    if kind == "html":
        return renderer.html(bill, details, language=language).encode()
    return renderer.pdf(bill, details, language=language)
