"""`millicent quote`: what one usage would cost, and why."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from millicent.config.commands.rate import FOLDER, OFFERING, TARIFF, compile_only_for
from millicent.config.output import JSON_OPTION, say, show_json

if TYPE_CHECKING:
    import polars as pl

    from millicent.catalog.types import Catalogue

app = typer.Typer(help="Say what one usage would cost.")

LANGUAGE = typer.Option("en", "--language", help="Language of the sentences: en, es or fr.")


@app.command()
def quote(
    catalog: Path = FOLDER,
    service: str = typer.Option("voice", "--service", help="Code of the service specification."),
    quantity: int = typer.Option(..., "--quantity", help="In the service's own unit: seconds, bytes, messages.", min=0),
    to: str = typer.Option("", "--to", help="Number called, E.164 digits, or short:112."),
    when: str = typer.Option("", "--at", help="ISO 8601 with an offset; now when left out."),
    call_type: str = typer.Option("", "--call-type"),
    direction: str = typer.Option("originating", "--direction"),
    visited: str = typer.Option("", "--visited", help="Visited network, MCC and MNC."),
    segment: str = typer.Option("", "--segment"),
    supplier: str = typer.Option("", "--supplier", help="Also say what this supplier asks."),
    content_nanos: int = typer.Option(0, "--content-nanos", help="The content's own amount."),
    attribute: list[str] = typer.Option([], "--attribute", help="name=value of a declared attribute."),
    offering: str = OFFERING,
    tariff: str = TARIFF,
    language: str = LANGUAGE,
    as_json: bool = JSON_OPTION,
) -> None:
    """Price one usage with full allowances and tell every step."""
    compile_only_for(0)
    import json

    import polars as frames

    from millicent.catalog.loading import load_catalogue
    from millicent.kit.clock import system_now, to_ms
    from millicent.kit.errors import BadInput
    from millicent.rating.usage_files import holdings_for

    catalogue = load_catalogue(catalog)
    instant = datetime.fromisoformat(when) if when else system_now()
    if instant.tzinfo is None:
        raise BadInput(f"{when!r} has no offset", where="--at", cure="Write 2026-03-29T01:30:00+01:00.")
    row = {
        "event_key_low": 1,
        "subscription_id": 1,
        "billing_account_id": 1,
        "occurred_at_ms": to_ms(instant),
        "service": service,
        "direction": direction,
        "call_type": call_type,
        "other_party": to,
        "visited_network": visited,
        "supplier": supplier,
        "content_nanos": content_nanos,
        "attributes": json.dumps(dict(each.split("=", 1) for each in attribute)) if attribute else "",
        "duration_ms": quantity * 1000,
        "downlink_bytes": quantity,
        "events": quantity,
    }
    chosen = tariff or (catalogue.offerings[offering].tariff or "" if offering in catalogue.offerings else "")
    documents = explained(
        catalogue,
        usage=frames.DataFrame([row]),
        holdings=holdings_for(tariff=chosen, segment=segment),
        event_key=(0, 1),
        offering=offering,
    )
    tell(documents, language=language, as_json=as_json)


def explained(
    catalogue: "Catalogue",
    *,
    usage: "pl.DataFrame",
    holdings: "pl.DataFrame",
    event_key: tuple[int, int],
    offering: str,
) -> list[dict[str, object]]:
    """Explanations of every leg of one usage, by a catalogue alone."""
    from millicent.rating.explain import explain_charge
    from millicent.rating.services import compile_catalogue
    from millicent.rating.services.trace_usage import trace_usage
    from millicent.rating.usage_files import fresh_grants

    traced = trace_usage(
        programs=[(-(2**62), 1, compile_catalogue(catalogue))],
        usage=usage,
        holdings=holdings,
        grants=fresh_grants(catalogue, offering, holdings),
        event_key=event_key,
    )
    return [explain_charge(each) for each in traced]


def tell(documents: list[dict[str, object]], *, language: str, as_json: bool) -> None:
    """Sentences for a person; steps and sentences for a program."""
    from millicent.rating.sentences import explanation_sentences

    told = [explanation_sentences(document, language=language) for document in documents]
    if as_json:
        show_json([{**document, "sentences": lines} for document, lines in zip(documents, told, strict=True)])
        return
    for document, lines in zip(documents, told, strict=True):
        say(f"{document['leg_party'] or 'retail'}: tariff {document['tariff']}")
        typer.echo("\n".join(lines))
