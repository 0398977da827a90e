"""Terms change after an account was opened: from a day on, never within what is billed, never rewritten."""

import pytest
from django.db import IntegrityError, transaction
from tests.customers.builders import an_account, opened

from millicent.customers import selectors
from millicent.customers.errors import (
    AlreadyBilled,
    CyclesDiffer,
    NotYetOpen,
    PayerNotAbove,
    StillPaysForOthers,
    UnknownAccount,
    UnknownExemption,
    UnknownReseller,
)
from millicent.customers.live import account_contacts
from millicent.customers.models import BillingAccountChange, BillingAccountTerms, PartyName, TaxExemptionCertificate
from millicent.customers.services.change_address import change_address
from millicent.customers.services.change_contact import change_contact
from millicent.customers.services.change_language import change_language
from millicent.customers.services.change_name import change_name
from millicent.customers.services.change_payer import change_payer
from millicent.customers.services.change_reseller import change_reseller
from millicent.customers.services.change_segment import change_segment
from millicent.customers.services.change_tax_number import change_tax_number
from millicent.customers.services.change_tax_place import change_tax_place
from millicent.customers.services.grant_exemption import end_exemption, grant_exemption
from millicent.customers.types import BillCycle, ContactKind, Signature, TaxExemption
from millicent.kit.clock import from_ms
from millicent.kit.errors import BadInput

CARE = Signature(who="ana", why="asked for")
OPENED_MS = 0
LATER = 2_000_000_000_000  # after the accounts of these tests were recorded


def segment(code="A", to="business", *, at_ms=100, billed=0, now_ms=LATER):
    return change_segment(
        code=code, segment=to, at_ms=at_ms, billed_until_ms=billed, now=from_ms(now_ms), signature=CARE
    )


def payer(code, to, *, at_ms=100, billed=0, now_ms=LATER):
    return change_payer(code=code, payer=to, at_ms=at_ms, billed_until_ms=billed, now=from_ms(now_ms), signature=CARE)


PAPER = TaxExemption(kind="government", jurisdiction="ES", certificate="G-1", effective_from_ms=100)


def exempt(exemption=PAPER, *, code="A", billed=0, now_ms=LATER):
    grant_exemption(code=code, exemption=exemption, billed_until_ms=billed, now=from_ms(now_ms), signature=CARE)


def unexempt(*, code="A", certificate="G-1", at_ms=200, billed=0, now_ms=LATER + 1):
    end_exemption(
        code=code, certificate=certificate, at_ms=at_ms, billed_until_ms=billed, now=from_ms(now_ms), signature=CARE
    )


def segments(code="A"):
    (account_id,) = selectors.billing_account_ids(codes=[code]).values()
    return [(each["effective_from_ms"], each["effective_until_ms"], each["segment"]) for each in terms(account_id)]


def terms(account_id):
    return selectors.terms_of(account_id)


def everything():
    return [
        list(model.objects.order_by("id").values())
        for model in (BillingAccountTerms, BillingAccountChange, PartyName, TaxExemptionCertificate)
    ]


def test_a_segment_holds_from_its_day_on_and_until_the_next_recorded_one(tenant):
    opened(an_account("A"))

    segment(to="business", at_ms=500)
    segment(to="student", at_ms=100, now_ms=LATER + 1)

    assert segments() == [(0, 100, "consumer"), (100, 500, "student"), (500, None, "business")]
    change = BillingAccountChange.objects.order_by("id").last()
    assert (change.verb, change.effective_at_ms, change.who, change.why, change.details) == (
        "change_segment", 100, "ana", "asked for", {"segment": "student"},
    )  # fmt: skip


def test_the_same_change_again_records_nothing(tenant):
    opened(an_account("A"))
    segment()
    before = everything()

    segment(now_ms=LATER + 1)

    assert everything() == before


