"""`millicent balance`: show, top up, adjust, transfer, emergency credit, statement; who waits for approval."""

from datetime import date
from typing import TYPE_CHECKING, Any

import typer

from millicent.config.output import JSON_OPTION, say, show_json, show_record, show_table
from millicent.kit.errors import BadInput, Outage
from millicent.kit.money import format_plain, parse_nanos

if TYPE_CHECKING:
    from millicent.charging.people import Order

app = typer.Typer(no_args_is_help=True, help="Prepaid balances: show, top up, adjust, transfer, statement.")

ACCOUNT = typer.Argument(..., help="Code of the billing account.")
AMOUNT = typer.Argument(..., help="Amount in the account's currency, such as 20.00.")
KEY_OPTION = typer.Option("", "--key", help="Your own name for this order: the same key again is the same order.")
WHO_OPTION = typer.Option("", "--who", help="Who does it; the user of this machine when left out.")
WHY_OPTION = typer.Option("", "--why", help="Why: it stands in the statement.")
_KINDS = {0: "units", 1: "money of an allowance", 2: "money", 3: "credit"}
_FOR_EVER_MS = 2**62


@app.command("show")
def show(account: str = ACCOUNT, as_json: bool = JSON_OPTION) -> None:
    """Every bucket of an account: money, credit, allowances, with what sessions hold of them."""
    from millicent.config.charging_port import charging_port

    account_id = _account(account)
    try:
        with charging_port() as port:
            rows: list[dict[str, Any]] = port.look("balances", account_id=account_id)
    except Outage as silence:
        say(f"{silence.message}: as the screens last saw it")
        rows = _projected(account_id)
    if as_json:
        show_json(rows)
        return
    cells = [
        (
            _KINDS[row["kind"]],
            row["allowance"],
            _amount(row["remaining"], row["currency"]),
            _amount(row["reserved"], row["currency"]),
            row["currency"],
            _day(row["valid_until_ms"]),
        )
        for row in rows
    ]
    show_table(f"Balances of {account}", ("kind", "of", "left", "reserved", "", "until"), cells, as_json=False)


def _projected(account_id: int) -> list[dict[str, Any]]:
    from dataclasses import asdict

    from millicent.config.setup import tenant_work

    with tenant_work():
        from millicent.charging.selectors import balances_of

        return [asdict(each) for each in balances_of([account_id])]


@app.command("top-up")
def top_up(
    account: str = ACCOUNT,
    amount: str = AMOUNT,
    channel: str = typer.Option("agent", help="How the money came: agent, cash, bank, card."),
    key: str = KEY_OPTION,
    who: str = WHO_OPTION,
    why: str = WHY_OPTION,
    as_json: bool = JSON_OPTION,
) -> None:
    """Add money to an account's balance, with the bonus that was declared for it."""
    from millicent.config.charging_port import caller, charging_port, new_key
    from millicent.kit.clock import system_now

    account_id, currency = _payer(account)
    from millicent.charging.services.top_up import top_up as fill

    with charging_port() as port:
        order = fill(
            tenant_id=_tenant(), port=port, key=key or new_key(), account_id=account_id,
            amount_nanos=_nanos(amount, currency), channel=channel, who=who or caller(), why=why, now=system_now(),
        )  # fmt: skip
    _show_order(order, as_json=as_json)


