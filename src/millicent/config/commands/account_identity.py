"""`millicent customers change-language | -tax-place | -tax-number | -reseller | -address | -name | -contact | history`.

`customers.py` mounts them.
"""

import getpass

import typer

from millicent.config.commands.account_terms import CODE, FROM, WHO, WHY, billed_until, now_and_then, show_changed
from millicent.config.output import JSON_OPTION, show_table
from millicent.config.setup import tenant_work
from millicent.kit.clock import from_ms
from millicent.kit.errors import BadInput


def change_language(
    code: str = CODE,
    language: str = typer.Argument(help="A language code such as es."),
    since: str = FROM,
    who: str = WHO,
    why: str = WHY,
    as_json: bool = JSON_OPTION,
) -> None:
    """Write bills and notices in another language. A bill speaks the one in force when its cycle ends."""
    with tenant_work():
        from millicent.customers.services.change_language import change_language as change
        from millicent.customers.types import Signature

        now, at_ms = now_and_then(code, since)
        change(
            code=code,
            language=language,
            at_ms=at_ms,
            billed_until_ms=billed_until(code, at_ms=at_ms),
            now=now,
            signature=Signature(who=who or getpass.getuser(), why=why),
        )
    show_changed(code, "language", language, at_ms=at_ms, as_json=as_json)


def change_tax_place(
    code: str = CODE,
    country: str = typer.Argument(help="Where the customer is: an ISO 3166 code such as ES."),
    jurisdiction: str = typer.Option("", help="Whose taxes it bears, such as ES-CN. Left out: those of the country."),
    since: str = FROM,
    who: str = WHO,
    why: str = WHY,
    as_json: bool = JSON_OPTION,
) -> None:
    """Tax an account as one of another place. The place when a cycle ends counts for what that cycle charges."""
    with tenant_work():
        from millicent.customers.services.change_tax_place import change_tax_place as change
        from millicent.customers.types import Signature

        now, at_ms = now_and_then(code, since)
        change(
            code=code,
            country=country,
            jurisdiction=jurisdiction,
            at_ms=at_ms,
            billed_until_ms=billed_until(code, at_ms=at_ms),
            now=now,
            signature=Signature(who=who or getpass.getuser(), why=why),
        )
    show_changed(code, "tax place", jurisdiction or country, at_ms=at_ms, as_json=as_json)


def change_tax_number(
    code: str = CODE,
    tax_number: str = typer.Argument("", help="As it is printed; its check digits are checked. Left out: none."),
    business: bool = typer.Option(
        ..., "--business/--private", help="Whether it is a business: one abroad with a number is under reverse charge."
    ),
    since: str = FROM,
    who: str = WHO,
    why: str = WHY,
    as_json: bool = JSON_OPTION,
) -> None:
    """Print another tax number, and say whether the account is a business."""
    with tenant_work():
        from millicent.customers.services.change_tax_number import change_tax_number as change
        from millicent.customers.types import Signature

        now, at_ms = now_and_then(code, since)
        change(
            code=code,
            tax_number=tax_number,
            is_business=business,
            at_ms=at_ms,
            billed_until_ms=billed_until(code, at_ms=at_ms),
            now=now,
            signature=Signature(who=who or getpass.getuser(), why=why),
        )
    show_changed(code, "tax number", tax_number or "none", at_ms=at_ms, as_json=as_json)


def change_reseller(
    code: str = CODE,
    reseller: str = typer.Argument("", help="A reseller's code; one/other is a chain. Left out: nobody."),
    since: str = FROM,
    who: str = WHO,
    why: str = WHY,
    as_json: bool = JSON_OPTION,
) -> None:
    """Charge another reseller for an account's usage, or nobody. The account's own prices stay what they are."""
    with tenant_work():
        from millicent.catalog import selectors as catalog
        from millicent.customers.services.change_reseller import change_reseller as change
        from millicent.customers.types import Signature

        now, at_ms = now_and_then(code, since)
        release = catalog.latest_release()
        if release is None:
            raise BadInput("no catalogue was released yet", where="reseller", cure="Release one first.")
        change(
            code=code,
            reseller=reseller,
            resellers=catalog.catalogue_of(release.number).reseller_tariffs,
            at_ms=at_ms,
            billed_until_ms=billed_until(code, at_ms=at_ms),
            now=now,
            signature=Signature(who=who or getpass.getuser(), why=why),
        )
    show_changed(code, "reseller", reseller or "none", at_ms=at_ms, as_json=as_json)


