"""Vouchers: printed once, kept as hashes, redeemed once, and not by guessing."""

import csv
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections
from tests.charging.people.builders import EUR, NOW, later
from tests.charging.people.test_balances import Counter

from millicent.charging.errors import TooManyGuesses, UnknownVoucherBatch, VoucherRefused
from millicent.charging.models.people import Voucher
from millicent.charging.people import OrderState
from millicent.charging.selectors import voucher_batches
from millicent.charging.services.block_vouchers import block_vouchers
from millicent.charging.services.issue_vouchers import check_digit, is_well_written, issue_vouchers, new_code
from millicent.charging.services.redeem_voucher import redeem_voucher
from millicent.charging.services.settle_orders import settle_orders
from millicent.kit.clock import to_ms
from millicent.kit.errors import BadInput, Outage
from millicent.kit.tenancy import tenant_scope

LAST_DAY = to_ms(later(NOW, days=365))


class Kiosk(Counter):
    def issue(self, folder, *, batch: str = "B1", count: int = 3, until_ms: int = LAST_DAY) -> list[dict[str, str]]:
        with tenant_scope(self.tenant_id):
            issued = issue_vouchers(
                batch=batch, count=count, amount_nanos=10 * EUR, currency="EUR", valid_until_ms=until_ms,
                print_file=folder / f"{batch}.csv", who="ana", now=NOW,
            )  # fmt: skip
        with issued.print_file.open(encoding="utf-8") as printed:
            return list(csv.DictReader(printed))

    def redeem(self, code: str, *, customer: str = "ANA", redeemer: str = "34600000100", now=NOW):
        return redeem_voucher(
            tenant_id=self.tenant_id, port=self.port, code=code, account_id=self[customer], redeemer=redeemer,
            who="ivr", now=now,
        )  # fmt: skip


@pytest.fixture
def kiosk(tenant_id) -> Iterator[Kiosk]:
    made = Kiosk(tenant_id, "ANA", "BEN")
    yield made
    made.port.close()


def a_wrong_code() -> str:
    return new_code()


def test_a_code_has_a_check_digit_that_shows_a_slip():
    assert check_digit("7992739871") == "3"
    code = new_code()
    for place in range(len(code)):
        wrong = code[:place] + str((int(code[place]) + 1) % 10) + code[place + 1 :]
        assert not is_well_written(wrong)
    assert is_well_written(code)


def test_codes_stand_in_the_printed_file_and_nowhere_else(kiosk, tmp_path):
    printed = kiosk.issue(tmp_path)

    assert [(row["serial"], row["amount"], row["currency"]) for row in printed] == [
        ("1", "10.00", "EUR"), ("2", "10.00", "EUR"), ("3", "10.00", "EUR"),
    ]  # fmt: skip
    assert (tmp_path / "B1.csv").stat().st_mode & 0o777 == 0o600
    codes = [row["code"].replace(" ", "") for row in printed]
    with tenant_scope(kiosk.tenant_id):
        kept = b"".join(bytes(hashed) for hashed in Voucher.objects.values_list("code_hash", flat=True))
    assert len(kept) == 96
    assert not any(code.encode() in kept for code in codes)


def test_serials_go_on_from_batch_to_batch(kiosk, tmp_path):
    kiosk.issue(tmp_path)

    assert [row["serial"] for row in kiosk.issue(tmp_path, batch="B2", count=2)] == ["4", "5"]


def test_a_file_that_is_there_is_not_written_over_and_no_batch_is_made(kiosk, tmp_path):
    (tmp_path / "B1.csv").write_text("precious")

    with pytest.raises(BadInput):
        kiosk.issue(tmp_path)

    assert (tmp_path / "B1.csv").read_text() == "precious"
    with tenant_scope(kiosk.tenant_id):
        assert voucher_batches() == []


def test_a_voucher_fills_the_balance_and_the_books_know_the_channel(kiosk, tmp_path):
    first, *_ = kiosk.issue(tmp_path)

    done = kiosk.redeem(first["code"])

    assert (done.state, done.amount_nanos) == (OrderState.DONE, 10 * EUR)
    assert kiosk.money("ANA") == 1000
    assert kiosk.lines("ANA") == [("voucher", 1000)]
    assert kiosk.books() == {"asset:clearing:voucher": 1000, "liability:prepaid": -1000}