def test_what_was_known_before_a_change_can_be_read_again(tenant):
    opened(an_account("A"))
    segment(now_ms=LATER)
    exempt(now_ms=LATER)
    unexempt(now_ms=LATER + 10)

    def known(at_ms):
        (account,) = selectors.billing_accounts(at_ms=150, known_at_ms=at_ms)
        return account.segment, [(each.certificate, each.effective_until_ms) for each in account.tax_exemptions]

    assert known(LATER - 1) == ("consumer", [])
    assert known(LATER) == ("business", [("G-1", None)])
    assert known(LATER + 10) == ("business", [("G-1", 200)])
    (group,) = selectors.payer_groups(at_ms=150, known_at_ms=LATER - 1)
    assert group.payer.segment == "consumer"


def test_recorded_terms_and_certificates_cannot_be_rewritten(tenant):
    opened(an_account("A"))
    exempt()

    for model, change in ((BillingAccountTerms, {"segment": "x"}), (TaxExemptionCertificate, {"certificate": "x"})):
        with pytest.raises(IntegrityError, match="never rewritten"), transaction.atomic():
            model.objects.update(**change)


def test_a_payer_holds_from_its_day_on(tenant):
    ids = opened(an_account("top"), an_account("middle", parent_code="top"), an_account("A", parent_code="middle"))

    payer("A", "top", at_ms=100)
    payer("A", "middle", at_ms=300, now_ms=LATER + 1)

    assert [(each["effective_from_ms"], each["payer"]) for each in terms(ids["A"])] == [
        (0, "A"), (100, "top"), (300, "middle"),
    ]  # fmt: skip
    groups = [(at, [len(group.accounts) for group in selectors.payer_groups(at_ms=at)]) for at in (99, 100, 300)]
    assert groups == [(99, [1, 1, 1]), (100, [2, 1]), (300, [1, 2])]


def test_a_change_of_payer_that_has_not_come_yet_is_taken_back(tenant):
    ids = opened(an_account("top"), an_account("A", parent_code="top"))
    payer("A", "top", at_ms=100)

    payer("A", "A", at_ms=100, now_ms=LATER + 1)

    assert {each["payer"] for each in terms(ids["A"])} == {"A"}


def test_a_certificate_ends_on_its_day_and_what_it_lifted_stays_lifted(tenant):
    opened(an_account("A"))
    exempt()
    exempt(now_ms=LATER + 1)

    unexempt(at_ms=200)
    unexempt(at_ms=200, now_ms=LATER + 2)

    (account,) = selectors.billing_accounts()
    assert [(each.effective_from_ms, each.effective_until_ms) for each in account.tax_exemptions] == [(100, 200)]
    assert [change.verb for change in BillingAccountChange.objects.order_by("id")] == [
        "grant_exemption", "end_exemption",
    ]  # fmt: skip


def a_family():
    opened(
        an_account("top", opened_at_ms=50),
        an_account("other"),
        an_account("half", parent_code="top", payer_code="top", opened_at_ms=50),
        an_account("A", parent_code="half"),
        an_account("B", parent_code="A", payer_code="A"),
        an_account("elsewhere", cycle=BillCycle(day=16)),
        an_account("C", parent_code="elsewhere"),
    )


@pytest.mark.parametrize(
    ("ask", "refusal"),
    [
        (lambda: segment("nobody"), UnknownAccount),
        (lambda: segment(at_ms=-1), NotYetOpen),
        (lambda: segment(at_ms=100, billed=101), AlreadyBilled),
        (lambda: segment(to=""), BadInput),
        (lambda: payer("C", "other"), PayerNotAbove),
        (lambda: payer("B", "half"), PayerNotAbove),
        (lambda: payer("B", "top", at_ms=49), PayerNotAbove),
        (lambda: payer("B", "nobody"), UnknownAccount),
        (lambda: payer("A", "top"), StillPaysForOthers),
        (lambda: payer("C", "elsewhere"), CyclesDiffer),
        (lambda: payer("B", "top", at_ms=100, billed=101), AlreadyBilled),
        (lambda: exempt(billed=101), AlreadyBilled),
        (lambda: exempt(code="nobody"), UnknownAccount),
        (lambda: exempt(TaxExemption(kind="", jurisdiction="ES", certificate="1", effective_from_ms=100)), BadInput),
        (lambda: unexempt(), UnknownExemption),
    ],
)
def test_what_would_break_bills_is_refused_and_leaves_no_trace(tenant, ask, refusal):
    a_family()
    before = everything()

    with pytest.raises(refusal):
        ask()

    assert everything() == before


