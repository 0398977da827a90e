"""Agree with one customer how an account pays and what it may owe."""

from datetime import datetime

from millicent.catalog.types import Payment
from millicent.charging.models.people import AccountAgreement
from millicent.charging.services.find_account import currency_of
from millicent.kit.clock import to_ms
from millicent.kit.errors import BadInput


def agree_payment(
    *,
    account_id: int,
    payment: str = "",
    credit_limit_nanos: int | None = None,
    barred: bool = False,
    who: str,
    why: str = "",
    now: datetime,
) -> None:
    """Keep an agreement; the last one of an account holds, and the next provisioning tells the shard.

    "" and None: as its plans say, as declared for all. In a tenant's scope.
    """
    currency_of(account_id)
    if payment and payment not in list(Payment):
        raise BadInput(f"{payment!r} is no way to pay", where="payment", cure=f"Use {', '.join(Payment)}.")
    if credit_limit_nanos is not None and credit_limit_nanos < 0:
        raise BadInput("a credit limit is not negative", where="limit", cure="Write 0 for none.")
    AccountAgreement.objects.create(
        billing_account_id=account_id,
        payment=payment,
        credit_limit_nanos=credit_limit_nanos,
        barred=barred,
        recorded_at_ms=to_ms(now),
        who=who,
        why=why,
    )
