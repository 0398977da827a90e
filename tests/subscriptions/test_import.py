"""Customers come from CSV: every row is accounted for, every fault says row, column, value and cure."""

from pathlib import Path

import pytest
from tests.subscriptions.builders import PLANS, SALES, at, story

from millicent.customers import selectors as customers
from millicent.kit.errors import BadInput
from millicent.subscriptions import selectors
from millicent.subscriptions.errors import ImportRefused
from millicent.subscriptions.services.change_plan import change_plan
from millicent.subscriptions.services.import_customers import CustomerFiles, import_customers

ACCOUNTS = """account,name,currency,zone,opened,parent,payer,cycle_day,business,characteristic:colour
HQ,"Acme, S.L.",EUR,Europe/Madrid,2026-01-01,,,31,yes,blue
SHOP,Acme shop,EUR,Atlantic/Canary,2026-01-01,HQ,HQ,31,yes,
"""
SUBSCRIPTIONS = """subscription,account,offering,from,until,status,add_ons,price_overrides
S1,HQ,small,2026-01-01,2026-02-01,active,,
S1,HQ,large,2026-02-01,,active,roaming,monthly=9.50
S2,SHOP,small,2026-01-01,,active,,
"""
IDENTIFIERS = """subscription;kind;identifier;from;until
S1;msisdn;+34 600 000 001;;2026-03-01
S2;msisdn;34600000001;2026-03-01T00:00:00+01:00;
S2;ip;2001:DB8::1;;
"""


def files(tmp_path: Path, *, accounts=ACCOUNTS, subscriptions=SUBSCRIPTIONS, identifiers=IDENTIFIERS) -> CustomerFiles:
    texts = {"accounts": accounts, "subscriptions": subscriptions, "identifiers": identifiers}
    for name, text in texts.items():
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    return CustomerFiles(**{name: tmp_path / f"{name}.csv" for name in texts})


def brought(brought_files: CustomerFiles, *, good_rows_only: bool = False, now_ms: int = 5_000):
    return import_customers(files=brought_files, catalogue=PLANS, good_rows_only=good_rows_only, now=at(now_ms))


def counts(report):
    return [(count.file, count.rows_in, count.new, count.standing, count.refused) for count in report.counts]


def faults(report):
    return report.faults.select("file", "row", "column", "value", "problem").rows()


def test_three_files_become_accounts_subscriptions_and_identifiers(tenant, tmp_path):
    report = brought(files(tmp_path))

    assert counts(report) == [
        ("accounts.csv", 2, 2, 0, 0),
        ("subscriptions.csv", 3, 3, 0, 0),
        ("identifiers.csv", 3, 3, 0, 0),
    ]
    shop = customers.billing_accounts(codes=["SHOP"])[0]
    assert (shop.parent_id, shop.payer_id) == (customers.billing_account_ids(codes=["HQ"])["HQ"],) * 2
    assert customers.billing_accounts(codes=["HQ"])[0].characteristics == {"colour": "blue"}
    assert story("S1") == [
        (1767222000000, 1769900400000, "small", "active"),  # midnight in Madrid
        (1769900400000, None, "large", "active"),
    ]
    assert story("S2") == [(1767225600000, None, "small", "active")]  # midnight on the Canaries, an hour later
    assert selectors.subscriptions_by_code(["S1"])[0].versions[1].price_overrides == {"monthly": 9_500_000_000}
    held = selectors.identifier_frame().sort("identifier", "effective_from_ms")
    assert held.select("identifier", "effective_from_ms").rows() == [
        ("2001:db8::1", 1767225600000),
        ("34600000001", 1767222000000),
        ("34600000001", 1772319600000),
    ]


def test_the_same_files_again_change_nothing_even_after_a_change_of_plan(tenant, tmp_path):
    brought(files(tmp_path))
    change_plan(code="S2", offering="large", at_ms=1790000000000, catalogue=PLANS, now=at(6_000), signature=SALES)

    report = brought(files(tmp_path), now_ms=7_000)

    assert [(count.new, count.standing, count.refused) for count in report.counts] == [(0, 2, 0), (0, 3, 0), (0, 3, 0)]
    assert story("S2")[1][2] == "large"