def test_ending_a_certificate_within_what_is_billed_is_refused(tenant):
    opened(an_account("A"))
    exempt()
    before = everything()

    with pytest.raises(AlreadyBilled) as refusal:
        unexempt(at_ms=200, billed=201)

    assert refusal.value.facts == {"account_code": "A", "at_ms": 200, "billed_until_ms": 201}
    assert everything() == before


def told(verb, **chosen):
    usual = {"code": "A", "at_ms": 100, "billed_until_ms": 0, "now": from_ms(LATER), "signature": CARE}
    return verb(**(usual | chosen))


def an_account_of_spain():
    opened(an_account("A", country="ES", jurisdiction="ES", tax_number="B12345674", address_lines=("Calle 1", "Vigo")))


def then_and_before():
    return [selectors.billing_accounts(at_ms=at_ms)[0] for at_ms in (99, 100)]


def test_language_place_number_reseller_and_address_hold_from_their_day_on(tenant):
    an_account_of_spain()

    told(change_language, language="ca")
    told(change_tax_place, country="FR", jurisdiction="ES")
    told(change_tax_number, tax_number="FR40303265045", is_business=True)
    told(change_reseller, reseller="north/south", resellers={"north", "south"})
    told(change_address, address_lines=["Rue 2 ", "Lyon"])

    before, then = then_and_before()
    assert (before.language, before.country, before.tax_number, before.is_business, before.reseller) == (
        "en", "ES", "B12345674", False, "",
    )  # fmt: skip
    assert before.address_lines == ("Calle 1", "Vigo")
    assert (then.language, then.country, then.jurisdiction, then.tax_number, then.is_business, then.reseller) == (
        "ca", "FR", "ES", "FR40303265045", True, "north/south",
    )  # fmt: skip
    assert then.address_lines == ("Rue 2", "Lyon")
    assert [(each.verb, each.who, each.details) for each in selectors.changes_of(then.billing_account_id)] == [
        ("change_language", "ana", {"language": "ca"}),
        ("change_tax_place", "ana", {"country": "FR", "jurisdiction": "ES"}),
        ("change_tax_number", "ana", {"tax_number": "FR40303265045", "business": "yes"}),
        ("change_reseller", "ana", {"reseller": "north/south"}),
        ("change_address", "ana", {}),
    ]


def test_a_tax_number_is_one_of_the_country_that_holds_on_its_day(tenant):
    an_account_of_spain()
    told(change_tax_place, country="FR", jurisdiction="", at_ms=500)

    told(change_tax_number, tax_number="40303265045", is_business=True, at_ms=500)
    with pytest.raises(BadInput, match="is no tax number of ES"):
        told(change_tax_number, tax_number="40303265045", is_business=True, at_ms=100)

    assert selectors.billing_accounts()[0].tax_number == "40303265045"


