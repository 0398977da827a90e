"""`millicent customers change-payer | change-segment | exempt | end-exemption`. `customers.py` mounts them."""

import getpass
from collections.abc import Iterable
from datetime import date, datetime

import typer

from millicent.config.output import JSON_OPTION, show_record
from millicent.config.setup import tenant_work
from millicent.kit.clock import from_ms, local_midnight_ms, system_now, to_ms
from millicent.kit.errors import BadInput

CODE = typer.Argument(help="A billing account's code.")
FROM = typer.Option(
    "",
    "--from",
    help="First day of it in the account's zone (YYYY-MM-DD), or an instant with its offset. Default: now.",
)
WHO = typer.Option("", "--who", help="Who does this; your login when left out.")
WHY = typer.Option(..., "--why", help="Why: it is kept for ever.")


def change_payer(
    code: str = CODE,
    payer: str = typer.Argument(help="Who pays from then on: an account above it, or its own code."),
    since: str = FROM,
    who: str = WHO,
    why: str = WHY,
    as_json: bool = JSON_OPTION,
) -> None:
    """Let another account pay. Who pays when a cycle ends pays that whole cycle."""
    with tenant_work():
        from millicent.customers.services.change_payer import change_payer as change
        from millicent.customers.types import Signature

        now, at_ms = now_and_then(code, since)
        change(
            code=code,
            payer=payer,
            at_ms=at_ms,
            billed_until_ms=billed_until(code, payer, at_ms=at_ms),
            now=now,
            signature=Signature(who=who or getpass.getuser(), why=why),
        )
    show_changed(code, "payer", payer, at_ms=at_ms, as_json=as_json)


def change_segment(
    code: str = CODE,
    segment: str = typer.Argument(help="The segment whose prices count from then on."),
    since: str = FROM,
    who: str = WHO,
    why: str = WHY,
    as_json: bool = JSON_OPTION,
) -> None:
    """Price an account as one of another segment. The segment when a cycle ends counts for that whole cycle."""
    with tenant_work():
        from millicent.customers.services.change_segment import change_segment as change
        from millicent.customers.types import Signature

        now, at_ms = now_and_then(code, since)
        change(
            code=code,
            segment=segment,
            at_ms=at_ms,
            billed_until_ms=billed_until(code, at_ms=at_ms),
            now=now,
            signature=Signature(who=who or getpass.getuser(), why=why),
        )
    show_changed(code, "segment", segment, at_ms=at_ms, as_json=as_json)


def exempt(
    code: str = CODE,
    kind: str = typer.Option(..., "--kind", help="As the catalogue's taxes name it, such as reseller or government."),
    jurisdiction: str = typer.Option(..., "--jurisdiction", help="The place whose taxes are lifted, such as ES."),
    certificate: str = typer.Option(..., "--certificate", help="The number on the paper."),
    since: str = FROM,
    until: str = typer.Option("", "--until", help="First day without it; left out: until it is ended."),
    who: str = WHO,
    why: str = WHY,
    as_json: bool = JSON_OPTION,
) -> None:
    """Lift taxes from an account, on a certificate. Taxes that were billed stay billed."""
    with tenant_work():
        from millicent.customers.services.grant_exemption import grant_exemption
        from millicent.customers.types import Signature, TaxExemption

        now, at_ms = now_and_then(code, since)
        grant_exemption(
            code=code,
            exemption=TaxExemption(
                kind=kind,
                jurisdiction=jurisdiction,
                certificate=certificate,
                effective_from_ms=at_ms,
                effective_until_ms=now_and_then(code, until, option="--until")[1] if until else None,
            ),
            billed_until_ms=billed_until(code, at_ms=at_ms),
            now=now,
            signature=Signature(who=who or getpass.getuser(), why=why),
        )
    show_changed(code, "exempt by", certificate, at_ms=at_ms, as_json=as_json)


def end_exemption(
    code: str = CODE,
    certificate: str = typer.Option(..., "--certificate", help="The number on the paper."),
    since: str = FROM,
    who: str = WHO,
    why: str = WHY,
    as_json: bool = JSON_OPTION,
) -> None:
    """Charge the taxes again that a certificate lifted."""
    with tenant_work():
        from millicent.customers.services.grant_exemption import end_exemption as end
        from millicent.customers.types import Signature

        now, at_ms = now_and_then(code, since)
        end(
            code=code,
            certificate=certificate,
            at_ms=at_ms,
            billed_until_ms=billed_until(code, at_ms=at_ms),
            now=now,
            signature=Signature(who=who or getpass.getuser(), why=why),
        )
    show_changed(code, "no longer exempt by", certificate, at_ms=at_ms, as_json=as_json)


def now_and_then(code: str, text: str, *, option: str = "--from") -> tuple[datetime, int]:
    """Now, and the instant that was asked for."""
    from millicent.customers.errors import UnknownAccount
    from millicent.customers.selectors import account_places

    now = system_now()
    places = account_places(codes=[code])
    if places.is_empty():
        raise UnknownAccount(f"there is no billing account {code}", account_code=code)
    if not text:
        return now, to_ms(now)
    at_ms = _read_instant(text, zone=places["zone"][0])
    if at_ms is None:
        cure = "Write 2026-10-01, or 2026-10-01T08:00:00+02:00."
        raise BadInput(f"{text!r} is no day and no instant", where=option, cure=cure)
    return now, at_ms


def _read_instant(text: str, *, zone: str) -> int | None:
    try:
        if len(text) == len("2026-10-01"):
            return local_midnight_ms(date.fromisoformat(text), zone)
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return to_ms(instant) if instant.tzinfo is not None else None


def billed_until(*codes: str, at_ms: int) -> int:
    """The later end of what whoever pays for these accounts now has on bills; 0: nothing."""
    from millicent.billing.history import billed_until
    from millicent.customers.selectors import billing_accounts

    payers: Iterable[int] = {each.payer_id for each in billing_accounts(codes=codes)} | {
        each.payer_id for each in billing_accounts(codes=codes, at_ms=at_ms)
    }
    return max(billed_until(sorted(payers)).values(), default=0)


def show_changed(code: str, what: str, value: str, *, at_ms: int, as_json: bool) -> None:
    show_record("Changed", {"billing account": code, what: value, "from": from_ms(at_ms).isoformat()}, as_json=as_json)