def test_a_voucher_is_redeemed_once(kiosk, tmp_path):
    first, *_ = kiosk.issue(tmp_path)
    kiosk.redeem(first["code"])

    assert kiosk.redeem(first["code"]).repeated
    with pytest.raises(VoucherRefused):
        kiosk.redeem(first["code"], customer="BEN")

    assert (kiosk.money("ANA"), kiosk.money("BEN")) == (1000, 0)


def test_of_many_who_redeem_one_voucher_at_once_one_gets_it(kiosk, tmp_path):
    first, *_ = kiosk.issue(tmp_path, count=1)

    def attempt(customer: str) -> str:
        try:
            kiosk.redeem(first["code"], customer=customer, redeemer=customer)
            return customer
        except VoucherRefused:
            return ""
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as threads:
        winners = [each for each in threads.map(attempt, ["ANA", "BEN"]) if each]

    assert len(winners) == 1
    assert kiosk.money("ANA") + kiosk.money("BEN") == 1000


def test_too_many_wrong_codes_in_a_row_shut_the_door_for_a_while(kiosk, tmp_path):
    first, *_ = kiosk.issue(tmp_path)
    for _ in range(5):
        with pytest.raises(VoucherRefused):
            kiosk.redeem(a_wrong_code())

    with pytest.raises(TooManyGuesses):
        kiosk.redeem(first["code"])
    assert kiosk.money("ANA") == 0
    kiosk.redeem(first["code"], redeemer="another terminal", customer="BEN")
    assert kiosk.money("BEN") == 1000

    with pytest.raises(VoucherRefused):
        kiosk.redeem(a_wrong_code(), now=later(NOW, seconds=3601))


def test_a_right_code_forgets_the_wrong_ones_before_it(kiosk, tmp_path):
    first, second, _ = kiosk.issue(tmp_path)
    for code in (first["code"], second["code"]):
        for _ in range(4):
            with pytest.raises(VoucherRefused):
                kiosk.redeem(a_wrong_code())
        kiosk.redeem(code)

    assert kiosk.money("ANA") == 2000


def test_a_slip_of_the_finger_is_not_a_guess(kiosk, tmp_path):
    first, *_ = kiosk.issue(tmp_path)
    for _ in range(10):
        with pytest.raises(VoucherRefused):
            kiosk.redeem(first["code"][:-1])

    kiosk.redeem(first["code"])

    assert kiosk.money("ANA") == 1000


@pytest.mark.parametrize("late", [True, False])
def test_vouchers_out_of_date_or_blocked_open_nothing(kiosk, tmp_path, late):
    first, *_ = kiosk.issue(tmp_path)
    if not late:
        with tenant_scope(kiosk.tenant_id):
            assert block_vouchers(batch="B1", who="ana", why="stolen", now=NOW) == 3
            assert block_vouchers(batch="B1", who="ana", why="stolen", now=NOW) == 0

    with pytest.raises(VoucherRefused):
        kiosk.redeem(first["code"], now=later(NOW, days=366) if late else NOW)

    assert kiosk.money("ANA") == 0


def test_single_vouchers_can_be_blocked(kiosk, tmp_path):
    first, second, _ = kiosk.issue(tmp_path)
    with tenant_scope(kiosk.tenant_id):
        assert block_vouchers(batch="B1", serials=[int(first["serial"])], who="ana", why="torn", now=NOW) == 1
        (counted,) = voucher_batches()
    assert (counted.made, counted.redeemed, counted.blocked, counted.is_blocked) == (3, 0, 1, False)

    with pytest.raises(VoucherRefused):
        kiosk.redeem(first["code"])
    kiosk.redeem(second["code"])

    assert kiosk.money("ANA") == 1000


def test_a_batch_that_nobody_made_cannot_be_blocked(kiosk):
    with tenant_scope(kiosk.tenant_id), pytest.raises(UnknownVoucherBatch):
        block_vouchers(batch="B9", who="ana", why="lost", now=NOW)


def test_a_voucher_that_was_used_while_the_shard_was_silent_fills_the_balance_later(kiosk, tmp_path):
    first, *_ = kiosk.issue(tmp_path)
    kiosk.port.outage = Outage("nobody answers")
    with pytest.raises(Outage):
        kiosk.redeem(first["code"])
    kiosk.port.outage = None

    settle_orders(tenant_id=kiosk.tenant_id, port=kiosk.port, now=later(NOW, minutes=1))

    assert kiosk.money("ANA") == 1000
    with pytest.raises(VoucherRefused):
        kiosk.redeem(first["code"], customer="BEN")
