"""Three customers of today: one prepaid, one who pays by bill, one with fibre and a user name."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from millicent.catalog.types import Catalogue
from millicent.charging.people import Payment
from millicent.charging.services.agree_payment import agree_payment
from millicent.charging.services.set_network_password import set_network_password
from millicent.customers.selectors import billing_accounts
from millicent.customers.services.open_billing_accounts import open_billing_accounts
from millicent.customers.types import NewBillingAccount
from millicent.kit.clock import to_ms
from millicent.kit.tenancy import tenant_scope
from millicent.subscriptions.selectors import subscription_ids
from millicent.subscriptions.services.activate import activate_new
from millicent.subscriptions.types import HeldIdentifier, IdentifierKind, Signature

_DESK = Signature(who="demo care desk", why="a customer of today")


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveCustomer:
    account: str
    name: str
    offering: str
    kind: IdentifierKind
    identifier: str


PREPAID = LiveCustomer(
    account="TODAY-1",
    name="Nerea Vidal",
    offering="pay-as-you-go",
    kind=IdentifierKind.MSISDN,
    identifier="34699900001",
)
BY_BILL = LiveCustomer(
    account="TODAY-2",
    name="Iker Serrano",
    offering="mobile-s",
    kind=IdentifierKind.MSISDN,
    identifier="34699900002",
)
ON_LINE = LiveCustomer(
    account="TODAY-3",
    name="Alba Castaño",
    offering="fibre-600",
    kind=IdentifierKind.RADIUS_USER,
    identifier="alba@aurora.example",
)
EVERY: Sequence[LiveCustomer] = (PREPAID, BY_BILL, ON_LINE)


def opened_customers(tenant_id: UUID, *, catalogue: Catalogue, password: str, now: datetime) -> dict[str, int]:
    """Billing account ids by code, customers since an hour ago; who was opened before is found."""
    since_ms = to_ms(now - timedelta(hours=1))
    with tenant_scope(tenant_id):
        known = {each.code for each in billing_accounts(codes=[customer.account for customer in EVERY])}
        open_billing_accounts(
            [_account(each, since_ms=since_ms) for each in EVERY if each.account not in known], now=now
        )
        ids = {each.code: each.billing_account_id for each in billing_accounts(codes=[one.account for one in EVERY])}
        for customer in EVERY:
            if f"S-{customer.account}" not in subscription_ids(codes=[f"S-{customer.account}"]):
                _subscribe(customer, catalogue=catalogue, since_ms=since_ms, now=now)
        agree_payment(
            account_id=ids[PREPAID.account],
            payment=Payment.PREPAID.value,
            who=_DESK.who,
            why="pays in advance",
            now=now,
        )
        set_network_password(ON_LINE.identifier, password=password, sealing_key=None, who=_DESK.who, now=now)
    return ids


def _account(customer: LiveCustomer, *, since_ms: int) -> NewBillingAccount:
    return NewBillingAccount(
        code=customer.account,
        party_code=customer.account,
        party_name=customer.name,
        currency="EUR",
        zone="Europe/Madrid",
        country="ES",
        jurisdiction="ES",
        opened_at_ms=since_ms,
    )


def _subscribe(customer: LiveCustomer, *, catalogue: Catalogue, since_ms: int, now: datetime) -> None:
    held = HeldIdentifier(kind=customer.kind, identifier=customer.identifier, effective_from_ms=since_ms)
    activate_new(
        code=f"S-{customer.account}",
        account_code=customer.account,
        offering=customer.offering,
        at_ms=since_ms,
        catalogue=catalogue,
        now=now,
        signature=_DESK,
        identifiers=(held,),
    )
