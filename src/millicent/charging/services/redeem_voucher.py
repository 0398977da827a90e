"""Turn a voucher into balance: once, and not by guessing."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from millicent.charging.errors import TooManyGuesses, VoucherRefused
from millicent.charging.models.people import BalanceOrder, Voucher, VoucherGuesses
from millicent.charging.orders import carry_out, refuse_unless_done
from millicent.charging.people import Order
from millicent.charging.ports import BalancePort
from millicent.charging.services.declare_services import declared_charging
from millicent.charging.services.find_account import currency_of
from millicent.charging.services.issue_vouchers import code_hash, is_well_written, salt_in_use, ungrouped
from millicent.charging.services.top_up import keep_top_up
from millicent.kit.clock import MS_PER_SECOND, from_ms, to_ms
from millicent.kit.tenancy import tenant_scope


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A voucher that may be redeemed, or the orders of the time when this very account redeemed it."""

    voucher: Voucher | None = None
    again: str = ""


def redeem_voucher(
    *, tenant_id: UUID, port: BalancePort, code: str, account_id: int, redeemer: str, who: str, now: datetime
) -> Order:
    """Fill an account's balance from a voucher. The same account with the same code again finds the first time.

    `redeemer` is who is locked out after too many wrong codes: the caller's number, the shop's terminal. A code with
    a wrong check digit is a slip and not counted. Raises VoucherRefused, TooManyGuesses; and Outage, after which the
    voucher is used and `settle_orders` fills the balance.
    """
    bare = ungrouped(code)
    if not is_well_written(bare):
        raise VoucherRefused("this is no voucher code: look at its digits again")
    with tenant_scope(tenant_id):
        orders, repeated = _kept(bare, account_id=account_id, redeemer=redeemer, who=who, now=now)
    if not orders:  # the wrong guess is counted and committed before it is refused
        raise VoucherRefused("this voucher cannot be redeemed")
    first, *_ = carry_out(orders, tenant_id=tenant_id, port=port, now=now, repeated=repeated)
    return refuse_unless_done(first)


def _kept(code: str, *, account_id: int, redeemer: str, who: str, now: datetime) -> tuple[list[BalanceOrder], bool]:
    """The orders that the voucher becomes, and whether it had become them before; none for a wrong code."""
    guesses = _locked_guesses(redeemer, now=now)
    found = _find(code, account_id=account_id, now_ms=to_ms(now))
    if found.again:
        return list(BalanceOrder.objects.filter(key__startswith=found.again).order_by("id")), True
    if found.voucher is None:
        _count_wrong(guesses, now_ms=to_ms(now))
        return [], False
    voucher = found.voucher
    VoucherGuesses.objects.filter(pk=guesses.pk).update(wrong=0)
    orders = keep_top_up(
        key=voucher_key(voucher.serial),
        account_id=account_id,
        amount_nanos=voucher.batch.amount_nanos,
        currency=voucher.batch.currency,
        channel="voucher",
        who=who,
        why=f"voucher {voucher.serial} of {voucher.batch.code}",
        declared=declared_charging(),
        now=now,
        valid_days=voucher.batch.balance_days,
        cause="voucher",
    )
    Voucher.objects.filter(pk=voucher.pk).update(redeemed_at_ms=to_ms(now), order=orders[0])
    return orders, False


def voucher_key(serial: int) -> str:
    """The key of the order that a voucher becomes."""
    return f"voucher:{serial:012d}"


def _locked_guesses(redeemer: str, *, now: datetime) -> VoucherGuesses:
    """The redeemer's count, locked: guesses made at once are counted one after the other."""
    VoucherGuesses.objects.bulk_create([VoucherGuesses(redeemer=redeemer)], ignore_conflicts=True)
    guesses = VoucherGuesses.objects.select_for_update().get(redeemer=redeemer)
    if guesses.locked_until_ms > to_ms(now):
        until = from_ms(guesses.locked_until_ms).isoformat(timespec="seconds")
        raise TooManyGuesses(f"too many wrong codes: try again after {until}", locked_until=until)
    return guesses


def _count_wrong(guesses: VoucherGuesses, *, now_ms: int) -> None:
    rules = declared_charging().vouchers
    wrong = guesses.wrong + 1
    shut = wrong >= rules.wrong_codes
    VoucherGuesses.objects.filter(pk=guesses.pk).update(
        wrong=0 if shut else wrong,
        locked_until_ms=now_ms + rules.locked_seconds * MS_PER_SECOND if shut else guesses.locked_until_ms,
    )


def _find(code: str, *, account_id: int, now_ms: int) -> _Found:
    """The voucher of a code, its row locked: of two who redeem it at once the second finds it used."""
    salt = salt_in_use()
    if salt is None:
        return _Found()
    # what the locked row refers to is read after the lock: a join would show it as it was before
    voucher = Voucher.objects.select_for_update().filter(code_hash=code_hash(code, salt=salt)).first()
    if voucher is None:
        return _Found()
    if voucher.order is not None:
        mine = voucher.order.billing_account_id == account_id
        return _Found(again=voucher.order.key) if mine else _Found()
    blocked = voucher.blocked_at_ms is not None or voucher.batch.blocked_at_ms is not None
    over = voucher.batch.valid_until_ms <= now_ms
    foreign = voucher.batch.currency != currency_of(account_id)
    return _Found() if blocked or over or foreign else _Found(voucher=voucher)