def test_all_accounts_of_a_customer_have_its_new_name_from_its_day_on(tenant):
    opened(an_account("A", party_code="P"), an_account("B", party_code="P"), an_account("C"))

    change_name(code="A", name="Later, S.L.", at_ms=100, now=from_ms(LATER), signature=CARE)
    change_name(code="B", name="Later, S.L.", at_ms=100, now=from_ms(LATER + 1), signature=CARE)
    change_name(code="B", name="Last, S.A.", at_ms=300, now=from_ms(LATER + 2), signature=CARE)

    def names(**chosen):
        return [account.party_name for account in selectors.billing_accounts(**chosen)]

    assert names(at_ms=99) == ["Customer A", "Customer A", "Customer C"]
    assert names(at_ms=100) == ["Later, S.L.", "Later, S.L.", "Customer C"]
    assert names() == ["Last, S.A.", "Last, S.A.", "Customer C"]
    assert names(at_ms=300, known_at_ms=LATER) == ["Later, S.L.", "Later, S.L.", "Customer C"]
    assert names(at_ms=300, known_at_ms=LATER - 1) == ["Customer A", "Customer A", "Customer C"]
    assert PartyName.objects.count() == 2
    with pytest.raises(IntegrityError, match="never rewritten"), transaction.atomic():
        PartyName.objects.update(name="x")


def test_a_name_that_was_wrong_is_superseded_and_can_still_be_read(tenant):
    opened(an_account("A"))
    change_name(code="A", name="Wrogn", at_ms=100, now=from_ms(LATER), signature=CARE)

    change_name(code="A", name="Wrong", at_ms=100, now=from_ms(LATER + 1), signature=CARE)

    assert selectors.billing_accounts()[0].party_name == "Wrong"
    assert selectors.billing_accounts(at_ms=100, known_at_ms=LATER)[0].party_name == "Wrogn"


def test_a_customer_has_one_address_of_a_kind_and_it_can_be_forgotten(tenant):
    ids = opened(an_account("A", email="old@customer.example", phone="+34600000001"))

    change_contact(code="A", kind=ContactKind.EMAIL, reach="new@customer.example", now=from_ms(LATER), signature=CARE)
    assert account_contacts(ids=[ids["A"]])[ids["A"]][1] == {"email": "new@customer.example", "phone": "+34600000001"}

    change_contact(code="A", kind=ContactKind.EMAIL, reach="", now=from_ms(LATER), signature=CARE)
    change_contact(code="A", kind=ContactKind.EMAIL, reach="", now=from_ms(LATER), signature=CARE)

    assert account_contacts(ids=[ids["A"]])[ids["A"]][1] == {"phone": "+34600000001"}
    assert [(each.verb, each.details) for each in selectors.changes_of(ids["A"])] == [
        ("change_contact", {"kind": "email"}),
        ("change_contact", {"kind": "email"}),
    ]


@pytest.mark.parametrize(
    ("ask", "refusal"),
    [
        (lambda: told(change_language, language="Spanish"), BadInput),
        (lambda: told(change_language, language="es", billed_until_ms=101), AlreadyBilled),
        (lambda: told(change_language, language="es", code="nobody"), UnknownAccount),
        (lambda: told(change_tax_place, country="Spain", jurisdiction=""), BadInput),
        (lambda: told(change_tax_place, country="ES", jurisdiction="ESP"), BadInput),
        (lambda: told(change_tax_place, country="FR", jurisdiction="", billed_until_ms=101), AlreadyBilled),
        (lambda: told(change_tax_number, tax_number="B12345675", is_business=True), BadInput),
        (lambda: told(change_tax_number, tax_number="", is_business=True, billed_until_ms=101), AlreadyBilled),
        (lambda: told(change_reseller, reseller="north/west", resellers={"north"}), UnknownReseller),
        (lambda: told(change_reseller, reseller="", resellers=(), code="nobody"), UnknownAccount),
        (lambda: told(change_address, address_lines=[" "]), BadInput),
        (lambda: change_name(code="A", name=" ", at_ms=1, now=from_ms(LATER), signature=CARE), BadInput),
        (lambda: change_name(code="x", name="X", at_ms=1, now=from_ms(LATER), signature=CARE), UnknownAccount),
    ],
)
def test_what_no_account_can_be_is_refused_and_leaves_no_trace(tenant, ask, refusal):
    an_account_of_spain()
    before = everything()

    with pytest.raises(refusal):
        ask()

    assert everything() == before