@app.command("adjust")
def adjust(
    account: str = ACCOUNT,
    amount: str = typer.Argument(..., help='What to add; to take, write it behind --: "-- -2.00".'),
    key: str = KEY_OPTION,
    who: str = WHO_OPTION,
    why: str = typer.Option(..., "--why", help="Why: it stands in the statement."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Correct a balance, with a reason. Above the declared amount it waits for `balance approve`."""
    from millicent.config.charging_port import caller, charging_port, new_key
    from millicent.kit.clock import system_now

    account_id, currency = _payer(account)
    from millicent.charging.services.adjust_balance import adjust_balance

    with charging_port() as port:
        order = adjust_balance(
            tenant_id=_tenant(), port=port, key=key or new_key(), account_id=account_id,
            amount_nanos=_nanos(amount, currency), who=who or caller(), why=why, now=system_now(),
        )  # fmt: skip
    _show_order(order, as_json=as_json)


@app.command("approve")
def approve(
    key: str = typer.Argument(..., help="Key of an adjustment that waits: see `balance waiting`."),
    no: bool = typer.Option(False, "--no", help="Refuse it instead."),
    who: str = WHO_OPTION,
    as_json: bool = JSON_OPTION,
) -> None:
    """Be the second person: agree to an adjustment that waits, or refuse it."""
    from millicent.config.charging_port import caller, charging_port
    from millicent.kit.clock import system_now

    tenant_id = _tenant()
    from millicent.charging.services.adjust_balance import approve_adjustment, refuse_adjustment

    if no:
        order = refuse_adjustment(tenant_id=tenant_id, key=key, who=who or caller(), now=system_now())
    else:
        with charging_port() as port:
            order = approve_adjustment(tenant_id=tenant_id, port=port, key=key, who=who or caller(), now=system_now())
    _show_order(order, as_json=as_json)


@app.command("waiting")
def waiting(as_json: bool = JSON_OPTION) -> None:
    """Adjustments that wait for a second person."""
    from millicent.config.setup import tenant_work

    with tenant_work():
        from millicent.charging.selectors import orders_waiting
        from millicent.customers.selectors import billing_account_codes

        orders = orders_waiting()
        codes = billing_account_codes(ids=[order.billing_account_id for order in orders])
    rows = [
        (order.key, codes[order.billing_account_id], format_plain(order.amount_nanos, order.currency), order.currency)
        for order in orders
    ]
    show_table("Adjustments that wait", ("key", "account", "amount", "currency"), rows, as_json=as_json)


@app.command("transfer")
def transfer(
    giver: str = typer.Argument(..., help="Code of the billing account that gives."),
    taker: str = typer.Argument(..., help="Code of the billing account that receives."),
    amount: str = AMOUNT,
    key: str = KEY_OPTION,
    who: str = WHO_OPTION,
    why: str = WHY_OPTION,
    as_json: bool = JSON_OPTION,
) -> None:
    """Move money from one balance to another, all of it or nothing."""
    from millicent.config.charging_port import caller, charging_port, new_key
    from millicent.kit.clock import system_now

    (giver_id, currency), (taker_id, _) = _payer(giver), _payer(taker)
    from millicent.charging.services.transfer_balance import transfer_balance

    with charging_port() as port:
        order = transfer_balance(
            tenant_id=_tenant(), port=port, key=key or new_key(), from_account_id=giver_id, to_account_id=taker_id,
            amount_nanos=_nanos(amount, currency), who=who or caller(), why=why, now=system_now(),
        )  # fmt: skip
    _show_order(order, as_json=as_json)


@app.command("advance")
def advance(account: str = ACCOUNT, key: str = KEY_OPTION, who: str = WHO_OPTION, as_json: bool = JSON_OPTION) -> None:
    """Give the declared emergency credit: money now, repaid with its fee out of the next top-up."""
    from millicent.config.charging_port import caller, charging_port, new_key
    from millicent.kit.clock import system_now

    account_id, _ = _payer(account)
    from millicent.charging.services.grant_advance import grant_advance

    with charging_port() as port:
        order = grant_advance(
            tenant_id=_tenant(), port=port, key=key or new_key(), account_id=account_id, who=who or caller(),
            now=system_now(),
        )  # fmt: skip
    _show_order(order, as_json=as_json)


@app.command("agree")
def agree(
    account: str = ACCOUNT,
    payment: str = typer.Option("", help="prepaid, hybrid or postpaid; left out: as its plans say."),
    limit: str = typer.Option("", help="Credit limit, such as 100.00; left out: as declared for all."),
    barred: bool = typer.Option(False, "--barred", help="No new session and no new slice."),
    who: str = WHO_OPTION,
    why: str = WHY_OPTION,
    as_json: bool = JSON_OPTION,
) -> None:
    """Agree how one account pays and what it may owe. Replaces what was agreed before."""
    from millicent.config.charging_port import caller
    from millicent.config.setup import tenant_work
    from millicent.kit.clock import system_now

    account_id, currency = _payer(account)
    from millicent.charging.services.agree_payment import agree_payment

    with tenant_work():
        agree_payment(
            account_id=account_id, payment=payment, credit_limit_nanos=_nanos(limit, currency) if limit else None,
            barred=barred, who=who or caller(), why=why, now=system_now(),
        )  # fmt: skip
    agreed = {"account": account, "payment": payment or "as plans say", "limit": limit or "as declared",
              "barred": barred}  # fmt: skip
    show_record("Agreement", agreed, as_json=as_json)


@app.command("statement")
def statement(
    account: str = ACCOUNT,
    from_day: str = typer.Option("", "--from", help="From this day on (YYYY-MM-DD)."),
    until: str = typer.Option("", "--until", help="Before this day (YYYY-MM-DD)."),
    zone: str = typer.Option("UTC", "--zone", help="Time zone in which the days begin."),
    money_only: bool = typer.Option(False, "--money", help="Only money and credit, no units."),
    limit: int = typer.Option(200, min=1, help="At most so many lines, the latest."),
    as_json: bool = JSON_OPTION,
) -> None:
    """The history of an account's balances, each line with its reason."""
    from dataclasses import asdict

    from millicent.config.setup import tenant_work

    account_id = _account(account)
    with tenant_work():
        from millicent.charging.selectors import statement as statement_of

        lines = statement_of(
            account_id,
            from_ms=_day_ms(from_day, zone=zone, option="--from") if from_day else 0,
            until_ms=_day_ms(until, zone=zone, option="--until") if until else _FOR_EVER_MS,
            limit=limit,
        )
    chosen = [line for line in lines if line.currency or not money_only]
    if as_json:
        show_json([{**asdict(line), "kind": line.kind.name.lower()} for line in chosen])
        return
    cells = [
        (
            _moment(line.happened_at_ms),
            _KINDS[int(line.kind)],
            " ".join(word for word in (line.cause or _usage(line.usage), line.usage.get("allowance", "")) if word),
            " ".join(word for word in (line.who, line.why) if word),
            _amount(line.change, line.currency),
            _amount(line.remaining, line.currency),
            line.currency,
        )
        for line in chosen
    ]
    show_table(f"Statement of {account}", ("when", "kind", "what", "by", "change", "left", ""), cells, as_json=False)


@app.command("check")
def check(as_json: bool = JSON_OPTION) -> None:
    """Whether the ledger owes customers exactly what their balances hold."""
    from millicent.config.setup import tenant_work
    from millicent.kit.errors import Defect

    with tenant_work():
        from millicent.charging.services.post_usage_days import check_prepaid

        found = check_prepaid()
    rows = [
        (
            each.currency,
            *(
                format_plain(nanos, each.currency)
                for nanos in (each.balances_nanos, each.liability_nanos, each.unposted_nanos, each.difference_nanos)
            ),
        )
        for each in found
    ]
    columns = ("currency", "balances", "ledger owes", "usage to be posted", "difference")
    show_table("Prepaid money", columns, rows, as_json=as_json)
    if any(each.difference_nanos for each in found):
        raise Defect("the ledger does not owe what the balances hold")


def _account(code: str) -> int:
    return _payer(code)[0]


def _payer(code: str) -> tuple[int, str]:
    """Who pays for an account, and in which currency."""
    from millicent.config.setup import tenant_work

    with tenant_work():
        from millicent.charging.services.find_account import currency_of, paying_account_id

        account_id = paying_account_id(code)
        return account_id, currency_of(account_id)


def _tenant() -> Any:
    from millicent.config.settings import settings
    from millicent.config.setup import open_stores, tenant_id_of

    open_stores()
    return tenant_id_of(settings().tenant)


def _show_order(order: "Order", *, as_json: bool) -> None:
    amount = format_plain(order.amount_nanos, order.currency)
    available = None if order.available_nanos is None else format_plain(order.available_nanos, order.currency)
    record: dict[str, object] = {
        "key": order.key,
        "verb": order.verb.value,
        "state": order.state.value,
        "amount": amount,
        "currency": order.currency,
        **({} if available is None else {"available": available}),
        "repeated": order.repeated,
    }
    show_record("Order", record, as_json=as_json)


def _nanos(text: str, currency: str) -> int:
    return parse_nanos(text, currency, where="amount")


def _amount(amount: int, currency: str) -> str:
    return format_plain(amount, currency) if currency else f"{amount}"


def _usage(facts: Any) -> str:
    words = [facts.get("service", "usage"), facts.get("other_party", "")]
    if "quantity" in facts:
        words.append(f"{facts['quantity']} {facts['unit'].replace('_', ' ')}")
    return " ".join(word for word in words if word)


def _moment(instant_ms: int) -> str:
    from millicent.kit.clock import from_ms

    return from_ms(instant_ms).strftime("%Y-%m-%d %H:%M:%S")


def _day(instant_ms: int) -> str:
    return "" if instant_ms >= _FOR_EVER_MS else _moment(instant_ms)[:10]


def _day_ms(text: str, *, zone: str, option: str) -> int:
    from millicent.kit.clock import local_midnight_ms

    try:
        return local_midnight_ms(date.fromisoformat(text), zone)
    except ValueError:
        raise BadInput(f"{text!r} is not a day", where=option, cure="Write it as 2026-11-01.") from None
