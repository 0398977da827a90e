"""`millicent voucher`: create and print, redeem, block, list."""

from datetime import date
from pathlib import Path

import typer

from millicent.config.output import JSON_OPTION, YES_OPTION, confirm, show_record, show_table
from millicent.kit.errors import BadInput
from millicent.kit.money import format_plain, parse_nanos

app = typer.Typer(no_args_is_help=True, help="Vouchers: create and print a batch, redeem, block, list.")
WHO_OPTION = typer.Option("", "--who", help="Who does it; the user of this machine when left out.")


@app.command("create")
def create(
    batch: str = typer.Argument(..., help="Your name for the batch."),
    count: int = typer.Option(..., min=1, help="How many vouchers."),
    amount: str = typer.Option(..., help="What each is worth, such as 10.00."),
    currency: str = typer.Option(..., help="ISO 4217 currency."),
    until: str = typer.Option(..., help="First day on which they open nothing (YYYY-MM-DD)."),
    print_file: Path = typer.Option(..., "--print-file", help="New CSV file for the printer: the only copy of codes."),
    balance_days: int = typer.Option(0, min=0, help="How long what they bring is valid; 0: as declared."),
    who: str = WHO_OPTION,
    as_json: bool = JSON_OPTION,
) -> None:
    """Make a batch and write its codes to a new file. Only hashes are kept: a lost file cannot be written again."""
    from millicent.config.charging_port import caller
    from millicent.config.setup import tenant_work
    from millicent.kit.clock import local_midnight_ms, system_now

    try:
        until_ms = local_midnight_ms(date.fromisoformat(until), "UTC")
    except ValueError:
        raise BadInput(f"{until!r} is not a day", where="--until", cure="Write it as 2027-12-31.") from None
    with tenant_work():
        from millicent.charging.services.issue_vouchers import issue_vouchers

        issued = issue_vouchers(
            batch=batch, count=count, amount_nanos=parse_nanos(amount, currency, where="--amount"), currency=currency,
            valid_until_ms=until_ms, print_file=print_file, balance_days=balance_days or None, who=who or caller(),
            now=system_now(),
        )  # fmt: skip
    record: dict[str, object] = {
        "batch": issued.code,
        "vouchers": issued.voucher_count,
        "first_serial": issued.first_serial,
        "print_file": str(issued.print_file),
    }
    show_record("Voucher batch", record, as_json=as_json)


@app.command("redeem")
def redeem(
    account: str = typer.Argument(..., help="Code of the billing account that is filled."),
    code: str = typer.Option("", help="The voucher's code; left out, it is asked for or read from standard input."),
    redeemer: str = typer.Option("", help="Who is locked out after too many wrong codes; the account when left out."),
    who: str = WHO_OPTION,
    as_json: bool = JSON_OPTION,
) -> None:
    """Fill a balance from a voucher."""
    from millicent.config.charging_port import caller, charging_port
    from millicent.config.commands.balance import _payer, _show_order, _tenant
    from millicent.kit.clock import system_now

    typed = code or _read_code()
    account_id, _ = _payer(account)
    from millicent.charging.services.redeem_voucher import redeem_voucher

    with charging_port() as port:
        order = redeem_voucher(
            tenant_id=_tenant(), port=port, code=typed, account_id=account_id, redeemer=redeemer or account,
            who=who or caller(), now=system_now(),
        )  # fmt: skip
    _show_order(order, as_json=as_json)


def _read_code() -> str:
    """Typed without an echo at a terminal; a line of standard input elsewhere: not in the list of processes."""
    import sys
    from getpass import getpass

    return getpass("Code: ") if sys.stdin.isatty() else sys.stdin.readline().strip()


@app.command("block")
def block(
    batch: str = typer.Argument(..., help="The batch."),
    serial: list[int] = typer.Option([], "--serial", help="Only vouchers of these serials."),
    why: str = typer.Option(..., "--why", help="Why: stolen, lost, misprinted."),
    yes: bool = YES_OPTION,
    who: str = WHO_OPTION,
    as_json: bool = JSON_OPTION,
) -> None:
    """Make vouchers worthless that were not redeemed yet. It cannot be undone."""
    from millicent.config.charging_port import caller
    from millicent.config.setup import tenant_work
    from millicent.kit.clock import system_now

    what = f"{len(serial)} vouchers of batch {batch}" if serial else f"the whole batch {batch}"
    confirm(f"Block {what}?", yes=yes)
    with tenant_work():
        from millicent.charging.services.block_vouchers import block_vouchers

        count = block_vouchers(batch=batch, serials=serial, who=who or caller(), why=why, now=system_now())
    show_record("Blocked", {"batch": batch, "vouchers": count}, as_json=as_json)


@app.command("list")
def show_batches(as_json: bool = JSON_OPTION) -> None:
    """Every batch: made, redeemed, blocked."""
    from millicent.config.setup import tenant_work
    from millicent.kit.clock import from_ms

    with tenant_work():
        from millicent.charging.selectors import voucher_batches

        batches = voucher_batches()
    rows = [
        (
            each.code,
            format_plain(each.amount_nanos, each.currency),
            each.currency,
            each.made,
            each.redeemed,
            each.made - each.redeemed if each.is_blocked else each.blocked,
            from_ms(each.valid_until_ms).date().isoformat(),
            each.made_by,
        )
        for each in batches
    ]
    columns = ("batch", "value", "currency", "made", "redeemed", "blocked", "until", "made by")
    show_table("Voucher batches", columns, rows, as_json=as_json)
