"""Make a batch of vouchers: the codes go to the printer, their hashes stay here.

A code has 20 digits: 19 by chance and a check digit, so that a slip of the finger is told from a guess. Codes are
hashed with scrypt under one salt a tenant, so that one hash finds a voucher; a stolen table opens nothing in useful
time.
"""

import csv
import os
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from hashlib import scrypt
from pathlib import Path

from django.db import transaction

from millicent.charging.errors import AmountRefused, UnknownVoucherBatch
from millicent.charging.models.people import Voucher, VoucherBatch
from millicent.kit.bulk import read_rows
from millicent.kit.clock import from_ms, to_ms
from millicent.kit.errors import BadInput
from millicent.kit.money import format_plain

CODE_DIGITS = 20
_COST = 2**10  # scrypt n; with r 8 a hash takes 1 MiB and about 3 ms
_SALT_BYTES = 32
_MOST = 1_000_000
_LOCK = 7_261_082


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedBatch:
    code: str
    voucher_count: int
    first_serial: int
    print_file: Path


@transaction.atomic
def issue_vouchers(
    *,
    batch: str,
    count: int,
    amount_nanos: int,
    currency: str,
    valid_until_ms: int,
    print_file: Path,
    who: str,
    now: datetime,
    balance_days: int | None = None,
) -> IssuedBatch:
    """Make `count` vouchers of one value and write serials and codes to a new file that only we may read.

    The file is the one place where the codes ever stand. In a tenant's scope; on refusal there is no file and no batch.
    """
    if not 1 <= count <= _MOST:
        raise BadInput(f"a batch has 1 to {_MOST:,} vouchers", where="count", cure="Make several batches.")
    if amount_nanos <= 0:
        raise AmountRefused("a voucher is worth something", amount_nanos=amount_nanos)
    if valid_until_ms <= to_ms(now):
        raise BadInput("the vouchers would be out of date", where="valid until", cure="Give a day to come.")
    read_rows("SELECT pg_advisory_xact_lock(%s)::text", [_LOCK])  # two who print at once follow each other
    if VoucherBatch.objects.filter(code=batch).exists():
        raise UnknownVoucherBatch(f"there is a batch {batch!r} already", batch=batch)
    made = VoucherBatch.objects.create(
        code=batch,
        currency=currency,
        amount_nanos=amount_nanos,
        voucher_count=count,
        salt=_salt(),
        valid_until_ms=valid_until_ms,
        balance_days=balance_days,
        made_at_ms=to_ms(now),
        made_by=who,
    )
    codes = [new_code() for _ in range(count)]
    first = _first_serial()
    with ThreadPoolExecutor() as threads:  # scrypt works without the interpreter's lock
        hashes = list(threads.map(lambda code: code_hash(code, salt=bytes(made.salt)), codes))
    Voucher.objects.bulk_create(
        (Voucher(batch=made, serial=first + place, code_hash=hashed) for place, hashed in enumerate(hashes)),
        batch_size=5_000,
    )
    _print(print_file, rows=zip(range(first, first + count), codes, strict=True), batch=made)
    return IssuedBatch(code=batch, voucher_count=count, first_serial=first, print_file=print_file)


def new_code() -> str:
    digits = f"{secrets.randbelow(10 ** (CODE_DIGITS - 1)):0{CODE_DIGITS - 1}d}"
    return digits + check_digit(digits)


def check_digit(digits: str) -> str:
    """Luhn's (ISO/IEC 7812-1 annex B): every single wrong digit and most swapped neighbours show."""
    total = 0
    for place, letter in enumerate(reversed(digits)):
        doubled = int(letter) * (2 if place % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return str(-total % 10)


def is_well_written(code: str) -> bool:
    """Whether a text can be a code at all. A code that cannot is a slip, not a guess."""
    shaped = len(code) == CODE_DIGITS and code.isascii() and code.isdigit()
    return shaped and check_digit(code[:-1]) == code[-1]


def code_hash(code: str, *, salt: bytes) -> bytes:
    return scrypt(code.encode(), salt=salt, n=_COST, r=8, p=1, dklen=32)


def salt_in_use() -> bytes | None:
    """The salt of the tenant's vouchers; None before there are any."""
    first = VoucherBatch.objects.order_by("id").values_list("salt", flat=True).first()
    return None if first is None else bytes(first)


def _salt() -> bytes:
    return salt_in_use() or secrets.token_bytes(_SALT_BYTES)


def _first_serial() -> int:
    """Serials go on without a gap over all batches."""
    ((last,),) = read_rows("SELECT coalesce(max(serial), 0) FROM charging_voucher")
    return int(last) + 1


def _print(path: Path, *, rows: Iterator[tuple[int, str]], batch: VoucherBatch) -> None:
    """The file for the printer: serial, code in groups of four, value, last day."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as fault:
        cure = "Name a new file in a folder that you may write to."
        raise BadInput(f"cannot be written: {fault.strerror}", where=str(path), cure=cure) from None
    amount = format_plain(batch.amount_nanos, batch.currency)
    last_day = from_ms(batch.valid_until_ms).date().isoformat()
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as printed:
        table = csv.writer(printed)
        table.writerow(("serial", "code", "amount", "currency", "valid_until"))
        table.writerows((serial, grouped(code), amount, batch.currency, last_day) for serial, code in rows)


def grouped(code: str) -> str:
    return " ".join(code[first : first + 4] for first in range(0, len(code), 4))


def ungrouped(text: str) -> str:
    """A code as somebody typed it: spaces and dashes mean nothing."""
    return "".join(letter for letter in text if letter not in " -\t")
