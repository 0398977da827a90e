"""`millicent charging declare`: charging.yaml of the tenant."""

from pathlib import Path

import typer

from millicent.config.output import JSON_OPTION, show_record
from millicent.kit.errors import BadInput


def declare(
    file: Path = typer.Argument(..., help="charging.yaml: services, policies, thresholds, rules of balances."),
    check_only: bool = typer.Option(False, "--check", help="Only check it; nothing is kept."),
    who: str = typer.Option("", "--who", help="Who declares; the user of this machine when left out."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Keep what rating groups mean, how slices are sized and the rules of balances. It holds within seconds."""
    from django.db import transaction

    from millicent.config.charging_port import caller
    from millicent.config.setup import tenant_work
    from millicent.kit.clock import system_now

    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise BadInput(f"cannot be read: {fault}", where=str(file), cure="Name a text file in UTF-8.") from None
    with tenant_work():
        from millicent.charging.services.declare_services import declare_services

        declared = declare_services(text, who=who or caller(), now=system_now(), where=str(file))
        if check_only:
            transaction.set_rollback(True)
    record: dict[str, object] = {
        "file": str(file),
        "version": declared.version,
        "kept": not check_only,
        "services": len(declared.services or ()),
        "policies": len(declared.policies),
        "bonuses": len(declared.top_ups.bonuses),
    }
    show_record("Charging declared", record, as_json=as_json)
