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
)
from millicent.customers.models import BillingAccountChange, BillingAccountTerms, TaxExemptionCertificate
from millicent.customers.services.change_payer import change_payer
from millicent.customers.services.change_segment import change_segment
from millicent.customers.services.grant_exemption import end_exemption, grant_exemption
from millicent.customers.types import BillCycle, Signature, TaxExemption
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
        for model in (BillingAccountTerms, BillingAccountChange, TaxExemptionCertificate)
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
