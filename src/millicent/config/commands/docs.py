"""`millicent docs`: the reference pages, written from the code, so they cannot be wrong for long."""

from pathlib import Path

import typer

from millicent.config.output import JSON_OPTION, show_table

app = typer.Typer(help="Write the reference pages from the code.")


@app.command()
def docs(
    out: Path = typer.Option(Path("docs/reference"), help="Folder of the pages."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Write settings.md, errors.md, reasons.md, tables.md, metrics.md and cli.md."""
    from millicent.config.reference import write_pages

    pages = write_pages(out)
    show_table("Reference pages", ("page", "lines"), list(pages.items()), as_json=as_json)