def test_the_same_code_with_another_content_is_a_fault(tenant, tmp_path):
    brought(files(tmp_path))
    changed = files(
        tmp_path,
        accounts=ACCOUNTS.replace("Acme shop,EUR", "Acme shop,USD"),
        subscriptions=SUBSCRIPTIONS.replace("S2,SHOP,small", "S2,SHOP,large"),
    )

    with pytest.raises(ImportRefused) as refusal:
        brought(changed, now_ms=7_000)

    assert faults(refusal.value.report) == [
        ("accounts.csv", 3, "account", "SHOP", "was opened before with another currency"),
        ("subscriptions.csv", 4, "subscription", "S2", "was added before with another content"),
    ]


DIRTY_ACCOUNTS = """account,name,currency,zone,opened,parent,payer,cycle_day
A,Ana,EUR,Europe/Madrid,2026-01-01,,,1
B,,EURO,Europe/Madrid,2026-01-01,,,32
C,Carl,EUR,Europe/Nowhere,2026-01-01,,,1
D,Dora,EUR,Europe/Madrid,01/02/2026,,,1
A,Ana again,EUR,Europe/Madrid,2026-01-01,,,1
E,Eve,EUR,Europe/Madrid,2026-01-01,B,,1
F,Finn,EUR,Europe/Madrid,2026-01-01,E,,1
G,Gus,EUR,Europe/Madrid,2026-01-01,A,ZZ,1
H,Hal,EUR,Europe/Madrid,2026-01-01,,A,1
I,Ida,EUR,Europe/Madrid
"""
DIRTY_SUBSCRIPTIONS = """subscription,account,offering,from,until,quantity
S1,A,small,2026-01-01,2026-02-01,1
S1,A,small,2026-02-02,,1
S2,B,small,2026-01-01,,1
S3,nobody,small,2026-01-01,,1
S4,A,huge,2026-01-01,,0
S5,A,small,2026-01-01,2025-01-01,1
S6,A,small,2026-01-01,,1
"""
DIRTY_IDENTIFIERS = """subscription,kind,identifier,from,until
S6,msisdn,34600000001,,
S6,msisdn,34600000001,2026-05-01,
S6,fax,1234,,
S6,imsi,99,,
S1,msisdn,34600000002,,
"""


def dirty(tmp_path):
    return files(tmp_path, accounts=DIRTY_ACCOUNTS, subscriptions=DIRTY_SUBSCRIPTIONS, identifiers=DIRTY_IDENTIFIERS)


EXPECTED_FAULTS = [
    ("accounts.csv", 3, "name", "", "is empty"),
    ("accounts.csv", 3, "currency", "EURO", "cannot be read"),
    ("accounts.csv", 3, "cycle_day", "32", "cannot be read"),
    ("accounts.csv", 4, "zone", "Europe/Nowhere", "cannot be read"),
    ("accounts.csv", 5, "opened", "01/02/2026", "is no date"),
    ("accounts.csv", 6, "account", "A", "stands in row 2 already"),
    ("accounts.csv", 7, "parent", "B", "B is refused itself"),
    ("accounts.csv", 8, "parent", "E", "E is refused itself"),
    ("accounts.csv", 9, "payer", "ZZ", "ZZ does not exist"),
    ("accounts.csv", 10, "payer", "A", "A does not stand above H, or does not pay for itself"),
    ("accounts.csv", 11, "", "", "has 4 fields where the header names 8"),
    ("identifiers.csv", 3, "identifier", "34600000001", "is held at that time by row 2"),
    ("identifiers.csv", 4, "kind", "fax", "cannot be read"),
    ("identifiers.csv", 5, "identifier", "99", "is no imsi"),
    ("identifiers.csv", 6, "subscription", "S1", "is refused itself"),
    ("subscriptions.csv", 2, "subscription", "S1", "has another row that is refused"),
    ("subscriptions.csv", 3, "from", "2026-02-02", "does not meet the version in row 2"),
    ("subscriptions.csv", 4, "account", "B", "is refused itself"),
    ("subscriptions.csv", 5, "account", "nobody", "is no billing account"),
    ("subscriptions.csv", 6, "quantity", "0", "cannot be read"),
    ("subscriptions.csv", 6, "offering", "huge", "is no plan of the catalogue"),
    ("subscriptions.csv", 7, "until", "2025-01-01", "is not after from"),
]


