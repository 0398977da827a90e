"""`millicent rate`: price a file of usage with a catalogue folder. No database, no home folder."""

import os
from pathlib import Path

import typer

from millicent.config.output import JSON_OPTION, say, show_record

SMALL_FILE_BYTES = 1_000_000

app = typer.Typer(help="Price a file of usage with a catalogue folder: no database needed.")

FOLDER = typer.Option(..., "--catalog", help="The catalogue folder.", exists=True, file_okay=False, metavar="DIR")
USAGE = typer.Option(
    ...,
    "--usage",
    help="Usage as .csv, .jsonl or .parquet: columns of the usage schema, and tariff, segment, reseller, pool.",
    exists=True,
    dir_okay=False,
    metavar="FILE",
)
OFFERING = typer.Option("", "--offering", help="Every subscription holds this offering: its tariff and allowances.")
TARIFF = typer.Option("", "--tariff", help="The tariff of every subscription, where the file does not say.")


def compile_only_for(size_bytes: int) -> None:
    """Run the pricing loops as plain Python when there is little to price. The answers are the same, and nobody waits a
    minute for the compiler. It must be called before anything of rating is imported."""
    if size_bytes < SMALL_FILE_BYTES:
        os.environ.setdefault("NUMBA_DISABLE_JIT", "1")
    else:
        say("Compiling the pricing loops: a minute the first time, a moment later on.")


@app.command()
def rate(
    catalog: Path = FOLDER,
    usage: Path = USAGE,
    out: Path = typer.Option(..., "--out", help="Where to write: .csv, .jsonl or .parquet.", metavar="FILE"),
    offering: str = OFFERING,
    tariff: str = TARIFF,
    as_json: bool = JSON_OPTION,
) -> None:
    """Price every usage for every leg and write one row a leg: amount, units, zone, rule, reason."""
    compile_only_for(usage.stat().st_size)
    from millicent.catalog.loading import load_catalogue
    from millicent.kit.money import nano_digits
    from millicent.rating.services import compile_catalogue, price_usage
    from millicent.rating.usage_files import fresh_grants, rated_rows, read_usage, write_rated

    catalogue = load_catalogue(catalog)
    chosen = tariff or (catalogue.offerings[offering].tariff or "" if offering in catalogue.offerings else "")
    rows, holdings = read_usage(usage, tariff=chosen)
    priced = price_usage(
        programs=[(-(2**62), 1, compile_catalogue(catalogue))],
        usage=rows,
        holdings=holdings,
        grants=fresh_grants(catalogue, offering, holdings),
    )
    digits = {currency: nano_digits(currency) for currency in priced.rated["currency"].unique() if currency}
    written = rated_rows(priced.rated, digits=digits)
    write_rated(written, out)
    counts = dict(written["reason"].value_counts(sort=True).iter_rows())
    show_record(
        "Rated", {"usages": len(rows), "legs": len(written), "out": str(out), "reasons": counts}, as_json=as_json
    )
