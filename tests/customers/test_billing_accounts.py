"""Accounts stand under each other, and only those above may pay."""

import pytest
from django.db import IntegrityError, connection, transaction
from tests.customers.builders import an_account, opened

from millicent.catalog.types import Period, PeriodUnit
from millicent.customers import selectors
from millicent.customers.errors import CodeTaken, ParentTwice, PayerNotAbove, UnknownAccount
from millicent.customers.models import BillingAccount, BillingAccountTerms, Party
from millicent.customers.types import BillCycle, BillingAccountFacts, TaxExemption


def test_an_account_is_read_as_it_was_opened(tenant):
    exemption = TaxExemption(kind="reseller", jurisdiction="ES", certificate="R-1", effective_from_ms=7)
    cycle = BillCycle(day=31, period=Period(count=3, unit=PeriodUnit.WEEK), anchor_ms=9)
    ids = opened(
        an_account(
            "A",
            party_name='Ana "Ñ", S.L.',
            cycle=cycle,
            language="es",
            segment="business",
            country="ES",
            jurisdiction="ES-CN",
            is_business=True,
            tax_number="ESB1",
            tax_exemptions=(exemption,),
            address_lines=("Calle 1, 2", "35001 Las Palmas"),
            reseller="r1",
            opened_at_ms=5,
            characteristics={"colour": "blue"},
        )
    )

    assert selectors.billing_accounts() == [
        BillingAccountFacts(
            billing_account_id=ids["A"],
            code="A",
            party_name='Ana "Ñ", S.L.',
            payer_id=ids["A"],
            parent_id=None,
            currency="EUR",
            zone="Europe/Madrid",
            cycle=cycle,
            language="es",
            segment="business",
            country="ES",
            jurisdiction="ES-CN",
            is_business=True,
            tax_number="ESB1",
            tax_exemptions=(exemption,),
            address_lines=("Calle 1, 2", "35001 Las Palmas"),
            reseller="r1",
            opened_at_ms=5,
            characteristics={"colour": "blue"},
        )
    ]


def test_a_hierarchy_may_be_brought_in_any_order_and_over_several_levels(tenant):
    ids = opened(
        an_account("team", parent_code="division", payer_code="group"),
        an_account("division", parent_code="group"),
        an_account("group"),
    )
    later = opened(an_account("desk", parent_code="team", payer_code="group"))

    found = {account.code: account for account in selectors.billing_accounts()}

    assert (found["team"].parent_id, found["team"].payer_id) == (ids["division"], ids["group"])
    assert (found["division"].parent_id, found["division"].payer_id) == (ids["group"], ids["division"])
    assert (found["desk"].parent_id, found["desk"].payer_id) == (ids["team"], ids["group"])
    groups = {group.payer.code: [account.code for account in group.accounts] for group in selectors.payer_groups()}
    assert groups == {"group": ["group", "team", "desk"], "division": ["division"]}
    assert later == {"desk": found["desk"].billing_account_id}


def test_buckets_of_payers_part_the_groups_and_lose_none(tenant):
    opened(*(an_account(f"A{number}") for number in range(10)), an_account("child", parent_code="A3", payer_code="A3"))

    parts = [selectors.payer_groups(bucket=bucket, buckets=3) for bucket in range(3)]

    codes = sorted(account.code for part in parts for group in part for account in group.accounts)
    assert codes == sorted([*(f"A{number}" for number in range(10)), "child"])
    assert {group.payer.code: len(group.accounts) for part in parts for group in part}["A3"] == 2


@pytest.mark.parametrize(
    ("accounts", "refusal"),
    [
        ([an_account("A", parent_code="none")], UnknownAccount),
        ([an_account("A", payer_code="none")], UnknownAccount),
        ([an_account("A"), an_account("B", payer_code="A")], PayerNotAbove),
        (
            [
                an_account("A"),
                an_account("B", parent_code="A", payer_code="A"),
                an_account("C", parent_code="B", payer_code="B"),
            ],
            PayerNotAbove,
        ),
        ([an_account("A", parent_code="B"), an_account("B", parent_code="A")], ParentTwice),
        ([an_account("A"), an_account("A")], CodeTaken),
    ],
)
def test_a_bad_hierarchy_is_refused_and_leaves_no_trace(tenant, accounts, refusal):
    with pytest.raises(refusal):
        opened(*accounts)

    assert not BillingAccount.objects.exists()
    assert not Party.objects.exists()


def test_a_code_that_is_taken_is_refused(tenant):
    opened(an_account("A"))

    with pytest.raises(CodeTaken) as refusal:
        opened(an_account("B"), an_account("A"))

    assert refusal.value.facts == {"account_codes": ["A"]}
    assert BillingAccount.objects.count() == 1


def test_the_table_itself_refuses_a_payer_that_stands_elsewhere(tenant):
    ids = opened(an_account("A"), an_account("B"))

    with pytest.raises(IntegrityError, match="cannot pay for it"), transaction.atomic():
        BillingAccountTerms.objects.create(
            billing_account_id=ids["A"],
            payer_id=ids["B"],
            effective_from_ms=-10,
            effective_until_ms=0,
            recorded_at_ms=0,
        )


def test_the_table_itself_refuses_terms_that_overlap(tenant):
    ids = opened(an_account("A"))

    with pytest.raises(IntegrityError, match="the_terms_of_an_account_do_not_overlap"), transaction.atomic():
        BillingAccountTerms.objects.create(
            billing_account_id=ids["A"], payer_id=ids["A"], effective_from_ms=50, recorded_at_ms=0
        )


def test_accounts_of_one_party_share_it(tenant):
    opened(an_account("A", party_code="P", email="a@example.org"), an_account("B", party_code="P"))

    assert Party.objects.count() == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT kind, reach FROM customers_contact")
        assert cursor.fetchall() == [("email", "a@example.org")]


def test_another_tenant_sees_nothing(tenant):
    opened(an_account("A"))

    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('millicent.tenant', '00000000-0000-0000-0000-000000000001', true)")

    assert selectors.billing_accounts() == []
