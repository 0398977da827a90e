"""`millicent explain`: why a charge is what it is, from a catalogue folder and a file of usage."""

from pathlib import Path

import typer

from millicent.config.commands.quote import LANGUAGE, explained, tell
from millicent.config.commands.rate import FOLDER, OFFERING, TARIFF, USAGE, compile_only_for
from millicent.config.output import JSON_OPTION

app = typer.Typer(help="Say why a charge is what it is, step by step.")


@app.command()
def explain(
    event_key: str = typer.Argument(..., help="As `millicent rate` wrote it: 32 hexadecimal digits, or a row number."),
    catalog: Path = FOLDER,
    usage: Path = USAGE,
    offering: str = OFFERING,
    tariff: str = TARIFF,
    language: str = LANGUAGE,
    as_json: bool = JSON_OPTION,
) -> None:
    """Replay the file up to this usage, with its allowances, and tell the steps of its price."""
    compile_only_for(usage.stat().st_size)
    from millicent.catalog.loading import load_catalogue
    from millicent.kit.errors import BadInput
    from millicent.rating.usage_files import read_usage

    catalogue = load_catalogue(catalog)
    chosen = tariff or (catalogue.offerings[offering].tariff or "" if offering in catalogue.offerings else "")
    rows, holdings = read_usage(usage, tariff=chosen)
    try:
        number = int(event_key, 16 if len(event_key) == 32 else 10)
    except ValueError:
        raise BadInput(f"{event_key!r} is no event key", where="EVENT_KEY", cure="Copy it from the output.") from None
    documents = explained(catalogue, usage=rows, holdings=holdings, event_key=divmod(number, 2**64), offering=offering)
    tell(documents, language=language, as_json=as_json)