def test_one_bad_row_refuses_the_import_and_every_fault_is_named(tenant, tmp_path):
    with pytest.raises(ImportRefused) as refusal:
        brought(dirty(tmp_path))

    assert faults(refusal.value.report) == EXPECTED_FAULTS
    assert customers.count_billing_accounts() == 0
    assert str(refusal.value).startswith(
        "accounts.csv:3: name '' is empty. Write the name as it is printed on the bill."
    )


def test_the_good_rows_are_imported_when_asked_and_each_row_is_counted(tenant, tmp_path):
    report = brought(dirty(tmp_path), good_rows_only=True)

    assert faults(report) == EXPECTED_FAULTS
    assert counts(report) == [
        ("accounts.csv", 10, 1, 0, 9),
        ("subscriptions.csv", 7, 1, 0, 6),
        ("identifiers.csv", 5, 1, 0, 4),
    ]
    assert [account.code for account in customers.billing_accounts()] == ["A"]
    assert story("S6")[0][2] == "small"


def test_an_identifier_that_stands_elsewhere_is_a_fault(tenant, tmp_path):
    brought(files(tmp_path))
    later = tmp_path / "later.csv"
    later.write_text("subscription,kind,identifier,from\nS1,msisdn,34600000001,2026-04-01\n", encoding="utf-8")

    with pytest.raises(ImportRefused) as refusal:
        brought(CustomerFiles(identifiers=later), now_ms=7_000)

    assert faults(refusal.value.report) == [
        ("later.csv", 2, "identifier", "34600000001", "is held at that time by a subscription that stands")
    ]


ONE_FILE = """account,name,currency,zone,opened,subscription,offering,from,msisdn,sip_user
A,Ana,EUR,Europe/Madrid,2026-01-01,S1,small,2026-01-01,34600000001|34600000002,ana
A,,,,,S2,small,2026-01-01,34600000003,
B,Bob,EUR,Europe/Madrid,2026-01-01,S3,large,2026-01-01,,
"""


def test_one_file_can_hold_everything(tenant, tmp_path):
    path = tmp_path / "all.csv"
    path.write_text(ONE_FILE, encoding="utf-8")

    report = brought(CustomerFiles(everything=path))

    assert [(count.rows_in, count.new) for count in report.counts] == [(2, 2), (3, 3), (4, 4)]
    ids = selectors.subscription_ids(codes=["S1", "S2", "S3"])
    held = {code: [one.identifier for one in selectors.identifiers_of([ids[code]]).get(ids[code], ())] for code in ids}
    assert held == {"S1": ["34600000001", "34600000002", "ana"], "S2": ["34600000003"], "S3": []}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "is empty"),
        (b"account,name\nA,\xff\n", "byte 15 is not UTF-8"),
        (b"account,name,currency,zone,opened,colour\n", "there is no column 'colour'"),
        (b"account,name,currency,zone\n", "column 'opened' is missing"),
        (b"account,account,name,currency,zone,opened\n", "column 'account' stands twice"),
    ],
)
def test_a_file_that_is_no_table_of_accounts_is_refused(tenant, tmp_path, text, message):
    path = tmp_path / "accounts.csv"
    path.write_bytes(text)

    with pytest.raises(BadInput, match=message):
        brought(CustomerFiles(accounts=path))
