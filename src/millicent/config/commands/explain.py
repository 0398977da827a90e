"""`millicent explain`: why a charge is what it is, from the stores, or from a catalogue folder and a file of usage."""

import re
from collections.abc import Mapping
from pathlib import Path

import typer

from millicent.config.commands.quote import LANGUAGE, explained, tell
from millicent.config.commands.rate import OFFERING, TARIFF, compile_only_for
from millicent.config.output import JSON_OPTION, show_table
from millicent.config.setup import tenant_lake, tenant_work
from millicent.kit.errors import BadInput

app = typer.Typer(help="Say why a charge is what it is, step by step.")

_KEY = re.compile(r"[0-9a-f]{4,32}")
_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
_TOLD = 5  # keys that an ambiguous beginning lists


@app.command()
def explain(
    row: str = typer.Argument("", metavar="[EVENT_KEY]", help="With --usage: 32 hexadecimal digits, or a row number."),
    event: str = typer.Option("", "--event", help="A usage in the lake: its event key, or enough of its beginning."),
    of: str = typer.Option("", "--of", help="List the usage of this subscription with its event keys instead."),
    month: str = typer.Option("", "--month", help="With --event or --of: look in this UTC month only (YYYY-MM)."),
    catalog: Path = typer.Option(
        None, "--catalog", help="The catalogue folder.", exists=True, file_okay=False, metavar="DIR"
    ),
    usage: Path = typer.Option(
        None, "--usage", help="Usage as .csv, .jsonl or .parquet.", exists=True, dir_okay=False, metavar="FILE"
    ),
    offering: str = OFFERING,
    tariff: str = TARIFF,
    language: str = LANGUAGE,
    as_json: bool = JSON_OPTION,
) -> None:
    """Tell the steps of a price: of a usage in the stores (--event) or in a file (--catalog, --usage).

    What came before it is replayed first, with its allowances: in the stores its bill cycle, as the next bill would.
    """
    if of and not (event or row or catalog or usage):
        _list_usage(of, month=month, as_json=as_json)
        return
    if event and not (of or row or catalog or usage):
        documents = _of_the_stores(event, month=month)
    elif row and catalog and usage and not (event or of or month):
        documents = _of_a_file(row, catalog=catalog, usage=usage, offering=offering, tariff=tariff)
    else:
        raise BadInput(
            "say which usage",
            where="explain",
            cure="Give --event KEY for the stores (--of SUBSCRIPTION lists keys), "
            "or EVENT_KEY with --catalog DIR and --usage FILE.",
        )
    tell(documents, language=language, as_json=as_json)


def _of_a_file(event_key: str, *, catalog: Path, usage: Path, offering: str, tariff: str) -> list[dict[str, object]]:
    compile_only_for(usage.stat().st_size)
    from millicent.catalog.loading import load_catalogue
    from millicent.rating.usage_files import read_usage

    catalogue = load_catalogue(catalog)
    chosen = tariff or (catalogue.offerings[offering].tariff or "" if offering in catalogue.offerings else "")
    rows, holdings = read_usage(usage, tariff=chosen)
    try:
        number = int(event_key, 16 if len(event_key) == 32 else 10)
    except ValueError:
        raise BadInput(f"{event_key!r} is no event key", where="EVENT_KEY", cure="Copy it from the output.") from None
    return explained(catalogue, usage=rows, holdings=holdings, event_key=divmod(number, 2**64), offering=offering)


def _of_the_stores(prefix: str, *, month: str) -> list[dict[str, object]]:
    compile_only_for(0)  # the steps are written by the plain loops: compiling them takes longer than any cycle

    key_prefix = prefix.strip().lower()
    if not _KEY.fullmatch(key_prefix):
        raise BadInput(
            f"{prefix!r} is no event key", where="--event", cure="Give its first 4 to 32 hexadecimal digits."
        )
    with tenant_work() as tenant_id:
        from millicent.billing.services.explain_stored_usage import explain_stored_usage
        from millicent.charging.balance_facts import stored_facts
        from millicent.kit.clock import system_now, to_ms
        from millicent.mediation.selectors import usage_by_key
        from millicent.rating.services import UsageNotFound

        lake = tenant_lake(tenant_id)
        from_ms, until_ms = _bounds(month)
        found = usage_by_key(lake, key_prefix=key_prefix, from_ms=from_ms, until_ms=until_ms, limit=_TOLD + 1)
        if found.is_empty():
            where = f" in {month}" if month else ""
            raise UsageNotFound(f"no usage in the lake has an event key that begins with {key_prefix}{where}")
        if len(found) > 1:
            raise BadInput(
                f"{key_prefix} is the beginning of several event keys: {_keys(found.rows(named=True))}",
                where="--event",
                cure="Give more of it.",
            )
        return explain_stored_usage(found, facts=stored_facts(lake), known_until_ms=to_ms(system_now()) + 1)


def _list_usage(code: str, *, month: str, as_json: bool) -> None:
    with tenant_work() as tenant_id:
        from millicent.kit.clock import from_ms
        from millicent.mediation.selectors import usage_of
        from millicent.subscriptions.errors import UnknownSubscription
        from millicent.subscriptions.selectors import subscriptions_by_code

        found = subscriptions_by_code([code])
        if not found:
            raise UnknownSubscription(f"there is no subscription {code}", subscription_code=code)
        first_ms, until_ms = _bounds(month)
        usage = usage_of(
            tenant_lake(tenant_id), account_ids=[found[0].billing_account_id], from_ms=first_ms, until_ms=until_ms
        )
        rows = usage.filter(subscription_id=found[0].subscription_id).sort("occurred_at_ms", "event_key_high").collect()
    show_table(
        f"Usage of {code}",
        ("event", "begun", "service", "other party", "seconds", "bytes", "events"),
        [
            (
                _key_of(row),
                from_ms(row["occurred_at_ms"]).isoformat(),
                row["service"],
                row["other_party"],
                row["duration_ms"] // 1000,
                row["uplink_bytes"] + row["downlink_bytes"],
                row["events"],
            )
            for row in rows.iter_rows(named=True)
        ],
        as_json=as_json,
    )


def _bounds(month: str) -> tuple[int, int]:
    from datetime import UTC, datetime

    from millicent.kit.clock import to_ms
    from millicent.mediation.selectors import FOREVER_MS

    if not month:
        return 0, FOREVER_MS
    if not _MONTH.fullmatch(month):
        raise BadInput(f"{month!r} is no month", where="--month", cure="Write it as 2026-10.")
    year, number = int(month[:4]), int(month[5:])
    following = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)
    return to_ms(datetime(year, number, 1, tzinfo=UTC)), to_ms(following)


def _keys(rows: list[dict[str, int]]) -> str:
    return ", ".join(_key_of(row) for row in rows[:_TOLD]) + (" and more" if len(rows) > _TOLD else "")


def _key_of(row: Mapping[str, int]) -> str:
    return f"{row['event_key_high']:016x}{row['event_key_low']:016x}"