def change_address(
    code: str = CODE,
    address: str = typer.Argument(help="Its lines, separated by |."),
    since: str = FROM,
    who: str = WHO,
    why: str = WHY,
    as_json: bool = JSON_OPTION,
) -> None:
    """Print another address on bills. Whose taxes are charged is another matter: change-tax-place."""
    with tenant_work():
        from millicent.customers.services.change_address import change_address as change
        from millicent.customers.types import Signature

        now, at_ms = now_and_then(code, since)
        change(
            code=code,
            address_lines=address.split("|"),
            at_ms=at_ms,
            billed_until_ms=billed_until(code, at_ms=at_ms),
            now=now,
            signature=Signature(who=who or getpass.getuser(), why=why),
        )
    show_changed(code, "address", address, at_ms=at_ms, as_json=as_json)


def change_name(
    code: str = CODE,
    name: str = typer.Argument(help="As it is to be printed."),
    since: str = FROM,
    who: str = WHO,
    why: str = WHY,
    as_json: bool = JSON_OPTION,
) -> None:
    """Call the customer by another name, on the bills of all its accounts. Bills that were issued keep theirs."""
    with tenant_work():
        from millicent.customers.services.change_name import change_name as change
        from millicent.customers.types import Signature

        now, at_ms = now_and_then(code, since)
        change(
            code=code,
            name=name,
            at_ms=at_ms,
            now=now,
            signature=Signature(who=who or getpass.getuser(), why=why),
        )
    show_changed(code, "name", name, at_ms=at_ms, as_json=as_json)


def change_contact(
    code: str = CODE,
    email: str | None = typer.Option(None, "--email", help="The customer's only e-mail address; empty removes it."),
    phone: str | None = typer.Option(None, "--phone", help="The customer's only number; empty removes it."),
    who: str = WHO,
    why: str = WHY,
    as_json: bool = JSON_OPTION,
) -> None:
    """Reach the customer elsewhere, from now on."""
    if email is None and phone is None:
        raise BadInput("nothing was named", where="customers change-contact", cure="Give --email, --phone or both.")
    with tenant_work():
        from millicent.customers.services.change_contact import change_contact as change
        from millicent.customers.types import ContactKind, Signature

        now, at_ms = now_and_then(code, "")
        for kind, reach in ((ContactKind.EMAIL, email), (ContactKind.PHONE, phone)):
            if reach is not None:
                signature = Signature(who=who or getpass.getuser(), why=why)
                change(code=code, kind=kind, reach=reach.strip(), now=now, signature=signature)
    named = ", ".join(
        f"{kind} {reach or 'none'}" for kind, reach in (("email", email), ("phone", phone)) if reach is not None
    )
    show_changed(code, "contact", named, at_ms=at_ms, as_json=as_json)


def history(
    code: str = CODE,
    as_json: bool = JSON_OPTION,
) -> None:
    """What was changed of a billing account, from when on, by whom and why."""
    with tenant_work():
        from millicent.customers.errors import UnknownAccount
        from millicent.customers.selectors import billing_account_ids, changes_of

        ids = billing_account_ids(codes=[code])
        if not ids:
            raise UnknownAccount(f"there is no billing account {code}", account_code=code)
        changes = changes_of(ids[code])
    rows = [
        (
            from_ms(each.recorded_at_ms).isoformat(timespec="seconds"),
            each.verb.replace("_", " "),
            ", ".join(f"{name} {value or 'none'}" for name, value in each.details.items()),
            from_ms(each.effective_at_ms).isoformat(timespec="seconds"),
            each.who,
            each.why,
        )
        for each in changes
    ]
    show_table("Changes", ("recorded", "what", "to", "from", "who", "why"), rows, as_json=as_json)
